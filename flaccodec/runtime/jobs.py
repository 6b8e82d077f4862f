"""Jobs side by side: in threads that are made for them, and end with them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flaccodec.runtime.stopping import Stop, current_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")

AHEAD = 2
"""Jobs that are made ahead, for each thread."""

LATEST_START = 1.0
"""Seconds after which a thread whose start was interrupted is taken for one that never began."""


def run_in_order(jobs: Iterable[Callable[[], T]], n_threads: int) -> Generator[T, None, None]:
    """Yield what jobs return, in their order; a few are made ahead.

    The caller's thread makes them all, as they may need locks that it holds (h5py's, in a
    callback of its ``visititems``), and runs its share while it has nothing to yield. If the
    system makes no more threads, those that there are run all jobs, if need be the caller's alone.

    Where some fail, the first of them in order is raised, as one thread would, and those after
    it may not be run. Whatever is raised, here or where the generator is used, no thread is
    left: those at work are told to stop (`current_stop`) and awaited. Close the generator if
    you do not use it up.
    """
    if n_threads == 1:
        for job in jobs:
            yield job()
        return
    with _Crew(n_threads) as crew:
        tasks: deque[_Task[T]] = deque()
        failure: Exception | None = None
        remaining = iter(jobs)
        while failure is None:
            try:
                job = next(remaining)
            except StopIteration:
                break
            except Exception as error:  # after those before it
                failure = error
                break
            tasks.append(crew.give(job))
            del job
            if len(tasks) > AHEAD * n_threads:
                yield crew.result(tasks)
        while tasks:
            yield crew.result(tasks)
        if failure is not None:
            try:
                raise failure
            finally:
                failure = None  # else its traceback holds it, and arrays, for ever


def run_in_any_order(jobs: Iterable[Callable[[], object]], n_threads: int) -> None:
    """Run jobs as `run_in_order` does, for what they do instead of what they return."""
    with contextlib.closing(run_in_order(jobs, n_threads)) as results:
        for _ in results:
            pass


class _Task(Generic[T]):
    """A job that is to be run once, by whoever takes it first."""

    def __init__(self, job: Callable[[], T]) -> None:
        self._job: Callable[[], T] | None = job
        self._value: T
        self._error: BaseException | None = None
        self._running = Lock()
        self._running.acquire()

    def run(self, kept: type[BaseException]) -> None:
        """Run the job; errors of a kind are kept for `result`, others raised."""
        job, self._job = self._job, None
        assert job is not None
        try:
            self._value = job()
        except kept as error:
            self._error = error
        finally:
            self._running.release()

    def is_done(self) -> bool:
        return not self._running.locked()

    def result(self) -> T:
        """Wait for the end; return what the job returned, or raise what it raised."""
        with self._running:
            error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # else its traceback holds it, and arrays, for ever
        return self._value


Waiting = SimpleQueue[_Task[Any] | None]


class _Crew:
    """The caller's thread and its helpers."""

    def __init__(self, n_threads: int) -> None:
        self._most = n_threads - 1
        self._helpers: list[_Helper] = []
        self._waiting: Waiting = SimpleQueue()
        self._stop = Stop()
        self._context = copy_context()  # an interrupt must not leave `current_stop` behind
        self._context.run(current_stop.set, self._stop)

    def __enter__(self) -> _Crew:
        return self

    def __del__(self) -> None:
        # An interrupt may come before `__exit__` can begin.
        _call_off(self._waiting, self._stop)

    def __exit__(self, *_: object) -> None:
        interrupt: BaseException | None = None
        while True:
            try:
                self._dismiss()
                break
            except BaseException as error:  # another Ctrl-C: first nobody is to be left
                interrupt = error
        if interrupt is not None:
            try:
                raise interrupt
            finally:
                del interrupt

    def give(self, job: Callable[[], T]) -> _Task[T]:
        """Have somebody run a job."""
        task = _Task(job)
        self._waiting.put(task)
        if len(self._helpers) < self._most:
            self._add_helper()
        return task

    def result(self, tasks: deque[_Task[T]]) -> T:
        """Return what the first task returns; until it is done, work on it and on others."""
        while not tasks[0].is_done() and self._work():
            pass
        return tasks.popleft().result()

    def _work(self) -> bool:
        """Do what comes next; return whether there was anything."""
        try:
            task = self._waiting.get_nowait()
        except Empty:
            return False
        assert task is not None
        self._context.run(task.run, Exception)  # an interrupt ends all
        return True

    def _add_helper(self) -> None:
        helper = _Helper(self._waiting, self._stop)
        self._helpers.append(helper)
        try:
            helper.start()
        except (RuntimeError, MemoryError):  # "can't start new thread"
            self._helpers.remove(helper)
            self._most = len(self._helpers)

    def _dismiss(self) -> None:
        _call_off(self._waiting, self._stop)
        for helper in self._helpers:
            helper.await_end()


class _Helper:
    """A thread that does what is waiting, until there is None."""

    def __init__(self, waiting: Waiting, stop: Stop) -> None:
        # It does not know the crew, which goes when nobody else does.
        self._thread = Thread(target=self._help, args=(waiting, stop), daemon=True)
        self._working = Lock()
        self._working.acquire()
        self._has_ended = False

    def start(self) -> None:
        self._thread.start()

    def _help(self, waiting: Waiting, stop: Stop) -> None:
        current_stop.set(stop)
        try:
            while (task := waiting.get()) is not None:
                task.run(BaseException)
                del task  # and with it what it returned or raised
        finally:
            waiting.put(None)  # for the next helper
            self._has_ended = True
            self._working.release()

    def await_end(self) -> None:
        """Wait for the end, though the start may have been interrupted at any point."""
        thread, latest = self._thread, time.monotonic() + LATEST_START
        while thread.ident is None and thread in threading.enumerate():
            if time.monotonic() > latest:
                return
            time.sleep(0.001)
        if thread.ident is not None:
            # Python 3.11 takes a thread for one that has ended when `join` is interrupted.
            while not self._has_ended:
                self._working.acquire(timeout=1)
            thread.join()


def _call_off(waiting: Waiting, stop: Stop) -> None:
    """Leave nothing to do, and have nobody wait for more."""
    stop.set()
    with contextlib.suppress(Empty):
        while True:
            waiting.get_nowait()
    waiting.put(None)
