"""The one module that calls the C library.

Arrays and bytes go in and out without copies; error codes become exceptions
here and nowhere else. A chunk holds *streams*, runs along the last axis of an
array; ``docs/format.md`` has its bytes.
"""

from __future__ import annotations

import enum
import functools
import itertools
import sys
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flaccodec import _native
from flaccodec.exceptions import (
    ChecksumError,
    ChunkMismatchError,
    ChunkTooLargeError,
    ConfigurationError,
    CorruptChunkError,
    CorruptStreamError,
    EmptyArrayError,
    EncoderError,
    FlacCodecError,
    FrameError,
    NotAChunkError,
    QuantaError,
    QuantaTooFineError,
    QuantaWarning,
    TruncatedChunkError,
    UnknownVersionError,
    UnsupportedDtypeError,
)
from flaccodec.runtime import memory
from flaccodec.runtime.stopping import Stopped, current_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

_ffi: Any = _native.ffi
_lib: Any = _native.lib

FORMAT_VERSION: int = _lib.FC_FORMAT_VERSION
HEADER_SIZE: int = _lib.FC_HEADER_SIZE
STREAM_HEADER_SIZE: int = _lib.FC_STREAM_HEADER_SIZE
MIN_FRAME_SIZE: int = _lib.FC_MIN_FRAME_SIZE
MAX_FRAME_SIZE: int = _lib.FC_MAX_FRAME_SIZE
MAX_LEVEL: int = _lib.FC_MAX_LEVEL
MAX_MARKS: int = _lib.FC_MAX_MARKS
FRAME_SIZE_MASK: int = (1 << _lib.FC_FRAME_SIZE_BITS) - 1
DEFAULT_LEVEL = 5
DEFAULT_FRAME_SIZE = 4096

Buffer = bytes | bytearray | memoryview | npt.NDArray[Any]
"""What chunks are read from: anything with contiguous bytes."""

_DTYPE_CODES: dict[str, int] = {
    "int8": _lib.FC_INT8,
    "int16": _lib.FC_INT16,
    "int32": _lib.FC_INT32,
    "int64": _lib.FC_INT64,
    "uint8": _lib.FC_UINT8,
    "uint16": _lib.FC_UINT16,
    "uint32": _lib.FC_UINT32,
    "uint64": _lib.FC_UINT64,
    "float32": _lib.FC_FLOAT32,
    "float64": _lib.FC_FLOAT64,
}
_DTYPES = {code: np.dtype(name) for name, code in _DTYPE_CODES.items()}

SPAN_DTYPE = np.dtype(
    [("stream", "=i8"), ("start", "=i8"), ("count", "=i8"), ("out_offset", "=i8")]
)
"""A row of `decode_spans`: samples of a stream, and the byte of the output they go to."""


class QuantaRule(enum.IntEnum):
    """Where the quanta of a chunk come from; the C header explains each."""

    NONE = _lib.FC_QUANTA_NONE
    GIVEN = _lib.FC_QUANTA_GIVEN
    PRECISION = _lib.FC_QUANTA_PRECISION
    RANGE = _lib.FC_QUANTA_RANGE


# -- dtypes ---------------------------------------------------------------------


def _advice(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "convert it with astype('float32') or astype('float64')"
    if dtype.kind == "c":
        return "store real and imaginary part as two float arrays, or as a further axis of one"
    if dtype.kind == "b":
        return "convert it with astype('uint8')"
    if dtype.kind in "mM":
        return "store its integers, view('int64')"
    if dtype.kind == "V" and dtype.names:
        return "store each field as an array of its own"
    return "use another codec for it"


def check_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Check that FLAC can hold a dtype.

    Raises
    ------
    UnsupportedDtypeError
        Where it cannot; the message says what to do instead.
    """
    dtype = np.dtype(dtype)
    # Not all dtypes have a byte order to change: numpy's strings of variable length raise.
    if dtype.kind in "iuf" and dtype.newbyteorder("=").name in _DTYPE_CODES:
        return dtype
    raise UnsupportedDtypeError(
        f"dtype must be one of {', '.join(_DTYPE_CODES)}. Got {dtype}: {_advice(dtype)}."
    )


@functools.lru_cache(maxsize=64)  # numpy takes as long over a name as C does over a header
def _code_of(dtype: np.dtype[Any]) -> int:
    return _DTYPE_CODES[check_dtype(dtype).newbyteorder("=").name]


# -- errors ---------------------------------------------------------------------


def _place(error: Any) -> str:
    parts = [
        f"{name} {value:,}"
        for name, value in (
            ("stream", error.stream),
            ("frame", error.frame),
            ("sample", error.sample),
        )
        if value >= 0
    ]
    return f" (at {', '.join(parts)})" if parts else ""


def _dtype_name(code: int) -> str:
    return str(_DTYPES.get(code, f"code {code}"))


def _mismatch(error: Any, expect: Any) -> ChunkMismatchError:
    if error.code == _lib.FC_ERR_DTYPE:
        return ChunkMismatchError(
            f"expected a chunk of {_dtype_name(error.want)}. Got one of {_dtype_name(error.got)}."
        )
    return ChunkMismatchError(
        f"expected a chunk of {expect.n_streams:,} streams of {expect.stream_size:,} samples. "
        f"Got one of {error.got:,} streams of {error.sample:,} samples."
    )


_SIMPLE: dict[int, type[FlacCodecError]] = {
    _lib.FC_ERR_ARGUMENT: EncoderError,
    _lib.FC_ERR_EMPTY: EmptyArrayError,
    _lib.FC_ERR_TOO_LARGE: ChunkTooLargeError,
    _lib.FC_ERR_QUANTA: QuantaError,
    _lib.FC_ERR_ENCODER: EncoderError,
    _lib.FC_ERR_TRUNCATED: TruncatedChunkError,
    _lib.FC_ERR_TRAILING: CorruptChunkError,
    _lib.FC_ERR_MAGIC: NotAChunkError,
    _lib.FC_ERR_VERSION: UnknownVersionError,
    _lib.FC_ERR_RESERVED: UnknownVersionError,
    _lib.FC_ERR_HEADER: CorruptChunkError,
    _lib.FC_ERR_HEAD_CHECKSUM: ChecksumError,
    _lib.FC_ERR_INDEX: CorruptChunkError,
    _lib.FC_ERR_STREAMS_CHECKSUM: ChecksumError,
    _lib.FC_ERR_EXCEPTIONS: ChecksumError,
    _lib.FC_ERR_MISSING_PIECE: TruncatedChunkError,
    _lib.FC_ERR_UNLIKE: ChunkMismatchError,
}

_STREAMS = (
    _lib.FC_ERR_STREAM,
    _lib.FC_ERR_STREAM_RANGE,
    _lib.FC_ERR_STREAM_SHAPE,
)

_CHECKSUMS = (
    _lib.FC_ERR_HEAD_CHECKSUM,
    _lib.FC_ERR_STREAMS_CHECKSUM,
)


def _details(error: Any) -> str:
    if error.code in _CHECKSUMS:
        return f": expected CRC-32C {error.want:#010x}. Got {error.got:#010x}"
    if error.code == _lib.FC_ERR_QUANTA:
        return f". Got {error.value!r}"
    if error.code == _lib.FC_ERR_VERSION:
        return f": expected {error.want}. Got {error.got}; a later flaccodec may read it"
    if error.code == _lib.FC_ERR_RESERVED:
        return "; a later flaccodec may read it"
    if error.code in (_lib.FC_ERR_TRUNCATED, _lib.FC_ERR_TRAILING) and error.want >= 0:
        return f": expected {error.want:,} bytes. Got {error.got:,}"
    if error.got >= 0 and error.want >= 0 and error.code != _lib.FC_ERR_EXCEPTIONS:
        return f": expected {error.want:,}. Got {error.got:,}"
    return ""


def _exception(error: Any, expect: Any = None) -> BaseException:
    code = error.code
    if code == _lib.FC_ERR_STOPPED:
        return _why_stopped()
    if code == _lib.FC_ERR_MEMORY:
        return MemoryError("flaccodec could not allocate memory")
    if code in (_lib.FC_ERR_DTYPE, _lib.FC_ERR_SHAPE):
        return _mismatch(error, expect)
    text = _ffi.string(_lib.fc_code_text(code)).decode()
    message = f"{text}{_place(error)}{_details(error)}."
    if code == _lib.FC_ERR_QUANTA_TOO_FINE:
        message = (
            f"quanta are too fine: {message} The smallest quanta that would do are {error.value!r}."
        )
        return QuantaTooFineError(message, error.stream, error.sample, error.value)
    if code in (_lib.FC_ERR_FRAME, _lib.FC_ERR_FRAME_HEADER):
        return FrameError(message, error.stream, error.frame)
    if code in _STREAMS:
        return CorruptStreamError(message, error.stream, None if error.frame < 0 else error.frame)
    return _SIMPLE[code](message)


# -- stopping C before its end ----------------------------------------------------

_raised: list[BaseException] = []
"""What signal handlers raised while C was at work on the main thread."""


def _note_raised(
    _kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    _raised.append(error.with_traceback(traceback))


@_ffi.def_extern(error=1, onerror=_note_raised)  # type: ignore[untyped-decorator]
def flaccodec_ask(_context: Any) -> int:
    """Have Python run the handlers of signals that came since, as it does in any function.

    C calls it every 0.1 s. It goes on unless a handler raises something, such as
    KeyboardInterrupt.
    """
    return 0


_BY_SIGNALS = _ffi.new("fc_stop *", {"ask": _lib.flaccodec_ask})


def _in_main_thread() -> bool:
    return threading.get_ident() == threading.main_thread().ident


def _stop() -> Any:
    """Return what may stop a call of C, an ``fc_stop *`` that must outlive it.

    Python runs the handlers of signals on the main thread alone; other threads need not ask.
    """
    stop = current_stop.get()
    if stop is None:
        return _BY_SIGNALS if _in_main_thread() else _ffi.NULL
    ask = _lib.flaccodec_ask if _in_main_thread() else _ffi.NULL
    return _ffi.new("fc_stop *", {"ask": ask, "flag": _ffi.cast("int32_t *", _address(stop.flag))})


def _why_stopped() -> BaseException:
    if _in_main_thread() and _raised:
        return _raised.pop()
    stop = current_stop.get()
    if stop is not None and stop.is_set():
        return Stopped()
    return KeyboardInterrupt()  # not noted, as another signal came meanwhile


# -- arrays and bytes for C -------------------------------------------------------


def _single_stride(array: npt.NDArray[Any]) -> int | None:
    """Return the stride from stream to stream, None where there is no single one."""
    shape, strides = array.shape[:-1], array.strides[:-1]
    long_axes = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    if not long_axes:
        return 0
    for (_, outer), (n, inner) in itertools.pairwise(long_axes):
        if outer != n * inner:
            return None
    return long_axes[-1][1]


def _stream_offsets(array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    offsets = np.zeros((), dtype=np.int64)
    for n, stride in zip(array.shape[:-1], array.strides[:-1], strict=True):
        offsets = np.add.outer(offsets, np.arange(n, dtype=np.int64) * stride)
    return np.ascontiguousarray(offsets.ravel())


def _address(array: npt.NDArray[Any]) -> Any:
    return _ffi.cast("void *", array.__array_interface__["data"][0])


def _is_big_endian(dtype: np.dtype[Any]) -> bool:
    order = dtype.byteorder
    return order == ">" or (order == "=" and sys.byteorder == "big")


def _view(array: npt.NDArray[Any]) -> tuple[Any, list[Any]]:
    """Describe an array of one axis or more to C; and what must outlive the description."""
    stride = _single_stride(array)
    view = _ffi.new("fc_view *")
    keep: list[Any] = [array]
    view.data = _address(array)
    view.sample_stride = array.strides[-1]
    view.byte_swapped = not array.dtype.isnative
    if stride is None:
        offsets = _stream_offsets(array)
        keep.append(offsets)
        view.stream_offsets = _ffi.cast("int64_t *", _address(offsets))
    else:
        view.stream_stride = stride
    return view, keep


def stream_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Return (number of streams, samples in each) of an array of this shape."""
    if len(shape) == 0:
        return 1, 1
    n_streams = 1
    for n in shape[:-1]:
        n_streams *= int(n)
    return n_streams, int(shape[-1])


def _bytes_of(chunk: Buffer) -> tuple[Any, int]:
    # Through numpy: Python before 3.12.6 crashes when it collects a memoryview, kept in a cycle by
    # an error's traceback, together with what cffi took of it (python/cpython#77894).
    data = _ffi.from_buffer("uint8_t[]", np.frombuffer(chunk, dtype=np.uint8))
    return data, len(data)


def _expectation(dtype: np.dtype[Any], shape: Sequence[int]) -> Any:
    expect = _ffi.new("fc_expect *")
    expect.dtype = _code_of(dtype)
    expect.n_streams, expect.stream_size = stream_shape(shape)
    return expect


def _owned(memory: Any, size: int) -> npt.NDArray[np.uint8]:
    """Wrap memory of the library's, to be freed with the array."""
    owned = _ffi.gc(memory, _lib.fc_free, size)
    return np.frombuffer(_ffi.buffer(owned, size), dtype=np.uint8)


# -- encoding -----------------------------------------------------------------------


def warn_of_quanta(warning: QuantaWarning) -> None:
    """Warn as `warnings.warn` does, of the caller's caller's line."""
    warnings.warn(warning, stacklevel=3)


def _quanta_warning(misfit: Any) -> QuantaWarning:
    stored = (
        "so the whole chunk is stored without loss, which takes more bytes"
        if misfit.is_lossless
        else "which are stored exactly, beside the FLAC streams"
    )
    place = f"stream {misfit.stream:,}, sample {misfit.sample:,}"
    return QuantaWarning(
        f"quanta are too fine for some samples (at {place}), {stored}. "
        f"The smallest quanta that would do are {misfit.smallest!r}.",
        misfit.stream,
        misfit.sample,
        misfit.smallest,
        bool(misfit.is_lossless),
    )


def _marks(fill_value: Any, marks: Sequence[float]) -> npt.NDArray[np.float64]:
    values = [] if fill_value is None else [float(fill_value)]
    values += [float(mark) for mark in marks]
    if len(values) > MAX_MARKS:
        raise ConfigurationError(
            f"at most {MAX_MARKS} values can mark missing samples, the fill value among them. "
            f"Got {len(values)}."
        )
    return np.array(values, dtype=np.float64)


def encode_chunk(
    array: npt.NDArray[Any],
    *,
    level: int = DEFAULT_LEVEL,
    frame_size: int = DEFAULT_FRAME_SIZE,
    rule: QuantaRule = QuantaRule.NONE,
    parameters: npt.ArrayLike | None = None,
    fill_value: Any = None,
    marks: Sequence[float] = (),
    strict: bool = False,
    warn: Callable[[QuantaWarning], None] = warn_of_quanta,
    keep_byte_order: bool = False,
    plain: bool = False,
    num_threads: int = 1,
) -> npt.NDArray[np.uint8]:
    """Encode an array as one chunk.

    Parameters
    ----------
    array : ndarray
        Shape (..., stream_size), any layout and byte order, one of the dtypes of
        `check_dtype`. It is not copied.
    level : int
        FLAC's level, 0 (fast) to 8 (small).
    frame_size : int
        Samples of a FLAC frame, the least that can be decoded on its own; 16 to 65535.
    rule : QuantaRule
        How floats become integers; NONE for integers, and for floats kept bit for bit.
    parameters : array_like, optional
        Quanta in the units of the data (rule GIVEN) or decimal digits (PRECISION): one
        number, or one for each stream.
    fill_value : scalar, optional
        For floats with a rule: what stands for missing samples. It comes back exactly,
        and quanta are chosen, and checked, without it. Where it is zero, only the zeros that
        a stream ends in are left out, which may fill a chunk up at the edge of an array.
    marks : sequence of float
        More values that stand for missing samples; with the fill value at most `MAX_MARKS`.
    strict : bool
        Raise QuantaTooFineError for a finite sample of 2**63 quanta or more. Otherwise it is
        stored exactly. Where many are, or many would break the promised error, the whole chunk
        is stored without loss, if that is smaller.
    warn : callable
        Called with a `QuantaWarning` where quanta are too fine; by default `warnings.warn`.
    keep_byte_order : bool
        Note in the header that the array was big-endian, for readers that hand out
        bytes instead of arrays.
    plain : bool
        For integers but uint32: no offsets, and 64 bits always in two channels, as the
        flacarray package has its streams.
    num_threads : int
        At least 1. Does not change the bytes.

    Returns
    -------
    ndarray of uint8
        The chunk, in memory of its own.

    Raises
    ------
    FlacCodecError
        One of its kinds; nothing is returned in part.
    """
    if array.ndim == 0:
        array = array.reshape(1)
    code = _code_of(array.dtype)
    if plain and (array.dtype.kind == "f" or code == _lib.FC_UINT32):
        raise ConfigurationError(
            f"plain is for integers but uint32, which needs an offset. Got dtype {array.dtype}."
        )
    options = _ffi.new("fc_encode_options *")
    options.dtype = code
    options.level = level
    options.n_streams, options.stream_size = stream_shape(array.shape)
    options.frame_size = frame_size
    options.quanta_rule = int(rule)
    if keep_byte_order and _is_big_endian(array.dtype):
        options.flags = _lib.FC_FLAG_BIG_ENDIAN
    values = np.atleast_1d(np.asarray(0.0 if parameters is None else parameters, dtype=np.float64))
    values = np.ascontiguousarray(values.ravel())
    options.parameters = _ffi.cast("double *", _address(values))
    options.n_parameters = values.size
    marked = _marks(fill_value, marks) if array.dtype.kind == "f" else np.empty(0)
    options.marks = _ffi.cast("double *", _address(marked))
    options.n_marks = marked.size
    options.strict = strict
    misfit = _ffi.new("fc_misfit *")
    options.misfit = misfit
    options.plain = plain
    options.n_threads = num_threads
    options.stop = stop = _stop()
    view, keep = _view(array)
    chunk, size, error = _ffi.new("uint8_t **"), _ffi.new("int64_t *"), _ffi.new("fc_error *")
    if _lib.fc_encode(view, options, chunk, size, error):
        raise _exception(error)
    del keep, stop
    made = _owned(chunk[0], size[0])
    if misfit.is_any:
        warn(_quanta_warning(misfit))
    return made


# -- decoding -----------------------------------------------------------------------


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
    data, size = _bytes_of(chunk)
    header, error = _ffi.new("fc_header *"), _ffi.new("fc_error *")
    if _lib.fc_read_header(data, size, header, error):
        raise _exception(error)
    dtype = _DTYPES[header.dtype]
    if header.flags & _lib.FC_FLAG_BIG_ENDIAN:
        dtype = dtype.newbyteorder(">")
    frames = header.n_streams * header.n_frames
    return ChunkHeader(
        dtype=dtype,
        lossless=header.mode != _lib.FC_MODE_QUANTIZED,
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
    data, size = _bytes_of(head)
    c_header, error = _ffi.new("fc_header *"), _ffi.new("fc_error *")
    if _lib.fc_read_header(data, size, c_header, error):
        raise _exception(error)
    n, width = c_header.n_streams, c_header.offset_width
    wide = np.uint64 if c_header.dtype == _lib.FC_UINT64 else np.int64
    offsets = np.zeros(n, dtype=wide)
    at = HEADER_SIZE
    if width:
        offsets = np.frombuffer(head, f"<i{width}", n, at).astype(np.int64).view(wide)
        at += n * width
    if c_header.mode != _lib.FC_MODE_QUANTIZED:
        return offsets, None
    if c_header.flags & _lib.FC_FLAG_QUANTA:
        return offsets, np.frombuffer(head, "<f8", n, at)
    return offsets, np.full(n, c_header.quanta)


def check_head(head: Buffer) -> None:
    """Check header and index against their checksum.

    Raises
    ------
    CorruptChunkError
        Where they do not match, or the index contradicts the header.
    """
    data, size = _bytes_of(head)
    error = _ffi.new("fc_error *")
    if _lib.fc_check_head(data, size, error):
        raise _exception(error)


def check_chunk(chunk: Buffer, dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """Check all of a chunk but its streams and exceptions.

    Raises
    ------
    CorruptChunkError
        Header or index are damaged, or the chunk has not as many bytes as they say.
    ChunkMismatchError
        It is not what an array of this dtype and shape was encoded to.
    """
    data, size = _bytes_of(chunk)
    expect, error = _expectation(dtype, shape), _ffi.new("fc_error *")
    if _lib.fc_check_chunk(data, size, expect, error):
        raise _exception(error, expect)


def check_streams(chunk: Buffer, *, num_threads: int = 1) -> None:
    """Check all streams of a chunk against their checksum.

    Raises
    ------
    CorruptChunkError
        They do not match. It names the frame, where one is found.
    """
    data, size = _bytes_of(chunk)
    error = _ffi.new("fc_error *")
    code = _lib.fc_check_streams(data, size, num_threads, _stop(), error)
    if code:
        if code != _lib.FC_ERR_STOPPED:
            decode_chunk(chunk, num_threads=num_threads)
        raise _exception(error)


def check_expected(header: ChunkHeader, dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """Check that a chunk is what an array of this dtype and shape was encoded to.

    Raises
    ------
    ChunkMismatchError
        Where it is not.
    """
    expect = _expectation(dtype, shape)
    error = _ffi.new("fc_error *")
    got = _code_of(header.dtype)
    if got != expect.dtype:
        error.code, error.got, error.want = _lib.FC_ERR_DTYPE, got, expect.dtype
        raise _mismatch(error, expect)
    if (header.n_streams, header.stream_size) != (expect.n_streams, expect.stream_size):
        error.code, error.got, error.sample = (
            _lib.FC_ERR_SHAPE,
            header.n_streams,
            header.stream_size,
        )
        raise _mismatch(error, expect)


def head_bound(dtype: npt.DTypeLike, shape: Sequence[int], frame_size: int) -> int:
    """Return the most bytes that header and index take for an array of this kind."""
    n_streams, stream_size = stream_shape(shape)
    return int(_lib.fc_head_bound(_code_of(np.dtype(dtype)), n_streams, stream_size, frame_size))


def _decode(
    head: Buffer,
    pieces: Sequence[tuple[int, Buffer]],
    expect: Any,
    spans: npt.NDArray[np.void] | None,
    out: npt.NDArray[Any],
    num_threads: int,
) -> None:
    head_data, head_size = _bytes_of(head)
    c_pieces = _ffi.new("fc_piece[]", len(pieces))
    keep: list[Any] = []
    for c_piece, (offset, piece) in zip(c_pieces, pieces, strict=True):
        data, size = _bytes_of(piece)
        c_piece.bytes, c_piece.offset, c_piece.size = data, offset, size
        keep.append(data)
    c_spans, n_spans = _ffi.NULL, 0
    if spans is not None:
        spans = np.ascontiguousarray(spans, dtype=SPAN_DTYPE)
        c_spans, n_spans = _ffi.cast("fc_span *", _address(spans)), len(spans)
    view, keep_view = _view(out)
    error = _ffi.new("fc_error *")
    code = _lib.fc_decode(
        head_data,
        head_size,
        c_pieces,
        len(pieces),
        expect,
        c_spans,
        n_spans,
        view,
        num_threads,
        _stop(),
        error,
    )
    del keep, keep_view
    if code:
        raise _exception(error, expect)


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
        check_length(header, _bytes_of(chunk)[1])
        out = memory.empty((header.n_streams, header.stream_size), header.dtype)
    if not out.flags.writeable:
        raise ConfigurationError("out must be writeable. Got a read-only array.")
    target = out.reshape(1) if out.ndim == 0 else out
    _decode(chunk, [(0, chunk)], _expectation(out.dtype, out.shape), None, target, num_threads)
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
    _decode(head, pieces, _ffi.NULL, spans, out, num_threads)


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
    c_chunks = _ffi.new("fc_piece[]", len(chunks))
    keep = [_bytes_of(chunk) for chunk in chunks]
    for c_chunk, (data, size) in zip(c_chunks, keep, strict=True):
        c_chunk.bytes, c_chunk.size = data, size
    picks = np.ascontiguousarray(picks, dtype=np.int64)
    chunk, size, error = _ffi.new("uint8_t **"), _ffi.new("int64_t *"), _ffi.new("fc_error *")
    c_picks = _ffi.cast("fc_pick *", _address(picks))
    code = _lib.fc_gather_streams(
        c_chunks, len(chunks), c_picks, len(picks), _stop(), chunk, size, error
    )
    del keep
    if code:
        raise _exception(error)
    return _owned(chunk[0], size[0])


SMALLEST_FRAME = 9
"""Bytes of FLAC's smallest frame: a header, one constant of 4 bits, and two checksums."""

SMALLEST_STREAM: int = STREAM_HEADER_SIZE + SMALLEST_FRAME
"""Bytes of a FLAC stream of one such frame."""


def most_samples(nbytes: int) -> int:
    """Return a number of samples that no FLAC stream of so many bytes exceeds."""
    frames = max(nbytes - STREAM_HEADER_SIZE, 0) // SMALLEST_FRAME
    return frames * int(_lib.FC_MAX_FRAME_SIZE)


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
    data, size = _bytes_of(compressed)
    starts = np.ascontiguousarray(starts, dtype=np.int64)
    nbytes = np.ascontiguousarray(nbytes, dtype=np.int64)
    if last > first and len(nbytes):
        _check_room(compressed, starts, nbytes, stream_size, numbers)
    out = memory.empty((len(starts), last - first), np.int64 if wide else np.int32)
    if out.size == 0:
        return out
    error = _ffi.new("fc_error *")
    code = _lib.fc_decode_streams(
        data,
        size,
        _ffi.cast("int64_t *", _address(starts)),
        _ffi.cast("int64_t *", _address(nbytes)),
        len(starts),
        stream_size,
        first,
        last,
        2 if wide else 1,
        _address(out),
        num_threads,
        _stop(),
        error,
    )
    if code and numbers is not None and error.stream >= 0:
        error.stream = numbers[error.stream]
    if code:
        raise _exception(error)
    return out


def _check_room(
    compressed: Buffer,
    starts: npt.NDArray[np.int64],
    nbytes: npt.NDArray[np.int64],
    stream_size: int,
    numbers: npt.NDArray[np.int64] | None,
) -> None:
    """Check, before samples get memory, that each stream has bytes for as many."""
    _, size = _bytes_of(compressed)
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
    c_data, size = _bytes_of(data)
    return int(_lib.fc_crc32c(crc, c_data, size))
