"""How one thread has others stop work that nobody wants any more."""

from __future__ import annotations

from contextvars import ContextVar

import numpy as np


class Stopped(BaseException):
    """Work was stopped before its end, since whoever wanted it wants it no more.

    Not an Exception: nobody who knows of errors alone is to go on with something else.
    """


class Stop:
    """Set once, by any thread, for all those whose `current_stop` it is.

    Attributes
    ----------
    flag : ndarray of int32, shape (1,)
        1 if it is set. C looks at it between two of its jobs.
    """

    def __init__(self) -> None:
        self.flag = np.zeros(1, dtype=np.int32)

    def set(self) -> None:
        """Have the others stop; calls of C that they are in raise `Stopped` there."""
        self.flag[0] = 1

    def is_set(self) -> bool:
        """Tell whether the others are to stop."""
        return bool(self.flag[0])


current_stop: ContextVar[Stop | None] = ContextVar("current_stop", default=None)
"""What may stop the work of this thread, or of this task of asyncio's."""
