"""Timing contestants in turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SETTLE_SECONDS = 0.005
"""OpenMP's and Blosc's threads spin for some milliseconds after their work is done."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Task:
    """What is timed, and what is done untimed right before."""

    run: Callable[[], object]
    prepare: Callable[[], None] = _nothing


def timed(task: Task) -> float:
    """Run a task once and return its seconds; what it returns is freed untimed."""
    task.prepare()
    time.sleep(SETTLE_SECONDS)
    start = time.perf_counter()
    result = task.run()
    seconds = time.perf_counter() - start
    del result
    return seconds


def round_robin(tasks: Sequence[Task], rounds: int) -> list[list[float]]:
    """Return the seconds of each task in each round: A, B, C, A, B, C, ..."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for task, times in zip(tasks, seconds, strict=True):
            times.append(timed(task))
    return seconds
