"""Datasets written and read by h5py with each filter, and with `flaccodec.hdf5`."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.contestants.hdf5_filters import filters
from benchmarks.data.cases import Case
from benchmarks.data.recordings import recorded_case
from benchmarks.data.selections import SLICE_SAMPLES, middle
from benchmarks.data.signals import QUANTA, noisy_wave
from benchmarks.harness.timing import SLICE_ROUNDS, round_robin, rounds_for, speed
from benchmarks.measures.hdf5.comparisons import compare_hdf5
from benchmarks.measures.hdf5.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contestants.hdf5_filters import Filter
    from benchmarks.harness.timing import Task
    from benchmarks.results import HDF5Entry, HDF5Result

HDF5_CASE = "hdf5-float32-quanta"
"""The case of floats, whose comparisons are made."""

RECORDINGS = ("ecg_100", "eeg_psg")

HDF5_NOTES = [
    "Each write makes a new file. The operating system has the files in memory. Opening and "
    "closing them is in the times.",
    "HDF5 calls filters on one thread, for one chunk after the other. flaccodec's filter uses "
    "all processors for each chunk, which is its default, or one if the table says so.",
    "rdcc_nbytes=0 is h5py without HDF5's cache of chunks, which has 8 MiB by default. The cache "
    "does not help if all chunks are written or read once, in order.",
    "Chunks in a plain file show the codec alone with a file like h5py's: they are coded on one "
    "thread, and written and read one after the other, without HDF5. Chunks in memory are coded "
    "on one thread, too. HDF5's copy is the copy of each chunk's samples that HDF5 makes for any "
    "filter.",
    "SZ3 and ZFP get half of the quanta as the largest error. Lossless filters get data already "
    "rounded to the quanta. SZ3 is timed once, since it takes long.",
]


def hdf5_cases(quick: bool, data: Path) -> list[Case]:
    """Return what is stored."""
    shape = (40, 20_000) if quick else (1000, 100_000)
    floats = Case(HDF5_CASE, partial(noisy_wave, shape, np.float32), quanta=QUANTA)
    return [floats, *(recorded_case(f"hdf5-{name}", data, name) for name in RECORDINGS)]


def _entry(
    stored: Stored, entry: Filter, error: float, seconds: tuple[list[float], ...]
) -> HDF5Entry:
    write, read, part = seconds
    nbytes, array_nbytes = stored.nbytes(entry), stored.case.array.nbytes
    return {
        "contestant": entry.name,
        "settings": entry.settings,
        "threads": entry.threads,
        "nbytes": nbytes,
        "ratio": array_nbytes / nbytes,
        "max_error": error,
        "write_seconds": write,
        "read_seconds": read,
        "slice_seconds": part,
        "write_speed": speed(array_nbytes, write),
        "read_speed": speed(array_nbytes, read),
        "slice_median": median(part),
    }


def _seconds(
    entries: list[Filter], task_of: Callable[[Filter], Task], rounds: int, touched: int
) -> list[list[float]]:
    """Time each filter in turns, and then the slow ones once."""
    taken: dict[str, list[float]] = {}
    for is_slow, n in ((False, rounds), (True, 1)):
        those = [entry for entry in entries if entry.is_slow == is_slow]
        seconds = round_robin([task_of(entry) for entry in those], n, touched)
        taken |= {repr(entry): s for entry, s in zip(those, seconds, strict=True)}
    return [taken[repr(entry)] for entry in entries]


def run_hdf5(case: Case, repeat: int, quick: bool) -> HDF5Result:
    """Measure and verify all filters on one case."""
    entries = filters(case)
    rounds = rounds_for(case.array.nbytes, repeat, quick)
    with tempfile.TemporaryDirectory() as folder:
        stored = Stored(case, Path(folder))
        for entry in entries:
            stored.write(entry)
        errors = [stored.verify(entry) for entry in entries]
        at = middle(case.array)
        touched = 2 * case.array.nbytes
        write = _seconds(entries, stored.write_task, rounds, touched)
        read = _seconds(entries, stored.read_task, rounds, touched)
        part = _seconds(entries, partial(stored.read_task, selection=at), rounds * SLICE_ROUNDS, 0)
        seconds = zip(write, read, part, strict=True)
        return {
            "name": case.name,
            "title": case.title,
            "dtype": str(case.array.dtype),
            "shape": list(case.array.shape),
            "chunks": list(stored.chunks),
            "nbytes": case.array.nbytes,
            "samples": SLICE_SAMPLES,
            "notes": HDF5_NOTES,
            "entries": [
                _entry(stored, *columns) for columns in zip(entries, errors, seconds, strict=True)
            ],
            "times": compare_hdf5(stored, entries, rounds) if case.name == HDF5_CASE else [],
        }
