"""The C library, as cffi gives it."""

from __future__ import annotations

from typing import Any

from flaccodec import _native

ffi: Any = _native.ffi
lib: Any = _native.lib
