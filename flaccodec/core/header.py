"""A chunk's header and index, and checks that decode nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flaccodec.core.dtypes import (
    DTYPES,
    HEADER_SIZE,
    Buffer,
    code_of,
    stream_shape,
)
from flaccodec.core.errors import exception_of, mismatch
from flaccodec.core.native import ffi, lib
from flaccodec.core.views import bytes_of, expectation
from flaccodec.exceptions import (
    CorruptChunkError,
    TruncatedChunkError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class ChunkHeader:
    """What the first bytes of a chunk tell.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the samples; big-endian where the array written was so and this was noted.
    lossless : bool
        Whether samples come back bit for bit.
    n_streams, stream_size : int
        Streams, and samples in each.
    frame_size, n_frames : int
        Samples of each frame but a stream's last; frames of each stream.
    head_size, streams_size, exceptions_size, chunk_size : int
        Bytes of header and index, of the FLAC streams, of the exceptions, of all.
    sizes_at : int
        Where in the chunk the index has its entries for the frames, 32 bits each: the size in
        the low bits (FRAME_SIZE_MASK).
    """

    dtype: np.dtype[Any]
    lossless: bool
    n_streams: int
    stream_size: int
    frame_size: int
    n_frames: int
    head_size: int
    streams_size: int
    exceptions_size: int
    chunk_size: int
    sizes_at: int


def read_header(chunk: Buffer) -> ChunkHeader:
    """Parse a chunk's header, its first 64 bytes; the rest is not looked at.

    Raises
    ------
    CorruptChunkError
        Where these bytes are no header, or one of an unknown version.
    """
    data, size = bytes_of(chunk)
    header, error = ffi.new("fc_header *"), ffi.new("fc_error *")
    if lib.fc_read_header(data, size, header, error):
        raise exception_of(error)
    dtype = DTYPES[header.dtype]
    if header.flags & lib.FC_FLAG_BIG_ENDIAN:
        dtype = dtype.newbyteorder(">")
    frames = header.n_streams * header.n_frames
    return ChunkHeader(
        dtype=dtype,
        lossless=header.mode != lib.FC_MODE_QUANTIZED,
        n_streams=header.n_streams,
        stream_size=header.stream_size,
        frame_size=header.frame_size,
        n_frames=header.n_frames,
        head_size=header.head_size,
        streams_size=header.streams_size,
        exceptions_size=header.exceptions_size,
        chunk_size=header.chunk_size,
        sizes_at=header.head_size - 4 * frames,
    )


def check_length(header: ChunkHeader, size: int) -> None:
    """Check that a chunk has as many bytes as its header says.

    Raises
    ------
    TruncatedChunkError, CorruptChunkError
        It has fewer, or more.
    """
    if size == header.chunk_size:
        return
    kind = TruncatedChunkError if size < header.chunk_size else CorruptChunkError
    short = size < header.chunk_size
    what = "the chunk is cut short" if short else "bytes follow the end of the chunk"
    raise kind(f"{what}: expected {header.chunk_size:,} bytes. Got {size:,}.")


def stream_tables(head: Buffer) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64] | None]:
    """Return what the index of a chunk has for each stream.

    Returns
    -------
    offsets : ndarray of int64 (uint64 for chunks of uint64), shape (n_streams,)
        In quanta, where there are quanta.
    quanta : ndarray of float64, shape (n_streams,), or None
        None unless the chunk is quantized.
    """
    data, size = bytes_of(head)
    c_header, error = ffi.new("fc_header *"), ffi.new("fc_error *")
    if lib.fc_read_header(data, size, c_header, error):
        raise exception_of(error)
    n, width = c_header.n_streams, c_header.offset_width
    wide = np.uint64 if c_header.dtype == lib.FC_UINT64 else np.int64
    offsets = np.zeros(n, dtype=wide)
    at = HEADER_SIZE
    if width:
        offsets = np.frombuffer(head, f"<i{width}", n, at).astype(np.int64).view(wide)
        at += n * width
    if c_header.mode != lib.FC_MODE_QUANTIZED:
        return offsets, None
    if c_header.flags & lib.FC_FLAG_QUANTA:
        return offsets, np.frombuffer(head, "<f8", n, at)
    return offsets, np.full(n, c_header.quanta)


def check_head(head: Buffer) -> None:
    """Check header and index against their checksum.

    Raises
    ------
    CorruptChunkError
        Where they do not match, or the index contradicts the header.
    """
    data, size = bytes_of(head)
    error = ffi.new("fc_error *")
    if lib.fc_check_head(data, size, error):
        raise exception_of(error)


def check_chunk(chunk: Buffer, dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """Check all of a chunk but its streams and exceptions.

    Raises
    ------
    CorruptChunkError
        Header or index are damaged, or the chunk has not as many bytes as they say.
    ChunkMismatchError
        It is not what an array of this dtype and shape was encoded to.
    """
    data, size = bytes_of(chunk)
    expect, error = expectation(dtype, shape), ffi.new("fc_error *")
    if lib.fc_check_chunk(data, size, expect, error):
        raise exception_of(error, expect)


def check_expected(header: ChunkHeader, dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """Check that a chunk is what an array of this dtype and shape was encoded to.

    Raises
    ------
    ChunkMismatchError
        Where it is not.
    """
    expect = expectation(dtype, shape)
    error = ffi.new("fc_error *")
    got = code_of(header.dtype)
    if got != expect.dtype:
        error.code, error.got, error.want = lib.FC_ERR_DTYPE, got, expect.dtype
        raise mismatch(error, expect)
    if (header.n_streams, header.stream_size) != (expect.n_streams, expect.stream_size):
        error.code, error.got, error.sample = (
            lib.FC_ERR_SHAPE,
            header.n_streams,
            header.stream_size,
        )
        raise mismatch(error, expect)


def head_bound(dtype: npt.DTypeLike, shape: Sequence[int], frame_size: int) -> int:
    """Return the most bytes that header and index take for an array of this kind."""
    n_streams, stream_size = stream_shape(shape)
    return int(lib.fc_head_bound(code_of(np.dtype(dtype)), n_streams, stream_size, frame_size))
