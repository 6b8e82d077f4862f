"""How many threads coding uses.

The doors that others call side by side (Zarr, numcodecs) code a chunk on one
thread; what is called once for all of an array, and the HDF5 filter, which HDF5
calls for one chunk after the other, use all processors, unless they are called
from a pool: threads other than the main one, and processes that
multiprocessing started, get one thread each, since whoever made the pool has
already given its processors work. Each is changed by `set_num_threads`, for a
block of code by `num_threads`, or by the environment variable
``FLACCODEC_NUM_THREADS``; without these, by ``OMP_NUM_THREADS``, which batch
systems set. The number never changes the bytes. If processors are busy, or the
system makes no more threads, fewer take part: none that comes late is waited for.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import operator
import os
import re
import threading
from typing import TYPE_CHECKING

from flaccodec.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["get_num_threads", "num_threads", "set_num_threads"]

VARIABLE = "FLACCODEC_NUM_THREADS"
OPENMP_VARIABLE = "OMP_NUM_THREADS"
MOST_THREADS = 2**31 - 1
"""More is no number in C, which takes fewer anyway."""

_lock = threading.Lock()
_chosen: int | None = None
_listeners: set[Callable[[int | None], None]] = set()


def _begin_in_child() -> None:
    """Make the lock anew: it may have been held by a thread that a forked child has not."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


def check_threads(n: int, source: str) -> int:
    """Check a number of threads.

    Raises
    ------
    ConfigurationError
        Where it is not an integer of at least 1.
    """
    try:
        number = operator.index(n)
    except TypeError:
        number = 0
    if number < 1 or isinstance(n, bool):
        raise ConfigurationError(f"{source} must be an integer of at least 1. Got {n!r}.")
    return min(number, MOST_THREADS)


def _from_environment() -> int | None:
    text = os.environ.get(VARIABLE)
    if text is None or not text.strip():
        return _from_openmp()
    # What the HDF5 filter takes, in C.
    number = int(text) if re.fullmatch(r"\s*\+?[0-9]{1,4000}\s*", text, re.ASCII) else 0
    return check_threads(number or text, f"environment variable {VARIABLE}")  # type: ignore[arg-type]


def _from_openmp() -> int | None:
    """Return OpenMP's number, the first of a list for nested levels.

    As OpenMP's own libraries do, it passes over what is none.
    """
    text = os.environ.get(OPENMP_VARIABLE, "")
    number = r"\s*\+?[0-9]{1,4000}\s*"
    if not re.fullmatch(rf"{number}(,{number})*", text, re.ASCII):
        return None
    numbers = [int(word) for word in text.split(",")]
    return min(numbers[0], MOST_THREADS) if min(numbers) > 0 else None


def available_processors() -> int:
    """Count the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_pool() -> bool:
    """Tell whether this code runs beside others: dask's workers and other pools do so."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return not in_main_thread or in_pool_process()


def in_pool_process() -> bool:
    """Tell whether multiprocessing started this process."""
    # A process that is started anew imports its program before it has its parent; until
    # then nothing but this says what it is.
    is_starting = getattr(multiprocessing.current_process(), "_inheriting", False)
    return is_starting or multiprocessing.parent_process() is not None


def resolve_threads(n: int | None, default: int) -> int:
    """Decide on a number: `n`, else what was set, else the environment's, else `default`."""
    if n is not None:
        return check_threads(n, "num_threads")
    return _chosen or _from_environment() or default


def get_num_threads() -> int | None:
    """Return the number that was set, by call or environment; None where none was."""
    return _chosen or _from_environment()


def set_num_threads(n: int | None) -> None:
    """Set how many threads every call in this process uses to code an array or chunk.

    The HDF5 filter, too, once `flaccodec.hdf5` is imported.

    Parameters
    ----------
    n : int or None
        At least 1. None goes back to the defaults: the environment variable
        ``FLACCODEC_NUM_THREADS``, else ``OMP_NUM_THREADS``, else one thread for a Zarr or
        numcodecs chunk and all processors for the rest. Where the rest is called from a
        thread other than the main one, or in a process of multiprocessing's, as in dask's
        workers, it is one thread too.

    Raises
    ------
    ConfigurationError
        Where `n` is neither.
    """
    global _chosen
    checked = None if n is None else check_threads(n, "num_threads")
    with _lock:
        _chosen = checked
        for listener in _listeners:
            listener(checked)


def tell(listener: Callable[[int | None], None]) -> None:
    """Call `listener` with what is set (None for nothing), now and whenever it is set."""
    with _lock:
        _listeners.add(listener)
        listener(_chosen)


@contextlib.contextmanager
def num_threads(n: int | None) -> Iterator[None]:
    """Set the number of threads for the body of a ``with`` statement.

    The setting is the process's, not the thread's, since Zarr codes chunks
    on threads of its own.

    Parameters
    ----------
    n : int or None
        As for `set_num_threads`.
    """
    before = _chosen
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def choose_threads(use_threads: bool | None) -> int:
    """Return how many threads an array is coded with.

    Parameters
    ----------
    use_threads : bool or None
        False for one. Else the number that was set; where none was, True for all processors,
        None for all of them but in pools of workers, where it is one.
    """
    if use_threads is False:
        return 1
    alone = use_threads or not in_pool()
    return resolve_threads(None, available_processors() if alone else 1)
