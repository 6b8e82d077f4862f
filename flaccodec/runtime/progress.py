"""How far long work has come, where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flaccodec.runtime.optional import needed

if TYPE_CHECKING:
    from collections.abc import Iterable

Item = TypeVar("Item")

BLOCK_SAMPLES = 2**22
"""Samples of a step of a bar: some ten milliseconds of encoding or decoding."""


def check_progress(progress: bool) -> None:
    """Check, before anything is made, that there is a bar if one is asked for.

    Raises
    ------
    ImportError
        Asked to, and without tqdm.
    """
    if progress:
        _tqdm()


def _tqdm() -> Any:
    with needed("progress=True", "progress", "tqdm"):
        from tqdm.auto import tqdm
    return tqdm


def track(items: Iterable[Item], total: int, what: str, progress: bool) -> Iterable[Item]:
    """Show a bar while items are gone through, if asked to.

    Raises
    ------
    ImportError
        As `check_progress`.
    """
    if not progress:
        return items
    bar: Iterable[Item] = _tqdm()(items, total=total, desc=what, unit="block")
    return bar


def stream_blocks(n_streams: int, stream_size: int, what: str, progress: bool) -> Iterable[slice]:
    """Give ranges of streams to be worked on: all at once, or some at a time under a bar.

    Raises
    ------
    ImportError
        As `track`.
    """
    if not progress:
        return [slice(0, n_streams)]
    step = max(1, BLOCK_SAMPLES // stream_size)
    blocks = [slice(i, min(i + step, n_streams)) for i in range(0, max(n_streams, 1), step)]
    return track(blocks, len(blocks), what, progress)
