"""Chunks at the edges of an HDF5 dataset, which HDF5 may keep past all filters.

``H5Pset_chunk_opts`` asks for that. h5py has no function that tells, so HDF5 itself is asked.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from h5py._objects import phil

from flaccodec.hdf5.low_level.library import library_function

if TYPE_CHECKING:
    import h5py

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
    get_chunk_opts = library_function("H5Pget_chunk_opts", ctypes.POINTER(ctypes.c_uint))
    if get_chunk_opts is None:
        return True
    options = ctypes.c_uint()
    with phil:
        status = get_chunk_opts(plist.id, ctypes.byref(options))
    return bool(status < 0 or options.value & _DONT_FILTER_PARTIAL_CHUNKS)
