"""FlacArray <-> ordinary Zarr arrays, by moving bytes where chunks hold whole streams."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from flaccodec import core
from flaccodec.array import FlacArray
from flaccodec.compress import choose_threads
from flaccodec.core import QuantaRule
from flaccodec.exceptions import ConfigurationError
from flaccodec.progress import track
from flaccodec.zarr_codec import FlacCodec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from zarr.storage import StoreLike

CHUNK_SAMPLES = 2**20
"""Samples of a chunk where none are given: a few MB, decoded in about 10 ms."""

BLOCK_SAMPLES = 2**22
"""Samples that are in memory at once where chunks must be decoded."""

Block = tuple[slice, ...]


def whole_stream_chunks(shape: Sequence[int], samples: int = CHUNK_SAMPLES) -> tuple[int, ...]:
    """Choose chunks of whole streams, as many as make about so many samples.

    Leading axes are divided evenly, so that no chunk is partly beyond the array.
    """
    left = max(1, samples // shape[-1])
    chunks: list[int] = []
    for n in reversed(shape[:-1]):
        size = max(d for d in range(1, min(n, left) + 1) if n % d == 0)
        chunks.insert(0, size)
        left = left // size if size == n else 1
    return (*chunks, shape[-1])


def _blocks(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Block]]:
    """Give the coordinates of every chunk, and the part of the array that it holds."""
    counts = [-(-n // c) for n, c in zip(shape, chunks, strict=True)]
    for coordinates in itertools.product(*map(range, counts)):
        yield (
            coordinates,
            tuple(
                slice(i * c, min(n, (i + 1) * c))
                for i, c, n in zip(coordinates, chunks, shape, strict=True)
            ),
        )


def _count_blocks(shape: Sequence[int], chunks: Sequence[int]) -> int:
    return math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))


def _hold_whole_streams(shape: Sequence[int], chunks: Sequence[int]) -> bool:
    return chunks[-1] == shape[-1] and all(n % c == 0 for n, c in zip(shape, chunks, strict=True))


def _is_plain(array: zarr.Array[Any]) -> bool:
    """Whether a chunk of the store is a chunk of ours, and nothing else."""
    return (
        array.metadata.zarr_format == 3
        and array.shards is None
        and not array.filters
        and not array.compressors
        and isinstance(array.serializer, FlacCodec)
    )


def _chunk_key(array: zarr.Array[Any], coordinates: tuple[int, ...]) -> Any:
    return array.store_path / array.metadata.encode_chunk_key(coordinates)


def _stream_numbers(shape: Sequence[int], block: Block) -> npt.NDArray[np.int64]:
    numbers = np.arange(math.prod(shape[:-1])).reshape(shape[:-1])
    return np.ascontiguousarray(numbers[block[:-1]].ravel())


# -- to Zarr --------------------------------------------------------------------------


def _codec_of(fa: FlacArray) -> FlacCodec:
    """Choose a codec under which what is written later keeps to the same grid.

    Streams with quanta of their own have no such codec; without quanta, later writes keep
    every bit.
    """
    frame_size = core.read_header(fa._chunk).frame_size
    _, quanta = core.stream_tables(fa._chunk)
    if quanta is None or (quanta != quanta[0]).any():
        return FlacCodec(frame_size=frame_size)
    return FlacCodec(frame_size=frame_size, quanta=float(quanta[0]))


def to_zarr(
    fa: FlacArray, store: StoreLike, *, progress: bool = False, **kwargs: Any
) -> zarr.Array[Any]:
    """Make a Zarr array of a FlacArray; `FlacArray.to_zarr` explains."""
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
    array = zarr.create_array(
        store, shape=fa.shape, dtype=fa.dtype, serializer=_codec_of(fa), **kwargs
    )
    if _is_plain(array) and _hold_whole_streams(fa.shape, array.chunks):
        _move_out(fa, array, progress)
    else:
        step = array.shards or array.chunks
        blocks = _blocks(fa.shape, step)
        for _, block in track(blocks, _count_blocks(fa.shape, step), "to_zarr", progress):
            array[block] = fa[block]
    return array


def _move_out(fa: FlacArray, array: zarr.Array[Any], progress: bool) -> None:
    buffer = default_buffer_prototype().buffer
    total = _count_blocks(fa.shape, array.chunks)
    for coordinates, block in track(_blocks(fa.shape, array.chunks), total, "to_zarr", progress):
        numbers = _stream_numbers(fa.shape, block)
        picks = np.stack([np.zeros_like(numbers), numbers], axis=-1)
        chunk = core.gather_streams([fa._chunk], picks)
        sync(_chunk_key(array, coordinates).set(buffer.from_bytes(chunk.data)))


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
    if _is_plain(array) and _hold_whole_streams(array.shape, array.chunks):
        moved = _move_in(array, progress)
        if moved is not None:
            return moved
    return _encode_blocks(array, progress)


def _move_in(array: zarr.Array[Any], progress: bool) -> FlacArray | None:
    """Join the chunks; None where one is missing, or is not like the others."""
    chunks: list[npt.NDArray[np.uint8]] = []
    picks = np.empty((math.prod(array.shape[:-1]), 2), dtype=np.int64)
    prototype = default_buffer_prototype()
    total = _count_blocks(array.shape, array.chunks)
    for coordinates, block in track(
        _blocks(array.shape, array.chunks), total, "from_zarr", progress
    ):
        buffer = sync(_chunk_key(array, coordinates).get(prototype))
        if buffer is None:
            return None
        chunk = np.frombuffer(buffer.as_numpy_array(), dtype=np.uint8)
        header = core.read_header(chunk)
        core.check_expected(header, array.dtype, array.chunks)
        numbers = _stream_numbers(array.shape, block)
        picks[numbers] = np.stack(
            [np.full(len(numbers), len(chunks)), np.arange(len(numbers))], axis=-1
        )
        chunks.append(chunk)
    first = core.read_header(chunks[0])
    for chunk in chunks:
        header = core.read_header(chunk)
        if (header.frame_size, header.lossless) != (first.frame_size, first.lossless):
            return None
    return FlacArray.from_chunk(core.gather_streams(chunks, picks), shape=array.shape)


def _encode_blocks(array: zarr.Array[Any], progress: bool) -> FlacArray:
    """Read whole streams, some at a time, and encode them to what they are in the array."""
    rule, quanta = QuantaRule.NONE, None
    if isinstance(array.serializer, FlacCodec) and array.serializer.quanta is not None:
        rule, quanta = QuantaRule.GIVEN, array.serializer.quanta
    step = whole_stream_chunks(array.shape, BLOCK_SAMPLES)
    chunks: list[npt.NDArray[np.uint8]] = []
    picks = np.empty((math.prod(array.shape[:-1]), 2), dtype=np.int64)
    total = _count_blocks(array.shape, step)
    for _, block in track(_blocks(array.shape, step), total, "from_zarr", progress):
        numbers = _stream_numbers(array.shape, block)
        picks[numbers] = np.stack(
            [np.full(len(numbers), len(chunks)), np.arange(len(numbers))], axis=-1
        )
        samples = np.asarray(array[block])
        chunks.append(
            core.encode_chunk(
                samples, rule=rule, parameters=quanta, num_threads=choose_threads(None)
            )
        )
    return FlacArray.from_chunk(core.gather_streams(chunks, picks), shape=array.shape)
