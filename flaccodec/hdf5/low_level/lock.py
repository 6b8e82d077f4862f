"""h5py's lock, where the caller has it: as in a callback of ``visititems``."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

from h5py._objects import phil

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def collection_waits() -> Iterator[None]:
    """Have no garbage collected meanwhile, where this thread holds h5py's lock.

    An object of h5py waits for that lock when it is collected, in whatever thread that happens.
    In a thread that this one waits for, it would wait for ever.
    """
    if not (phil._is_owned() and gc.isenabled()):
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
