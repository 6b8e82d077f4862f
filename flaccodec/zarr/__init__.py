"""Zarr arrays of FLAC chunks, and groups in the flacarray package's layout.

Importing this has zarr read with `FlacCodecPipeline`; the rest is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flaccodec.runtime.lazy import lazy
from flaccodec.runtime.optional import needed

with needed("flaccodec.zarr", "zarr"):
    import zarr  # noqa: F401 - here, to tell what is missing

from flaccodec.zarr import codec  # noqa: F401 - it chooses the pipeline

if TYPE_CHECKING:
    from flaccodec.zarr.create import create_array
    from flaccodec.zarr.distributed import create_distributed
    from flaccodec.zarr.groups.arrays import (
        read_array,
        read_compressed,
        write_array,
        write_compressed,
    )

__all__ = [
    "create_array",
    "create_distributed",
    "read_array",
    "read_compressed",
    "write_array",
    "write_compressed",
]

__getattr__, __dir__ = lazy(
    globals(),
    {
        "create_array": "flaccodec.zarr.create",
        "create_distributed": "flaccodec.zarr.distributed",
        "read_array": "flaccodec.zarr.groups.arrays",
        "read_compressed": "flaccodec.zarr.groups.arrays",
        "write_array": "flaccodec.zarr.groups.arrays",
        "write_compressed": "flaccodec.zarr.groups.arrays",
    },
)
