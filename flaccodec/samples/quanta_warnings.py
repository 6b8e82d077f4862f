"""Warnings of quanta that are too fine: one for each call of a door, not one for each chunk."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from flaccodec.exceptions import QuantaWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_PACKAGE = str(Path(__file__).parents[1])


class WarnedOnce:
    """Joins the warnings that are given inside of a ``with`` block to one, which its end gives.

    It is joined in threads, too, that run in a copy of the block's context, as those of asyncio
    do. A block inside of another one leaves the warning to the outer one. Where the block
    raises, nothing is warned of.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worst: QuantaWarning | None = None
        self._count = 0

    def __enter__(self) -> None:
        self._token = None if _current.get() else _current.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is None:
            return
        _current.reset(self._token)
        if error is None and self._worst is not None:
            _warn(self._worst if self._count == 1 else _of_many(self._worst, self._count))

    def note(self, warning: QuantaWarning) -> None:
        """Take in a warning of one chunk."""
        with self._lock:
            self._count += 1
            if self._worst is None or warning.smallest > self._worst.smallest:
                self._worst = warning


_current: ContextVar[WarnedOnce | None] = ContextVar("flaccodec_quanta_warnings", default=None)
_place: ContextVar[Callable[[], str] | None] = ContextVar("flaccodec_quanta_place", default=None)


@contextlib.contextmanager
def at(place: Callable[[], str]) -> Iterator[None]:
    """Have warnings that are given inside say where: ``place`` is asked only then."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def warn(warning: QuantaWarning) -> None:
    """Warn at the end of the `WarnedOnce` that this is in, else at once."""
    place = _place.get()
    if place is not None:
        warning = _saying(f"{place()}: {warning}", warning)
    once = _current.get()
    if once is None:
        _warn(warning)
    else:
        once.note(warning)


def _of_many(worst: QuantaWarning, count: int) -> QuantaWarning:
    return _saying(f"in {count:,} parts, of which this one needs the coarsest: {worst}", worst)


def _saying(message: str, warning: QuantaWarning) -> QuantaWarning:
    return QuantaWarning(
        message, warning.stream, warning.sample, warning.smallest, warning.is_lossless
    )


def _warn(warning: QuantaWarning) -> None:
    """Warn of the line that called flaccodec, as far as this thread knows it."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level)
