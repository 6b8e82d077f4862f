"""FlacArray <-> ordinary Zarr arrays, by moving bytes where chunks hold whole streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from flaccodec import core, stream_chunks
from flaccodec.array import FlacArray
from flaccodec.exceptions import ConfigurationError
from flaccodec.options import CodecOptions
from flaccodec.progress import check_progress
from flaccodec.stream_chunks import hold_whole_streams, options_for, whole_stream_chunks
from flaccodec.zarr_codec import FlacCodec

if TYPE_CHECKING:
    import numpy.typing as npt
    from zarr.storage import StoreLike


def is_plain(array: zarr.Array[Any]) -> bool:
    """Whether a chunk of the store is a chunk of ours, and nothing else."""
    return (
        array.metadata.zarr_format == 3
        and array.shards is None
        and not array.filters
        and not array.compressors
        and isinstance(array.serializer, FlacCodec)
    )


def chunk_key(array: zarr.Array[Any], number: tuple[int, ...]) -> Any:
    """Return where in its store a chunk is."""
    return array.store_path / array.metadata.encode_chunk_key(number)


# -- to Zarr --------------------------------------------------------------------------


def to_zarr(
    fa: FlacArray, store: StoreLike, *, progress: bool = False, **kwargs: Any
) -> zarr.Array[Any]:
    """Make a Zarr array of a FlacArray; `FlacArray.to_zarr` explains."""
    check_progress(progress)
    if fa.ndim == 0:
        raise ConfigurationError("a FlacArray without axes has no chunks: use zarr.create_array.")
    if fa.mpi_comm is not None:
        raise ConfigurationError(
            "a FlacArray over MPI ranks has no to_zarr: use its write_zarr, or have each rank "
            "write to an array of flaccodec.zarr.create_distributed."
        )
    for name in ("shape", "dtype", "data", "serializer", "codecs"):
        if name in kwargs:
            raise ConfigurationError(f"{name} comes from the FlacArray. Got {name}= as well.")
    kwargs.setdefault("chunks", whole_stream_chunks(fa.shape))
    kwargs.setdefault("compressors", None)
    codec = FlacCodec(**options_for(fa).to_dict())
    array = zarr.create_array(store, shape=fa.shape, dtype=fa.dtype, serializer=codec, **kwargs)
    if is_plain(array) and hold_whole_streams(fa.shape, array.chunks):
        _move_out(fa, array, progress)
    else:
        step = array.shards or array.chunks
        for _, block in stream_chunks.blocks(fa.shape, step, "to_zarr", progress):
            array[block] = fa[block]
    return array


def _move_out(fa: FlacArray, array: zarr.Array[Any], progress: bool) -> None:
    buffer = default_buffer_prototype().buffer
    for number, chunk in stream_chunks.split(fa, array.chunks, "to_zarr", progress):
        sync(chunk_key(array, number).set(buffer.from_bytes(chunk.data)))


# -- from Zarr -------------------------------------------------------------------------


def from_zarr(array: zarr.Array[Any] | StoreLike, *, progress: bool = False) -> FlacArray:
    """Make a FlacArray of a Zarr array; `FlacArray.from_zarr` explains."""
    if not isinstance(array, zarr.Array):
        array = zarr.open_array(array, mode="r")
    core.check_dtype(array.dtype)
    if array.ndim == 0:
        return FlacArray.from_array(array[()], lossless=True)
    if 0 in array.shape:
        raise ConfigurationError(f"the Zarr array has no samples. Its shape is {array.shape}.")
    codec = array.serializer
    options = codec.options if isinstance(codec, FlacCodec) else CodecOptions()
    if is_plain(array) and hold_whole_streams(array.shape, array.chunks):
        moved = _move_in(array, options, progress)
        if moved is not None:
            return moved
    return stream_chunks.encode(
        array.shape, lambda block: np.asarray(array[block]), options, "from_zarr", progress
    )


def _move_in(array: zarr.Array[Any], options: CodecOptions, progress: bool) -> FlacArray | None:
    prototype = default_buffer_prototype()

    def fetch(number: tuple[int, ...]) -> npt.NDArray[np.uint8] | None:
        buffer = sync(chunk_key(array, number).get(prototype))
        return None if buffer is None else np.frombuffer(buffer.as_numpy_array(), dtype=np.uint8)

    return stream_chunks.join(
        array.dtype, array.shape, array.chunks, fetch, options, "from_zarr", progress
    )
