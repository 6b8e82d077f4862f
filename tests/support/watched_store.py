"""Zarr stores that note how they are asked for chunks, and some that answer badly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zarr.abc.store import Store
from zarr.storage import WrapperStore

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Get:
    """A request for a chunk: bytes of it, or all (None); and how many came (None: no chunk)."""

    key: str
    span: tuple[int, int] | None
    nbytes: int | None


class WatchedStore(WrapperStore):
    """Notes requests for chunks.

    Attributes
    ----------
    gets : list of Get
        In the order in which they were answered.
    most_at_once : int
        The most requests that were open at one time.
    after : dict of int to callable
        What to do, once, when so many requests were answered.
    """

    def __init__(self, store):
        super().__init__(store)
        self.after: dict[int, Callable[[], None]] = {}
        self.forget()

    def _with_store(self, store):
        # Of the same store with another mode, requests are to be seen here as well.
        other = super()._with_store(store)
        other.gets, other.after = self.gets, self.after
        return other

    def forget(self):
        self.gets: list[Get] = []
        self.most_at_once = self._open_requests = 0

    @property
    def spans(self):
        return [get.span for get in self.gets]

    @property
    def frame_spans(self):
        """Spans asked for that are not from the chunk's start."""
        return [span for span in self.spans if span is not None and span[0] > 0]

    @property
    def fetched(self):
        return sum(get.nbytes or 0 for get in self.gets)

    async def get(self, key, prototype, byte_range=None):
        if key.endswith("zarr.json"):
            return await self._store.get(key, prototype, byte_range)
        self._open_requests += 1
        self.most_at_once = max(self.most_at_once, self._open_requests)
        await asyncio.sleep(0)  # lets other requests begin
        buffer = await self._answer(key, prototype, byte_range)
        self._open_requests -= 1
        span = None if byte_range is None else self._span(byte_range)
        self.gets.append(Get(key, span, None if buffer is None else len(buffer)))
        self.after.pop(len(self.gets), lambda: None)()
        return buffer

    if hasattr(Store, "get_ranges"):  # of zarr 3.2 and later, where the wrapped store would answer
        get_ranges = Store.get_ranges

    @staticmethod
    def _span(byte_range):
        if hasattr(byte_range, "start"):
            return byte_range.start, byte_range.end
        return (-byte_range.suffix, 0)  # what sharding asks for

    async def _answer(self, key, prototype, byte_range):
        return await self._store.get(key, prototype, byte_range)


class InOrder(WatchedStore):
    """Answers one request after the other, as they are asked."""

    def __init__(self, store):
        super().__init__(store)
        self._lock = asyncio.Lock()

    async def get(self, key, prototype, byte_range=None):
        async with self._lock:
            return await super().get(key, prototype, byte_range)


class WithoutRanges(WatchedStore):
    """Raises where it is asked for a part."""

    async def _answer(self, key, prototype, byte_range):
        if byte_range is not None:
            raise NotImplementedError("no ranged reads")
        return await super()._answer(key, prototype, byte_range)


class RaisesBeyondTheEnd(WatchedStore):
    """Raises where no byte of a range exists, as HTTP (416), S3 and other stores do."""

    class NotSatisfiableError(Exception):
        """Of a kind that only this store knows."""

    async def _answer(self, key, prototype, byte_range):
        buffer = await super()._answer(key, prototype, byte_range)
        if buffer is not None and byte_range is not None and len(buffer) == 0:
            raise self.NotSatisfiableError
        return buffer


class IgnoresRanges(WatchedStore):
    """Returns everything where it is asked for a part, as some web servers do."""

    async def _answer(self, key, prototype, byte_range):
        return await super()._answer(key, prototype, None)
