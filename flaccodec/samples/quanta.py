"""What quanta and precision may be, and gains, 1 / quanta, of floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flaccodec.exceptions import (
    ConfigurationError,
    QuantaError,
    QuantaTooFineError,
)
from flaccodec.samples.masks import check_unmasked

MAX_PRECISION = 308


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
    check_unmasked(values, name)
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


def held_samples(array: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return samples in a dtype that can hold them: none is clipped or wrapped, floats may round.

    Raises
    ------
    ConfigurationError
        The dtype cannot hold one.
    """
    dtype = np.dtype(dtype)
    if not array.size or np.can_cast(array.dtype, dtype, "safe"):
        return array.astype(dtype, copy=False)
    if array.dtype.kind not in ("iu" if dtype.kind in "iu" else "iuf"):
        raise ConfigurationError(
            f"arr must be of the dataset's dtype, {dtype}. Got {array.dtype}, which becomes that "
            f"by chance only: convert it with astype({dtype.name!r}), rounded as you need it."
        )
    with np.errstate(over="ignore"):
        held = array.astype(dtype)
    wrong = held != array if dtype.kind in "iu" else np.isinf(held) & np.isfinite(array)
    if wrong.any():
        raise ConfigurationError(
            f"arr must have samples that the dataset's dtype, {dtype}, can hold. "
            f"Got {array[wrong][0]!s}."
        )
    return held


def check_one_given(quanta: npt.ArrayLike | None, precision: npt.ArrayLike | None) -> None:
    """Check that not both are given.

    Raises
    ------
    ConfigurationError
        They are.
    """
    if quanta is not None and precision is not None:
        raise ConfigurationError("give quanta or precision, not both.")


def check_precision(digits: npt.NDArray[Any]) -> None:
    """Check that all precisions are such that 10**precision is a float64.

    Raises
    ------
    ConfigurationError
        Where one is not; the message names the stream.
    """
    bad = np.flatnonzero(~(np.abs(digits) <= MAX_PRECISION))
    if bad.size:
        raise ConfigurationError(
            f"precision must be decimal digits from -{MAX_PRECISION} to {MAX_PRECISION} "
            f"(at stream {bad[0]:,}). Got {float(digits.flat[bad[0]])!r}."
        )


def gains_of(quanta: npt.NDArray[np.float64], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return 1 / quanta in a dtype, float32 or float64, that tells the quanta.

    Raises
    ------
    QuantaTooFineError, QuantaError
        It would be infinite, or too small a number; the message names the stream, and what would
        do.
    """
    dtype = np.dtype(dtype)
    info = np.finfo(dtype)
    with np.errstate(over="ignore", divide="ignore"):
        gains = np.asarray((1.0 / quanta).astype(dtype))
        off = np.abs((1 / gains).astype(np.float64) - quanta)
    bad = np.flatnonzero(~(off <= 4 * float(info.eps) * quanta))
    if not bad.size:
        return gains
    stream, given = int(bad[0]), float(np.ravel(quanta)[bad[0]])
    place = f"for gains of {dtype} (at stream {stream:,}). Got {given!r}."
    if given < 1:
        smallest = float(1 / np.float64(info.max)) * (1 + 1e-6)
        raise QuantaTooFineError(
            f"quanta are too fine {place} The smallest quanta that would do are {smallest!r}.",
            stream,
            0,
            smallest,
        )
    raise QuantaError(
        f"quanta are too coarse {place} The largest that would do are {float(info.max) / 2!r}."
    )
