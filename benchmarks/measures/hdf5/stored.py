"""A case in HDF5 files, one for each filter."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import zarr

from benchmarks.data.selections import middle
from benchmarks.harness.checks import WrongDataError, largest_error
from benchmarks.harness.timing import Task
from flaccodec import hdf5, num_threads
from flaccodec.hdf5.as_zarr.arrays import create_like
from flaccodec.hdf5.chunks.stored import FlacChunks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.contestants.hdf5_filters import Filter
    from benchmarks.data.cases import Case

CHUNK_SAMPLES = 2**20
MOST_STREAM_SAMPLES = 100_000
BLOCK_STREAMS = 50
COPIED, AGAIN = "copied.zarr", "again.zarr"


def chunk_shape(shape: tuple[int, int], samples: int) -> tuple[int, int]:
    """Return the shape of chunks of at most this many samples, or of one stream."""
    width = min(shape[1], MOST_STREAM_SAMPLES)
    return min(shape[0], max(1, samples // width)), width


def _blocks(case: Case) -> Iterator[tuple[slice, Case]]:
    """Yield some streams at a time: all of them in float64 would take much memory."""
    for first in range(0, len(case.array), BLOCK_STREAMS):
        rows = slice(first, first + BLOCK_STREAMS)
        yield rows, replace(case, load=partial(case.array.__getitem__, rows))


class Stored:
    """A case in HDF5 files, one for each filter."""

    def __init__(self, case: Case, folder: Path, chunk_samples: int = CHUNK_SAMPLES) -> None:
        self.case = case
        self.folder = folder
        self.chunks = chunk_shape(case.array.shape, chunk_samples)
        self._rounded = case.array
        if case.quanta is not None:
            self._rounded = np.empty_like(case.array)
            for rows, block in _blocks(case):
                self._rounded[rows] = block.rounded

    def _path(self, entry: Filter) -> Path:
        return self.folder / f"{entry.name}-{entry.threads}.h5"

    def write(self, entry: Filter, chunk_cache: int | None = None) -> None:
        given = self.case.array if entry.takes_quanta else self._rounded
        path = self._path(entry)
        with num_threads(entry.threads), h5py.File(path, "w", rdcc_nbytes=chunk_cache) as file:
            x = file.create_dataset(
                "x", given.shape, given.dtype, chunks=self.chunks, **entry.options
            )
            if entry.is_direct:
                hdf5.write(x, given)
            else:
                x[...] = given

    def read(self, entry: Filter, selection: Any = (), chunk_cache: int | None = None) -> Any:
        path = self._path(entry)
        with num_threads(entry.threads), h5py.File(path, rdcc_nbytes=chunk_cache) as file:
            return hdf5.read(file["x"], selection) if entry.is_direct else file["x"][selection]

    def write_task(self, entry: Filter, chunk_cache: int | None = None) -> Task:
        """Return the task that writes a new file.

        The old one is removed untimed, since freeing its memory takes time.
        """
        remove = partial(self._path(entry).unlink, missing_ok=True)
        return Task(partial(self.write, entry, chunk_cache), remove)

    def read_task(self, entry: Filter, selection: Any = (), chunk_cache: int | None = None) -> Task:
        return Task(partial(self.read, entry, selection, chunk_cache))

    def nbytes(self, entry: Filter) -> int:
        with h5py.File(self._path(entry)) as file:
            return int(file["x"].id.get_storage_size())

    def verify(self, entry: Filter) -> float:
        """Return the largest error, after checking that it is allowed."""
        got = self.read(entry)
        at = middle(got)
        if not np.array_equal(self.read(entry, at), got[at]):
            raise WrongDataError(f"{entry.name} on {self.case.name}: a slice differs")
        return max(largest_error(block, entry, got[rows]) for rows, block in _blocks(self.case))

    # -- to Zarr ----------------------------------------------------------------------------

    def copy(self, entry: Filter) -> None:
        with h5py.File(self._path(entry)) as file:
            hdf5.to_zarr(file["x"], self.folder / COPIED)

    def read_and_write_again(self, entry: Filter) -> None:
        with h5py.File(self._path(entry)) as file:
            samples = file["x"][...]
            chunks = FlacChunks.need(file["x"])
            array = create_like(chunks, self.folder / AGAIN)
            array[...] = samples

    def remove_copies(self) -> None:
        for name in (COPIED, AGAIN):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def verify_copies(self, entry: Filter) -> None:
        self.copy(entry)
        self.read_and_write_again(entry)
        wanted = self.read(entry)
        for name in (COPIED, AGAIN):
            if not np.array_equal(zarr.open_array(self.folder / name, mode="r")[...], wanted):
                raise WrongDataError(f"{name} of {self.case.name}: samples differ")
