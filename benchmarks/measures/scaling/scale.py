"""Speed for several numbers of workers, sizes of the array and sizes of its chunks."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from benchmarks.data.selections import SLICE_SAMPLES, middle
from benchmarks.harness.timing import speed
from benchmarks.measures.scaling.work import ScaleError, Work
from benchmarks.measures.scaling.workers import KINDS, missing, run_threads
from benchmarks.measures.slices import forget_indexes, index_nbytes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measures.scaling.work import Pair, Seconds
    from benchmarks.results import ChunkSizeResult, ScaleResult, SizeResult, Times, WorkersResult

DTYPES = ("float32", "int32")
WORKERS = (1, 2)

CHUNK = (5, 62_500)
COLUMN = (10, 62_500)
"""2.5 MB: two chunks one above the other, one for each of two workers."""

SIZES = (10, 40, 100, 400, 1000, 4000)
QUICK_SIZES = (2.5, 10)
"""In MB; each is a number of whole columns."""

WORKERS_SIZE = 200
QUICK_WORKERS_SIZE = 5

CHUNK_STEPS = 6
QUICK_CHUNK_STEPS = 3
LARGEST_CHUNKS = 4
SLICES_PER_ARRAY = 9

SPARE = 1.1
"""Free space that an array needs, in sizes of the array."""

SCALE_NOTES = [
    "MB are 1e6 bytes of the array. The arrays are Zarr arrays in files, of noise on a slow "
    f"wave, with FlacCodec() or, for float32, FlacCodec(quanta=0.001). Chunks have {CHUNK} "
    "samples unless the table says otherwise.",
    "Each worker codes one chunk after the other, on one thread. Its start is not in the times: "
    "all workers wait for each other, and the time of the slowest from then on counts.",
    "Writing may end before the files reach the disk. They are read from the operating "
    "system's memory if they fit there. All samples were read once more and compared.",
]


def lack_of_space(folder: Path, nbytes: int) -> str | None:
    """Return why an array of this size cannot be written to a folder, or None if it can."""
    free = shutil.disk_usage(folder).free
    if free >= SPARE * nbytes:
        return None
    return f"it needs {SPARE * nbytes / 1e6:,.0f} MB of disk, {free / 1e6:,.0f} MB are free"


class Scale:
    """Measurements of arrays in a folder of the disk that is measured.

    Parameters
    ----------
    largest : float
        Larger arrays are skipped; in MB.
    skip : callable
        Is called with the name of what is skipped, and the reason.
    """

    def __init__(
        self,
        folder: Path,
        repeat: int,
        quick: bool,
        largest: float,
        skip: Callable[[str, str], None],
    ) -> None:
        self._folder = folder
        self._repeat = repeat
        self._quick = quick
        self._largest = largest
        self._skip = skip
        self._n_arrays = 0

    def _make(self, dtype: str, shape: Pair, chunk: Pair, block: Pair) -> Work:
        self._n_arrays += 1
        work = Work(str(self._folder / f"{self._n_arrays}.zarr"), dtype, shape, chunk, block)
        work.create()
        return work

    def _make_columns(self, dtype: str, megabytes: float) -> Work:
        shape = (COLUMN[0], COLUMN[1] * round(megabytes * 1e6 / (4 * COLUMN[0] * COLUMN[1])))
        return self._make(dtype, shape, CHUNK, CHUNK)

    def _is_too_large(self, name: str, megabytes: float) -> bool:
        reason = (
            f"{megabytes:,.0f} MB are more than --largest"
            if megabytes > self._largest
            else lack_of_space(self._folder, int(megabytes * 1e6))
        )
        if reason is not None:
            self._skip(name, reason)
        return reason is not None

    def measure_workers(self) -> list[WorkersResult]:
        """Measure one and two workers of each kind, in turns."""
        megabytes = QUICK_WORKERS_SIZE if self._quick else WORKERS_SIZE
        if self._is_too_large("workers", len(DTYPES) * megabytes):
            return []
        lacks = {kind: missing(kind) for kind in KINDS}
        for kind, lack in lacks.items():
            if lack is not None:
                self._skip(kind, lack)
        crews = [(kind, n) for kind, lack in lacks.items() if lack is None for n in WORKERS]
        seconds: dict[tuple[str, str, int], list[Seconds]] = defaultdict(list)
        for _ in range(self._repeat):
            for kind, n_workers in crews:
                works = [self._make_columns(dtype, megabytes) for dtype in DTYPES]
                for work, result in zip(works, KINDS[kind](works, n_workers), strict=True):
                    seconds[work.dtype, kind, n_workers].append(result)
                    shutil.rmtree(work.path)
        nbytes = round(megabytes * 1e6)
        return [
            _workers_result(dtype, kind, n_workers, nbytes, seconds)
            for dtype in DTYPES
            for kind, n_workers in crews
        ]

    def measure_sizes(self) -> list[SizeResult]:
        """Measure one worker on arrays of all sizes, in turns."""
        sizes = [
            size
            for size in (QUICK_SIZES if self._quick else SIZES)
            if not self._is_too_large(f"{size:g} MB", size)
        ]
        cases = [(dtype, size) for dtype in DTYPES for size in sizes]
        seconds: dict[tuple[str, float], list[Seconds]] = defaultdict(list)
        for _ in range(self._repeat):
            for dtype, size in cases:
                work = self._make_columns(dtype, size)
                seconds[dtype, size] += run_threads([work], 1)
                shutil.rmtree(work.path)
        return [
            {"dtype": dtype, **_times(round(size * 1e6), seconds[dtype, size])}
            for dtype, size in cases
        ]

    def measure_chunks(self) -> list[ChunkSizeResult]:
        """Measure one worker on arrays of small to large chunks, in turns."""
        chunks = chunk_shapes(self._quick)
        block = chunks[-1]
        shape = (block[0], LARGEST_CHUNKS * block[1])
        if self._is_too_large("chunks", 4 * shape[0] * shape[1] / 1e6):
            return []
        cases = [(dtype, chunk) for dtype in DTYPES for chunk in chunks]
        rounds: dict[tuple[str, Pair], list[ChunkRound]] = defaultdict(list)
        for _ in range(self._repeat):
            for dtype, chunk in cases:
                work = self._make(dtype, shape, chunk, block)
                (seconds,) = run_threads([work], 1)
                rounds[dtype, chunk].append(ChunkRound(work, seconds))
                shutil.rmtree(work.path)
        return [_chunk_result(dtype, chunk, rounds[dtype, chunk]) for dtype, chunk in cases]

    def measure(self) -> ScaleResult:
        """Measure all of it."""
        return {
            "workers": self.measure_workers(),
            "sizes": self.measure_sizes(),
            "chunks": self.measure_chunks(),
        }


def chunk_shapes(quick: bool) -> list[Pair]:
    """Return shapes of 64 KiB to 64 MiB, each four times as large as the one before."""
    steps = QUICK_CHUNK_STEPS if quick else CHUNK_STEPS
    return [(2**n, 2 ** (14 + n)) for n in range(steps)]


class ChunkRound:
    """Seconds and sizes of an array that was just written and read."""

    def __init__(self, work: Work, seconds: Seconds) -> None:
        self.nbytes = work.nbytes
        self.seconds = seconds
        self.slice_seconds = _slice_seconds(work)
        files = [path for path in (Path(work.path) / "c").rglob("*") if path.is_file()]
        self.ratio = work.nbytes / sum(path.stat().st_size for path in files)
        self.index_nbytes = index_nbytes_of(files[0])


def _slice_seconds(work: Work) -> list[float]:
    array: Any = zarr.open_array(work.path, mode="r")
    row, samples = middle(array)
    seconds = []
    for _ in range(SLICES_PER_ARRAY):
        forget_indexes()
        start = time.perf_counter()
        got = array[row, samples]
        seconds.append(time.perf_counter() - start)
    if not np.array_equal(got, array[row, :][samples]):
        raise ScaleError(f"a slice of {SLICE_SAMPLES} samples of {work.path} differs")
    return seconds


def _times(nbytes: int, seconds: list[Seconds]) -> Times:
    write, read = [s["write"] for s in seconds], [s["read"] for s in seconds]
    return {
        "nbytes": nbytes,
        "write_seconds": write,
        "read_seconds": read,
        "write_speed": speed(nbytes, write),
        "read_speed": speed(nbytes, read),
    }


def _workers_result(
    dtype: str,
    kind: str,
    n_workers: int,
    nbytes: int,
    seconds: dict[tuple[str, str, int], list[Seconds]],
) -> WorkersResult:
    times = _times(nbytes, seconds[dtype, kind, n_workers])
    one = _times(nbytes, seconds[dtype, kind, WORKERS[0]])
    return {
        "kind": kind,
        "workers": n_workers,
        "dtype": dtype,
        **times,
        "write_vs_one": times["write_speed"] / one["write_speed"],
        "read_vs_one": times["read_speed"] / one["read_speed"],
    }


def _chunk_result(dtype: str, chunk: Pair, rounds: list[ChunkRound]) -> ChunkSizeResult:
    nbytes = rounds[0].nbytes
    slices = [seconds for entry in rounds for seconds in entry.slice_seconds]
    return {
        "dtype": dtype,
        "chunk": list(chunk),
        "chunk_nbytes": 4 * chunk[0] * chunk[1],
        **_times(nbytes, [entry.seconds for entry in rounds]),
        "slice_seconds": slices,
        "slice_median": median(slices),
        "ratio": rounds[0].ratio,
        "index_nbytes": rounds[0].index_nbytes,
    }


def run_scale(
    folder: Path | None,
    repeat: int,
    quick: bool,
    largest: float,
    skip: Callable[[str, str], None],
) -> ScaleResult:
    """Measure in a temporary folder within `folder`; see `Scale` for the rest."""
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        return Scale(Path(directory), repeat, quick, largest, skip).measure()
