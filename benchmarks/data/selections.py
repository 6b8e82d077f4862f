"""The slices that are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.data.signals import Array

SLICE_SAMPLES = 200


def middle_samples(array: Array) -> slice:
    """Return the selection of samples from the middle of a stream on."""
    start = array.shape[-1] // 2
    return slice(start, start + SLICE_SAMPLES)


def middle(array: Array) -> tuple[int, slice]:
    """Return the selection of these samples of the middle stream."""
    return array.shape[0] // 2, middle_samples(array)
