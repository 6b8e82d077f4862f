"""Floats <-> integers, and masks, with the names and the meaning of the flacarray package."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flaccodec.exceptions import (
    ConfigurationError,
    EmptyArrayError,
    QuantaTooFineError,
    UnsupportedDtypeError,
)
from flaccodec.samples.grid import (
    Fit,
    fit_by_parts,
    fit_samples,
    restore,
    smallest_quanta,
    whole_offset,
)
from flaccodec.samples.keep import Indices, check_keep, kept_indices
from flaccodec.samples.masks import unmasked
from flaccodec.samples.quanta import (
    check_one_given,
    check_precision,
    check_quanta,
    gains_of,
    per_stream,
)

__all__ = [
    "compressed_dtype",
    "ensure_one_element",
    "float_to_int",
    "int_to_float",
    "keep_select",
    "select_keep_indices",
]


RANGE_BITS = 30
FEW_ROUNDS = 3
_INTEGERS: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(np.float32): np.dtype(np.int32),
    np.dtype(np.float64): np.dtype(np.int64),
}
_FLOATS = {integer: float_ for float_, integer in _INTEGERS.items()}


def _rms_about_mean(data: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return each stream's.

    The middle of the range is taken off first, as a large mean would cost the squares their
    digits. Where squares would be no float64, samples are scaled by a power of two.
    """
    _, exponents = np.frexp(np.abs(data).max(axis=-1).astype(np.float64))
    exponents = np.where(np.abs(exponents) > 400, exponents, 0)
    wide = data.astype(np.float64, copy=False)
    if exponents.any():
        wide = np.ldexp(wide, -exponents[..., np.newaxis])
    middle = wide.min(axis=-1, keepdims=True) / 2 + wide.max(axis=-1, keepdims=True) / 2
    return np.asarray(np.ldexp(np.std(wide - middle, axis=-1), exponents))


def _choose_quanta(
    data: npt.NDArray[Any], quanta: npt.ArrayLike | None, precision: npt.ArrayLike | None
) -> npt.NDArray[Any]:
    """Return quanta for each stream, shape of the leading axes."""
    leading = data.shape[:-1]
    if quanta is not None:
        chosen = np.broadcast_to(per_stream("quanta", quanta, leading), leading)
    elif precision is not None:
        digits = per_stream("precision", precision, leading)
        check_precision(digits)
        # numpy sums in the order of memory, and rounds as it goes: streams end to end come out
        # alike whatever lies beside them, such as on one MPI rank or on several.
        chosen = _rms_about_mean(np.ascontiguousarray(data)) / 10.0**digits
    else:
        chosen = np.ptp(data.astype(np.float64, copy=False), axis=-1) / 2**RANGE_BITS
    if quanta is None:  # constant streams, which any quanta that divide them will do for
        largest = np.abs(data).max(axis=-1).astype(np.float64)
        chosen = np.where(chosen == 0, np.where(largest > 0, largest, 1.0), chosen)
    check_quanta(np.asarray(chosen))
    return np.asarray(chosen, dtype=np.float64)


def float_to_int(
    data: npt.NDArray[Any],
    quanta: npt.ArrayLike | None = None,
    precision: npt.ArrayLike | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Convert floats to integers.

    Parameters
    ----------
    data : ndarray of float32 or float64, shape (..., n)
        Finite.
    quanta : float or array_like, optional
        The step of the integers in the units of the data: one, or one for each stream.
        With neither this nor `precision`, each stream's range spans 2**30 integers.
    precision : float or array_like, optional
        Decimal digits of each stream's RMS about its mean to keep.

    Returns
    -------
    integers : ndarray of int32 (for float32) or int64, shape (..., n)
    offsets : ndarray of the data's dtype, shape of the leading axes, (1,) for one stream
        What was subtracted: the middle of each stream's range, rounded to whole quanta (see
        `whole_offset`), or 0.
    gains : ndarray like offsets
        1 / quanta, or a number of the dtype beside it, or, where quanta are fine beside the
        dtype's precision, a power of two up to twice that: what `int_to_float` gives every sample
        back with, within half of the quanta and one rounding.

    Raises
    ------
    UnsupportedDtypeError, ConfigurationError, EmptyArrayError, QuantaError, QuantaTooFineError
        As their names say.
    """
    data = unmasked(data, "data", keeps_nan=False)
    fit = fit_floats(data, chosen_quanta(data, quanta, precision))
    tables = data.shape[:-1] or (1,)
    return fit.integers.reshape(data.shape), fit.offsets.reshape(tables), fit.gains.reshape(tables)


def chosen_quanta(
    data: npt.NDArray[Any], quanta: npt.ArrayLike | None, precision: npt.ArrayLike | None
) -> npt.NDArray[np.float64]:
    """Check floats and options, as `float_to_int` says; return quanta of each stream."""
    if data.dtype not in _INTEGERS:
        raise UnsupportedDtypeError(f"data must be float32 or float64. Got {data.dtype}.")
    check_one_given(quanta, precision)
    if data.size == 0:
        raise EmptyArrayError(f"the array has no samples: its shape is {data.shape}.")
    if not np.isfinite(data).all():
        place = np.argwhere(~np.isfinite(data))[0]
        raise ConfigurationError(
            f"data must be finite. Got {data[tuple(place)]} at {tuple(map(int, place))}; "
            "a FlacArray or FlacCodec keeps such samples."
        )
    return _choose_quanta(data, quanta, precision)


def fit_floats(data: npt.NDArray[Any], quanta: npt.NDArray[np.float64]) -> Fit:
    """Do as `float_to_int`, with streams end to end and quanta of each, and tell the grid."""
    steps = quanta.reshape(-1)
    gains_of(steps, data.dtype)
    rows = data.reshape(-1, data.shape[-1])
    fit, fits = fit_by_parts(rows, lambda part: _fit_rows(rows[part], steps[part]))
    if not fits.all():
        stream = int(np.argmin(fits))
        sample = int(np.argmax(np.abs(rows[stream])))
        smallest = smallest_quanta(rows[stream])
        raise QuantaTooFineError(
            f"quanta are too fine for {fit.integers.dtype.itemsize * 8}-bit integers "
            f"(at stream {stream:,}, sample {sample:,}). "
            f"Quanta that would do are {smallest!r}.",
            stream,
            sample,
            smallest,
        )
    return fit


def _fit_rows(
    rows: npt.NDArray[Any], steps: npt.NDArray[np.float64]
) -> tuple[Fit, npt.NDArray[np.bool_]]:
    """Return what gives some streams back, and which of them it does."""
    middle = before = _middle(rows, steps)
    fit, fits = fit_samples(rows, steps, middle)
    for _ in range(FEW_ROUNDS):
        # What is read may have its middle beside it: with that, it stays when written again.
        others = _middle(_ends_of(fit), steps)
        others = np.where(others == before, np.minimum(middle, others), others)
        moved = np.flatnonzero((others != middle) & fits)
        if not len(moved):
            break
        before, middle = middle, np.where(fits, others, middle)
        again, fits[moved] = fit_samples(rows[moved], steps[moved], middle[moved])
        for table, found in zip(fit, again, strict=True):
            table[moved] = found
    return fit, fits


def _middle(rows: npt.NDArray[Any], steps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the middle of each stream, in whole quanta."""
    lowest, highest = (
        np.rint(end(axis=-1).astype(np.float64) / steps) for end in (rows.min, rows.max)
    )
    return whole_offset(lowest / 2 + highest / 2, rows.dtype)


def _ends_of(fit: Fit) -> npt.NDArray[Any]:
    """Return the lowest and the highest value that each stream is read with."""
    ends = np.stack([fit.integers.min(axis=-1), fit.integers.max(axis=-1)], axis=-1)
    return restore(ends, fit.offsets, fit.gains)


def int_to_float(
    idata: npt.NDArray[Any], offset: npt.NDArray[Any], gain: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Restore floats from integers: ``idata * (1 / gain) + offset``.

    Each step is taken in the dtype of the result, as the flacarray package does, so that
    its streams give its values bit for bit.

    Parameters
    ----------
    idata : ndarray of int32 or int64, shape (..., n)
    offset, gain : ndarray
        One for each stream, as `float_to_int` returned them.

    Returns
    -------
    ndarray of float32 (for int32) or float64, shape (..., n)
    """
    if idata.dtype not in _FLOATS:
        raise UnsupportedDtypeError(f"idata must be int32 or int64. Got {idata.dtype}.")
    leading = idata.shape[:-1]
    values = [per_stream(n, v, leading) for n, v in (("offset", offset), ("gain", gain))]
    dtype = _FLOATS[idata.dtype]
    offsets, gains = (np.broadcast_to(v, leading).astype(dtype).reshape(-1) for v in values)
    return restore(idata.reshape(-1, idata.shape[-1]), offsets, gains).reshape(idata.shape)


# -- masks ---------------------------------------------------------------------------


def keep_select(
    keep: npt.ArrayLike | None,
    stream_starts: npt.NDArray[np.int64],
    stream_nbytes: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Indices | None]:
    """Pick from the tables of streams.

    Parameters
    ----------
    keep : array_like of bool, optional
        Which streams, of the shape of the leading axes; by default all.
    stream_starts, stream_nbytes : ndarray of int, shape of the leading axes

    Returns
    -------
    starts, nbytes : ndarray of int64, shape (number kept,)
        Without `keep` the tables themselves.
    indices : list of tuple of int, or None without `keep`

    Raises
    ------
    ConfigurationError
        `keep` is not boolean, or a table has another shape.
    """
    if keep is None:
        return stream_starts, stream_nbytes, None
    mask = check_keep(keep, stream_starts.shape)
    check_keep(mask, stream_nbytes.shape)
    return stream_starts[mask], stream_nbytes[mask], kept_indices(mask)


def select_keep_indices(
    arr: npt.NDArray[Any] | None, indices: Indices | None
) -> npt.NDArray[Any] | None:
    """Pick elements by index tuples, as `keep_select` returns them.

    Parameters
    ----------
    arr : ndarray or None
    indices : list of tuple of int, or None
        None for all.

    Returns
    -------
    ndarray, shape (len(indices),), or `arr` itself where there is nothing to pick
    """
    if arr is None or indices is None:
        return arr
    return np.array([arr[index] for index in indices], dtype=arr.dtype)


# -- dtypes --------------------------------------------------------------------------


def compressed_dtype(
    n_channel: int, offsets: npt.NDArray[Any] | None, gains: npt.NDArray[Any] | None
) -> np.dtype[Any]:
    """Return the dtype of what streams restore to.

    Parameters
    ----------
    n_channel : int
        FLAC channels of each stream: 1 for 32 bits, 2 for 64.
    offsets, gains : ndarray or None
        Both for floats.
    """
    kind = "int" if offsets is None or gains is None else "float"
    return np.dtype(f"{kind}{64 if n_channel == 2 else 32}")


def ensure_one_element(input: Any, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Give a number, or an array that holds one, as an array of shape (1,).

    Parameters
    ----------
    input : ndarray of shape (1,), or number
    dtype : dtype, optional
        What an array must have, and what a number becomes; needed for a number.

    Raises
    ------
    ConfigurationError
        An array of another shape or dtype, or a number without `dtype`.
    """
    if not isinstance(input, np.ndarray):
        if dtype is None:
            raise ConfigurationError("a number needs dtype. Got None.")
        return np.array([input], dtype=dtype)
    if input.shape != (1,) or (dtype is not None and input.dtype != np.dtype(dtype)):
        expected = "" if dtype is None else f" and {np.dtype(dtype)}"
        raise ConfigurationError(
            f"input must be of shape (1,){expected}. Got {input.dtype} of shape {input.shape}."
        )
    return input
