"""How the rows of an array, along its leading axis, lie on MPI ranks.

Communicators are those of mpi4py; nothing here imports it.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flaccodec.exceptions import ConfigurationError, EmptyArrayError
from flaccodec.mpi.agreement import share
from flaccodec.mpi.messages import gather_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

Ranges = list[tuple[int, int]]


def is_comm(mpi_comm: Any, name: str = "mpi_comm") -> bool:
    """Tell whether a communicator is given, as the argument of this name.

    Raises
    ------
    ConfigurationError
        Something else is, or one of no ranks or between two groups of them.
    """
    if mpi_comm is None:
        return False
    if hasattr(mpi_comm, "allgather") and not mpi_comm:
        raise ConfigurationError(
            f"{name} must have this rank. Got COMM_NULL, as Split returns for ranks without a "
            "color: call this on the others only."
        )
    if not all(hasattr(mpi_comm, name) for name in ("allgather", "rank", "size")):
        raise ConfigurationError(
            f"{name} must be an MPI communicator of mpi4py's, or None. "
            f"Got {type(mpi_comm).__name__}."
        )
    if getattr(mpi_comm, "is_inter", False):
        raise ConfigurationError(
            f"{name} must be of one group of ranks. Got one between two, an inter-communicator: "
            "use its Merge()."
        )
    return True


@dataclass(frozen=True)
class Distribution:
    """What every rank knows of an array that is spread over them.

    Attributes
    ----------
    comm : mpi4py.MPI.Comm
    ranges : list of (int, int)
        The first row of each rank, and that after its last.
    shape : tuple of int
        Of the whole array, two axes or more.
    nbytes : list of int
        Bytes of the FLAC streams of each rank.
    stream_nbytes : ndarray of int64, shape `shape[:-1]`
        Bytes of every stream of the whole array.
    """

    comm: Any
    ranges: Ranges
    shape: tuple[int, ...]
    nbytes: list[int]
    stream_nbytes: npt.NDArray[np.int64]

    @property
    def own(self) -> tuple[int, int]:
        """The rows of this rank."""
        rank: int = self.comm.rank
        return self.ranges[rank]

    @property
    def first_byte(self) -> int:
        """Where this rank's FLAC streams begin among those of all ranks."""
        return sum(self.nbytes[: self.comm.rank])


@dataclass(frozen=True)
class Layout:
    """Shape, dtype and distribution of an array whose parts the ranks hold."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    ranges: Ranges

    def local_shape(self, rank: int) -> tuple[int, ...]:
        """Return the shape of a rank's part, with the rows' axis in any case."""
        first, stop = self.ranges[rank]
        return stop - first, *self.shape[1:]


def ranges_of(rows: Iterable[int]) -> Ranges:
    """Return the ranges of ranks that have so many rows."""
    ranges, first = [], 0
    for n in rows:
        ranges.append((first, first + int(n)))
        first += int(n)
    return ranges


def even_ranges(rows: int, ranks: int) -> Ranges:
    """Spread rows evenly; the first ranks have one more each where it does not come out."""
    return ranges_of(rows // ranks + (rank < rows % ranks) for rank in range(ranks))


def check_ranges(ranges: Any, rows: int, ranks: int) -> Ranges:
    """Check a distribution that was given.

    Raises
    ------
    ConfigurationError
        It is not one range for each rank, one after the other from 0 to `rows`.
    """
    try:
        checked = [(operator.index(first), operator.index(stop)) for first, stop in ranges]
    except (TypeError, ValueError):
        checked = []
    joined = [0, *(stop for _, stop in checked)]
    if (
        len(checked) != ranks
        or [first for first, _ in checked] != joined[:-1]
        or joined != sorted(joined)
        or joined[-1] != rows
    ):
        raise ConfigurationError(
            f"mpi_dist must be {ranks} pairs (first, last + 1), one for each rank, that follow "
            f"one another from 0 to {rows:,}. Got {ranges!r}."
        )
    return checked


def check_dist_of_one(mpi_dist: Any, leading: Sequence[int]) -> None:
    """Check that a distribution given without ranks, if any, is of all rows; as `check_ranges`."""
    if mpi_dist is not None:
        check_ranges(mpi_dist, leading[0] if leading else 1, 1)


def layout_of(comm: Any, local: npt.NDArray[Any] | None) -> Layout:
    """Find what the ranks' parts join to.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    local : ndarray or None
        With rows along the leading axis; one axis for one row. None or no rows: this rank
        holds nothing, and its shape and dtype do not count.

    Raises
    ------
    ConfigurationError
        The parts do not go together; the message names a rank.
    EmptyArrayError
        No rank has rows.
    """

    def describe() -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        if local is None or (local.ndim and local.shape[0] == 0):
            return None
        if local.ndim == 0:
            raise ConfigurationError(
                "a rank's part of an array must have one axis or more. Got a number."
            )
        shape = local.shape if local.ndim > 1 else (1, local.shape[0])
        return shape, local.dtype.newbyteorder("=")

    return join_parts(share(comm, describe))


def join_parts(parts: Sequence[tuple[tuple[int, ...], np.dtype[Any]] | None]) -> Layout:
    """Join shapes and dtypes of the ranks' parts; `layout_of` explains."""
    held = [(rank, *part) for rank, part in enumerate(parts) if part is not None]
    if not held:
        raise EmptyArrayError("the array has no rows on any rank.")
    first, shape, dtype = held[0]
    for rank, other, other_dtype in held:
        if other[1:] != shape[1:] or other_dtype != dtype:
            raise ConfigurationError(
                "the ranks' parts of an array must have one dtype, and one shape but for the "
                f"leading axis. Got {dtype} of shape {shape} on rank {first}, and {other_dtype} "
                f"of shape {other} on rank {rank}."
            )
    ranges = ranges_of(0 if part is None else part[0][0] for part in parts)
    return Layout((ranges[-1][1], *shape[1:]), dtype, ranges)


def distribution(
    comm: Any, layout: Layout, nbytes: int, stream_nbytes: npt.NDArray[np.int64]
) -> Distribution:
    """Gather what every rank knows of an array.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    layout : Layout
    nbytes : int
        Bytes of this rank's FLAC streams.
    stream_nbytes : ndarray of int64
        Bytes of each of them.
    """
    table = stream_nbytes.reshape(layout.local_shape(comm.rank)[:-1])
    rows = [stop - first for first, stop in layout.ranges]
    return Distribution(
        comm,
        layout.ranges,
        layout.shape,
        comm.allgather(int(nbytes)),
        gather_rows(comm, table, rows),
    )


def n_streams(shape: Sequence[int]) -> int:
    """Return how many streams an array of a shape has."""
    return math.prod(shape[:-1])
