"""FLAC compression for N-dimensional numeric arrays.

Importing this needs numpy alone. `FlacCodec`, `create_array` and `encoding` need zarr
(``pip install flaccodec[zarr]``) and import it when they are first used; `encoding` for
netCDF needs h5py instead (``flaccodec[hdf5]``).
"""

from __future__ import annotations

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from flaccodec.array import FlacArray
from flaccodec.exceptions import CorruptChunkError, FlacCodecError
from flaccodec.threads import get_num_threads, num_threads, set_num_threads

if TYPE_CHECKING:
    from flaccodec.xarray_encoding import encoding
    from flaccodec.zarr import create_array
    from flaccodec.zarr_codec import FlacCodec

__all__ = [
    "CorruptChunkError",
    "FlacArray",
    "FlacCodec",
    "FlacCodecError",
    "create_array",
    "encoding",
    "get_num_threads",
    "num_threads",
    "set_num_threads",
]

__version__ = _version("flaccodec")

_LAZY = {
    "FlacCodec": "flaccodec.zarr_codec",
    "create_array": "flaccodec.zarr",
    "encoding": "flaccodec.xarray_encoding",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
