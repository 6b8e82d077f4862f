"""Masked arrays: no door keeps a mask, so each one refuses an array that has masked samples.

What lies beneath a mask is not data. Stored without its mask, it would be taken for samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flaccodec.exceptions import ConfigurationError


def check_unmasked(
    arr: Any, name: str = "arr", part: str | None = None, how: str = "", keeps_nan: bool = True
) -> None:
    """Check that no sample of an array is masked; a mask of nothing loses nothing.

    Parameters
    ----------
    arr : anything
        Masked are numpy's masked arrays, lists of these, and all arrays that have a mask of bool
        as ``arr.mask``. Of dask arrays only their kind is looked at; nothing is computed.
    name : str
        What the caller calls the array, for the message.
    part : str, optional
        Where it was read, as a key, if it is a part of what the caller gave.
    how : str, optional
        How to fill the array, if that is not as `fill_advice` says of `arr`.
    keeps_nan : bool
        Whether the door keeps NaN, which masked floats can then become.

    Raises
    ------
    ConfigurationError
        Some are; the message says how many, where the first is, and how to fill them.
    """
    if isinstance(arr, list | tuple):
        for item in arr:
            if not isinstance(item, float | int):
                check_unmasked(item, name, part, how or _advice_for_lists(item, name, keeps_nan))
        return
    got = _what_is_masked(arr)
    if got is None:
        return
    use = f"since masks are not kept: use {how or fill_advice(arr, name, keeps_nan)}. Got {got}"
    if part is None:
        raise ConfigurationError(f"{name} must not be masked, {use}.")
    raise ConfigurationError(f"{name} must not have masked values, {use}, in {part}.")


def unmasked(arr: Any, name: str = "arr", keeps_nan: bool = True) -> npt.NDArray[Any]:
    """Do as ``np.asarray``, but refuse masked samples, which it takes for samples.

    Parameters
    ----------
    arr : array_like
        A dask array is computed.
    name : str
        What the caller calls the array, for the message.
    keeps_nan : bool
        As for `check_unmasked`.

    Raises
    ------
    ConfigurationError
        Some samples are masked.
    """
    if isinstance(arr, list | tuple):  # numpy drops the masks of what they hold
        check_unmasked(arr, name, keeps_nan=keeps_nan)
    array = arr.compute() if hasattr(arr, "__dask_graph__") else arr
    array = np.asanyarray(array)  # netCDF4's variables become masked arrays here
    check_unmasked(array, name, how=fill_advice(arr, name, keeps_nan))
    return np.asarray(array)


def fill_advice(arr: Any, name: str = "arr", keeps_nan: bool = True) -> str:
    """Return how to fill the masked samples of an array, in Python that its dtype allows."""
    value, which = _value_for(arr, keeps_nan)
    if hasattr(arr, "__dask_graph__"):
        return f"dask.array.ma.filled({name}, {value}){which}"
    if hasattr(arr, "filled"):
        return f"{name}.filled({value}){which}"
    return f"np.ma.filled({name}[...], {value}){which}"


def _advice_for_lists(item: Any, name: str, keeps_nan: bool) -> str:
    value, which = _value_for(item, keeps_nan)
    return f"[np.ma.filled(a, {value}) for a in {name}]{which}"


def _value_for(arr: Any, keeps_nan: bool) -> tuple[str, str]:
    """Return what masked samples may become, and what to say of it."""
    dtype = getattr(arr, "dtype", np.dtype(np.float64))
    if keeps_nan and np.dtype(dtype).kind in "fc":
        return "np.nan", ""
    return "value", f", where value is of {dtype} and no sample"


def _what_is_masked(arr: Any) -> str | None:
    """Return what of an array is masked, in words; None if nothing is."""
    if hasattr(arr, "__dask_graph__"):
        is_masked = isinstance(getattr(arr, "_meta", None), np.ma.MaskedArray)
        return "a dask array of masked chunks" if is_masked else None
    mask = getattr(arr, "mask", None)
    if not isinstance(mask, np.ndarray | np.bool_) or mask.dtype != np.bool_ or not mask.any():
        return None  # what is called so may be a method, as of pandas; or of fields
    whole = np.broadcast_to(mask, np.shape(arr))
    first = tuple(map(int, np.unravel_index(int(np.argmax(whole)), whole.shape)))
    return f"{np.count_nonzero(whole):,} masked samples of {whole.size:,}, the first at {first}"
