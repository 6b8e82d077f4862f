"""FLAC in HDF5: a filter for ordinary datasets, and groups in the flacarray package's layout.

Importing this registers the filter in h5py's HDF5, so that datasets with it open as all
others do. `Flac` is what to give to ``create_dataset``. Other HDF5 programs find the filter
through the environment variable HDF5_PLUGIN_PATH; ``python -m flaccodec.hdf5`` prints the
directory for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flaccodec.runtime.lazy import lazy
from flaccodec.runtime.optional import needed

with needed("flaccodec.hdf5", "hdf5", "h5py"):
    import h5py  # noqa: F401 - here, to tell what is missing

from flaccodec.hdf5.direct import read, write
from flaccodec.hdf5.distributed import create_distributed, write_distributed
from flaccodec.hdf5.filter import FILTER_ID, PLUGIN_PATH, Flac, register
from flaccodec.hdf5.groups import (
    read_array,
    read_compressed,
    read_streams,
    write_array,
    write_compressed,
    write_streams,
)

if TYPE_CHECKING:
    from flaccodec.hdf5.as_zarr.arrays import from_zarr, to_zarr
    from flaccodec.hdf5.as_zarr.virtual import VirtualParser, virtual_zarr

__all__ = [
    "FILTER_ID",
    "PLUGIN_PATH",
    "Flac",
    "VirtualParser",
    "create_distributed",
    "from_zarr",
    "read",
    "read_array",
    "read_compressed",
    "read_streams",
    "register",
    "to_zarr",
    "virtual_zarr",
    "write",
    "write_array",
    "write_compressed",
    "write_distributed",
    "write_streams",
]

# What needs more than h5py.
__getattr__, __dir__ = lazy(
    globals(),
    {
        "VirtualParser": "flaccodec.hdf5.as_zarr.virtual",
        "virtual_zarr": "flaccodec.hdf5.as_zarr.virtual",
        "from_zarr": "flaccodec.hdf5.as_zarr.arrays",
        "to_zarr": "flaccodec.hdf5.as_zarr.arrays",
    },
)

register()
