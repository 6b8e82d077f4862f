"""From a numpy selection of a chunk to the spans of its streams that hold it.

A plan names *spans*, runs of samples of single streams, and lays them out in a
*compact* array; the selection, rewritten for that array, then picks from it
what numpy would have picked from the whole chunk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.core import SPAN_DTYPE, stream_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


@dataclass(frozen=True)
class ReadPlan:
    """What to decode for a selection, and how to pick the selection from it.

    Attributes
    ----------
    spans : ndarray of SPAN_DTYPE
        With byte offsets into the compact array.
    compact_shape : tuple of int
    samples : ndarray of int64 or None
        Which samples of the compact array's last axis are asked for; None for all.
    selection : tuple
        What to take from the compact array then; empty for all.
    is_whole : bool
        Whether the compact array is the chunk itself.
    """

    spans: npt.NDArray[np.void]
    compact_shape: tuple[int, ...]
    samples: npt.NDArray[np.int64] | None
    selection: tuple[Any, ...]
    is_whole: bool = False

    def pick(self, compact: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the selection from the compact array."""
        if self.samples is not None:
            compact = compact[..., self.samples]
        return np.asanyarray(compact[self.selection])

    def frames(self, frame_size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the first and last frame of each span."""
        first = self.spans["start"] // frame_size
        return first, (self.spans["start"] + self.spans["count"] - 1) // frame_size


def _normalize(selection: Any, shape: Sequence[int]) -> list[Any]:
    """Give every axis a selector: an int, a slice or an array of ints."""
    selectors = list(selection) if isinstance(selection, tuple) else [selection]
    for i, selector in enumerate(selectors):
        if selector is Ellipsis:
            missing = len(shape) - len(selectors) + 1
            selectors[i : i + 1] = [slice(None)] * missing
            break
    selectors += [slice(None)] * (len(shape) - len(selectors))
    return [_normalize_one(s, n) for s, n in zip(selectors, shape, strict=True)]


def _normalize_one(selector: Any, size: int) -> Any:
    if isinstance(selector, slice):
        return selector
    if isinstance(selector, int | np.integer):
        return int(selector) % size if -size <= selector < 0 else int(selector)
    array = np.asarray(selector)
    if array.dtype == bool:
        array = np.flatnonzero(array)
    array = array.astype(np.int64, copy=False)
    return np.where(array < 0, array + size, array)


def _bounds(selector: slice, size: int) -> tuple[int, int, int]:
    """Return start, stop and step of a slice, each within the size.

    A step beyond it is as good as one of it, but may be more than an int64 holds.
    """
    start, stop, step = selector.indices(size)
    return start, stop, max(-size, min(step, size))


def _needed(selector: Any, size: int) -> tuple[npt.NDArray[np.int64], Any]:
    """Return the sorted indices that a selector needs, and the selector among those."""
    if isinstance(selector, int):
        return np.array([selector]), 0
    if isinstance(selector, slice):
        indices = np.arange(*_bounds(selector, size), dtype=np.int64)
        if selector.step is not None and selector.step < 0:
            return indices[::-1], slice(None, None, -1)
        return indices, slice(None)
    unique, inverse = np.unique(selector, return_inverse=True)
    return unique, inverse.reshape(selector.shape)


def _is_dense(selector: Any, frame_size: int) -> bool:
    """Whether every frame between the first and the last sample is needed anyway."""
    return isinstance(selector, slice) and abs(selector.step or 1) <= frame_size


def _intervals(
    selector: Any, size: int, frame_size: int
) -> tuple[list[tuple[int, int]], npt.NDArray[np.int64] | None, Any]:
    """Return the runs of samples that hold a selector's, with gaps of whole frames between.

    Then where in those runs, laid end to end, the needed samples are (None: each is one),
    and the selector among the needed samples.
    """
    if _is_dense(selector, frame_size):
        samples = range(*selector.indices(size))
        first, last = sorted((samples[0], samples[-1]))
        step = abs(samples.step)
        at = None if step == 1 else np.arange(0, last + 1 - first, step)
        return [(first, last + 1)], at, slice(None, None, -1 if samples.step < 0 else None)
    needed, among = _needed(selector, size)
    frames = needed // frame_size
    begins = np.flatnonzero(np.diff(frames, prepend=frames[0] - 2) > 1)
    ends = np.append(begins[1:], len(needed)) - 1
    runs = [(int(needed[b]), int(needed[e]) + 1) for b, e in zip(begins, ends, strict=True)]
    lengths = np.array([stop - start for start, stop in runs])
    shifts = np.cumsum(lengths) - lengths - needed[begins]
    at = needed + np.repeat(shifts, ends - begins + 1)
    return runs, at, among


def _stream_numbers(
    needed: Sequence[npt.NDArray[np.int64]], shape: Sequence[int]
) -> npt.NDArray[np.int64]:
    streams = np.zeros((), dtype=np.int64)
    for indices, size in zip(needed, shape, strict=True):
        streams = np.add.outer(streams * size, indices)
    return streams.ravel()


def _spans(
    streams: npt.NDArray[np.int64], runs: Sequence[tuple[int, int]], itemsize: int
) -> npt.NDArray[np.void]:
    """Return a span for each stream and run, streams after each other."""
    starts = np.array([start for start, _ in runs])
    counts = np.array([stop - start for start, stop in runs])
    length = int(counts.sum())
    spans = np.empty((len(streams), len(runs)), dtype=SPAN_DTYPE)
    spans["stream"] = streams[:, None]
    spans["start"] = starts
    spans["count"] = counts
    offsets = np.arange(len(streams))[:, None] * length + np.cumsum(counts) - counts
    spans["out_offset"] = offsets * itemsize
    return spans.ravel()


def plan_streams(
    streams: npt.NDArray[np.int64], selector: Any, stream_size: int, frame_size: int, itemsize: int
) -> ReadPlan:
    """Plan the reading of some samples of whole streams.

    Parameters
    ----------
    streams : ndarray of int64, shape (m,)
        Numbers of streams, each at most once, rising.
    selector : int or slice
        Which samples of each; an int in range.
    stream_size, frame_size : int
        Samples of a stream, and of a frame.
    itemsize : int
        Bytes of a sample.

    Returns
    -------
    ReadPlan
        Whose compact array has shape (m, samples), and whose selection is of shape
        (m, samples), or (m,) for an int.
    """
    if isinstance(selector, slice) and len(range(*selector.indices(stream_size))) == 0:
        return ReadPlan(np.empty(0, SPAN_DTYPE), (len(streams), 0), None, ())
    runs, samples, last = _intervals(selector, stream_size, frame_size)
    length = sum(stop - start for start, stop in runs)
    spans = _spans(streams, runs, itemsize)
    return ReadPlan(spans, (len(streams), length), samples, (slice(None), last))


def _plan_grid(
    selectors: list[Any], shape: Sequence[int], frame_size: int, itemsize: int
) -> ReadPlan:
    """Plan for all combinations of what the axes need."""
    leading = [_needed(s, n) for s, n in zip(selectors[:-1], shape[:-1], strict=True)]
    runs, samples, last = _intervals(selectors[-1], shape[-1], frame_size)
    streams = _stream_numbers([needed for needed, _ in leading], shape[:-1])
    length = sum(stop - start for start, stop in runs)
    spans = _spans(streams, runs, itemsize)
    compact = (*(len(needed) for needed, _ in leading), length)
    selection = (*(among for _, among in leading), last)
    if all(isinstance(s, slice) and s.step is None for s in selection):
        selection = ()
    return ReadPlan(spans, compact, samples, selection, compact == tuple(shape))


def _plan_points(
    points: Sequence[npt.NDArray[np.int64]], shape: Sequence[int], frame_size: int, itemsize: int
) -> ReadPlan:
    """Plan for single samples: the frame of each."""
    n_frames = -(-shape[-1] // frame_size)
    stream = np.zeros(points[0].shape, dtype=np.int64)
    for indices, size in zip(points[:-1], shape[:-1], strict=True):
        stream = stream * size + indices
    frame, at = np.divmod(points[-1], frame_size)
    keys, which = np.unique(stream * n_frames + frame, return_inverse=True)
    length = min(frame_size, shape[-1])
    spans = np.empty(len(keys), dtype=SPAN_DTYPE)
    spans["stream"] = keys // n_frames
    spans["start"] = keys % n_frames * frame_size
    spans["count"] = np.minimum(frame_size, shape[-1] - spans["start"])
    spans["out_offset"] = np.arange(len(keys)) * length * itemsize
    return ReadPlan(spans, (len(keys), length), None, (which.reshape(at.shape), at))


def is_empty(selection: Any, shape: Sequence[int]) -> bool:
    """Whether a selection takes no sample at all."""
    return any(
        len(range(*s.indices(n))) == 0 if isinstance(s, slice) else np.size(s) == 0
        for s, n in zip(_normalize(selection, shape), shape, strict=True)
    )


def plan_read(selection: Any, shape: Sequence[int], frame_size: int, itemsize: int) -> ReadPlan:
    """Plan the reading of a selection that is not empty.

    Parameters
    ----------
    selection : int, slice, array of int or bool, Ellipsis, or a tuple of these
        As numpy takes it; indices in range.
    shape : sequence of int
        The chunk's, one axis or more.
    frame_size : int
        Samples of a frame.
    itemsize : int
        Bytes of a sample.

    Returns
    -------
    ReadPlan
    """
    selectors = _normalize(selection, shape)
    if all(isinstance(s, np.ndarray) for s in selectors):
        points = np.broadcast_arrays(*selectors)
        if math.prod(len(np.unique(s)) for s in selectors) > points[0].size:
            return _plan_points(points, shape, frame_size, itemsize)
    return _plan_grid(selectors, shape, frame_size, itemsize)


def total_frames(shape: Sequence[int], frame_size: int) -> int:
    """Return how many frames a chunk has."""
    n_streams, stream_size = stream_shape(shape)
    return n_streams * -(-stream_size // frame_size)
