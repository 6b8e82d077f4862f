"""Timing tasks in turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from flaccodec.runtime.threads import available_processors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SETTLE_SECONDS = 0.005
"""OpenMP's threads in flacarray, and Blosc's, spin for some milliseconds after their work."""

SMALL_NBYTES = 16 * 2**20
MOST_EXTRA_ROUNDS = 10

SLICE_ROUNDS = 4
"""Rounds of slices for each round of whole arrays."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Task:
    """What is timed, and what is done untimed before.

    Attributes
    ----------
    run : callable
        Its result is freed untimed.
    prepare : callable
    warm : bool
        Whether to run it once untimed, right before it is timed. The second processor of a
        virtual machine, idle while others run on one thread, takes a while to wake.
    """

    run: Callable[[], object]
    prepare: Callable[[], None] = _nothing
    warm: bool = False


def thread_counts() -> list[int]:
    """Return 1 and, if there are more processors, their number."""
    return sorted({1, available_processors()})


def rounds_for(nbytes: int, repeat: int, quick: bool) -> int:
    """Return the number of rounds: more for small arrays, whose times scatter more."""
    return repeat if quick else repeat * min(max(SMALL_NBYTES // nbytes, 1), MOST_EXTRA_ROUNDS)


def speed(nbytes: int, seconds: list[float]) -> float:
    """Return MB (1e6 bytes) a second, for the median of the seconds."""
    return nbytes / 1e6 / median(seconds)


def _touch_memory(nbytes: int) -> None:
    """Write to memory and free it.

    A virtual machine may give memory that is free for some seconds back to its host. Who takes
    it next waits for the host, up to ten times as long as for all else.
    """
    np.ones(nbytes, dtype=np.uint8)


def _timed(task: Task, touched: int) -> float:
    """Run a task once and return its seconds."""
    task.prepare()
    _touch_memory(touched)
    time.sleep(SETTLE_SECONDS)
    if task.warm:
        task.run()
    start = time.perf_counter()
    result = task.run()
    seconds = time.perf_counter() - start
    del result
    return seconds


def round_robin(tasks: Sequence[Task], rounds: int, touched: int = 0) -> list[list[float]]:
    """Return the seconds of each task in each round: A, B, C, A, B, C, ...

    Parameters
    ----------
    touched : int
        Bytes of memory to touch before each task, for tasks that make large arrays.
    """
    seconds: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for task, times in zip(tasks, seconds, strict=True):
            times.append(_timed(task, touched))
    return seconds
