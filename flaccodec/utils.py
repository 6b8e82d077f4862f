"""Floats <-> integers, with the names and the meaning of the flacarray package."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flaccodec.exceptions import (
    ConfigurationError,
    QuantaError,
    QuantaTooFineError,
    UnsupportedDtypeError,
)

__all__ = ["float_to_int", "int_to_float"]

RANGE_BITS = 30
_INTEGERS: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(np.float32): np.dtype(np.int32),
    np.dtype(np.float64): np.dtype(np.int64),
}
_FLOATS = {integer: float_ for float_, integer in _INTEGERS.items()}


def per_stream(name: str, values: npt.ArrayLike, leading: tuple[int, ...]) -> npt.NDArray[Any]:
    """Check a parameter: one number, or one for each stream.

    Returns
    -------
    ndarray of float64, shape () or `leading`

    Raises
    ------
    ConfigurationError
        Where it has another shape.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim and array.shape != (leading or (1,)):
        raise ConfigurationError(
            f"{name} must be one number or have the shape of the leading axes, {leading}. "
            f"Got shape {array.shape}."
        )
    return array.reshape(leading) if array.ndim else array


def check_quanta(quanta: npt.NDArray[Any]) -> None:
    """Check that all quanta are positive and finite.

    Raises
    ------
    QuantaError
        Where one is not; the message names the stream.
    """
    bad = np.flatnonzero(~(np.isfinite(quanta) & (quanta > 0)))
    if bad.size:
        raise QuantaError(
            f"quanta must be positive and finite (at stream {bad[0]:,}). "
            f"Got {quanta.flat[bad[0]]!r}."
        )


def _choose_quanta(
    data: npt.NDArray[Any], quanta: npt.ArrayLike | None, precision: npt.ArrayLike | None
) -> npt.NDArray[Any]:
    """Return quanta for each stream, shape of the leading axes."""
    leading = data.shape[:-1]
    if quanta is not None:
        chosen = np.broadcast_to(per_stream("quanta", quanta, leading), leading)
    elif precision is not None:
        digits = per_stream("precision", precision, leading)
        chosen = np.std(data, axis=-1, dtype=np.float64) / 10.0**digits
    else:
        chosen = np.ptp(data.astype(np.float64, copy=False), axis=-1) / 2**RANGE_BITS
    if quanta is None:  # constant streams, which any quanta that divide them will do for
        largest = np.abs(data).max(axis=-1).astype(np.float64)
        chosen = np.where(chosen == 0, np.where(largest > 0, largest, 1.0), chosen)
    check_quanta(np.asarray(chosen))
    return np.asarray(chosen, dtype=np.float64)


def _check_fit(scaled: npt.NDArray[Any], quanta: npt.NDArray[Any], bits: int) -> None:
    limit = 2.0 ** (bits - 1)
    worst = np.abs(scaled).max(axis=-1)
    if (worst < limit).all():
        return
    stream = int(np.argmax(worst))
    rows = scaled.reshape(-1, scaled.shape[-1])
    sample = int(np.argmax(np.abs(rows[stream])))
    smallest = float(quanta.reshape(-1)[stream] * worst.reshape(-1)[stream] / limit * (1 + 1e-9))
    raise QuantaTooFineError(
        f"quanta are too fine for {bits}-bit integers (at stream {stream:,}, sample {sample:,}). "
        f"The smallest quanta that would do are {smallest!r}.",
        stream,
        sample,
        smallest,
    )


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
        The middle of each stream's range, rounded to whole quanta; what was subtracted.
    gains : ndarray like offsets
        1 / quanta.

    Raises
    ------
    UnsupportedDtypeError, ConfigurationError, QuantaError, QuantaTooFineError
        As their names say.
    """
    if data.dtype not in _INTEGERS:
        raise UnsupportedDtypeError(f"data must be float32 or float64. Got {data.dtype}.")
    if quanta is not None and precision is not None:
        raise ConfigurationError("give quanta or precision, not both.")
    if not np.isfinite(data).all():
        place = np.argwhere(~np.isfinite(data))[0]
        raise ConfigurationError(
            f"data must be finite. Got {data[tuple(place)]} at {tuple(map(int, place))}; "
            "a FlacArray or FlacCodec keeps such samples."
        )
    steps = _choose_quanta(data, quanta, precision)
    middle = data.min(axis=-1) / 2.0 + data.max(axis=-1) / 2.0
    offsets = np.rint(middle / steps) * steps
    scaled = np.rint((data - offsets[..., np.newaxis]) / steps[..., np.newaxis])
    dtype = _INTEGERS[data.dtype]
    _check_fit(scaled, steps, 8 * dtype.itemsize)
    shape = data.shape[:-1] or (1,)
    return (
        scaled.astype(dtype),
        offsets.astype(data.dtype).reshape(shape),
        (1.0 / steps).astype(data.dtype).reshape(shape),
    )


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
    offsets, gains = (np.broadcast_to(v, leading)[..., np.newaxis] for v in values)
    dtype = _FLOATS[idata.dtype]
    result: npt.NDArray[Any] = idata.astype(dtype)
    result *= dtype.type(1) / gains.astype(dtype)
    result += offsets.astype(dtype)
    return result
