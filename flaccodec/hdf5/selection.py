"""From an h5py selection of a dataset to the parts of chunks that hold it.

h5py itself checks a selection, so that what it refuses is refused with its words; here it
is only cut at the borders of chunks.
"""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from h5py._hl.selections import select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import h5py
    import numpy.typing as npt

Selector = "slice | npt.NDArray[np.int64]"
"""What is taken along an axis: a slice, all of whose numbers are given, or rising indices."""


@dataclass(frozen=True)
class Part:
    """The part of a selection that lies in one chunk.

    Attributes
    ----------
    number : tuple of int
        The chunk's place in the grid of chunks.
    local : tuple of Selector
        What to take from the chunk, axis by axis.
    at : tuple of slice
        Where it goes, in an array of the selection's shape with all axes.
    """

    number: tuple[int, ...]
    local: tuple[Any, ...]
    at: tuple[slice, ...]

    def covers(self, shape: Sequence[int]) -> bool:
        """Whether all of the chunk's first `shape` samples along each axis are taken."""
        return all(
            isinstance(s, slice) and (s.start, s.stop, s.step) == (0, n, 1)
            for s, n in zip(self.local, shape, strict=True)
        )


@dataclass(frozen=True)
class Wanted:
    """A selection of a dataset.

    Attributes
    ----------
    selectors : tuple of Selector
        One for each axis; an index by itself is a slice of length 1.
    shape : tuple of int
        Of what is selected, with all axes.
    result_shape : tuple of int
        Of what h5py returns: without the axes that an index by itself took.
    """

    selectors: tuple[Any, ...]
    shape: tuple[int, ...]
    result_shape: tuple[int, ...]
    _h5py: Any

    def parts(self, chunks: Sequence[int]) -> list[Part]:
        """Cut the selection at the borders of chunks."""
        if 0 in self.shape:
            return []
        axes = [list(_cut(s, n)) for s, n in zip(self.selectors, chunks, strict=True)]
        return [
            Part(*(tuple(column) for column in zip(*axis_parts, strict=True)))
            for axis_parts in itertools.product(*axes)
        ]

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Broadcast values to the selection as h5py does.

        Raises
        ------
        TypeError
            h5py's, where they do not fit.
        """
        if values.ndim == 0:
            return np.broadcast_to(values, self.shape)
        expanded = self._h5py.expand_shape(values.shape)
        if len(expanded) != len(self.shape) or tuple(expanded) == self.result_shape:
            expanded = self.shape
        return np.broadcast_to(values.reshape(expanded), self.shape)


def _cut(selector: Any, chunk: int) -> Iterator[tuple[int, Any, slice]]:
    """Yield each chunk that an axis needs, what it needs of it, and where that goes."""
    if isinstance(selector, slice):
        yield from _cut_slice(selector, chunk)
        return
    numbers = selector // chunk
    begins = np.flatnonzero(np.diff(numbers, prepend=-1))
    for begin, end in zip(begins, [*begins[1:], len(selector)], strict=True):
        number = int(numbers[begin])
        yield number, selector[begin:end] - number * chunk, slice(int(begin), int(end))


def _cut_slice(selector: slice, chunk: int) -> Iterator[tuple[int, slice, slice]]:
    indices = range(selector.start, selector.stop, selector.step)
    for number in range(indices[0] // chunk, indices[-1] // chunk + 1):
        first = number * chunk
        begin = max(0, -((indices.start - first) // indices.step))
        end = min(len(indices), -((indices.start - first - chunk) // indices.step))
        if begin < end:
            local = slice(indices[begin] - first, indices[end - 1] - first + 1, indices.step)
            yield number, local, slice(begin, end)


def _is_index(part: Any) -> bool:
    try:
        operator.index(part)
    except TypeError:
        return False
    return True


def _is_list(part: Any) -> bool:
    return isinstance(part, list | tuple | range) or (
        isinstance(part, np.ndarray) and part.ndim == 1
    )


def _expand(parts: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """Give each axis its part."""
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    given = len(parts) - (at < len(parts))
    return (*parts[:at], *[slice(None)] * (ndim - given), *parts[at + 1 :])


def _selector(part: Any, size: int) -> Any:
    """Return the selector of one axis, which h5py has checked."""
    if isinstance(part, slice):
        start, stop, step = part.indices(size)
        indices = range(start, stop, step)
        return slice(start, indices[-1] + 1 if indices else start, step)
    if _is_index(part):
        index = operator.index(part) % size
        return slice(index, index + 1, 1)
    listed: npt.NDArray[Any] = np.asarray(part)
    if listed.dtype == bool:
        listed = np.flatnonzero(listed)
    listed = listed.astype(np.int64)
    return np.where(listed < 0, listed + size, listed)


def _is_within(selector: Any, size: int) -> bool:
    """Whether indices are in range; h5py lets the one after the last pass in a list."""
    return isinstance(selector, slice) or len(selector) == 0 or bool(selector[-1] < size)


def parse(dataset: h5py.Dataset, selection: Any) -> Wanted | None:
    """Take in what stands in the brackets of ``dataset[...]``.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of one axis or more.
    selection : int, slice, Ellipsis, list or mask of an axis, or a tuple of these

    Returns
    -------
    Wanted or None
        None for what else h5py knows: field names, region references, masks of all axes; and
        for what h5py is to refuse itself.

    Raises
    ------
    ValueError, IndexError
        h5py's, where it refuses the selection.
    """
    parts = selection if isinstance(selection, tuple) else (selection,)
    for part in parts:
        if not (part is Ellipsis or isinstance(part, slice) or _is_index(part) or _is_list(part)):
            return None
    try:
        checked = select(dataset.shape, parts, dataset)
    except TypeError:  # an older h5py has it for masks too that ``dataset[mask]`` reads
        return None
    expanded = _expand(parts, dataset.ndim)
    selectors = tuple(_selector(p, n) for p, n in zip(expanded, dataset.shape, strict=True))
    if not all(_is_within(s, n) for s, n in zip(selectors, dataset.shape, strict=True)):
        return None
    return Wanted(selectors, tuple(checked.mshape), tuple(checked.array_shape), checked)
