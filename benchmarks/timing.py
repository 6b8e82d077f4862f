"""Timing contestants in turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SETTLE_SECONDS = 0.005
"""flacarray's OpenMP threads and Blosc's spin for some milliseconds after their work is done."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Task:
    """What is timed, and what is done untimed before.

    Attributes
    ----------
    run : callable
        Returns what is freed untimed.
    prepare : callable
    warm : bool
        Whether to run it once untimed, right before it is timed: a virtual machine's second
        processor, idle while others run on one thread, takes a while to wake.
    """

    run: Callable[[], object]
    prepare: Callable[[], None] = _nothing
    warm: bool = False


def touch_memory(nbytes: int) -> None:
    """Write to memory and free it.

    A virtual machine may give memory that is free for some seconds back to its host; whoever
    takes it next waits for the host, up to ten times as long as for all else.
    """
    np.ones(nbytes, dtype=np.uint8)


def timed(task: Task, touched: int = 0) -> float:
    """Run a task once and return its seconds; what it returns is freed untimed."""
    task.prepare()
    touch_memory(touched)
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

    Before each, `touched` bytes of memory are touched, for those that make large arrays.
    """
    seconds: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for task, times in zip(tasks, seconds, strict=True):
            times.append(timed(task, touched))
    return seconds
