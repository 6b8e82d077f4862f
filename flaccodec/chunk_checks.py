"""Chunks that are taken from files are named where they are damaged."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from flaccodec.exceptions import FlacCodecError, add_place

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def located(place: str) -> Iterator[None]:
    """Add the place of a chunk to what is raised inside."""
    try:
        yield
    except FlacCodecError as error:
        add_place(error, place)
        raise
