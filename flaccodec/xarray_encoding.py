"""What to give as ``encoding`` where xarray writes: for Zarr, and for netCDF through h5netcdf."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.chunks.missing import with_marks
from flaccodec.chunks.options import CodecOptions, explains_options
from flaccodec.exceptions import ConfigurationError
from flaccodec.runtime.optional import check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["encoding"]


@explains_options()
def encoding(
    variable: Any = None,
    *,
    quanta: float | None = None,
    precision: int | float | None = None,
    level: int = core.DEFAULT_LEVEL,
    frame_size: int = core.DEFAULT_FRAME_SIZE,
    fill_value: float | None = None,
    engine: str = "zarr",
    missing_value: float | Sequence[float] | None = None,
    strict: bool = False,
) -> dict[str, Any]:
    """Return the encoding with which xarray writes a variable as FLAC.

    Parameters
    ----------
    variable : xarray.DataArray or xarray.Variable, optional
        What is going to be written: its dtype, and what its own encoding says of it, are then
        checked at once, and what its attributes or encoding name as missing (CF's
        ``missing_value`` and ``_FillValue``) is kept exactly beside quanta and precision, as if
        it were given as `missing_value` too. Times, and with h5netcdf truth values, are what
        xarray writes as integers.
    options
        Those of `flaccodec.chunks.options.Options`.
    fill_value : float, optional
        What missing samples are stored as, xarray's ``_FillValue``; without it they stay NaN.
        It is kept exactly beside quanta and precision, which xarray's ``_FillValue`` alone would
        not be in Zarr: there it is not the array's fill value. Choose one far from all samples.
    engine : {"zarr", "h5netcdf"}
        "zarr" for `Dataset.to_zarr` (with ``zarr_format=3``), "h5netcdf" for
        `Dataset.to_netcdf` with the same engine, which takes no `strict`.

    Returns
    -------
    dict
        For one variable: ``to_zarr(store, encoding={"x": flaccodec.encoding(...)})``. Add
        ``chunks`` for Zarr and ``chunksizes`` for netCDF.

    Raises
    ------
    ConfigurationError
        An option is out of its range, quanta or precision are given for integers, the variable's
        encoding would turn its floats into integers, its dtype cannot hold the fill value, or
        the engine cannot write FLAC.
    UnsupportedDtypeError
        FLAC cannot hold the variable's dtype.
    ImportError
        zarr (or h5py) is missing; or it, xarray or h5netcdf is older than flaccodec needs.

    Examples
    --------
    >>> import flaccodec
    >>> flaccodec.encoding(quanta=0.5)
    {'serializer': FlacCodec(level=5, quanta=0.5, precision=None, frame_size=4096), \
'compressors': None}
    """
    given = locals()
    for library in _LIBRARIES.get(engine, ()):
        check_version(library, "flaccodec.encoding", "xarray")
    if engine not in _ENGINES:
        known = " or ".join(map(repr, _ENGINES))
        raise ConfigurationError(f"engine must be {known}. Got {engine!r}{_ADVICE.get(engine, '')}")
    options = CodecOptions.among(given)
    if strict and engine != "zarr":
        raise ConfigurationError(
            f"strict is for engine 'zarr'. Got engine {engine!r}: HDF5 loses files where a filter "
            "refuses samples."
        )
    if variable is not None:
        written = options.check_dtype(_dtype_written(variable, engine))
        _check_carried(variable)
        if fill_value is not None:
            _check_fill_value(fill_value, written, variable)
        for said in (variable.attrs, variable.encoding):
            options = with_marks(options, said)
    return _ENGINES[engine](options) | _filled(fill_value, engine)


def _dtype_written(variable: Any, engine: str) -> np.dtype[Any]:
    """Return the dtype of what the codec is given: xarray writes some as integers by itself."""
    dtype: np.dtype[Any] = np.dtype(variable.dtype)
    if dtype.kind in "mM":
        return np.dtype("int64")
    if dtype.kind == "b" and engine == "h5netcdf":
        return np.dtype("int8")
    return dtype


def _filled(fill_value: float | None, engine: str) -> dict[str, Any]:
    """Name the fill value as xarray has it, and for Zarr as the codec learns of it."""
    if fill_value is None:
        return {}
    filled = {"_FillValue": fill_value}
    return filled | {"fill_value": fill_value} if engine == "zarr" else filled


def _check_carried(variable: Any) -> None:
    """Refuse floats whose encoding, from where they were read, says integers."""
    carried = variable.encoding.get("dtype")
    if carried is None or np.dtype(variable.dtype).kind != "f":
        return
    if np.dtype(carried).kind in "iu":
        name = getattr(variable, "name", None)
        raise ConfigurationError(
            f"variable {name!r} has data of {variable.dtype}, but its encoding, from where it was "
            f"read, says {np.dtype(carried)}: xarray would round to integers. Write "
            "variable.drop_encoding(), with quanta for steps of your choice."
        )


def _check_fill_value(fill_value: Any, dtype: np.dtype[Any], variable: Any) -> None:
    """Refuse what the dtype cannot hold, which xarray would cut to another number or fail at."""
    if dtype.kind == "f":
        limits = f"a number of at most {np.finfo(dtype).max:.3g}, NaN or infinite"
    else:
        limits = f"a whole number from {np.iinfo(dtype).min} to {np.iinfo(dtype).max}"
    if not _can_hold(dtype, fill_value):
        name = getattr(variable, "name", None)
        raise ConfigurationError(
            f"fill_value must be {limits}, to be kept in {dtype}. Got {fill_value!r} for variable "
            f"{name!r}: choose another, which is no sample."
        )


def _can_hold(dtype: np.dtype[Any], value: Any) -> bool:
    """Whether a dtype has a number; as floats have it, rounded."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    if not is_number or value != value or abs(value) == math.inf:
        return is_number and dtype.kind == "f"
    if dtype.kind == "f":
        return bool(abs(value) <= float(np.finfo(dtype).max))
    return bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max and int(value) == value)


def _for_zarr(options: CodecOptions) -> dict[str, Any]:
    from flaccodec.zarr.codec import FlacCodec

    # xarray hands zarr what it has, and zarr puts Zstd behind a serializer unless told not to.
    return {"serializer": FlacCodec(**vars(options)), "compressors": None}


def _for_h5netcdf(options: CodecOptions) -> dict[str, Any]:
    from flaccodec.hdf5 import Flac

    return {"compression": Flac(**options.to_dict())}


_ENGINES: dict[str, Callable[[CodecOptions], dict[str, Any]]] = {
    "zarr": _for_zarr,
    "h5netcdf": _for_h5netcdf,
}

_LIBRARIES = {"zarr": ("xarray",), "h5netcdf": ("xarray", "h5netcdf")}
"""What is given the encoding: where it is there, it must know what to do with it."""

_ADVICE = {
    "netcdf4": (
        ": the netCDF4 library writes with filters of its own only. Write with "
        "engine='h5netcdf'; netCDF4 reads it where HDF5_PLUGIN_PATH is flaccodec's."
    )
}
