"""FlacArrays <-> chunks of an array in a file, by moving whole streams.

Zarr arrays and HDF5 datasets have the same chunks, and differ in how a chunk is fetched
and stored.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.chunks.options import CodecOptions
from flaccodec.chunks.packed import Packed
from flaccodec.core import QuantaRule
from flaccodec.exceptions import ConfigurationError
from flaccodec.runtime.progress import track
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples import quanta_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

CHUNK_SAMPLES = 2**20
"""Samples of a chunk where none are given: a few MB, decoded in about 10 ms."""

BLOCK_SAMPLES = 2**22
"""Samples that are in memory at once where chunks must be decoded."""

Block = tuple[slice, ...]
Number = tuple[int, ...]
"""A chunk's place in the grid of chunks."""


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


def check_chunk_shape(name: str, chunks: Any) -> None:
    """Check that no chunk is without samples; what else is wrong zarr and h5py find.

    Raises
    ------
    ConfigurationError
        A size is less than 1; the message has the argument's name.
    """
    sizes = chunks if isinstance(chunks, tuple | list) else (chunks,)
    if any(isinstance(n, int | np.integer) and n < 1 for n in sizes):
        raise ConfigurationError(
            f"{name} must be 1 or more along each axis. Got {name}={chunks!r}: leave it out for "
            "chunks of whole streams."
        )


def span_streams(shape: Sequence[int], chunks: Sequence[int]) -> bool:
    """Whether every chunk holds whole streams, and perhaps some beyond the array."""
    return chunks[-1] == shape[-1]


def hold_whole_streams(shape: Sequence[int], chunks: Sequence[int]) -> bool:
    """Whether every chunk holds whole streams, and all of it is inside the array."""
    return span_streams(shape, chunks) and all(
        n % c == 0 for n, c in zip(shape, chunks, strict=True)
    )


def _blocks(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[Number, Block]]:
    counts = [-(-n // c) for n, c in zip(shape, chunks, strict=True)]
    for number in itertools.product(*map(range, counts)):
        yield (
            number,
            tuple(
                slice(i * c, min(n, (i + 1) * c))
                for i, c, n in zip(number, chunks, shape, strict=True)
            ),
        )


def blocks(
    shape: Sequence[int], chunks: Sequence[int], what: str, progress: bool
) -> Iterator[tuple[Number, Block]]:
    """Give the place of every chunk, and the part of the array that it holds, under a bar."""
    total = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    yield from track(_blocks(shape, chunks), total, what, progress)


def _stream_numbers(shape: Sequence[int], block: Block) -> npt.NDArray[np.int64]:
    numbers = np.arange(math.prod(shape[:-1])).reshape(shape[:-1])
    return np.ascontiguousarray(numbers[block[:-1]].ravel())


def options_for(packed: Packed) -> CodecOptions:
    """Choose options under which what is written later keeps to the same level and grid.

    Streams with quanta of their own have no such options; without quanta, later writes keep
    every bit.
    """
    frame_size = core.read_header(packed.chunk).frame_size
    _, quanta = core.stream_tables(packed.chunk)
    if quanta is None or (quanta != quanta[0]).any():
        return CodecOptions(level=packed.level, frame_size=frame_size)
    return CodecOptions(
        level=packed.level,
        frame_size=frame_size,
        quanta=float(quanta[0]),
        missing_value=packed.missing_value,
    )


def take(packed: Packed, block: Block) -> npt.NDArray[np.uint8]:
    """Return a block of whole streams of a FlacArray as a chunk, without decoding."""
    streams = _stream_numbers(packed.shape, block)
    picks = np.stack([np.zeros_like(streams), streams], axis=-1)
    return core.gather_streams([packed.checked_chunk()], picks)


def join(
    dtype: np.dtype[Any],
    shape: Sequence[int],
    chunks: Sequence[int],
    pieces: Iterable[tuple[Block, npt.NDArray[np.uint8] | None]],
    options: CodecOptions,
    fill_value: Any,
) -> Packed | None:
    """Join chunks of whole streams, without decoding.

    Parameters
    ----------
    dtype, shape
        The array's.
    chunks : sequence of int
        Shape of a chunk.
    pieces : iterable of (Block, ndarray or None)
        What each chunk holds of the array, less than all of it at the edges; and the chunk,
        its streams checked, or None where it is missing.
    options : CodecOptions
        Those that the chunks came with.
    fill_value : scalar or None
        The array's, to be remembered.

    Returns
    -------
    FlacArray or None
        None where a chunk is missing, or is not like the others.
    """
    fetched: list[npt.NDArray[np.uint8]] = []
    picks = np.empty((math.prod(shape[:-1]), 2), dtype=np.int64)
    for block, chunk in pieces:
        if chunk is None:
            return None
        core.check_expected(core.read_header(chunk), dtype, chunks)
        held = tuple(slice(0, part.stop - part.start) for part in block)
        _pick(picks, _stream_numbers(shape, block), len(fetched), _stream_numbers(chunks, held))
        fetched.append(chunk)
    first = core.read_header(fetched[0])
    for chunk in fetched:
        header = core.read_header(chunk)
        if (header.frame_size, header.lossless) != (first.frame_size, first.lossless):
            return None
    together = core.gather_streams(fetched, picks)
    remembered = options.level, fill_value, options.missing_value
    return Packed.own(together, tuple(shape), *remembered)


def encode_blocks(
    shape: Sequence[int],
    read: Callable[[Block], npt.NDArray[Any]],
    options: CodecOptions,
    fill_value: Any,
    what: str,
    progress: bool,
) -> Packed:
    """Read whole streams, some at a time, and encode them: with quanta, or bit for bit."""
    rule = QuantaRule.NONE if options.quanta is None else QuantaRule.GIVEN
    step = whole_stream_chunks(shape, BLOCK_SAMPLES)
    encoded: list[npt.NDArray[np.uint8]] = []
    picks = np.empty((math.prod(shape[:-1]), 2), dtype=np.int64)
    for _, block in blocks(shape, step, what, progress):
        streams = _stream_numbers(shape, block)
        _pick(picks, streams, len(encoded), np.arange(len(streams)))
        samples = np.asarray(read(block))
        encoded.append(
            core.encode_chunk(
                samples,
                level=options.level,
                rule=rule,
                parameters=options.quanta,
                fill_value=fill_value,
                marks=options.marks,
                warn=quanta_warnings.warn,
                num_threads=choose_threads(None),
            )
        )
    if len({core.read_header(chunk).lossless for chunk in encoded}) > 1:
        # Quanta could not hold the samples of some blocks: streams of one chunk are all alike.
        lossless = replace(options, quanta=None, precision=None)
        return encode_blocks(shape, read, lossless, fill_value, what, progress)
    together = core.gather_streams(encoded, picks)
    remembered = options.level, fill_value, options.missing_value
    return Packed.own(together, tuple(shape), *remembered)


def _pick(
    picks: npt.NDArray[np.int64],
    streams: npt.NDArray[np.int64],
    chunk: int,
    held: npt.NDArray[np.int64],
) -> None:
    """Note that some streams of an array are those of these numbers in a chunk."""
    picks[streams] = np.stack([np.full(len(streams), chunk), held], axis=-1)
