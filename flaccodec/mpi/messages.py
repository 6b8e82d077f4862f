"""Arrays sent between MPI ranks, of any size.

Counts of MPI's messages have 32 bits before MPI 4, so arrays go in pieces. Communicators are
those of mpi4py; nothing here imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

MESSAGE_BYTES = 2**30
"""Bytes of a message at the most."""

TAG = 29_100
"""Of all messages here, so that they are not taken for those of others on the communicator."""


def _pieces(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[np.uint8]]:
    data = array.reshape(-1).view(np.uint8)
    for start in range(0, data.size, MESSAGE_BYTES):
        yield data[start : start + MESSAGE_BYTES]


def send(comm: Any, array: npt.NDArray[Any], rank: int) -> None:
    """Send an array to a rank, which must `receive` one of the same size."""
    for piece in _pieces(np.ascontiguousarray(array)):
        comm.Send(piece, rank, TAG)


def start_sending(comm: Any, array: npt.NDArray[Any], rank: int) -> list[Any]:
    """Send an array, and return the requests to wait for; the array must not change before."""
    return [comm.Isend(piece, rank, TAG) for piece in _pieces(array)]


def receive(comm: Any, array: npt.NDArray[Any], rank: int) -> None:
    """Fill an array, which must be contiguous, with what a rank sends."""
    for piece in _pieces(array):
        comm.Recv(piece, rank, TAG)


def wait(requests: Sequence[Any]) -> None:
    """Wait until all that was started is sent."""
    for request in requests:
        request.Wait()


def gather_rows(comm: Any, local: npt.NDArray[Any], rows: Sequence[int]) -> npt.NDArray[Any]:
    """Join the rows of all ranks on every rank.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    local : ndarray, shape (rows of this rank, ...)
    rows : sequence of int
        Of each rank.

    Returns
    -------
    ndarray, shape (rows of all, ...)
    """
    joined = np.empty((sum(rows), *local.shape[1:]), dtype=local.dtype)
    if joined.size == 0:
        return joined
    sent, received = (a.reshape(-1).view(np.uint8) for a in (np.ascontiguousarray(local), joined))
    stops = np.cumsum(rows) * (received.size // len(joined))
    starts = np.concatenate([[0], stops[:-1]])
    for first in range(0, received.size, MESSAGE_BYTES):
        window = received[first : first + MESSAGE_BYTES]
        begins, ends = (np.clip(a - first, 0, window.size) for a in (starts, stops))
        own = slice(*(int(a[comm.rank] + first - starts[comm.rank]) for a in (begins, ends)))
        piece = sent[own] if own.stop > own.start >= 0 else sent[:0]
        comm.Allgatherv(piece, [window, (ends - begins, begins)])
    return joined
