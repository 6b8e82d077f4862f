"""The chunks of a stored case, encoded and decoded on one thread without HDF5.

The shape of the array must be a multiple of the shape of its chunks.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.harness.checks import WrongDataError
from benchmarks.harness.timing import Task
from flaccodec import core
from flaccodec.chunks.options import CodecOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.data.signals import Array
    from benchmarks.measures.hdf5.stored import Stored

PLAIN = "plain.flac"


class CodecAlone:
    """Encodes and decodes the chunks of a stored case."""

    def __init__(self, stored: Stored) -> None:
        self._case = stored.case
        self._chunks = stored.chunks
        self._path = stored.folder / PLAIN

    def _places(self) -> list[tuple[slice, ...]]:
        (n, size), (rows, width) = self._case.array.shape, self._chunks
        return [
            (slice(i, i + rows), slice(j, j + width))
            for i in range(0, n, rows)
            for j in range(0, size, width)
        ]

    def _room(self) -> Array:
        return np.empty(self._chunks, dtype=self._case.array.dtype)

    def _encoded(self, copied: bool = False) -> Iterator[Array]:
        options, room = CodecOptions(level=self._case.level, quanta=self._case.quanta), self._room()
        for at in self._places():
            if copied:
                room[...] = self._case.array[at]
            yield options.encode(room if copied else self._case.array[at])

    def _decoded(self, chunks: Iterable[Array], copied: bool = False) -> Array:
        """Decode to a new array, as h5py does."""
        out, room = np.empty_like(self._case.array), self._room()
        for at, chunk in zip(self._places(), chunks, strict=True):
            core.decode_chunk(chunk, room if copied else out[at])
            if copied:
                out[at] = room
        return out

    def memory_tasks(self) -> list[Task]:
        """Return tasks that encode all chunks, and decode them, in memory."""
        chunks = list(self._encoded())
        return [Task(lambda: deque(self._encoded(), 0)), Task(lambda: self._decoded(chunks))]

    def file_tasks(self, copied: bool) -> list[Task]:
        """Return tasks that encode to, and decode from, a file of chunks and nothing else.

        Parameters
        ----------
        copied : bool
            Whether to copy samples, too, as HDF5 copies them for any filter.
        """
        sizes = [len(chunk) for chunk in self._encoded()]

        def write() -> None:
            with self._path.open("wb", buffering=0) as file:
                for chunk in self._encoded(copied):
                    file.write(chunk.data)

        def chunks() -> Iterator[Array]:
            room = np.empty(max(sizes), dtype=np.uint8)
            with self._path.open("rb", buffering=0) as file:
                for size in sizes:
                    if file.readinto(room[:size].data) != size:
                        raise WrongDataError(f"{PLAIN} of {self._case.name}: cut short")
                    yield room[:size]

        write()
        return [
            Task(write, partial(self._path.unlink, missing_ok=True)),
            Task(lambda: self._decoded(chunks(), copied)),
        ]
