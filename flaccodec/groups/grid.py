"""The values of a group's floats, and the grid that they lie on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.samples.grid import (
    are_of,
    largest_of,
    read_back,
    restore,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from flaccodec.groups.layout import GroupStreams


ROUNDINGS = 2
"""In eps of a dtype, what the roundings of offsets, gains and 1 / gain come to, and a bit more."""


MOST_QUANTA = 2.0**62
"""From zero, of a FlacArray's samples, which are 64-bit integers; a group's are from offsets."""


def grid_values(
    streams: GroupStreams, block: slice, samples: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return the values of a group's floats, and quanta of a grid anchored at zero for each.

    A group has values that are whole steps, 1 / gain, from an offset, and both are rounded to
    the dtype; a FlacArray has whole quanta from zero.

    - Where flaccodec wrote the quanta too, values are those that the group was written with,
      put back on that grid by `group_floats.read_back`.
    - Else values are those that `read_array` returns, and quanta those of `fit_quanta`: a
      FlacArray keeps them within half of the quanta, and within 4 eps (of the dtype) of the
      stream's largest value or offset, whichever is larger.

    Parameters
    ----------
    streams : GroupStreams
        Of floats.
    block : slice
        Which streams, by number.
    samples : ndarray of int, shape (streams, n)
        What they hold.

    Returns
    -------
    values : ndarray of the streams' dtype, shape (streams, n)
    quanta : ndarray of float64, shape (streams,)
    """
    offsets, steps = _offsets_and_steps(streams, block)
    values = restored(streams, block, samples)
    if streams.stream_quanta is not None:
        assert streams.stream_offsets is not None
        assert streams.stream_gains is not None
        gains, quanta = (t.ravel()[block] for t in (streams.stream_gains, streams.stream_quanta))
        tables = samples, streams.stream_offsets.ravel()[block], gains, quanta
        if are_of(*tables):
            return read_back(*tables), quanta
        # Something else has changed the other tables since.
    return values, fit_quanta(offsets, steps, largest_of(values), streams.dtype)


def _offsets_and_steps(
    streams: GroupStreams, block: slice
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what streams of floats are restored with, as float64."""
    assert streams.stream_offsets is not None
    assert streams.stream_gains is not None
    steps = streams.dtype.type(1) / streams.stream_gains.ravel()[block]
    return streams.stream_offsets.ravel()[block].astype(np.float64), steps.astype(np.float64)


def fit_quanta(
    offsets: npt.NDArray[np.float64],
    steps: npt.NDArray[np.float64],
    largest: npt.NDArray[np.float64],
    dtype: np.dtype[Any],
) -> npt.NDArray[np.float64]:
    """Choose quanta of a grid anchored at zero, on which ``offset + whole number * step`` lie.

    Offsets of flacarray 0.3 and later are whole numbers of steps, and miss the grid by roundings
    of the dtype alone; such a grid is stretched, by as little, to pass through the offset, so
    that values near it stay as they are. Those of flacarray 0.2 lie anywhere: there the step
    is halved until the grid passes the offset within a rounding. That is smaller than lossless
    floats are, and such streams can be written to a group again; those beside them keep theirs.
    Steps so fine that a FlacArray could not count them from zero, far below the dtype's precision
    there, become coarser.

    Parameters
    ----------
    offsets, steps : ndarray, shape (streams,)
    largest : ndarray, shape (streams,)
        The largest magnitude of each stream's values.
    dtype : numpy.dtype
        What these were rounded to.

    Returns
    -------
    ndarray, shape (streams,)
    """
    rounding = ROUNDINGS * float(np.finfo(dtype).eps)
    scale = np.maximum(largest, np.abs(offsets))
    tolerance = rounding * scale
    quanta = np.maximum(steps, scale / MOST_QUANTA)
    while True:
        whole = np.rint(offsets / quanta)
        missed = np.abs(offsets - whole * quanta)
        if (missed <= tolerance).all():
            break
        quanta = np.where(missed > tolerance, quanta / 2, quanta)
    stretched = (whole != 0) & (missed <= rounding * np.abs(offsets))
    return np.where(stretched, offsets / np.where(whole == 0, 1, whole), quanta)


def restored(streams: GroupStreams, block: slice, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values of integers, as the flacarray that wrote them does."""
    if streams.stream_offsets is None:
        return samples
    offsets = streams.stream_offsets.ravel()[block]
    if streams.stream_gains is not None:
        return restore(samples, offsets, streams.stream_gains.ravel()[block])
    # Format 0 has 32-bit samples for int64, with offsets alone.
    restored = samples.astype(streams.dtype)
    restored += offsets[:, np.newaxis]
    return restored
