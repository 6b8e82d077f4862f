"""Floats in the arithmetic of flacarray's layout, ``integer * (1 / gain) + offset``.

Each step of it is rounded to the dtype, so that what comes back is not always the number that
was meant. Integers, gains and offsets are therefore chosen in turn, most compressible first,
and each choice is tried in this very arithmetic until one gives what it should:

- gains of 1 / quanta and the numbers of the dtype next to it, with the offset in the middle of a
  stream and with none;
- steps that are a power of two, which multiply without rounding. They are finer than the quanta,
  so the integers need more bits. They are for quanta near the precision of the dtype, where
  floats compress little anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[Any]
    Bools = npt.NDArray[np.bool_]
    Judged = tuple[npt.NDArray[Any], Bools]
    Choose = Callable[[Any], "_Choice"]
    Judge = Callable[[Any, "_Choice"], Judged]

SPARE_BITS = {np.dtype(np.float32): 8, np.dtype(np.float64): 13}
"""Of a dtype's integers, that `sufficient_quanta` leaves unused."""

COARSE = {np.dtype(np.float32): 2.0, np.dtype(np.float64): 8.0}
"""Spacings of a dtype that quanta have at least where a sample's place on the grid is sure.

It is found in float64, which has digits to spare for float32 alone.
"""

CLOSE = 2.0**-3
"""Of the quanta, how far flacarray may read a FlacArray's sample from where it is."""

FARTHEST = 2.0**-1
"""The same for quanta so fine that integers of the dtype's width hold no finer steps."""

SPACINGS = 4
"""Of the dtype, at the largest magnitude, how far flacarray may read samples beside that."""

ROUNDINGS = 2
"""In eps of a dtype, what the roundings of gains and of 1 / gain come to, and a bit more."""

RANGE = 2.0**30
"""Quanta of the range of a stream, where a FlacArray was given neither quanta nor precision."""

NEGLIGIBLE = 2.0**-12
"""Of the quanta, what the spacing of the dtype may be without a choice of its own."""


PART_SAMPLES = 2**18
"""Samples that are fitted at once: what that takes of memory is several times theirs."""

FEW = 32
"""Samples of each stream that tell at once whether all of them are likely to be as they were."""


class Fit(NamedTuple):
    """What a group holds of streams of floats.

    Attributes
    ----------
    integers : ndarray of int32 or int64, shape (streams, n)
    offsets, gains : ndarray of the floats' dtype, shape (streams,)
    quanta : ndarray of float64, shape (streams,)
        Of the grid, anchored at zero, that `read_back` puts the values on.
    """

    integers: npt.NDArray[Any]
    offsets: Floats
    gains: Floats
    quanta: npt.NDArray[np.float64]


class _Choice(NamedTuple):
    """Offsets, gains and quanta of some streams, and what they have to give.

    `middle` is the offsets in whole quanta.
    """

    offsets: Floats
    gains: Floats
    quanta: npt.NDArray[np.float64]
    is_last: bool = False
    is_loose: bool = False
    middle: npt.NDArray[np.float64] | None = None

    def loosely(self) -> _Choice:
        """Return the same, for what flacarray reads to be near only by the dtype's spacing."""
        return self._replace(is_loose=True)


def restore(integers: npt.NDArray[Any], offsets: Floats, gains: Floats) -> Floats:
    """Return the values of integers, shape (streams, n), as flacarray computes them."""
    values: Floats = integers.astype(gains.dtype)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        values *= (gains.dtype.type(1) / gains)[:, np.newaxis]
        values += offsets[:, np.newaxis]
    return values


def snap(values: Floats, quanta: npt.NDArray[np.float64]) -> Floats:
    """Put values back on the grid that they were rounded from, anchored at zero.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (streams, n)
    quanta : ndarray of float64, shape (streams,)

    Returns
    -------
    ndarray
        The number of the dtype that is nearest to whole quanta. Values stay as they are where
        quanta are not `COARSE` beside the spacing of the dtype.
    """
    steps = quanta[:, np.newaxis]
    with np.errstate(over="ignore", invalid="ignore"):
        on_grid = np.rint(values.astype(np.float64) / steps)
        on_grid *= steps
        on_grid += 0.0  # no negative zeros
        is_coarse = np.spacing(np.abs(values)) <= steps / COARSE[values.dtype]
        return np.where(is_coarse, on_grid.astype(values.dtype), values)


def whole_offset(offsets: npt.NDArray[np.float64], dtype: npt.DTypeLike) -> npt.NDArray[np.float64]:
    """Round offsets in quanta to whole numbers that are known again once they are of a dtype.

    Those of 2**22 and more are multiples of a power of two for float32: its spacing there is
    up to a quarter of that, so that the product with the quanta, rounded, tells the number. The
    power is small beside the range of integers, from which it takes.

    Parameters
    ----------
    offsets : ndarray
        In quanta.
    dtype : dtype
        float32 or float64.
    """
    info = np.finfo(dtype)
    _, exponents = np.frexp(offsets)
    units = np.ldexp(1.0, np.clip(exponents - (info.nmant - 1), 0, info.bits - 4))
    return np.asarray(np.rint(offsets / units) * units)


def read_back(
    integers: npt.NDArray[Any], offsets: Floats, gains: Floats, quanta: npt.NDArray[np.float64]
) -> Floats:
    """Return the values of a FlacArray that a group was written with.

    Where gains are 1 / quanta, they are ``(integer + offset / quanta) * quanta``, of the whole
    number of quanta that the offset was rounded from, with one rounding. Else they are `snap` of
    what flacarray reads.
    """
    values = snap(restore(integers, offsets, gains), quanta)
    near = np.flatnonzero(_is_near(gains, quanta))
    if len(near):
        steps = quanta[near]
        whole = integers[near].astype(np.float64)
        whole += whole_offset(offsets[near].astype(np.float64) / steps, gains.dtype)[:, np.newaxis]
        whole *= steps[:, np.newaxis]
        whole += 0.0  # no negative zeros
        with np.errstate(over="ignore"):
            values[near] = whole.astype(values.dtype)
    return values


def are_of(
    integers: npt.NDArray[Any], offsets: Floats, gains: Floats, quanta: npt.NDArray[np.float64]
) -> bool:
    """Tell whether quanta are of the other tables, as those that were written are."""
    read = restore(integers, offsets, gains).astype(np.float64)
    off = np.abs(read_back(integers, offsets, gains, quanta) - read).max(axis=-1)
    steps = (gains.dtype.type(1) / gains).astype(np.float64)
    spacing = np.spacing(np.abs(read).max(axis=-1).astype(gains.dtype)).astype(np.float64)
    close = np.where(_is_near(gains, quanta), CLOSE * quanta + SPACINGS * spacing, steps / 2)
    return bool((off <= close).all())


def _is_near(gains: Floats, quanta: npt.NDArray[np.float64]) -> Bools:
    """Tell which gains are those of the quanta, or the numbers of the dtype beside them."""
    with np.errstate(over="ignore", divide="ignore"):
        steps = (gains.dtype.type(1) / gains).astype(np.float64)
        off = np.abs(steps - quanta)
    return np.asarray(off <= ROUNDINGS * float(np.finfo(gains.dtype).eps) * quanta)


def width(dtype: np.dtype[Any]) -> int:
    """Return the bits of the integers that stand for floats of a dtype."""
    return 8 * dtype.itemsize


def largest_of(values: Floats) -> npt.NDArray[np.float64]:
    """Return the largest magnitude of each stream."""
    largest = np.maximum(values.max(axis=-1), -values.min(axis=-1))
    return np.asarray(largest.astype(np.float64))


def smallest_quanta(values: Floats, bits: int = 0) -> float:
    """Return quanta that `fit_samples` can do for a stream; with 8 bits, `fit_grid` too."""
    _, top = np.frexp(largest_of(values[np.newaxis])[0])
    info = np.finfo(values.dtype)
    # The gains of half the quanta have to be finite too.
    return max(float(np.ldexp(1.0, top - width(values.dtype) + 1 + bits)), 4 / float(info.max))


def sufficient_quanta(values: Floats) -> float:
    """Return quanta that all streams can have, in a FlacArray (quantized) and in a group."""
    spare = SPARE_BITS[values.dtype]
    return smallest_quanta(values.ravel(), spare)


def _rows(values: Floats, rows: npt.NDArray[np.intp]) -> Floats:
    """Return some streams, without a copy if they are all."""
    return values if len(rows) == len(values) else values[rows]


def fit_by_parts(
    values: Floats, fit_part: Callable[[slice], tuple[Fit, Bools]]
) -> tuple[Fit, Bools]:
    """Fit some streams at a time, so that memory holds few numbers beside the integers.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (streams, n)
    fit_part : callable
        Given a range of streams, returns what gives them back, and which of them it does.
    """
    count, dtype = len(values), values.dtype
    whole = Fit(_nothing(values), np.zeros(count, dtype), np.ones(count, dtype), np.ones(count))
    fits = np.zeros(count, dtype=bool)
    step = max(1, PART_SAMPLES // max(1, values.shape[-1]))
    for first in range(0, count, step):
        part = slice(first, first + step)
        fit, fits[part] = fit_part(part)
        for table, found in zip(whole, fit, strict=True):
            table[part] = found
    return whole, fits


def fit_grid(values: Floats, quanta: npt.NDArray[np.float64], middle: Floats) -> tuple[Fit, Bools]:
    """Choose what gives the values of a FlacArray back, bit for bit, by `read_back`.

    flacarray, which knows nothing of that, reads the same values where quanta are powers of
    two, or fine beside the dtype's spacing; else values within `CLOSE` quanta of them. Quanta that
    a FlacArray chose itself, by the range of a stream, may take more: some spacings of the dtype.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (streams, n)
        Finite.
    quanta : ndarray of float64, shape (streams,)
    middle : ndarray of float64, shape (streams,)
        A whole number of quanta in the middle of each stream, as `whole_offset` gives it.

    Returns
    -------
    Fit
        With the quanta that were given.
    ndarray of bool, shape (streams,)
        Which streams it gives back. What it holds of the others is of no use.
    """
    spans = values.max(axis=-1).astype(np.float64) - values.min(axis=-1)
    is_of_range = np.abs(spans / quanta / RANGE - 1) < 2.0**-20

    def judge(rows: Any, some: _Choice) -> Judged:
        wanted, steps = _rows(values, rows), quanta[rows]
        if some.middle is None:
            integers = _nearest(wanted, some)
        else:
            integers = _whole(wanted, steps, some.middle)
        read = restore(integers, some.offsets, some.gains)
        back = (read_back(integers, some.offsets, some.gains, steps) == wanted).all(axis=-1)
        if some.is_loose:
            return integers, np.asarray(back & is_of_range[rows])
        close = (FARTHEST if some.is_last else CLOSE) * steps[:, np.newaxis]
        with np.errstate(over="ignore", invalid="ignore"):
            is_near = (read == wanted) | (np.abs(read.astype(np.float64) - wanted) <= close)
        return integers, np.asarray(back & is_near.all(axis=-1))

    near = list(_near(quanta, middle, values.dtype))
    choices = [*near, _powers_of_two(values, quanta * CLOSE), lambda r: near[0](r).loosely()]
    fit, fits = _first_that_does(values, [(choose, judge) for choose in choices])
    return fit._replace(quanta=quanta), fits


def fit_samples(data: Floats, quanta: npt.NDArray[np.float64], middle: Floats) -> tuple[Fit, Bools]:
    """Choose what gives samples within half of the quanta, plus one rounding of the dtype.

    That is so of what flacarray reads, and of `read_back` too. Where both cannot be, the quanta
    are the largest power of two that is not above those given, which has no roundings.

    Parameters and results are those of `fit_grid`.
    """
    is_fine = np.spacing(largest_of(data).astype(data.dtype)) > quanta * NEGLIGIBLE
    slack = np.where(is_fine, 0, quanta * NEGLIGIBLE)

    def judge(rows: Any, some: _Choice) -> Judged:
        wanted = _rows(data, rows)
        half, spare = quanta[rows, np.newaxis] / 2, slack[rows, np.newaxis]

        def keeps(integers: npt.NDArray[Any]) -> Bools:
            read = restore(integers, some.offsets, some.gains)
            with np.errstate(over="ignore", invalid="ignore"):
                rounding = np.spacing(np.abs(read)).astype(np.float64) / 2
                kept = np.abs(read.astype(np.float64) - wanted) - rounding <= half + spare
                if some.is_last:
                    return np.asarray(kept)
                on_grid = read_back(integers, some.offsets, some.gains, some.quanta)
                kept &= rounding <= half / COARSE[data.dtype]
                return np.asarray(kept & (np.abs(on_grid - wanted) - rounding <= half))

        integers = _nearest(wanted, some)
        kept = keeps(integers)
        for by in (-1, 1):  # where a sample is halfway, the integer beside it may do
            if kept.all():
                break
            others = integers + integers.dtype.type(by)
            better = ~kept & keeps(others)
            integers, kept = np.where(better, others, integers), kept | better
        return integers, np.asarray(kept.all(axis=-1))

    def judge_same(rows: Any, some: _Choice) -> Judged:
        wanted = _rows(data, rows)

        def is_same(samples: slice) -> Bools:
            part = wanted[:, samples]
            read = restore(_nearest(part, some), some.offsets, some.gains)
            return np.asarray((read == part).all(axis=-1))

        same = is_same(slice(FEW))
        if some.is_last:
            same &= is_fine[rows]
        if same.any():
            same &= is_same(slice(None))
            same &= judge(rows, some)[1]
        integers = _nearest(wanted, some) if same.any() else _nothing(wanted)
        return integers, np.asarray(same)

    choices = [*_near(quanta, middle, data.dtype), _powers_of_two(data, quanta)]
    # What was read stays as it is when it is written again, if its choice is looked for first.
    judges: tuple[Judge, ...] = (judge_same, judge)
    return _first_that_does(data, [(choose, j) for j in judges for choose in choices])


def _first_that_does(
    values: Floats,
    steps: Sequence[tuple[Choose, Judge]],
) -> tuple[Fit, Bools]:
    """Try choices in turn, each with the streams that those before it did not do for."""
    count, dtype = len(values), values.dtype
    integers = _nothing(values)
    fit = Fit(integers, np.zeros(count, dtype), np.ones(count, dtype), np.ones(count))
    rows = np.arange(count)
    for choose, judge in steps:
        some = choose(rows)
        integers, fits = judge(rows, some)
        done = rows[fits]
        if len(done) == count:
            return Fit(integers, some.offsets, some.gains, some.quanta), fits
        for table, found in zip(
            fit, (integers, some.offsets, some.gains, some.quanta), strict=True
        ):
            table[done] = found[fits]
        rows = rows[~fits]
        if not len(rows):
            break
    fitted = np.ones(count, dtype=bool)
    fitted[rows] = False
    return fit, fitted


def _near(
    quanta: npt.NDArray[np.float64], middle: Floats, dtype: np.dtype[Any]
) -> Iterator[Choose]:
    """Give gains of 1 / quanta and those next to it, with an offset and without."""

    def near(offset: float, direction: float) -> Choose:
        def choose(rows: Any) -> _Choice:
            steps = quanta[rows]
            with np.errstate(over="ignore", divide="ignore"):
                gains = (1 / steps).astype(dtype)
                if direction:
                    gains = np.nextafter(gains, dtype.type(direction))
                whole = middle[rows] * offset
                return _Choice((whole * steps).astype(dtype), gains, steps, middle=whole)

        return choose

    for offset in (1.0, 0.0):
        for direction in (0.0, np.inf, -np.inf):
            yield near(offset, direction)


def _powers_of_two(values: Floats, quanta: npt.NDArray[np.float64]) -> Choose:
    """Give steps that are powers of two, not above the quanta if integers can hold these."""
    dtype = values.dtype

    def choose(rows: Any) -> _Choice:
        largest = largest_of(_rows(values, rows))
        _, tops = np.frexp(largest)
        _, exponents = np.frexp(quanta[rows])
        # One bit of the integers is the sign.
        steps = np.ldexp(1.0, np.maximum(exponents - 1, tops - (width(dtype) - 1)))
        with np.errstate(over="ignore", divide="ignore"):
            gains = (1 / steps).astype(dtype)
        return _Choice(np.zeros(len(rows), dtype), gains, steps, is_last=True)

    return choose


def _nothing(values: Floats) -> npt.NDArray[Any]:
    return np.zeros(values.shape, dtype=f"int{width(values.dtype)}")


def _nearest(values: Floats, some: _Choice) -> npt.NDArray[Any]:
    """Return the integers whose values are the nearest; what they cannot hold is clipped."""
    dtype = values.dtype
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        steps = (dtype.type(1) / some.gains).astype(np.float64)
        whole = values.astype(np.float64) - some.offsets.astype(np.float64)[:, np.newaxis]
        whole /= steps[:, np.newaxis]
        np.rint(whole, out=whole)
    return _held(whole, dtype)


def _whole(
    values: Floats, quanta: npt.NDArray[np.float64], middle: npt.NDArray[np.float64]
) -> npt.NDArray[Any]:
    """Return values in whole quanta from a middle; what integers cannot hold is clipped."""
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(values / quanta[:, np.newaxis])
        whole -= middle[:, np.newaxis]
    return _held(whole, values.dtype)


def _held(whole: Floats, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    integers = np.dtype(f"int{width(dtype)}")
    limit = 2.0 ** (width(dtype) - 1)
    largest = min(limit - 1, np.nextafter(limit, 0))  # 64 bits have more digits than a float64
    with np.errstate(invalid="ignore"):
        clipped: npt.NDArray[Any] = np.clip(np.nan_to_num(whole), -limit, largest).astype(integers)
    return clipped
