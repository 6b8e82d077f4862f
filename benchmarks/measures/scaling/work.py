"""What each worker does: it writes its rows of a Zarr array, reads them, and verifies them.

Workers are threads, processes of dask or MPI ranks. Such processes import this module.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import numpy as np
import zarr

import flaccodec
from benchmarks.data.signals import QUANTA, noisy_wave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.data.signals import Array

SHIFTS = 1009
"""Blocks are cut from one generated piece, which has this many places where a block can begin."""

STRIDE = 97
"""Samples from one block's place to the next one's, modulo SHIFTS."""

Pair = tuple[int, int]


class ScaleError(AssertionError):
    """Other samples were read than written, or mpirun failed."""


class Seconds(TypedDict):
    """Seconds of one worker, or of the slowest of several."""

    write: float
    read: float


@lru_cache(maxsize=1)
def _piece(block: Pair, dtype: str) -> Array:
    rows, samples = block
    return noisy_wave((rows, samples + SHIFTS), dtype)


@dataclass(frozen=True)
class Work:
    """An array in a file system. Each worker has some of its rows.

    Attributes
    ----------
    block : (int, int)
        The shape of what is written or read at a time: whole chunks of one worker.
    """

    path: str
    dtype: str
    shape: Pair
    chunk: Pair
    block: Pair

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Work:
        """Return the work of these fields, whose tuples may have become lists."""
        fixed: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        return cls(**fixed)

    @property
    def nbytes(self) -> int:
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    @property
    def quanta(self) -> float | None:
        return QUANTA if np.dtype(self.dtype).kind == "f" else None

    def generate(self, number: int) -> Array:
        """Return a block as a view, so that arrays larger than memory can be written."""
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
        """Yield number and place of each block of a worker."""
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
        """Raise ScaleError if this is not the block of this number, within its quanta."""
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
    """Make zarr code one chunk after the other, so that each worker codes on one thread.

    This is for the whole process, and ends with the context.
    """
    return zarr.config.set({"async.concurrency": 1})


def run_share(work: Work, worker: int, n_workers: int, meet: Callable[[], object]) -> Seconds:
    """Write and read the blocks of a worker, and verify them untimed.

    Parameters
    ----------
    meet : callable
        Returns when all workers have called it.
    """
    array: Any = zarr.open_array(work.path, mode="r+")
    blocks = list(work.blocks(worker, n_workers))
    work.generate(0)  # generates the piece untimed

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
    """Load the code that the first chunk needs, and start zarr's threads."""
    array: Any = flaccodec.create_array({}, shape=(2, 8192), chunks=(1, 8192), dtype="int32")
    array[:] = noisy_wave((2, 8192), np.int32)
    array[:]


class Barrier(Protocol):
    """A barrier of `threading`, or one of `multiprocessing` between processes."""

    def wait(self) -> int: ...

    def abort(self) -> None: ...


def run_with_others(
    works: list[Work], worker: int, n_workers: int, barrier: Barrier
) -> list[Seconds]:
    """Do a worker's part of all works. If it fails, the others do not wait for it."""
    try:
        return [run_share(work, worker, n_workers, barrier.wait) for work in works]
    except Exception:
        barrier.abort()
        raise


def run_in_process(
    works: list[Work], worker: int, n_workers: int, barrier: Barrier
) -> list[Seconds]:
    """Do a worker's part in a process of its own."""
    warm_up()
    with one_chunk_at_a_time():
        return run_with_others(works, worker, n_workers, barrier)


def run_rank(works: list[dict[str, Any]], seconds_file: str) -> None:
    """Do the part of an MPI rank. Rank 0 writes the seconds of all ranks as JSON.

    Parameters
    ----------
    works : list of dict
        The fields of each `Work`, as JSON gives them back.
    """
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    shared = [Work.from_fields(fields) for fields in works]
    warm_up()
    with one_chunk_at_a_time():
        seconds = [run_share(work, comm.rank, comm.size, comm.Barrier) for work in shared]
    gathered = comm.gather(seconds)
    if gathered is not None:
        Path(seconds_file).write_text(json.dumps(gathered))
