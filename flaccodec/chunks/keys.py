"""From a key, as numpy's indexing takes it, to a selector for each axis of a FlacArray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def has_ellipsis(key: Any) -> bool:
    """Whether a key has an Ellipsis, with which numpy returns arrays where it returned scalars."""
    return any(part is Ellipsis for part in (key if isinstance(key, tuple) else (key,)))


def full_key(key: Any, shape: tuple[int, ...]) -> list[Any]:
    """Give each axis its selector, masks of several axes spread out to arrays of integers.

    Parameters
    ----------
    key : int, slice, Ellipsis, array_like of int or bool, or tuple of these
    shape : tuple of int
        The array's, of one axis or more.

    Returns
    -------
    list
        For each axis an int, a slice or an array of integers; for the last no array. Among them
        an Ellipsis where numpy needs one that covers no axis.

    Raises
    ------
    IndexError
        The key has too many parts, one that cannot index a FlacArray, a mask that does not fit its
        axes, or an index of the last axis that is out of bounds. Others are left to numpy.
    """
    parts = [_check_part(part) for part in (key if isinstance(key, tuple) else (key,))]
    selectors: list[Any] = []
    axis = 0
    for part in _fill_axes(parts, shape):
        if _is_mask(part):
            _check_mask(part, shape, axis)
            selectors += part.nonzero()
        else:
            selectors.append(part)
        axis += _n_axes(part)
    last = selectors[-1]
    if not isinstance(last, slice):
        if np.ndim(last):
            raise IndexError(
                "the last axis takes an integer or a slice. Got an array: index the result, "
                "fa[..., first:last][..., indices]."
            )
        _check_index(last, shape[-1])
    return selectors


def _check_part(part: Any) -> Any:
    """Return a part of a key as a slice, Ellipsis, an int, or an array of integers or booleans."""
    if part is None:
        raise IndexError("np.newaxis cannot index a FlacArray: index the result, fa[...][None]")
    if part is Ellipsis or isinstance(part, slice):
        return part
    if isinstance(part, int | np.integer) and not isinstance(part, bool):
        return int(part)
    array = np.asarray(part)
    if array.dtype == bool and not array.ndim:
        raise IndexError("True and False cannot index a FlacArray: use a mask of a leading axis")
    if array.size == 0 and not isinstance(part, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise IndexError(
            "a FlacArray takes integers, slices, Ellipsis, and arrays of integers or booleans as "
            f"indices. Got {part!r}."
        )
    return array if array.ndim else int(array)


def _fill_axes(parts: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Put full slices where an Ellipsis is, or at the end, until all axes are indexed.

    An Ellipsis that has no axis to fill stays where parts are behind it: numpy takes arrays before
    and behind it for apart, and puts their axes first.
    """
    ellipses = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    indexed = sum(map(_n_axes, parts))
    if indexed > len(shape):
        raise IndexError(
            f"too many indices: the array has {len(shape)} axes, but {indexed} were indexed"
        )
    at = ellipses[0] if ellipses else len(parts)
    if indexed == len(shape) and at < len(parts) - 1:
        return parts
    return [*parts[:at], *[slice(None)] * (len(shape) - indexed), *parts[at + 1 :]]


def _n_axes(part: Any) -> int:
    """Return how many axes a part of a key is for, but for those that an Ellipsis fills."""
    if part is Ellipsis:
        return 0
    return part.ndim if _is_mask(part) else 1


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype == bool


def _check_mask(mask: npt.NDArray[np.bool_], shape: tuple[int, ...], axis: int) -> None:
    covered = shape[axis : axis + mask.ndim]
    # As numpy, which lets masks without elements pass.
    if any(m not in (0, n) for m, n in zip(mask.shape, covered, strict=True)):
        raise IndexError(
            f"a mask from axis {axis} on must have the shape of the axes that it covers, "
            f"{covered}, in an array of shape {shape}. Got a mask of shape {mask.shape}."
        )


def _check_index(index: int, size: int) -> None:
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of bounds for the last axis with size {size}")
