"""Threads that Zarr's event loop needs: for coding chunks, and to wait for what it does."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zarr.core.sync import sync

from flaccodec.runtime.stopping import Stop, Stopped, current_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

LOOK = 0.05
"""Seconds between two looks whether something is still wanted, or done."""

LATEST_START = 1.0
"""Seconds after which what has not begun is taken for something that never will."""


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function in another thread, as `asyncio.to_thread` does.

    If the system makes no more threads, it is run in this one.
    """
    once = _Once(partial(contextvars.copy_context().run, function, *arguments))
    try:
        waiting = asyncio.get_running_loop().run_in_executor(None, once)
    except RuntimeError:
        # "can't start new thread". The executor has it in its queue already, so that a thread
        # that there is may take it, now or much later.
        once()
        while not once.is_done:
            await asyncio.sleep(LOOK)
        return once.result()
    await waiting
    return once.result()


class _Once(Generic[T]):
    """A function that is run by the first who calls this, and by nobody later."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function: Callable[[], T] | None = function
        self._taken = threading.Lock()
        self._value: T
        self._error: BaseException | None = None
        self.is_done = False

    def __call__(self) -> None:
        if not self._taken.acquire(blocking=False):
            return
        function, self._function = self._function, None
        assert function is not None
        try:
            self._value = function()
        except BaseException as error:
            self._error = error
        self.is_done = True

    def result(self) -> T:
        """Return what the function returned, or raise what it raised."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # else its traceback holds it, and arrays, for ever
        return self._value


def wait_for(work: Coroutine[Any, Any, T], *, may_be_cut: bool) -> T:
    """Run a coroutine in Zarr's loop, as its `sync` does, but let nothing of it go on behind.

    If this thread's `current_stop` is set, or anything is raised in it meanwhile, such as
    KeyboardInterrupt, the work is cancelled if it `may_be_cut`, and its end awaited.
    """
    waiting = _Waiting(may_be_cut)
    try:
        return sync(waiting.until_stopped(work))
    except BaseException:
        waiting.give_up()
        raise


class _Waiting:
    def __init__(self, may_be_cut: bool) -> None:
        self._may_be_cut = may_be_cut
        self._stop = current_stop.get() or Stop()
        self._is_given_up = False
        self._begun, self._ended = threading.Event(), threading.Event()

    def give_up(self) -> None:
        self._is_given_up = True
        if self._begun.wait(LATEST_START):  # Zarr may have been unable to start it
            self._ended.wait()

    async def until_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        self._begun.set()
        try:
            return await self._cut(work) if self._may_be_cut else await work
        finally:
            self._ended.set()

    async def _cut(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK)
            if (self._is_given_up or self._stop.is_set()) and not task.done():
                task.cancel()
                await asyncio.wait({task})
                raise Stopped
        return task.result()
