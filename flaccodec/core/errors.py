"""Errors of the C library become exceptions."""

from __future__ import annotations

from typing import Any

from flaccodec.core.dtypes import (
    dtype_name,
)
from flaccodec.core.native import ffi, lib
from flaccodec.core.stop import why_stopped
from flaccodec.exceptions import (
    ChecksumError,
    ChunkMismatchError,
    ChunkTooLargeError,
    CorruptChunkError,
    CorruptStreamError,
    EmptyArrayError,
    EncoderError,
    FlacCodecError,
    FrameError,
    NotAChunkError,
    QuantaError,
    QuantaTooFineError,
    TruncatedChunkError,
    UnknownVersionError,
)


def _where(error: Any) -> str:
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


def mismatch(error: Any, expect: Any) -> ChunkMismatchError:
    """Return the error of a chunk that is not of the dtype or shape that was expected."""
    if error.code == lib.FC_ERR_DTYPE:
        return ChunkMismatchError(
            f"expected a chunk of {dtype_name(error.want)}. Got one of {dtype_name(error.got)}."
        )
    return ChunkMismatchError(
        f"expected a chunk of {expect.n_streams:,} streams of {expect.stream_size:,} samples. "
        f"Got one of {error.got:,} streams of {error.sample:,} samples."
    )


_SIMPLE: dict[int, type[FlacCodecError]] = {
    lib.FC_ERR_ARGUMENT: EncoderError,
    lib.FC_ERR_EMPTY: EmptyArrayError,
    lib.FC_ERR_TOO_LARGE: ChunkTooLargeError,
    lib.FC_ERR_QUANTA: QuantaError,
    lib.FC_ERR_ENCODER: EncoderError,
    lib.FC_ERR_TRUNCATED: TruncatedChunkError,
    lib.FC_ERR_TRAILING: CorruptChunkError,
    lib.FC_ERR_MAGIC: NotAChunkError,
    lib.FC_ERR_VERSION: UnknownVersionError,
    lib.FC_ERR_RESERVED: UnknownVersionError,
    lib.FC_ERR_HEADER: CorruptChunkError,
    lib.FC_ERR_HEAD_CHECKSUM: ChecksumError,
    lib.FC_ERR_INDEX: CorruptChunkError,
    lib.FC_ERR_STREAMS_CHECKSUM: ChecksumError,
    lib.FC_ERR_EXCEPTIONS: ChecksumError,
    lib.FC_ERR_MISSING_PIECE: TruncatedChunkError,
    lib.FC_ERR_UNLIKE: ChunkMismatchError,
}


_STREAMS = (
    lib.FC_ERR_STREAM,
    lib.FC_ERR_STREAM_RANGE,
    lib.FC_ERR_STREAM_SHAPE,
)


_CHECKSUMS = (
    lib.FC_ERR_HEAD_CHECKSUM,
    lib.FC_ERR_STREAMS_CHECKSUM,
)


def _details(error: Any) -> str:
    if error.code in _CHECKSUMS:
        return f": expected CRC-32C {error.want:#010x}. Got {error.got:#010x}"
    if error.code == lib.FC_ERR_QUANTA:
        return f". Got {error.value!r}"
    if error.code == lib.FC_ERR_VERSION:
        return f": expected {error.want}. Got {error.got}; a later flaccodec may read it"
    if error.code == lib.FC_ERR_RESERVED:
        return "; a later flaccodec may read it"
    if error.code in (lib.FC_ERR_TRUNCATED, lib.FC_ERR_TRAILING) and error.want >= 0:
        return f": expected {error.want:,} bytes. Got {error.got:,}"
    if error.got >= 0 and error.want >= 0 and error.code != lib.FC_ERR_EXCEPTIONS:
        return f": expected {error.want:,}. Got {error.got:,}"
    return ""


def exception_of(error: Any, expect: Any = None) -> BaseException:
    """Return the exception of an error that the C library gave."""
    code = error.code
    if code == lib.FC_ERR_STOPPED:
        return why_stopped()
    if code == lib.FC_ERR_MEMORY:
        return MemoryError("flaccodec could not allocate memory")
    if code in (lib.FC_ERR_DTYPE, lib.FC_ERR_SHAPE):
        return mismatch(error, expect)
    text = ffi.string(lib.fc_code_text(code)).decode()
    message = f"{text}{_where(error)}{_details(error)}."
    if code == lib.FC_ERR_QUANTA_TOO_FINE:
        message = (
            f"quanta are too fine: {message} The smallest quanta that would do are {error.value!r}."
        )
        return QuantaTooFineError(message, error.stream, error.sample, error.value)
    if code in (lib.FC_ERR_FRAME, lib.FC_ERR_FRAME_HEADER):
        return FrameError(message, error.stream, error.frame)
    if code in _STREAMS:
        return CorruptStreamError(message, error.stream, None if error.frame < 0 else error.frame)
    return _SIMPLE[code](message)
