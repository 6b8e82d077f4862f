"""Ranks' streams of a group of flacarray's layout: read by each, or by rank 0 for all."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.groups.read import read_bytes, read_rows
from flaccodec.mpi.agreement import attempt, direct
from flaccodec.mpi.messages import TAG, receive, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from flaccodec.groups.door import Door
    from flaccodec.groups.read import GroupRows
    from flaccodec.mpi.distribution import Ranges

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
    door: Door,
    group: Any,
    place: str,
    comm: Any,
    ranges: Ranges,
    keep: npt.NDArray[np.bool_] | None,
) -> tuple[GroupRows, Bytes]:
    """Have each rank read its streams."""

    def read() -> tuple[GroupRows, Bytes]:
        rows = read_rows(door, group, place, slice(*ranges[comm.rank]), keep)
        return rows, read_bytes(door, group, rows.starts, rows.nbytes)

    return attempt(comm, read)


def read_by_first(
    door: Door,
    group: Any,
    place: str,
    comm: Any,
    ranges: Ranges,
    keep: npt.NDArray[np.bool_] | None,
) -> tuple[GroupRows, Bytes]:
    """Have rank 0 read, and send each rank its streams piece by piece.

    A rank makes room before anything is sent to it. Where it cannot, nothing is.
    """
    held: list[_Received] = []

    def lead(tell: Callable[[Any], None]) -> tuple[GroupRows, Bytes]:
        for rank in range(1, comm.size):
            rows = read_rows(door, group, place, slice(*ranges[rank]), keep)
            head = np.frombuffer(pickle.dumps(rows), dtype=np.uint8)
            tell((rank, _ROOM, (len(head), int(rows.nbytes.sum()))))
            if not comm.recv(source=rank, tag=TAG):
                continue  # it raises when all are done
            _push(comm, tell, rank, head)
            for starts, nbytes in pieces(rows.starts, rows.nbytes):
                _push(comm, tell, rank, read_bytes(door, group, starts, nbytes))
        own = read_rows(door, group, place, slice(*ranges[0]), keep)
        return own, read_bytes(door, group, own.starts, own.nbytes)

    def follow(order: tuple[int, str, Any]) -> None:
        rank, what, size = order
        if rank != comm.rank:
            return
        if what == _BYTES:
            held[0].take(comm, size)
            return
        try:
            held.append(_Received.of(*size))
        finally:
            comm.send(bool(held), 0, TAG)

    read = direct(comm, lead, follow)
    return attempt(comm, lambda: held[0].unpack() if read is None else read)


_ROOM, _BYTES = "room", "bytes"
"""Orders of rank 0: to make room for a head and for bytes, and to receive so many."""


def _push(comm: Any, tell: Callable[[Any], None], rank: int, data: Bytes) -> None:
    tell((rank, _BYTES, len(data)))
    send(comm, data, rank)


@dataclass
class _Received:
    """What rank 0 sends to a rank: what it read of the tables, pickled, and the streams."""

    head: Bytes
    streams: Bytes
    filled: int = 0

    @classmethod
    def of(cls, head: int, streams: int) -> _Received:
        return cls(np.empty(head, dtype=np.uint8), np.empty(streams, dtype=np.uint8))

    def take(self, comm: Any, size: int) -> None:
        """Receive the head, which comes first and at once, or the next of the streams' bytes."""
        done = self.filled - len(self.head)
        receive(comm, self.head if done < 0 else self.streams[done : done + size], 0)
        self.filled += size

    def unpack(self) -> tuple[GroupRows, Bytes]:
        rows: GroupRows = pickle.loads(self.head.data)
        return rows, self.streams
