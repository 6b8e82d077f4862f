"""Writes to one chunk wait for each other, where they meet in one process.

A write of a part of a chunk, or of a shard, reads all of it, changes it and stores it. Of two
at once, one would be lost, without an error: that is what becomes of dask's blocks that share
one of Zarr's chunks. Tasks of dask's threads meet in one event loop of zarr's, and can wait for
each other there. Processes do not meet: nothing in a Zarr store could make them wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Any

from zarr.storage import StorePath

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

_locks: weakref.WeakValueDictionary[tuple[int, str], asyncio.Lock] = weakref.WeakValueDictionary()


@contextlib.asynccontextmanager
async def alone_with(byte_setters: Iterable[Any]) -> AsyncIterator[None]:
    """Wait until nobody else in this event loop writes to these chunks.

    Chunks in a shard need no waiting: who writes them is alone with the shard.
    """
    loop = id(asyncio.get_running_loop())
    # In one order for all, so that no two wait for each other.
    places = sorted({str(place) for place in byte_setters if isinstance(place, StorePath)})
    async with contextlib.AsyncExitStack() as stack:
        for place in places:
            lock = _locks.setdefault((loop, place), asyncio.Lock())
            await stack.enter_async_context(lock)
        yield
