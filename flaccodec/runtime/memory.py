"""Memory for large results: the next one takes what an earlier one has left."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["empty"]

LEAST = 32 << 20
"""Bytes of a large result; smaller ones the C library keeps (csrc/base/memory.c)."""

MOST_KEPT = 512 << 20
"""Bytes of all blocks that wait for their next use; 0 keeps none from then on."""

SPARE = 8
"""Of a block that is used again, at most one part in so many is left unused."""

CAN_KEEP = all(hasattr(mmap, name) for name in ("MADV_FREE", "MADV_HUGEPAGE", "MAP_ANONYMOUS"))
"""Whether the system takes memory back when it needs it, and not before: Linux."""


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Make an array for a result, as `numpy.empty` does.

    A system clears every page that it gives a process. For a large result that takes half as
    long as decoding, and two processors are no faster at it than one. So when nobody holds a
    large array any more, its memory is kept for the next one, up to `MOST_KEPT` in all, and the
    system is told that it may take it back whenever it is short of memory (madvise(2),
    MADV_FREE).

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray
        In C order, writeable, with unspecified values. One of `LEAST` bytes or more does
        not own its memory (``flags.owndata``).

    Raises
    ------
    MemoryError
    """
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    memory = _take(nbytes) if CAN_KEEP and LEAST <= nbytes <= sys.maxsize else None
    if memory is None:
        return np.empty(shape, dtype=dtype)
    # A view, since the array itself could not be made writeable again (setflags).
    return np.asarray(_Block(memory, shape, dtype)).view()


class _Block:
    """What an array has its memory from; it goes when the array and all its views are gone."""

    def __init__(self, memory: mmap.mmap, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._memory = memory
        address = np.frombuffer(memory, dtype=np.uint8).ctypes.data
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (address, False),
        }

    def __reduce__(self) -> NoReturn:
        raise TypeError("the memory of an array cannot be copied without the array")

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # then the memory goes back to the system
            _leave(self._memory)


_waiting: list[mmap.mmap] = []
_lock = threading.Lock()
"""Nobody waits for it: arrays go in any thread, and also while this one has the lock."""


def _begin_in_child() -> None:
    """Another thread may have had the lock when the process was forked."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


def _take(nbytes: int) -> mmap.mmap | None:
    """Return a block that waits or a new one; None if there is no memory even without those."""
    global _waiting
    memory = _take_waiting(nbytes) or _map(nbytes)
    if memory is None:
        # A process may be held to an amount of memory, waiting or not. A new list, since another
        # thread may be at the old one.
        _waiting = []
        memory = _map(nbytes)
    return memory


def _take_waiting(nbytes: int) -> mmap.mmap | None:
    if not _lock.acquire(blocking=False):
        return None
    try:
        waiting = _waiting
        for place, memory in enumerate(waiting):
            if nbytes <= len(memory) <= nbytes + nbytes // SPARE:
                return waiting.pop(place)
        return None
    finally:
        _lock.release()


def _map(nbytes: int) -> mmap.mmap | None:
    try:
        memory = mmap.mmap(-1, nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        return None
    with contextlib.suppress(OSError):  # a system without large pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _leave(memory: mmap.mmap) -> None:
    """Keep a block for its next use; those that have waited longest make room for it."""
    if len(memory) > MOST_KEPT or not _lock.acquire(blocking=False):
        return
    try:
        memory.madvise(mmap.MADV_FREE)
        waiting = _waiting
        waiting.append(memory)
        while sum(map(len, waiting)) > MOST_KEPT:
            del waiting[0]
    finally:
        _lock.release()
