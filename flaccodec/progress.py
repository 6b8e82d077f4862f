"""How far long work has come, where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

Item = TypeVar("Item")


def track(items: Iterable[Item], total: int, what: str, progress: bool) -> Iterable[Item]:
    """Show a bar while items are gone through, if asked to.

    Raises
    ------
    ImportError
        Asked to, and without tqdm.
    """
    if not progress:
        return items
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install 'flaccodec[progress]'") from error
    bar: Iterable[Item] = tqdm(items, total=total, desc=what, unit="block")
    return bar
