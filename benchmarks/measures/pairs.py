"""Two sides of a comparison, timed in turns."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.results import TimesResult


def compare(
    what: str, ours: str, theirs: str, our_seconds: list[float], their_seconds: list[float]
) -> TimesResult:
    """Return both sides and how many times as fast ours is.

    Parameters
    ----------
    what : str
        What both sides did.
    ours, theirs : str
        Names of the sides.
    """
    return {
        "what": what,
        "ours": ours,
        "theirs": theirs,
        "our_seconds": our_seconds,
        "their_seconds": their_seconds,
        "times": median(their_seconds) / median(our_seconds),
    }
