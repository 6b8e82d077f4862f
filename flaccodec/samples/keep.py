"""Which streams of an array are asked for, `keep`, and which samples of each, `stream_slice`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flaccodec.exceptions import (
    ConfigurationError,
)
from flaccodec.samples.masks import unmasked

Indices = list[tuple[int, ...]]


def check_samples(stream_slice: Any) -> slice:
    """Check a slice of samples that was given, None for all.

    Raises
    ------
    ConfigurationError
        It is no slice, or has a step.
    """
    if stream_slice is None:
        return slice(None)
    if not isinstance(stream_slice, slice):
        raise ConfigurationError(
            f"stream_slice must be a slice, such as slice(100, 200), or None. Got {stream_slice!r}."
        )
    if stream_slice.step not in (None, 1):
        raise ConfigurationError(
            f"stream_slice must have no step. Got {stream_slice}: index the result instead."
        )
    return stream_slice


def check_keep(keep: npt.ArrayLike, leading: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Check a mask of streams.

    Raises
    ------
    ConfigurationError
        Where it is not boolean or has not the shape of the leading axes.
    """
    mask = unmasked(keep, "keep")
    if mask.dtype != bool or mask.shape != leading:
        is_numbers = mask.dtype.kind in "iu" and mask.shape == leading
        raise ConfigurationError(
            f"keep must be a boolean array of the shape of the leading axes, {leading}. "
            f"Got {mask.dtype} of shape {mask.shape}"
            + (": use keep.astype(bool)." if is_numbers else ".")
        )
    return mask


def kept_indices(mask: npt.NDArray[np.bool_]) -> Indices:
    """Return the index tuples of the streams that are kept, in C order."""
    return [tuple(map(int, index)) for index in np.argwhere(mask)]
