"""Reading parts of a chunk from a Zarr store.

A read fetches header and index with one ranged request, then the frames that
its spans need, neighbouring ones together, and with them the header again. The
index is remembered: the next read of that chunk fetches frames and header at
once.

A chunk may be written anew between two requests. The header has the checksums of
the index and of all streams. So if the header that comes with the frames is that
of the index, nothing was written between; if not, the whole chunk is fetched with
one request. The index holds a part of each frame's CRC, too: it is what notices a
chunk that changes and changes back, or a store that answers out of order.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
from zarr.abc.store import RangeByteRequest
from zarr.core.common import concurrent_map
from zarr.core.config import config
from zarr.storage import LocalStore, StorePath

from flaccodec import core
from flaccodec.chunks.index import ChunkIndex
from flaccodec.chunks.ranges import needed_ranges
from flaccodec.exceptions import ChunkMismatchError

if TYPE_CHECKING:
    import numpy.typing as npt
    from zarr.abc.store import ByteGetter, Store
    from zarr.core.buffer import BufferPrototype

    from flaccodec.chunks.ranges import Ranges
    from flaccodec.chunks.selection import ReadPlan

CACHE_BYTES = 16 * 2**20
"""Bytes of indexes that are remembered."""

Piece = tuple[int, "npt.NDArray[np.uint8]"]
"""Bytes of a chunk, and where in it they begin."""

Parts = tuple["npt.NDArray[np.uint8]", list[Piece]]
"""Header and index of a chunk, and pieces of it."""


_Key = tuple[int, str]


class IndexCache:
    """The indexes last used, by store and path, up to a number of bytes."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[_Key, tuple[weakref.ref[Store], ChunkIndex]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, at: StorePath) -> ChunkIndex | None:
        """Return what is remembered; it may be out of date."""
        key = id(at.store), at.path
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry[0]() is not at.store:
                return None
            self._entries.move_to_end(key)
            return entry[1]

    def put(self, at: StorePath, index: ChunkIndex) -> None:
        """Remember an index, forgetting those unused for longest."""
        try:
            store = weakref.ref(at.store)
        except TypeError:
            return
        with self._lock:
            self._drop((id(at.store), at.path))
            self._entries[id(at.store), at.path] = store, index
            self._bytes += index.nbytes
            while self._bytes > self.max_bytes:
                self._drop(next(iter(self._entries)))

    def drop(self, at: StorePath) -> None:
        """Forget an index."""
        with self._lock:
            self._drop((id(at.store), at.path))

    def _drop(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry[1].nbytes


index_cache = IndexCache()


def _begin_in_child() -> None:
    """Another thread may have been at a change, with the lock, when the process was forked."""
    global index_cache
    index_cache = IndexCache(index_cache.max_bytes)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


class _Changed(Exception):  # noqa: N818 - not an error: the caller starts again
    """The chunk is not the one whose index was remembered."""


class ChunkReader:
    """Reads parts of one chunk.

    Parameters
    ----------
    byte_getter : zarr ByteGetter
        The chunk's place in a store, or in a shard.
    prototype : zarr BufferPrototype
        What the store is to return.
    """

    def __init__(self, byte_getter: ByteGetter, prototype: BufferPrototype) -> None:
        self._byte_getter = byte_getter
        self._prototype = prototype

    @property
    def in_memory(self) -> bool:
        """Whether the chunk is there already, in a shard that was read."""
        return not isinstance(self._byte_getter, StorePath)

    async def _get(self, span: tuple[int, int] | None) -> npt.NDArray[np.uint8] | None:
        request = None if span is None else RangeByteRequest(*span)
        buffer = await self._byte_getter.get(self._prototype, request)
        return None if buffer is None else np.frombuffer(buffer.as_numpy_array(), dtype=np.uint8)

    async def whole(self) -> npt.NDArray[np.uint8] | None:
        """Fetch all of the chunk; None where there is none."""
        return await self._get(None)

    async def whole_parts(self) -> Parts | None:
        """Fetch all of the chunk with one request; None where there is none."""
        chunk = await self.whole()
        return None if chunk is None else (chunk, [(0, chunk)])

    async def parts(self, plan: ReadPlan, head_bound: int) -> Parts | None:
        """Fetch what a plan needs.

        Parameters
        ----------
        plan : ReadPlan
        head_bound : int
            The most bytes that header and index can take.

        Returns
        -------
        (ndarray, list of (int, ndarray)) or None
            Header and index, and pieces of the chunk; None where there is no chunk.
        """
        try:
            return await self._remembered_parts(plan) or await self._unknown_parts(plan, head_bound)
        except NotImplementedError:
            # A store without ranged reads.
            return await self.whole_parts()

    async def _remembered_parts(self, plan: ReadPlan) -> Parts | None:
        assert isinstance(self._byte_getter, StorePath)
        index = index_cache.get(self._byte_getter)
        if index is None:
            return None
        try:
            pieces = await self._fetch_unchanged(index, needed_ranges(index, plan))
        except (_Changed, ChunkMismatchError):
            index_cache.drop(self._byte_getter)
            return None
        return index.head, pieces

    async def _unknown_parts(self, plan: ReadPlan, head_bound: int) -> Parts | None:
        try:
            head = await self._get((0, head_bound))
        except NotImplementedError:
            raise
        except Exception:
            # Of a chunk of no bytes some stores cannot give a range. Other errors will come again.
            return await self.whole_parts()
        if head is None:
            return None
        header = core.read_header(head)
        if len(head) == header.chunk_size:
            # A chunk smaller than the request, or a store that ignores ranges.
            return head, [(0, head)]
        if len(head) < header.head_size:
            head = await self._get((0, header.head_size))
            if head is None:
                return None
        index = ChunkIndex.from_head(head)
        try:
            pieces = await self._fetch_unchanged(index, needed_ranges(index, plan))
        except _Changed:
            return await self.whole_parts()
        assert isinstance(self._byte_getter, StorePath)
        index_cache.put(self._byte_getter, index)
        return index.head, pieces

    async def _fetch_unchanged(self, index: ChunkIndex, ranges: Ranges) -> list[Piece]:
        """Fetch ranges and the header, if that is still the index's.

        The header is asked for last: then it tells of every change before. From a disk it is
        read when the rest was: threads may run in any order, and there is no round trip to save.
        """
        assert isinstance(self._byte_getter, StorePath)
        header_range = 0, core.HEADER_SIZE
        if isinstance(self._byte_getter.store, LocalStore):
            pieces = await self._fetch(ranges)
            ((_, header),) = await self._fetch([header_range])
        else:
            *pieces, (_, header) = await self._fetch([*ranges, header_range])
        if not np.array_equal(header, index.head[: core.HEADER_SIZE]):
            raise _Changed
        return pieces

    async def _fetch(self, ranges: Ranges) -> list[Piece]:
        """Fetch ranges, side by side as far as zarr's configuration lets stores be asked."""
        limit = config.get("async.concurrency")
        try:
            results = await concurrent_map([(r,) for r in ranges], self._get, limit)
        except NotImplementedError:
            raise
        except Exception as error:
            # Where a chunk has become shorter, a range may begin beyond its end: each store
            # has an error of its own for that. Others will come again with the next request.
            raise _Changed from error
        for (start, stop), data in zip(ranges, results, strict=True):
            if data is None or len(data) != stop - start:
                raise _Changed
        return [
            (start, data)
            for (start, _), data in zip(ranges, results, strict=True)
            if data is not None
        ]

    def forget(self) -> None:
        """Forget what is remembered of the chunk."""
        if isinstance(self._byte_getter, StorePath):
            index_cache.drop(self._byte_getter)
