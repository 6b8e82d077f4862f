"""What ranks agree on: work that goes well on all of them, or raises on all.

A rank that raised by itself would leave the others waiting for its messages. So each phase
of work that can fail, and that sends no messages, is followed by word from every rank of how
it went; messages are exchanged between such phases, where nothing else is done. Communicators
are those of mpi4py; nothing here imports it.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, TypeVar

from flaccodec.exceptions import FlacCodecError, RankError

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

_KEPT = (FlacCodecError, TypeError, ImportError, MemoryError)
"""Kinds of errors that are raised on all ranks as they are on one."""


def share(comm: Any, work: Callable[[], Result]) -> list[Result]:
    """Do work on every rank, and return what it returned on each.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    work : callable () -> result
        The result must pickle, and be small, as every rank gets all of them.

    Returns
    -------
    list
        By rank.

    Raises
    ------
    FlacCodecError, TypeError, ImportError, MemoryError
        On all ranks, what `work` raised on one, with the rank's number in the message.
    RankError
        `work` raised something else on one.
    """
    result, own = None, None
    try:
        result = work()
    except BaseException as error:  # what ends this rank must be told to the others, too
        own = error
    told: list[tuple[Any, BaseException | None]] = comm.allgather(
        (result, None if own is None else _portable(own, comm.rank))
    )
    failed = [rank for rank, (_, error) in enumerate(told) if error is not None]
    if not failed:
        return [value for value, _ in told]
    if own is not None and not isinstance(own, Exception):
        raise own
    first = told[failed[0]][1]
    if first is None:
        raise AssertionError
    others = [rank for rank in failed[1:] if rank != getattr(first, "rank", None)]
    if others and first.args and isinstance(first.args[0], str):
        also = ", ".join(map(str, others[:8])) + (", ..." if len(others) > 8 else "")
        first.args = (f"{first.args[0]} (Ranks that failed, too: {also}.)", *first.args[1:])
    first.rank = failed[0]  # type: ignore[attr-defined] # so that no one tells it once more
    raise first from own


def attempt(comm: Any, work: Callable[[], Result]) -> Result:
    """Do work on every rank, and return what it returned on this one; raises as `share`."""
    results: list[Result] = []
    share(comm, lambda: results.append(work()))
    return results[0]


def _portable(error: BaseException, rank: int) -> BaseException:
    """Return an error that pickles, and names its rank."""
    if getattr(error, "rank", None) is not None:
        return error  # another rank's, told already
    if isinstance(error, MemoryError):  # numpy's has no message among its arguments
        return MemoryError(f"rank {rank}: {error}")
    if isinstance(error, _KEPT) and error.args and isinstance(error.args[0], str):
        try:
            copy: BaseException = pickle.loads(pickle.dumps(error))
        except Exception:
            copy = RankError("")
        if type(copy) is type(error):
            copy.args = (f"rank {rank}: {error.args[0]}", *error.args[1:])
            return copy
    return RankError(f"rank {rank}: {type(error).__name__}: {error}")


def direct(
    comm: Any, lead: Callable[[Callable[[Any], None]], Result], follow: Callable[[Any], None]
) -> Result | None:
    """Have rank 0 do work that needs the others now and then.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    lead : callable (tell) -> result
        What rank 0 does. ``tell(order)`` has `follow(order)` called on the others; what is
        sent for an order, rank 0 must receive, and the other way round.
    follow : callable (order)
        What the others do on each order. When it raises it is called for later orders all the
        same, as rank 0 may wait for what they ask for, and raises after the last.

    Returns
    -------
    result or None
        On rank 0 what `lead` returned.

    Raises
    ------
    Exception
        On all ranks what `lead` or `follow` raised, as `share` says.
    """

    def work() -> Result | None:
        if comm.rank:
            _take_orders(comm, follow)
            return None
        try:
            return lead(lambda order: comm.bcast((order,), root=0))
        finally:
            comm.bcast(None, root=0)

    return attempt(comm, work)


def _take_orders(comm: Any, follow: Callable[[Any], None]) -> None:
    """Follow orders to the last: one that is not taken would pass for a later message."""
    failure: BaseException | None = None
    while (told := comm.bcast(None, root=0)) is not None:
        try:
            follow(told[0])
        except BaseException as error:  # what ends this rank, too
            failure = failure or error
    if failure is not None:
        raise failure
