"""Chunks at the edges of an HDF5 dataset, which HDF5 may keep past all filters.

``H5Pset_chunk_opts`` asks for that. h5py has no function that tells, so HDF5 itself is asked.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

import h5py.h5p
from h5py._objects import phil

if TYPE_CHECKING:
    from collections.abc import Callable

_DONT_FILTER_PARTIAL_CHUNKS = 2
"""H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS, of H5Dpublic.h."""


def has_edges_past_filters(dataset: h5py.Dataset) -> bool:
    """Whether a dataset has chunks that are partly beyond its edge and stored as samples."""
    has_edges = any(n % c for n, c in zip(dataset.shape, dataset.chunks, strict=True))
    return has_edges and are_past_filters(dataset.id.get_create_plist())


def are_past_filters(plist: h5py.h5p.PropDCID) -> bool:
    """Whether chunks that are partly beyond the dataset's edge are stored as samples.

    Their filter masks do not say it. Where HDF5 cannot be asked they are taken for such, since
    they then are read and written by h5py or refused, never mistaken.

    Parameters
    ----------
    plist : h5py.h5p.PropDCID
        The dataset's creation properties, of chunked layout.
    """
    get_chunk_opts = _get_chunk_opts()
    if get_chunk_opts is None:
        return True
    options = ctypes.c_uint()
    with phil:
        status = get_chunk_opts(plist.id, ctypes.byref(options))
    return bool(status < 0 or options.value & _DONT_FILTER_PARTIAL_CHUNKS)


@cache
def _get_chunk_opts() -> Callable[..., Any] | None:
    """Return H5Pget_chunk_opts of the HDF5 that h5py uses; None where it is not found.

    A symbol is looked for in the module itself and in the libraries that it needs, so that
    another HDF5 in the process is not found.
    """
    try:
        function = ctypes.CDLL(h5py.h5p.__file__).H5Pget_chunk_opts
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int64, ctypes.POINTER(ctypes.c_uint))
    function.restype = ctypes.c_int
    return function
