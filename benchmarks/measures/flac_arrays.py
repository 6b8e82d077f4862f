"""`FlacArray` of flaccodec and of flacarray: making, restoring, slices of every stream."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.contestants.codecs import FlacarrayFloats, OurFlacArrays
from benchmarks.contestants.entries import flac_array_entries
from benchmarks.data.cases import Case
from benchmarks.data.selections import middle_samples
from benchmarks.data.signals import QUANTA, noisy_wave
from benchmarks.harness.checks import WrongDataError
from benchmarks.harness.processes import run_apart
from benchmarks.harness.timing import SLICE_ROUNDS, Task, round_robin
from benchmarks.measures.compression import run_entries

if TYPE_CHECKING:
    from benchmarks.results import ArrayResult, SliceOfArray

FLAC_ARRAY_NOTES = [
    "Slices are 200 samples from the middle of every stream, fa[:, n // 2 : n // 2 + 200]. They "
    "do not run untimed before.",
    "flaccodec decodes slices on all processors; flacarray's indexing uses one.",
    "flacarray takes no floats without quanta or precision, so both get quanta.",
]


def flac_array_cases(quick: bool) -> list[Case]:
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


def _slice_tasks(case: Case) -> tuple[list[str], list[Task]]:
    at = slice(None), middle_samples(case.array)
    allowed = case.stream_quanta + np.spacing(np.abs(case.array).max()) * 4
    names, tasks = [], []
    for contestant in (OurFlacArrays(case, 2), FlacarrayFloats(case, 2)):
        fa = contestant.encode(case.array)
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


def measure_flac_arrays(name: str, repeat: int, quick: bool) -> ArrayResult:
    """Measure and verify making, restoring and, for floats, slices."""
    case = next(case for case in flac_array_cases(quick) if case.name == name)
    return {
        "case": run_entries(case, repeat, quick, flac_array_entries(case)),
        "slices": _measure_slices(case, repeat) if case.is_quantized else [],
    }


def run_flac_arrays(case: Case, repeat: int, quick: bool) -> ArrayResult:
    """Do the same in a process of its own."""
    result: ArrayResult = run_apart(measure_flac_arrays, case.name, repeat, quick)
    return result
