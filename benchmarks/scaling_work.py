"""What each worker does: write its rows of a Zarr array, read them, and verify them.

Workers are threads, dask's processes or MPI ranks; this module is what such a process imports.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import zarr

import flaccodec
from benchmarks.data import FLOAT_SCALE, noisy_wave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.data import Array

SHIFTS = 1009
"""Blocks are cut from one generated piece, each from its own place of so many."""

STRIDE = 97
"""Samples from one block's place to the next one's, modulo SHIFTS."""

MEETING_SECONDS = 600
MEETING_POLL_SECONDS = 0.001

Pair = tuple[int, int]


class ScaleError(AssertionError):
    """What was read is not what was written, or a worker did not come."""


class Seconds(TypedDict):
    """Of one worker, or of the slowest of several."""

    write: float
    read: float


@lru_cache(maxsize=1)
def _piece(block: Pair, dtype: str) -> Array:
    rows, samples = block
    return noisy_wave((rows, samples + SHIFTS), dtype)


@dataclass(frozen=True)
class Work:
    """An array in a file system, of which each worker has some rows.

    Attributes
    ----------
    block : (int, int)
        What is given to zarr at a time: whole chunks, all of whose rows are one worker's.
    """

    path: str
    dtype: str
    shape: Pair
    chunk: Pair
    block: Pair

    @property
    def nbytes(self) -> int:
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    @property
    def quanta(self) -> float | None:
        return FLOAT_SCALE if np.dtype(self.dtype).kind == "f" else None

    def generate(self, number: int) -> Array:
        """Return a block: a view, so that arrays larger than memory can be written."""
        start = STRIDE * number % SHIFTS
        return _piece(self.block, self.dtype)[:, start : start + self.block[1]]

    def create(self) -> None:
        """Create the array, without any chunk."""
        flaccodec.create_array(
            self.path,
            shape=self.shape,
            chunks=self.chunk,
            dtype=self.dtype,
            codecs=[flaccodec.FlacCodec(quanta=self.quanta)],
        )

    def blocks(self, worker: int, n_workers: int) -> Iterator[tuple[int, tuple[slice, slice]]]:
        """Yield the number and the place of each of a worker's blocks."""
        per_column, n_columns = (
            size // block for size, block in zip(self.shape, self.block, strict=True)
        )
        first, last = (per_column * n // n_workers for n in (worker, worker + 1))
        rows, samples = self.block
        for column in range(n_columns):
            for row in range(first, last):
                across = slice(row * rows, (row + 1) * rows)
                along = slice(column * samples, (column + 1) * samples)
                yield column * per_column + row, (across, along)

    def check(self, number: int, got: Array) -> None:
        """Raise ScaleError unless this is the block of that number, within its quanta."""
        expected = self.generate(number)
        if self.quanta is None:
            right = np.array_equal(got, expected)
        else:
            most = self.quanta / 2 + float(np.spacing(np.abs(expected).max()))
            right = got.shape == expected.shape and float(np.abs(got - expected).max()) <= most
        if not right:
            raise ScaleError(
                f"block {number} of {self.path}, {self.dtype}: other samples were read than written"
            )


def one_chunk_at_a_time() -> Any:
    """Have zarr code one chunk after the other, so that each worker codes on one thread.

    It holds for the process; as a context manager, until its end.
    """
    return zarr.config.set({"async.concurrency": 1})


def run_share(work: Work, worker: int, n_workers: int, meet: Callable[[], object]) -> Seconds:
    """Write and read a worker's blocks, and verify them untimed.

    Parameters
    ----------
    meet : callable
        Returns when all workers have called it.
    """
    array: Any = zarr.open_array(work.path, mode="r+")
    blocks = list(work.blocks(worker, n_workers))
    work.generate(0)  # from here on a view

    def write() -> None:
        for number, place in blocks:
            array[place] = work.generate(number)

    def read() -> None:
        for _, place in blocks:
            array[place]

    def timed(run: Callable[[], None]) -> float:
        meet()
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    seconds: Seconds = {"write": timed(write), "read": timed(read)}
    meet()
    for number, place in blocks:
        work.check(number, array[place])
    return seconds


def warm_up() -> None:
    """Load what the first chunk would load, and start zarr's threads."""
    array: Any = flaccodec.create_array({}, shape=(2, 8192), chunks=(1, 8192), dtype="int32")
    array[:] = noisy_wave((2, 8192), np.int32)
    array[:]


class Folder:
    """A meeting place of processes on one machine: a folder where each leaves a file."""

    def __init__(self, path: str, worker: int, n_workers: int) -> None:
        self._path = Path(path)
        self._worker = worker
        self._n_workers = n_workers
        self._meetings = 0

    def meet(self) -> None:
        self._meetings += 1
        here = f"{self._meetings}-"
        (self._path / f"{here}{self._worker}").touch()
        latest = time.monotonic() + MEETING_SECONDS
        while len(list(self._path.glob(f"{here}*"))) < self._n_workers:
            if time.monotonic() > latest:
                raise ScaleError(f"worker {self._worker} waited in vain for the others")
            time.sleep(MEETING_POLL_SECONDS)


def run_in_dask(works: list[Work], worker: int, n_workers: int, folder: str) -> list[Seconds]:
    """Do a worker's part in a process of dask's."""
    warm_up()
    meet = Folder(folder, worker, n_workers).meet
    with one_chunk_at_a_time():
        return [run_share(work, worker, n_workers, meet) for work in works]


def main(works_file: str, seconds_file: str) -> None:
    """Do an MPI rank's part; rank 0 writes the seconds of all ranks."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    works = load_works(Path(works_file))
    warm_up()
    with one_chunk_at_a_time():
        seconds = [run_share(work, comm.rank, comm.size, comm.Barrier) for work in works]
    gathered = comm.gather(seconds)
    if gathered is not None:
        Path(seconds_file).write_text(json.dumps(gathered))


def save_works(works: list[Work], path: Path) -> None:
    """Write works for `load_works` in another process."""
    path.write_text(json.dumps([dataclasses.asdict(work) for work in works]))


def load_works(path: Path) -> list[Work]:
    """Read what `save_works` wrote."""
    return [
        Work(e["path"], e["dtype"], tuple(e["shape"]), tuple(e["chunk"]), tuple(e["block"]))
        for e in json.loads(path.read_text())
    ]
