"""Chunks, of Zarr arrays and HDF5 datasets, that follow the rows of MPI ranks."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.exceptions import ConfigurationError, EmptyArrayError
from flaccodec.mpi.agreement import share
from flaccodec.mpi.distribution import Layout, join_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

CHUNK_SAMPLES = 2**20
"""Samples of a chunk where none are given, as far as ranks' rows allow."""

SIZES_TOLD = 8


def rows_of(comm: Any, local_shape: Sequence[int], dtype: npt.DTypeLike) -> Layout:
    """Join the shapes of the ranks' parts; raises as `create_distributed`."""

    def describe() -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        shape = tuple(operator.index(n) for n in local_shape)
        if not shape or min(shape) < 0:
            raise ConfigurationError(f"local_shape must have an axis of rows. Got {shape}.")
        if shape[0] and 0 in shape:
            raise EmptyArrayError(f"local_shape must have samples in its rows. Got {shape}.")
        kind = core.check_dtype(np.dtype(dtype))
        return (shape, kind) if shape[0] else None

    return join_parts(share(comm, describe))


def row_divisor(layout: Layout) -> int:
    """Return the number of which rows of chunks must be a divisor, 0 where there is none.

    It divides the number of the first row of every rank that holds any.
    """
    return math.gcd(*(first for first, stop in layout.ranges if first < stop))


def distributed_chunks(
    layout: Layout, chunks: Sequence[int] | None, shards: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Check that no chunk or shard has rows of two ranks, or choose chunks.

    Parameters
    ----------
    layout : Layout
    chunks, shards : sequence of int, optional

    Returns
    -------
    tuple of int
        The chunks.

    Raises
    ------
    ConfigurationError
        A chunk or shard would have rows of two ranks; the message has the sizes that would do.
    """
    divisor = row_divisor(layout)
    for name, given in (("shards", shards), ("chunks", chunks)):
        if given is None:
            continue
        sizes = tuple(operator.index(n) for n in given)
        if len(sizes) != len(layout.shape) or min(sizes) < 1:
            raise ConfigurationError(
                f"{name} must have {len(layout.shape)} sizes of 1 or more. Got {given!r}."
            )
        if divisor % sizes[0] and name == ("chunks" if shards is None else "shards"):
            raise ConfigurationError(_refusal(layout, name, sizes[0], divisor))
    if chunks is not None:
        return tuple(operator.index(n) for n in chunks)
    if shards is not None:
        return whole_streams(shards)
    return whole_streams((divisor or layout.shape[0], *layout.shape[1:]))


def whole_streams(shape: Sequence[int]) -> tuple[int, ...]:
    """Choose chunks that divide the leading axes evenly and hold whole streams.

    Of an array of one axis, whose rows are samples, they hold a part of the stream.
    """
    if len(shape) == 1:
        return (_near_divisor(shape[0]),)
    left = max(1, CHUNK_SAMPLES // shape[-1])
    chunks: list[int] = []
    for n in reversed(shape[:-1]):
        size = max(d for d in divisors(n) if d <= left)
        chunks.insert(0, size)
        left = left // size if size == n else 1
    return (*chunks, shape[-1])


def _near_divisor(n: int) -> int:
    """Return a divisor not far below CHUNK_SAMPLES, else the next above."""
    below = max(d for d in divisors(n) if d <= CHUNK_SAMPLES)
    if below == n or below >= CHUNK_SAMPLES // 16:
        return below
    return min(d for d in divisors(n) if d > CHUNK_SAMPLES)


def divisors(n: int) -> list[int]:
    """Return the divisors of a number, in order."""
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)})


def _refusal(layout: Layout, name: str, rows: int, divisor: int) -> str:
    starts = [(rank, a) for rank, (a, b) in enumerate(layout.ranges) if a < b]
    at = next(i for i, (_, first) in enumerate(starts) if first % rows)
    (before, _), (rank, first) = starts[at - 1], starts[at]
    fitting = divisors(divisor)
    told = ", ".join(f"{n:,}" for n in fitting[-SIZES_TOLD:])
    others = "" if len(fitting) <= SIZES_TOLD else f", or another divisor of {divisor:,}"
    return (
        f"no two ranks may write to one of the {name}. Got {name} of {rows:,} rows, while rank "
        f"{rank} begins at row {first:,}, in one that rank {before} writes to. These would do: "
        f"{told} rows{others}."
    )
