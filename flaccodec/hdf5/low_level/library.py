"""Functions of the HDF5 library that h5py uses, of which h5py has no wrapper that will do."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

import h5py.h5p

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def library_function(name: str, *arguments: Any) -> Callable[..., Any] | None:
    """Return a function that takes an identifier and pointers or numbers, and returns a status.

    A symbol is looked for in the module itself and in the libraries that it needs, so that
    another HDF5 in the process is not found.

    Parameters
    ----------
    name : str
    *arguments : types of ctypes
        Of what it takes behind the identifier.

    Returns
    -------
    callable or None
        To be called with h5py's lock. None if it is not found.
    """
    try:
        function = getattr(ctypes.CDLL(h5py.h5p.__file__), name)
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int64, *arguments)
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]
