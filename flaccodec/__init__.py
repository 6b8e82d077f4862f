"""FLAC compression for N-dimensional numeric arrays.

Importing this needs numpy alone. `FlacCodec`, `create_array` and `encoding` need zarr
(``pip install flaccodec[zarr]``) and import it when they are first used; `encoding` for
netCDF needs h5py instead (``flaccodec[hdf5]``).
"""

from __future__ import annotations

from importlib.metadata import version as _version
from typing import TYPE_CHECKING

from flaccodec.array import FlacArray
from flaccodec.exceptions import CorruptChunkError, FlacCodecError
from flaccodec.runtime.lazy import lazy
from flaccodec.runtime.threads import get_num_threads, num_threads, set_num_threads

if TYPE_CHECKING:
    from flaccodec.xarray_encoding import encoding
    from flaccodec.zarr.codec import FlacCodec
    from flaccodec.zarr.create import create_array

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

__getattr__, __dir__ = lazy(
    globals(),
    {
        "FlacCodec": "flaccodec.zarr.codec",
        "create_array": "flaccodec.zarr.create",
        "encoding": "flaccodec.xarray_encoding",
    },
)
