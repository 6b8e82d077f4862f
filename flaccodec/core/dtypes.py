"""What the C library knows of dtypes, and its constants."""

from __future__ import annotations

import enum
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flaccodec.core.native import lib
from flaccodec.exceptions import (
    UnsupportedDtypeError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


FORMAT_VERSION: int = lib.FC_FORMAT_VERSION


HEADER_SIZE: int = lib.FC_HEADER_SIZE


STREAM_HEADER_SIZE: int = lib.FC_STREAM_HEADER_SIZE


MIN_FRAME_SIZE: int = lib.FC_MIN_FRAME_SIZE


MAX_FRAME_SIZE: int = lib.FC_MAX_FRAME_SIZE


MAX_LEVEL: int = lib.FC_MAX_LEVEL


MAX_MARKS: int = lib.FC_MAX_MARKS


FRAME_SIZE_MASK: int = (1 << lib.FC_FRAME_SIZE_BITS) - 1


DEFAULT_LEVEL: int = lib.FC_DEFAULT_LEVEL


DEFAULT_FRAME_SIZE: int = lib.FC_DEFAULT_FRAME_SIZE


Buffer = bytes | bytearray | memoryview | npt.NDArray[Any]
"""What chunks are read from: anything with contiguous bytes."""


DTYPE_CODES: dict[str, int] = {
    "int8": lib.FC_INT8,
    "int16": lib.FC_INT16,
    "int32": lib.FC_INT32,
    "int64": lib.FC_INT64,
    "uint8": lib.FC_UINT8,
    "uint16": lib.FC_UINT16,
    "uint32": lib.FC_UINT32,
    "uint64": lib.FC_UINT64,
    "float32": lib.FC_FLOAT32,
    "float64": lib.FC_FLOAT64,
}


DTYPES = {code: np.dtype(name) for name, code in DTYPE_CODES.items()}


SPAN_DTYPE = np.dtype(
    [("stream", "=i8"), ("start", "=i8"), ("count", "=i8"), ("out_offset", "=i8")]
)
"""A row of `decode_spans`: samples of a stream, and the byte of the output they go to."""


class QuantaRule(enum.IntEnum):
    """Where the quanta of a chunk come from; the C header explains each."""

    NONE = lib.FC_QUANTA_NONE
    GIVEN = lib.FC_QUANTA_GIVEN
    PRECISION = lib.FC_QUANTA_PRECISION
    RANGE = lib.FC_QUANTA_RANGE


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
    if dtype.kind in "iuf" and dtype.newbyteorder("=").name in DTYPE_CODES:
        return dtype
    raise UnsupportedDtypeError(
        f"dtype must be one of {', '.join(DTYPE_CODES)}. Got {dtype}: {_advice(dtype)}."
    )


@functools.lru_cache(maxsize=64)  # numpy takes as long over a name as C does over a header
def code_of(dtype: np.dtype[Any]) -> int:
    """Return the code of a dtype in a chunk's header."""
    return DTYPE_CODES[check_dtype(dtype).newbyteorder("=").name]


def dtype_name(code: int) -> str:
    """Return what to call the dtype of a code, known or not."""
    return str(DTYPES.get(code, f"code {code}"))


def stream_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Return (number of streams, samples in each) of an array of this shape."""
    if len(shape) == 0:
        return 1, 1
    n_streams = 1
    for n in shape[:-1]:
        n_streams *= int(n)
    return n_streams, int(shape[-1])
