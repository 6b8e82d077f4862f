"""What differs between groups in HDF5 and in Zarr, and streams whose rows lie on ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from flaccodec.groups.layout import (
    COMPRESSED,
    WRITTEN_VERSION,
    flac_channels,
)
from flaccodec.mpi.distribution import (
    n_streams,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

    from flaccodec.mpi.distribution import Ranges

    Read = Callable[
        [npt.NDArray[np.int64], npt.NDArray[np.int64]], list[tuple[int, npt.NDArray[np.uint8]]]
    ]
    """Reads ranges of bytes, of starts and stops; `zarr.groups.ranges.read_ranges` explains."""


PIECE_BYTES = 2**26
"""Bytes that rank 0 holds of the others' at once."""


@dataclass(frozen=True)
class SpreadTable:
    """A dataset of a group, whose rows lie on ranks.

    Attributes
    ----------
    shape, dtype
        Of the dataset.
    ranges : list of (int, int)
        The first row of each rank, and that after its last.
    local : ndarray
        This rank's rows.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    ranges: Ranges
    local: npt.NDArray[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def step(self, multiple: int = 1) -> int:
        """Return how many rows, a multiple of some, make a piece."""
        return max(1, PIECE_BYTES // (self.row_bytes * multiple)) * multiple

    def rows(self, rank: int, first: int, stop: int) -> npt.NDArray[Any]:
        """Return rows that a rank, this one, holds."""
        begin = self.ranges[rank][0]
        return self.local[first - begin : stop - begin]

    def holders(self, first: int, stop: int) -> list[tuple[int, int, int]]:
        """Return who holds rows: (rank, first row, row after the last) of each part."""
        parts = [(r, max(first, a), min(stop, b)) for r, (a, b) in enumerate(self.ranges)]
        return [part for part in parts if part[1] < part[2]]


@dataclass(frozen=True)
class SpreadStreams:
    """The streams of an array on all ranks, as `write_group` wants them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    tables: Mapping[str, SpreadTable]
    extras: Mapping[str, Any]
    format_version: int = WRITTEN_VERSION

    stream_starts = property(lambda self: self.tables.get("stream_starts"))
    stream_nbytes = property(lambda self: self.tables.get("stream_bytes"))
    stream_offsets = property(lambda self: self.tables.get("stream_offsets"))
    stream_gains = property(lambda self: self.tables.get("stream_gains"))
    stream_quanta = property(lambda self: self.tables.get("stream_quanta"))
    compressed = property(lambda self: self.tables[COMPRESSED])
    stream_size = property(lambda self: self.shape[-1])
    n_streams = property(lambda self: n_streams(self.shape))
    n_channels = property(lambda self: flac_channels(self.dtype))


class Door(Protocol):
    """What differs between HDF5 and Zarr."""

    def place(self, group: Any) -> str:
        """Return what to call a group in messages; raises TypeError for what is none."""

    def to_write(self, group: Any) -> Any:
        """Return the group as it is written to."""

    def to_read(self, group: Any) -> Any:
        """Return the group as it is read."""

    def ranges(self, dataset: Any) -> Read | None:
        """Return what reads ranges of bytes of a dataset; None where all of a chunk is read."""

    def stored_bytes(self, dataset: Any) -> int:
        """Return how many bytes of a dataset are stored, or may be where that cannot be told.

        Of chunks that are stored with filters, the bytes that they hold without.
        """

    def all_can_write(self, group: Any) -> bool:
        """Whether ranks that all have this group can write to it at once."""

    def is_of_all(self, group: Any) -> bool:
        """Whether no rank can write to this group unless all have it."""

    def create(self, group: Any, name: str, table: SpreadTable) -> Any:
        """Create a dataset without data."""

    def rows_together(self, dataset: Any) -> int:
        """Return how many rows are best written at once, and by one rank."""

    def write_by_all(self, group: Any, place: str, comm: Any, streams: SpreadStreams) -> None:
        """Have all ranks write."""

    def first_writes_alone(self) -> None:
        """Note that rank 0 is going to write what others send."""
