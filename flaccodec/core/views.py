"""Arrays and bytes as the C library takes them."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flaccodec.core.dtypes import (
    Buffer,
    code_of,
    stream_shape,
)
from flaccodec.core.native import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def address(array: npt.NDArray[Any]) -> Any:
    """Return where an array's samples begin."""
    return ffi.cast("void *", array.__array_interface__["data"][0])


def is_big_endian(dtype: np.dtype[Any]) -> bool:
    """Whether samples have their bytes in this order, as numpy spells it on any machine."""
    order = dtype.byteorder
    return order == ">" or (order == "=" and sys.byteorder == "big")


def view_of(array: npt.NDArray[Any]) -> tuple[Any, list[Any]]:
    """Describe an array of one axis or more to C; and what must outlive the description."""
    stride = _single_stride(array)
    view = ffi.new("fc_view *")
    keep: list[Any] = [array]
    view.data = address(array)
    view.sample_stride = array.strides[-1]
    view.byte_swapped = not array.dtype.isnative
    if stride is None:
        offsets = _stream_offsets(array)
        keep.append(offsets)
        view.stream_offsets = ffi.cast("int64_t *", address(offsets))
    else:
        view.stream_stride = stride
    return view, keep


def bytes_of(chunk: Buffer) -> tuple[Any, int]:
    """Return where bytes are, and how many; the first keeps them alive."""
    # Through numpy: Python before 3.12.6 crashes when it collects a memoryview, kept in a cycle by
    # an error's traceback, together with what cffi took of it (python/cpython#77894).
    data = ffi.from_buffer("uint8_t[]", np.frombuffer(chunk, dtype=np.uint8))
    return data, len(data)


def expectation(dtype: np.dtype[Any], shape: Sequence[int]) -> Any:
    """Return what a chunk must be, as C checks it."""
    expect = ffi.new("fc_expect *")
    expect.dtype = code_of(dtype)
    expect.n_streams, expect.stream_size = stream_shape(shape)
    return expect


def owned(memory: Any, size: int) -> npt.NDArray[np.uint8]:
    """Wrap memory of the library's, to be freed with the array."""
    owned = ffi.gc(memory, lib.fc_free, size)
    return np.frombuffer(ffi.buffer(owned, size), dtype=np.uint8)
