"""Attributes and names of dimensions, between HDF5 and Zarr.

Names of dimensions are dimension scales in HDF5, as netCDF4 has them, or labels.
"""

from __future__ import annotations

import base64
import json
import posixpath
import struct
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5ds

from flaccodec.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OF_HDF5 = {
    "CLASS",
    "NAME",
    "DIMENSION_LIST",
    "DIMENSION_LABELS",
    "REFERENCE_LIST",
    "_NCProperties",
    "_Netcdf4Coordinates",
    "_Netcdf4Dimid",
    "_nc3_strict",
}
"""Attributes with which HDF5 and netCDF4 keep dimension scales and their own notes."""

_FILL = "_FillValue"
"""CF's attribute, which xarray keeps in Zarr as base64 of a float64 where data are floats."""

_BARE = "This is a netCDF dimension but not a netCDF variable. {:>10d}"
"""The NAME by which netCDF4 knows a dimension without coordinates."""


# -- attributes ------------------------------------------------------------------------


def to_json(attributes: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return HDF5 attributes as JSON has them.

    Raises
    ------
    ConfigurationError
        One has no form in JSON, such as a reference; the message names it.
    """
    return {
        name: _to_json(value, f"attribute {name!r} of {place}", name == _FILL)
        for name, value in attributes.items()
        if name not in _OF_HDF5
    }


def _to_json(value: Any, place: str, is_fill: bool) -> Any:
    if isinstance(value, h5py.Empty):
        return "" if value.dtype.kind in "SO" else []
    array = np.asarray(value)
    if is_fill and array.size == 1 and array.dtype.kind == "f":
        return base64.standard_b64encode(struct.pack("<d", float(array.item()))).decode()
    if is_fill and array.size == 1:
        array = array.reshape(())
    plain = array.tolist()
    if array.dtype.kind in "biuf":
        return plain
    if array.dtype.kind in "SUO":
        return _text(plain, place)
    raise _no_json(place, value)


def _text(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_text(item, place) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return value
    raise _no_json(place, value)


def _no_json(place: str, value: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{place} must be numbers or text, to be kept in JSON. Got {type(value).__name__}: "
        "delete it from a copy of the dataset, or give attributes= yourself."
    )


def to_hdf5(attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return attributes from JSON as HDF5 has them; what it has no form for, as JSON text."""
    return {name: _to_hdf5(name, value, dtype) for name, value in attributes.items()}


def _to_hdf5(name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    if name == _FILL and isinstance(value, str) and dtype.kind == "f":
        (number,) = struct.unpack("<d", base64.standard_b64decode(value))
        return dtype.type(number)
    if name == _FILL and isinstance(value, int):
        return dtype.type(value)
    if isinstance(value, list):
        kinds = {type(item) for item in value}
        if (
            value
            and (kinds <= {int, float} or len(kinds) == 1)
            and kinds <= {bool, int, float, str}
        ):
            return value
        return json.dumps(value)
    return json.dumps(value) if value is None or isinstance(value, dict) else value


def _has_one_kind(values: list[Any]) -> bool:
    kinds = {type(value) for value in values}
    return kinds in ({bool}, {str}, {int}, {float}, {int, float})


# -- dimensions --------------------------------------------------------------------------


def dimension_names(dataset: h5py.Dataset) -> tuple[str | None, ...] | None:
    """Return the names of a dataset's dimensions; None where no one has any."""
    names = tuple(_dimension_name(dataset, axis) for axis in range(dataset.ndim))
    return names if any(names) else None


def _dimension_name(dataset: h5py.Dataset, axis: int) -> str | None:
    dimension = dataset.dims[axis]
    if len(dimension):
        return str(posixpath.basename(dimension[0].name))
    if dataset.ndim == 1 and h5ds.is_scale(dataset.id):
        return str(posixpath.basename(dataset.name))
    return str(dimension.label) or None


def name_dimensions(group: h5py.Group, dataset: h5py.Dataset, names: Sequence[str | None]) -> None:
    """Name a dataset's dimensions by scales in its group; by labels where that cannot be.

    A one-dimensional dataset of the name and the right length becomes the scale. Where the
    group has nothing of the name, a scale without coordinates is made, as netCDF4 does.
    """
    for axis, name in enumerate(names):
        if name and not _attach_scale(group, dataset, axis, name):
            dataset.dims[axis].label = name


def _attach_scale(group: h5py.Group, dataset: h5py.Dataset, axis: int, name: str) -> bool:
    """Attach the scale of a name; False where there cannot be one."""
    if "/" in name:
        return False
    size = dataset.shape[axis]
    if name not in group:
        grows = {"maxshape": (None,)} if dataset.maxshape[axis] is None else {}
        group.create_dataset(name, shape=(size,), dtype=">f4", **grows)
        group[name].make_scale(_BARE.format(size))
    scale = group[name]
    if not isinstance(scale, h5py.Dataset) or scale.shape != (size,):
        return False
    if not h5ds.is_scale(scale.id):
        scale.make_scale(name)
    if scale != dataset:
        dataset.dims[axis].attach_scale(scale)
    return True
