"""Attributes and names of dimensions, between HDF5 and Zarr.

Names of dimensions are dimension scales in HDF5, as netCDF4 has them, or labels.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import posixpath
import struct
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from flaccodec.exceptions import ConfigurationError, printable
from flaccodec.hdf5.filter import has_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

_OF_HDF5 = {
    "DIMENSION_LIST",
    "DIMENSION_LABELS",
    "REFERENCE_LIST",
    "_NCProperties",
    "_Netcdf4Coordinates",
    "_Netcdf4Dimid",
    "_nc3_strict",
}
"""Attributes with which HDF5 and netCDF4 keep dimension scales and their own notes."""

_OF_SCALES = {"CLASS", "NAME"}
"""Those of a dimension scale itself. Elsewhere they are their user's, such as PyTables'."""

FILL = "_FillValue"
"""CF's attribute, which xarray keeps in Zarr as base64 of a float64 where samples are floats."""

_WIDEST = 8
"""Bytes of the widest numbers that are Python's, too; longdouble is wider."""

_IN_JSON = "numbers of 64 bits at most, or text"

_BARE = "This is a netCDF dimension but not a netCDF variable. {:>10d}"
"""The NAME by which netCDF4 knows a dimension without coordinates."""


# -- attributes ------------------------------------------------------------------------


def to_json(item: h5py.Dataset | h5py.Group, place: str) -> dict[str, Any]:
    """Return the attributes of a dataset or group as JSON has them.

    A dataset's ``_FillValue`` is there as xarray has it in Zarr. It is left out where no sample
    can be it, such as NaN among integers, and where the samples are no numbers.

    Raises
    ------
    ConfigurationError
        One has no form in JSON, such as a reference or text in another encoding than UTF-8; the
        message names it.
    """
    is_dataset = isinstance(item, h5py.Dataset)
    kept_by_hdf5 = _OF_HDF5 | (_OF_SCALES if is_dataset and _is_scale(item) else set())
    attributes: dict[str, Any] = {}
    for name, value in item.attrs.items():
        where = f"attribute {name!r} of {place}"
        if isinstance(name, bytes):
            raise _no_json(where, "with a name in UTF-8", repr(name))
        if name in kept_by_hdf5:
            continue
        if name == FILL and is_dataset:
            attributes |= _fill_to_json(value, item, where)
        else:
            attributes[name] = _to_json(value, where)
    return attributes


def _fill_to_json(value: Any, dataset: h5py.Dataset, place: str) -> dict[str, int | str]:
    array = np.asarray(value)
    if not has_numbers(dataset):
        return {}
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise _no_json(place, "one number", repr(value))
    number = float(array.item())
    if dataset.dtype.kind == "f":
        return {FILL: base64.standard_b64encode(struct.pack("<d", number)).decode()}
    return {FILL: int(array.item())} if number.is_integer() else {}


def _to_json(value: Any, place: str) -> Any:
    if isinstance(value, h5py.Empty):
        return "" if value.dtype.kind in "SO" else []
    array = np.asarray(value)
    if array.shape == (1,):
        array = array.reshape(())  # netCDF writes what is one as an array of one
    plain = array.tolist()
    if array.dtype.kind in "biuf" and array.dtype.itemsize <= _WIDEST:
        return plain
    if array.dtype.kind in "SUO":
        return _text(plain, place)
    raise _no_json(place, _IN_JSON, array.dtype.name)


def _text(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_text(item, place) for item in value]
    if isinstance(value, str):
        value = value.encode(errors="surrogateescape")  # as h5py has bytes that are not UTF-8
    if not isinstance(value, bytes):
        raise _no_json(place, _IN_JSON, type(value).__name__)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _no_json(place, "text in UTF-8", repr(bytes(value))) from error


def _no_json(place: str, expected: str, got: str) -> ConfigurationError:
    return ConfigurationError(
        f"{place} must be {expected}, to be kept in JSON. Got {got}: change or delete it in a copy "
        "of the file, or do without, by attributes= of to_zarr or drop_variables= of virtual_zarr."
    )


def set_attributes(dataset: h5py.Dataset, attributes: Mapping[str, Any]) -> None:
    """Give a dataset attributes from JSON; what HDF5 has no form for, as JSON text.

    Those of HDF5's own names are left out: it takes them for dimension scales without a look at
    what they are, and may crash.

    Raises
    ------
    ConfigurationError
        HDF5 refuses one; the message names it.
    """
    for name, value in attributes.items():
        if name in _OF_HDF5:
            continue
        try:
            dataset.attrs[name] = _to_hdf5(name, value, dataset.dtype)
        except (TypeError, ValueError, OverflowError, OSError, RuntimeError, struct.error) as error:
            raise ConfigurationError(
                f"attribute {name!r} cannot be kept in HDF5: {error}. Change or delete it before; "
                "those of more than 64 KiB need a file opened with libver='latest'."
            ) from error


def _to_hdf5(name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    if name == FILL and isinstance(value, str) and dtype.kind == "f":
        (number,) = struct.unpack("<d", base64.standard_b64decode(value))
        return dtype.type(number)
    if name == FILL and isinstance(value, int):
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            raise OverflowError(f"{value} is beyond {dtype}")  # numpy before 2 wraps it
        return dtype.type(value)
    if isinstance(value, str | bool | float):
        return value
    array = None if value is None or isinstance(value, dict) else _to_array(value)
    return json.dumps(value) if array is None else array


def _to_array(value: Any) -> npt.NDArray[Any] | None:
    """Return a number or lists of things of one kind; None where HDF5 has no such array."""
    array = np.array(value, dtype=object)
    kinds = {type(item) for item in array.flat}
    if kinds == {int}:
        return _integers(array)
    if kinds <= {int, float} and all(float(item) == item for item in array.flat if item == item):
        return array.astype(np.float64)
    if kinds == {bool}:
        return array.astype(bool)
    return array.astype(h5py.string_dtype()) if kinds == {str} else None


def _integers(array: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    for dtype in (np.int64, np.uint64):
        if np.iinfo(dtype).min <= array.min() and array.max() <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return None


# -- dimensions --------------------------------------------------------------------------


def _is_scale(dataset: h5py.Dataset) -> bool:
    """Whether a dataset is a dimension scale.

    As h5netcdf asks: HDF5 2.0's H5DSis_scale never closes a CLASS that is its user's, and h5py
    reads the old value ever after.
    """
    value = dataset.attrs.get("CLASS")
    return isinstance(value, bytes) and value == b"DIMENSION_SCALE"


def dimension_names(dataset: h5py.Dataset) -> tuple[str | None, ...] | None:
    """Return the names of a dataset's dimensions; None where no one has any."""
    names = tuple(_dimension_name(dataset, axis) for axis in range(dataset.ndim))
    return names if any(names) else None


def _dimension_name(dataset: h5py.Dataset, axis: int) -> str | None:
    dimension = dataset.dims[axis]
    if len(dimension):
        return _as_text(posixpath.basename(dimension[0].name))
    if dataset.ndim == 1 and _is_scale(dataset):
        return _as_text(posixpath.basename(dataset.name))
    return _as_text(dimension.label)


def _as_text(name: str | bytes) -> str | None:
    r"""Return a name as JSON has it; bytes that are not UTF-8 are written out, such as ``\xe4``."""
    return printable(os.fsdecode(name)) or None


def name_dimensions(group: h5py.Group, dataset: h5py.Dataset, names: Sequence[str | None]) -> None:
    """Name a dataset's dimensions by scales in its group; by labels where that cannot be.

    A one-dimensional dataset of the name and the right length becomes the scale. Where the
    group has nothing of the name, a scale without coordinates is made, as netCDF4 does. There
    is no scale where it, or the dataset, has attributes of its own that HDF5 keeps scales by.

    Raises
    ------
    ConfigurationError
        HDF5 refuses a scale; the message names it, and the scales are as they were.
    """
    with contextlib.ExitStack() as undo:
        for axis, name in enumerate(names):
            if name and not _attach_named(group, dataset, axis, name, undo):
                dataset.dims[axis].label = name
        undo.pop_all()


def _attach_named(
    group: h5py.Group, dataset: h5py.Dataset, axis: int, name: str, undo: contextlib.ExitStack
) -> bool:
    """Attach the scale of a name, with errors that say what it is for."""
    try:
        return _attach_scale(group, dataset, axis, name, undo)
    except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"dimension {name!r} must have {name!r} of group {group.name} as its scale. HDF5 "
            f"refused with {error!r}: delete or rename what is there, or rename the dimension."
        ) from error


def _attach_scale(
    group: h5py.Group, dataset: h5py.Dataset, axis: int, name: str, undo: contextlib.ExitStack
) -> bool:
    """Attach the scale of a name; False where there cannot be one."""
    # HDF5 fails at a CLASS that is no text, and leaves others open.
    if "/" in name or ("CLASS" in dataset.attrs and not _is_scale(dataset)):
        return False
    size = dataset.shape[axis]
    if name not in group:
        grows = {"maxshape": (None,)} if dataset.maxshape[axis] is None else {}
        group.create_dataset(name, shape=(size,), dtype=">f4", **grows)
        undo.callback(group.__delitem__, name)
        group[name].make_scale(_BARE.format(size))
    scale = group[name]
    if not isinstance(scale, h5py.Dataset) or scale.shape != (size,):
        return False
    if not _is_scale(scale):
        if not _OF_SCALES.isdisjoint(scale.attrs):
            return False
        scale.make_scale(name)
        undo.callback(_make_no_scale, scale)
    if scale != dataset:
        dataset.dims[axis].attach_scale(scale)
        undo.callback(dataset.dims[axis].detach_scale, scale)
    return True


def _make_no_scale(scale: h5py.Dataset) -> None:
    for name in ("CLASS", "NAME"):
        del scale.attrs[name]
