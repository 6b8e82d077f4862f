"""The C library is stopped before its end: by signals, or where its result is not wanted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flaccodec.core.native import ffi, lib
from flaccodec.runtime.stopping import Stopped, current_stop

if TYPE_CHECKING:
    from types import TracebackType
from flaccodec.core.views import address

_raised: list[BaseException] = []
"""What signal handlers raised while C was at work on the main thread."""


def _note_raised(
    _kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    _raised.append(error.with_traceback(traceback))


@ffi.def_extern(error=1, onerror=_note_raised)  # type: ignore[untyped-decorator]
def flaccodec_ask(_context: Any) -> int:
    """Have Python run the handlers of signals that came since, as it does in any function.

    C calls it every 0.1 s. It goes on unless a handler raises something, such as
    KeyboardInterrupt.
    """
    return 0


_BY_SIGNALS = ffi.new("fc_stop *", {"ask": lib.flaccodec_ask})


def _in_main_thread() -> bool:
    return threading.get_ident() == threading.main_thread().ident


def stop_for_signals() -> Any:
    """Return what may stop a call of C, an ``fc_stop *`` that must outlive it.

    Python runs the handlers of signals on the main thread alone; other threads need not ask.
    """
    stop = current_stop.get()
    if stop is None:
        return _BY_SIGNALS if _in_main_thread() else ffi.NULL
    ask = lib.flaccodec_ask if _in_main_thread() else ffi.NULL
    return ffi.new("fc_stop *", {"ask": ask, "flag": ffi.cast("int32_t *", address(stop.flag))})


def why_stopped() -> BaseException:
    """Return what to raise for a call that was stopped."""
    if _in_main_thread() and _raised:
        return _raised.pop()
    stop = current_stop.get()
    if stop is not None and stop.is_set():
        return Stopped()
    return KeyboardInterrupt()  # not noted, as another signal came meanwhile
