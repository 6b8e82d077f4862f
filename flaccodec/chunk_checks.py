"""Chunks that are taken from files as they are: checked, and named where they are damaged."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.exceptions import FlacCodecError, add_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def located(place: str) -> Iterator[None]:
    """Add the place of a chunk to what is raised inside."""
    try:
        yield
    except FlacCodecError as error:
        add_place(error, place)
        raise


def check_chunk(chunk: core.Buffer, dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """Check all of a chunk but its frames.

    Raises
    ------
    CorruptChunkError, ChunkMismatchError
        As their names say.
    """
    header = core.read_header(chunk)
    core.check_expected(header, dtype, shape)
    core.check_length(header, len(np.frombuffer(chunk, dtype=np.uint8)))
    core.check_head(chunk)
