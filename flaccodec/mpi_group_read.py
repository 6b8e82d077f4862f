"""Ranks' streams of a group of flacarray's layout: read by each, or by rank 0 for all."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import group_io
from flaccodec.mpi_messages import receive, send
from flaccodec.mpi_ranks import attempt, direct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from flaccodec.group_io import GroupRows
    from flaccodec.mpi_distribution import Ranges

    Bytes = npt.NDArray[np.uint8]

PIECE_BYTES = 2**26
"""Bytes of others' streams that rank 0 holds at once."""


def pieces(
    starts: npt.NDArray[np.int64], nbytes: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Cut ranges of bytes into pieces that hold PIECE_BYTES, but for the last."""
    ends = np.cumsum(nbytes)
    begins = ends - nbytes
    for first in range(0, int(nbytes.sum()), PIECE_BYTES):
        stop = first + PIECE_BYTES
        some = slice(np.searchsorted(ends, first, "right"), np.searchsorted(begins, stop, "left"))
        skipped = np.maximum(first - begins[some], 0)
        cut = np.maximum(ends[some] - stop, 0)
        yield starts[some] + skipped, nbytes[some] - skipped - cut


def read_by_all(
    group: Any, place: str, comm: Any, ranges: Ranges, keep: npt.NDArray[np.bool_] | None
) -> tuple[GroupRows, Bytes]:
    """Have each rank read its streams."""

    def read() -> tuple[GroupRows, Bytes]:
        rows = group_io.read_rows(group, place, slice(*ranges[comm.rank]), keep)
        return rows, group_io.read_bytes(group, rows.starts, rows.nbytes)

    return attempt(comm, read)


def read_by_first(
    group: Any, place: str, comm: Any, ranges: Ranges, keep: npt.NDArray[np.bool_] | None
) -> tuple[GroupRows, Bytes]:
    """Have rank 0 read, and send each rank its streams piece by piece."""
    parts: list[Any] = []

    def lead(tell: Callable[[Any], None]) -> tuple[GroupRows, Bytes]:
        for rank in range(1, comm.size):
            rows = group_io.read_rows(group, place, slice(*ranges[rank]), keep)
            head = np.frombuffer(pickle.dumps(rows), dtype=np.uint8)
            tell((rank, len(head)))
            send(comm, head, rank)
            for starts, nbytes in pieces(rows.starts, rows.nbytes):
                piece = group_io.read_bytes(group, starts, nbytes)
                tell((rank, len(piece)))
                send(comm, piece, rank)
        own = group_io.read_rows(group, place, slice(*ranges[0]), keep)
        return own, group_io.read_bytes(group, own.starts, own.nbytes)

    def follow(order: tuple[int, int]) -> None:
        rank, size = order
        if rank != comm.rank:
            return
        if not parts:
            head = np.empty(size, dtype=np.uint8)
            receive(comm, head, 0)
            rows: GroupRows = pickle.loads(head.tobytes())
            parts.extend([rows, np.empty(int(rows.nbytes.sum()), dtype=np.uint8), 0])
            return
        receive(comm, parts[1][parts[2] : parts[2] + size], 0)
        parts[2] += size

    read = direct(comm, lead, follow)
    return (parts[0], parts[1]) if read is None else read
