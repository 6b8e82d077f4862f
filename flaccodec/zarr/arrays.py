"""FlacArray <-> ordinary Zarr arrays, by moving bytes where chunks hold whole streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.runtime.optional import needed

with needed("FlacArray.to_zarr and from_zarr", "zarr"):
    import zarr
    from zarr.codecs import ShardingCodec
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

from flaccodec import core
from flaccodec.chunks import packing as stream_chunks
from flaccodec.chunks.missing import with_marks
from flaccodec.chunks.options import CodecOptions
from flaccodec.chunks.packed import Packed
from flaccodec.chunks.packing import (
    check_chunk_shape,
    hold_whole_streams,
    options_for,
    span_streams,
    whole_stream_chunks,
)
from flaccodec.exceptions import ConfigurationError, located
from flaccodec.runtime.progress import check_progress
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.quanta_warnings import WarnedOnce
from flaccodec.zarr.codec import FlacCodec
from flaccodec.zarr.grid import written_blocks, written_shape
from flaccodec.zarr.places import open_array
from flaccodec.zarr.removal import Place
from flaccodec.zarr.shards import has_usual_index, join_shard, parts, split_shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from zarr.storage import StoreLike

    from flaccodec.chunks.packing import Block


def is_plain(array: zarr.Array[Any]) -> bool:
    """Whether a chunk of the store is a chunk of ours, and nothing else."""
    return (
        array.metadata.zarr_format == 3
        and array.shards is None
        and not array.filters
        and not array.compressors
        and isinstance(array.serializer, FlacCodec)
    )


def is_sharded(array: zarr.Array[Any]) -> bool:
    """Whether a shard of the store holds chunks of ours, and nothing else."""
    codecs = array.metadata.codecs if array.metadata.zarr_format == 3 else ()
    return (
        len(codecs) == 1
        and isinstance(codecs[0], ShardingCodec)
        and len(codecs[0].codecs) == 1
        and isinstance(codecs[0].codecs[0], FlacCodec)
        and has_usual_index(codecs[0])
    )


def _is_ours(array: zarr.Array[Any]) -> bool:
    """Whether chunks of ours, all of one shape, are what the store holds, or its shards."""
    return written_shape(array) is not None and (is_plain(array) or is_sharded(array))


def chunk_key(array: zarr.Array[Any], number: tuple[int, ...]) -> Any:
    """Return where in its store a chunk is."""
    return array.store_path / array.metadata.encode_chunk_key(number)


# -- to Zarr --------------------------------------------------------------------------


def to_zarr(
    packed: Packed, store: StoreLike, *, progress: bool = False, **kwargs: Any
) -> zarr.Array[Any]:
    """Make a Zarr array of a FlacArray; `FlacArray.to_zarr` explains."""
    check_progress(progress)
    if packed.ndim == 0:
        raise ConfigurationError("a FlacArray without axes has no chunks: use zarr.create_array.")
    for name in ("shape", "dtype", "data", "serializer", "codecs"):
        if name in kwargs:
            raise ConfigurationError(f"{name} comes from the FlacArray. Got {name}= as well.")
    kwargs.setdefault("chunks", whole_stream_chunks(packed.shape))
    kwargs.setdefault("compressors", None)
    if packed.fill_value is not None:
        kwargs.setdefault("fill_value", packed.fill_value)
    for name in ("chunks", "shards"):  # zarr makes arrays of such chunks, and cannot fill them
        check_chunk_shape(name, kwargs.get(name))
    fill_value = kwargs.get("fill_value")
    options = with_marks(options_for(packed), kwargs.get("attributes"), fill_value)
    codec = FlacCodec(**options.to_dict())
    place = Place.of(
        store,
        kwargs.pop("name", None),
        kwargs.pop("storage_options", None),
        kwargs.pop("overwrite", False),
    )

    def create(store: StoreLike) -> zarr.Array[Any]:
        return zarr.create_array(
            store, shape=packed.shape, dtype=packed.dtype, serializer=codec, **kwargs
        )

    with WarnedOnce():
        return place.make(create, lambda array: _fill(packed, array, progress))


def _fill(packed: Packed, array: zarr.Array[Any], progress: bool) -> None:
    if _is_ours(array) and hold_whole_streams(packed.shape, array.chunks):
        _move_out(packed, array, progress)
        return
    for block in written_blocks(array, "to_zarr", progress):
        array[block] = packed[block]


def _move_out(packed: Packed, array: zarr.Array[Any], progress: bool) -> None:
    buffer = default_buffer_prototype().buffer
    step = array.shards or array.chunks
    for number, block in stream_chunks.blocks(packed.shape, step, "to_zarr", progress):
        if array.shards is None:
            chunk = stream_chunks.take(packed, block)
        else:
            inner = parts(block, array.shards, array.chunks)
            chunk = join_shard(
                [None if p is None else stream_chunks.take(packed, p) for p in inner]
            )
        sync(chunk_key(array, number).set(buffer.from_bytes(chunk.data)))


# -- from Zarr -------------------------------------------------------------------------


def from_zarr(array: zarr.Array[Any] | StoreLike, *, progress: bool = False) -> Packed:
    """Make a FlacArray of a Zarr array; `FlacArray.from_zarr` explains."""
    array = open_array(array)
    core.check_dtype(array.dtype)
    if array.ndim == 0:
        return Packed.encode(array[()], lossless=True)
    if 0 in array.shape:
        raise ConfigurationError(f"the Zarr array has no samples. Its shape is {array.shape}.")
    codec = array.serializer
    options = codec.options if isinstance(codec, FlacCodec) else CodecOptions()
    options = with_marks(options, array.attrs, array.fill_value)
    if _is_ours(array) and span_streams(array.shape, array.chunks):
        moved = _move_in(array, options, progress)
        if moved is not None:
            return moved
    with WarnedOnce():
        return stream_chunks.encode_blocks(
            array.shape,
            lambda block: np.asarray(array[block]),
            options,
            array.fill_value,
            "from_zarr",
            progress,
        )


def _move_in(array: zarr.Array[Any], options: CodecOptions, progress: bool) -> Packed | None:
    return stream_chunks.join(
        array.dtype,
        array.shape,
        array.chunks,
        _pieces(array, progress),
        options,
        array.fill_value,
    )


def _pieces(
    array: zarr.Array[Any], progress: bool
) -> Iterator[tuple[Block, npt.NDArray[np.uint8] | None]]:
    """Give what each chunk holds of the array, and the chunk, None where it is missing."""
    prototype = default_buffer_prototype()
    step = array.shards or array.chunks
    for number, block in stream_chunks.blocks(array.shape, step, "from_zarr", progress):
        key = chunk_key(array, number)
        buffer = sync(key.get(prototype))
        data = None if buffer is None else np.frombuffer(buffer.as_numpy_array(), dtype=np.uint8)
        if array.shards is None:
            yield block, _checked(array, data, f"chunk {key}")
        else:
            yield from _pieces_of_shard(array, block, data, f"shard {key}")


def _pieces_of_shard(
    array: zarr.Array[Any], block: Block, shard: npt.NDArray[np.uint8] | None, place: str
) -> Iterator[tuple[Block, npt.NDArray[np.uint8] | None]]:
    inner = list(parts(block, array.shards or (), array.chunks))
    held = None if shard is None else split_shard(shard, len(inner))
    for part, chunk in zip(inner, held or [None] * len(inner), strict=True):
        if part is not None:
            first = tuple(axis.start for axis in part)
            yield part, _checked(array, chunk, f"{place}, chunk at {first}")


def _checked(
    array: zarr.Array[Any], chunk: npt.NDArray[np.uint8] | None, place: str
) -> npt.NDArray[np.uint8] | None:
    if chunk is not None:
        with located(place):
            core.check_chunk(chunk, array.dtype, array.chunks)
            core.check_streams(chunk, num_threads=choose_threads(None))
    return chunk
