"""Chunks -> arrays, whole or in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flaccodec.core.dtypes import (
    SPAN_DTYPE,
    Buffer,
)
from flaccodec.core.errors import exception_of
from flaccodec.core.header import check_length, read_header
from flaccodec.core.native import ffi, lib
from flaccodec.core.stop import stop_for_signals
from flaccodec.core.views import address, bytes_of, expectation, view_of
from flaccodec.exceptions import (
    ConfigurationError,
)
from flaccodec.runtime import memory

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_streams(chunk: Buffer, *, num_threads: int = 1) -> None:
    """Check all streams of a chunk against their checksum.

    Raises
    ------
    CorruptChunkError
        They do not match. It names the frame, where one is found.
    """
    data, size = bytes_of(chunk)
    error = ffi.new("fc_error *")
    code = lib.fc_check_streams(data, size, num_threads, stop_for_signals(), error)
    if code:
        if code != lib.FC_ERR_STOPPED:
            decode_chunk(chunk, num_threads=num_threads)
        raise exception_of(error)


def _decode(
    head: Buffer,
    pieces: Sequence[tuple[int, Buffer]],
    expect: Any,
    spans: npt.NDArray[np.void] | None,
    out: npt.NDArray[Any],
    num_threads: int,
) -> None:
    head_data, head_size = bytes_of(head)
    c_pieces = ffi.new("fc_piece[]", len(pieces))
    keep: list[Any] = []
    for c_piece, (offset, piece) in zip(c_pieces, pieces, strict=True):
        data, size = bytes_of(piece)
        c_piece.bytes, c_piece.offset, c_piece.size = data, offset, size
        keep.append(data)
    c_spans, n_spans = ffi.NULL, 0
    if spans is not None:
        spans = np.ascontiguousarray(spans, dtype=SPAN_DTYPE)
        c_spans, n_spans = ffi.cast("fc_span *", address(spans)), len(spans)
    view, keep_view = view_of(out)
    error = ffi.new("fc_error *")
    code = lib.fc_decode(
        head_data,
        head_size,
        c_pieces,
        len(pieces),
        expect,
        c_spans,
        n_spans,
        view,
        num_threads,
        stop_for_signals(),
        error,
    )
    del keep, keep_view
    if code:
        raise exception_of(error, expect)


def decode_chunk(
    chunk: Buffer, out: npt.NDArray[Any] | None = None, *, num_threads: int = 1
) -> npt.NDArray[Any]:
    """Decode a whole chunk.

    Parameters
    ----------
    chunk : bytes-like
        All of a chunk.
    out : ndarray, optional
        Where to: shape (..., stream_size), any layout, the chunk's dtype in either byte
        order. By default a new array of shape (n_streams, stream_size).
    num_threads : int
        At least 1.

    Returns
    -------
    ndarray
        `out`.

    Raises
    ------
    ChunkMismatchError
        `out` is of another dtype or shape.
    CorruptChunkError
        The chunk is damaged; `out` then holds unspecified values.
    """
    if out is None:
        header = read_header(chunk)
        check_length(header, bytes_of(chunk)[1])
        out = memory.empty((header.n_streams, header.stream_size), header.dtype)
    if not out.flags.writeable:
        raise ConfigurationError("out must be writeable. Got a read-only array.")
    target = out.reshape(1) if out.ndim == 0 else out
    _decode(chunk, [(0, chunk)], expectation(out.dtype, out.shape), None, target, num_threads)
    return out


def decode_spans(
    head: Buffer,
    pieces: Sequence[tuple[int, Buffer]],
    spans: npt.NDArray[np.void],
    out: npt.NDArray[Any],
    *,
    num_threads: int = 1,
) -> None:
    """Decode parts of streams from parts of a chunk.

    Parameters
    ----------
    head : bytes-like
        Header and index of the chunk, or more.
    pieces : sequence of (int, bytes-like)
        Parts of the chunk with their byte offsets in it, in order, that hold the frames
        of the spans and, where there are any, all exceptions.
    spans : ndarray of SPAN_DTYPE, shape (n,)
        What to decode, and to where: samples go to the memory of `out`, its last axis'
        stride apart.
    out : ndarray
        One axis or more, of the chunk's dtype in either byte order.
    num_threads : int
        At least 1.

    Raises
    ------
    CorruptChunkError
        The chunk is damaged; `out` then holds unspecified values.
    """
    _check_spans(spans, out)
    _decode(head, pieces, ffi.NULL, spans, out, num_threads)


def _check_spans(spans: npt.NDArray[np.void], out: npt.NDArray[Any]) -> None:
    """Keep a planner's mistake from becoming a write beyond `out`."""
    if len(spans) == 0:
        return
    step = out.strides[-1]
    base = out.__array_interface__["data"][0]
    reach = [(n - 1) * stride for n, stride in zip(out.shape, out.strides, strict=True)]
    low = base + sum(min(r, 0) for r in reach)
    high = base + sum(max(r, 0) for r in reach) + out.itemsize
    first = spans["out_offset"] + base
    last = first + (spans["count"] - 1) * step
    if min(first.min(), last.min()) < low or max(first.max(), last.max()) + out.itemsize > high:
        raise ConfigurationError("spans must lie within out")
