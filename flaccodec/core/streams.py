"""Streams without a chunk, or moved from chunk to chunk; checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flaccodec.core.dtypes import (
    STREAM_HEADER_SIZE,
    Buffer,
)
from flaccodec.core.errors import exception_of
from flaccodec.core.native import ffi, lib
from flaccodec.core.stop import stop_for_signals
from flaccodec.core.views import address, bytes_of, owned
from flaccodec.exceptions import (
    CorruptStreamError,
)
from flaccodec.runtime import memory

if TYPE_CHECKING:
    from collections.abc import Sequence


def gather_streams(chunks: Sequence[Buffer], picks: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Make a chunk of streams of others, without decoding.

    Parameters
    ----------
    chunks : sequence of bytes-like
        Whole chunks of one dtype, mode, stream size and frame size.
    picks : ndarray of int64, shape (n, 2)
        The chunk and the stream in it, for each stream of the new chunk.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    ChunkMismatchError
        The chunks are not alike.
    CorruptChunkError
        A head or a table of exceptions is damaged. Streams are not looked at, and get a
        checksum anew: `check_streams` first.
    """
    c_chunks = ffi.new("fc_piece[]", len(chunks))
    keep = [bytes_of(chunk) for chunk in chunks]
    for c_chunk, (data, size) in zip(c_chunks, keep, strict=True):
        c_chunk.bytes, c_chunk.size = data, size
    picks = np.ascontiguousarray(picks, dtype=np.int64)
    chunk, size, error = ffi.new("uint8_t **"), ffi.new("int64_t *"), ffi.new("fc_error *")
    c_picks = ffi.cast("fc_pick *", address(picks))
    code = lib.fc_gather_streams(
        c_chunks, len(chunks), c_picks, len(picks), stop_for_signals(), chunk, size, error
    )
    del keep
    if code:
        raise exception_of(error)
    return owned(chunk[0], size[0])


SMALLEST_FRAME = 9
"""Bytes of FLAC's smallest frame: a header, one constant of 4 bits, and two checksums."""


SMALLEST_STREAM: int = STREAM_HEADER_SIZE + SMALLEST_FRAME
"""Bytes of a FLAC stream of one such frame."""


def most_samples(nbytes: int) -> int:
    """Return a number of samples that no FLAC stream of so many bytes exceeds."""
    frames = max(nbytes - STREAM_HEADER_SIZE, 0) // SMALLEST_FRAME
    return frames * int(lib.FC_MAX_FRAME_SIZE)


def decode_streams(
    compressed: Buffer,
    starts: npt.NDArray[np.int64],
    nbytes: npt.NDArray[np.int64],
    stream_size: int,
    first: int,
    last: int,
    *,
    wide: bool,
    num_threads: int = 1,
    numbers: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[Any]:
    """Decode FLAC streams of any writer.

    Parameters
    ----------
    compressed : bytes-like
        Holds all the streams.
    starts, nbytes : ndarray of int64, shape (n,)
        Where in `compressed` each stream begins, and its size in bytes.
    stream_size : int
        Samples that each stream must have.
    first, last : int
        The first sample to decode, and the one after the last.
    wide : bool
        Whether streams have two channels, the low and the high words of int64.
    num_threads : int
        At least 1.
    numbers : ndarray of int64, shape (n,), optional
        What to call the streams in messages; by default they are counted from 0.

    Returns
    -------
    ndarray of int32, or of int64 where wide, shape (n, last - first)

    Raises
    ------
    CorruptStreamError
        A stream is damaged, outside of `compressed`, or not of the declared shape.
    """
    data, size = bytes_of(compressed)
    starts = np.ascontiguousarray(starts, dtype=np.int64)
    nbytes = np.ascontiguousarray(nbytes, dtype=np.int64)
    if last > first and len(nbytes):
        _check_room(compressed, starts, nbytes, stream_size, numbers)
    out = memory.empty((len(starts), last - first), np.int64 if wide else np.int32)
    if out.size == 0:
        return out
    error = ffi.new("fc_error *")
    code = lib.fc_decode_streams(
        data,
        size,
        ffi.cast("int64_t *", address(starts)),
        ffi.cast("int64_t *", address(nbytes)),
        len(starts),
        stream_size,
        first,
        last,
        2 if wide else 1,
        address(out),
        num_threads,
        stop_for_signals(),
        error,
    )
    if code and numbers is not None and error.stream >= 0:
        error.stream = numbers[error.stream]
    if code:
        raise exception_of(error)
    return out


def _check_room(
    compressed: Buffer,
    starts: npt.NDArray[np.int64],
    nbytes: npt.NDArray[np.int64],
    stream_size: int,
    numbers: npt.NDArray[np.int64] | None,
) -> None:
    """Check, before samples get memory, that each stream has bytes for as many."""
    _, size = bytes_of(compressed)
    held = np.minimum(nbytes, size - np.clip(starts, 0, size))
    if stream_size <= most_samples(int(held.min())):
        return
    at = int(held.argmin())
    inside = 0 <= starts[at] <= size and 0 <= nbytes[at] <= size - starts[at]
    if not inside:
        return  # which the decoder tells better
    stream = at if numbers is None else int(numbers[at])
    raise CorruptStreamError(
        f"a stream has another number of samples than declared (at stream {stream:,}): at most "
        f"{most_samples(int(held[at])):,} in its {int(held[at]):,} bytes. Got a declared size of "
        f"{stream_size:,}.",
        stream,
    )


def crc32c(data: Buffer, crc: int = 0) -> int:
    """Return the CRC-32C of bytes, going on from `crc`."""
    c_data, size = bytes_of(data)
    return int(lib.fc_crc32c(crc, c_data, size))
