"""FlacArray beside flacarray's: making, restoring, slicing, threads, and peak memory."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.apart import run_apart
from benchmarks.compression import WrongDataError, run_case
from benchmarks.contestants import Contestant, FlacarrayFloats, FlacarrayIntegers, thread_counts
from benchmarks.data import Case, noisy_wave
from benchmarks.timing import Task, round_robin
from flaccodec import FlacArray

if TYPE_CHECKING:
    from benchmarks.data import Array
    from benchmarks.results import ArrayResult, SliceOfArray

SAMPLES = 200
QUANTA = 1e-3
SLICE_ROUNDS = 4
"""Slices are read so many times more often than whole arrays."""

NOTES = [
    "Slices are of 200 samples from the middle of every stream, fa[:, n // 2 : n // 2 + 200], and "
    "are not run untimed before.",
    "Slices are decoded on all processors by flaccodec; flacarray's indexing uses one.",
    "flacarray takes no floats without quanta or precision, so both are given quanta.",
]


class Flaccodec(Contestant):
    """Our `FlacArray`."""

    name = "flaccodec"
    takes_quanta = True
    allowed_spacings = 0.5

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(threads)
        self.settings = "FlacArray"
        self._options: dict[str, Any] = {"level": case.level, "quanta": case.quanta}

    def encode(self, array: Array) -> Any:
        return FlacArray.from_array(array, use_threads=self.threads > 1, **self._options)

    def decode(self, encoded: Any) -> Array:
        return np.asarray(encoded.to_array(use_threads=self.threads > 1))

    def nbytes(self, encoded: Any) -> int:
        return int(encoded.nbytes)


def array_cases(quick: bool) -> list[Case]:
    """Return what is measured."""
    long, many, one = (
        ((10, 20_000), (100, 2000), (1, 200_000))
        if quick
        else ((100, 200_000), (10_000, 2000), (1, 10_000_000))
    )
    cases = []
    for dtype in ("float32", "float64"):
        for name, shape in (("long-streams", long), ("many-streams", many)):
            load = partial(noisy_wave, shape, dtype)
            cases.append(Case(f"FlacArray-{dtype}-{name}", load, quanta=QUANTA))
    cases.append(Case("FlacArray-int32-one-stream", partial(noisy_wave, one, np.int32)))
    return cases


def _contestants(case: Case) -> list[Contestant]:
    counts = thread_counts()
    rival = FlacarrayFloats if case.is_quantized else FlacarrayIntegers
    return [*(Flaccodec(case, n) for n in counts), *(rival(case, n) for n in counts)]


def _slice_tasks(case: Case) -> tuple[list[str], list[Task]]:
    start = case.array.shape[1] // 2
    at = slice(None), slice(start, start + SAMPLES)
    names, tasks = [], []
    for contestant in (Flaccodec(case, 2), FlacarrayFloats(case, 2)):
        fa = contestant.encode(case.array)
        allowed = case.stream_quanta + np.spacing(np.abs(case.array).max()) * 4
        if not (np.abs(fa[at] - case.array[at]) <= allowed).all():
            raise WrongDataError(f"{contestant.name} on {case.name}: a slice has other samples")
        names.append(contestant.name)
        tasks.append(Task(partial(fa.__getitem__, at)))
    return names, tasks


def _measure_slices(case: Case, repeat: int) -> list[SliceOfArray]:
    names, tasks = _slice_tasks(case)
    seconds = round_robin(tasks, repeat * SLICE_ROUNDS)
    return [
        {"contestant": name, "seconds": times, "median": median(times)}
        for name, times in zip(names, seconds, strict=True)
    ]


def measure_arrays(name: str, repeat: int, quick: bool) -> ArrayResult:
    """Measure and verify making, restoring and, for floats, slices."""
    case = next(case for case in array_cases(quick) if case.name == name)
    return {
        "case": run_case(case, repeat, quick, _contestants(case)),
        "slices": _measure_slices(case, repeat) if case.is_quantized else [],
    }


def run_arrays(case: Case, repeat: int, quick: bool) -> ArrayResult:
    """Do it in a process of its own."""
    result: ArrayResult = run_apart(measure_arrays, case.name, repeat, quick)
    return result
