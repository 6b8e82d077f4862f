"""Jobs side by side: in threads that are made for them, and end with them."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
Job = tuple[int, "Callable[[], object]"]

AHEAD = 2
"""Jobs that are made ahead, for each thread."""


def run_in_order(jobs: Iterable[Callable[[], T]], n_threads: int) -> Iterator[T]:
    """Yield what jobs return, in their order; a few are made, by the caller, and run ahead."""
    if n_threads == 1:
        for job in jobs:
            yield job()
        return
    ahead: deque[Future[T]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for job in jobs:
                ahead.append(pool.submit(job))
                if len(ahead) > AHEAD * n_threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def run_in_any_order(jobs: Iterable[Callable[[], object]], n_threads: int) -> None:
    """Run jobs; a few are made ahead.

    The caller's thread makes them all, as they may need locks that it holds (h5py's, in a
    callback of its ``visititems``), and runs its share. Where some fail, the first of them in
    order is raised, as one thread would, and those after it may not be run.
    """
    if n_threads == 1:
        for job in jobs:
            job()
        return
    _Crew(n_threads).run(jobs)


class _Crew:
    """The caller's thread and its helpers."""

    def __init__(self, n_threads: int) -> None:
        self._most = AHEAD * n_threads
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = Lock()
        self._failed: tuple[int, Exception] | None = None
        self._helpers = [Thread(target=self._help, daemon=True) for _ in range(n_threads - 1)]

    def run(self, jobs: Iterable[Callable[[], object]]) -> None:
        for helper in self._helpers:
            helper.start()
        try:
            self._make(iter(jobs))
            while self._work():
                pass
        finally:
            self._dismiss()
        if self._failed is not None:
            try:
                raise self._failed[1]
            finally:
                self._failed = None  # else its traceback holds it, and arrays, for ever

    def _make(self, jobs: Iterator[Callable[[], object]]) -> None:
        for number in itertools.count():
            try:
                job = next(jobs)
            except StopIteration:
                return
            except Exception as error:
                self._note(number, error)
            if self._failed is not None:
                return
            self._waiting.put((number, job))
            if self._waiting.qsize() >= self._most:
                self._work()

    def _work(self) -> bool:
        """Do what comes next; return whether there was anything."""
        with contextlib.suppress(Empty):
            job = self._waiting.get_nowait()
            if job is not None:
                self._do(*job)
            return True
        return False

    def _help(self) -> None:
        while (job := self._waiting.get()) is not None:
            self._do(*job)

    def _do(self, number: int, job: Callable[[], object]) -> None:
        failed = self._failed
        if failed is not None and number > failed[0]:
            return
        try:
            job()
        except Exception as error:
            self._note(number, error)

    def _note(self, number: int, error: Exception) -> None:
        with self._lock:
            if self._failed is None or number < self._failed[0]:
                self._failed = number, error

    def _dismiss(self) -> None:
        """Leave nothing to do and nobody at work, after an interrupt too."""
        with contextlib.suppress(Empty):
            while True:
                self._waiting.get_nowait()
        for _ in self._helpers:
            self._waiting.put(None)
        for helper in self._helpers:
            helper.join()
