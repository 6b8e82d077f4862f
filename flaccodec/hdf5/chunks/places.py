"""Which chunk of an HDF5 dataset is where in its file.

HDF5 finds a chunk by its coordinates when it reads or writes, and ``read_direct_chunk`` and
``write_direct_chunk`` do the same. That is always right.

Its chunk queries (``get_chunk_info``, ``get_chunk_info_by_coord``, ``chunk_iter``) go through the
index of the chunks instead. Two kinds of index, of the newer file format, hold no coordinates: the
fixed array and the extensible array. For these the queries count, row by row. But an extensible
array, which is for exactly one unlimited axis, is ordered with this axis first. If it is not the
dataset's first, the coordinates are wrong, for chunks of every filter (HDF5 1.10.8 to 2.0.0).

In a file with a user block the places are wrong, too: HDF5 1.14.2 and before leave it out.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from h5py._objects import phil

from flaccodec.hdf5.low_level.library import library_function

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    from h5py.h5d import StoreInfo

_CHUNK_ITER = "chunk_iter"
"""What h5py has with HDF5 1.12.3 and later."""

_FIXED_ARRAY, _EXTENSIBLE_ARRAY = 3, 4
"""H5D_CHUNK_IDX_FARRAY and H5D_CHUNK_IDX_EARRAY, of H5Dpublic.h."""

_NOT_ALLOCATED = "chunk storage is not allocated"
"""What HDF5 says of a chunk that is missing, from 1.12 on."""


def queries_are_right(dataset: h5py.Dataset) -> bool:
    """Whether HDF5's chunk queries name the right chunks, and their places in the file.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of chunked layout.
    """
    if dataset.file.userblock_size:
        return False
    return _are_counted_right(dataset) or not _is_counted(dataset)


def _is_counted(dataset: h5py.Dataset) -> bool:
    """Whether the index of the chunks is without coordinates; True if HDF5 cannot be asked."""
    get_index_type = library_function("H5Dget_chunk_index_type", ctypes.POINTER(ctypes.c_int))
    if get_index_type is None:
        return True
    kind = ctypes.c_int()
    with phil:
        status = get_index_type(dataset.id.id, ctypes.byref(kind))
    return status < 0 or kind.value in (_FIXED_ARRAY, _EXTENSIBLE_ARRAY)


def _are_counted_right(dataset: h5py.Dataset) -> bool:
    """Whether counting chunks row by row gives their coordinates, if they are in an array.

    The array has room for the dataset at its largest, the unlimited axis first. Axes along
    which there is one chunk at most count for nothing.
    """
    most = [
        None if n is None else -(-n // c)
        for n, c in zip(dataset.maxshape, dataset.chunks, strict=True)
    ]
    counted = [n for n in most if n != 1]
    return None not in counted[1:]


def has_chunks(dataset: h5py.Dataset) -> bool:
    """Whether a dataset has chunks in the file; those in HDF5's cache are written before.

    To be asked before `read_chunk`. In a dataset without any, and in one of a single chunk that is
    not yet in the file, HDF5 does not tell h5py how long a chunk is. h5py then takes a random
    number for it, and HDF5 may write beyond the buffer.
    """
    first = dataset.id.get_chunk_info_by_coord((0,) * dataset.ndim)  # is found at once
    return first.byte_offset is not None or dataset.id.get_num_chunks() > 0


def told_chunks(dataset: h5py.Dataset) -> Iterator[StoreInfo]:
    """Yield what HDF5's queries tell of all chunks that `has_chunks` finds.

    A filter mask, a place and a length are of one chunk. Its offset is that of another unless
    `queries_are_right`.
    """
    iterate = getattr(dataset.id, _CHUNK_ITER, None)
    if iterate is None:
        yield from map(dataset.id.get_chunk_info, range(dataset.id.get_num_chunks()))
        return
    told: list[StoreInfo] = []
    iterate(told.append)
    yield from told


def write_chunk(dataset: h5py.Dataset, offset: tuple[int, ...], chunk: Any) -> None:
    """Store the bytes of a chunk, as they are.

    h5py before 3.16 does not hold its lock meanwhile, and HDF5 fails if another thread asks it
    something, such as a dataset's fill value.
    """
    with phil:
        dataset.id.write_direct_chunk(offset, chunk)


def read_chunk(dataset: h5py.Dataset, offset: tuple[int, ...]) -> tuple[int, bytes] | None:
    """Return a chunk's filter mask and bytes as they are stored; None if it is missing.

    Parameters
    ----------
    dataset : h5py.Dataset
        That `has_chunks`.
    offset : tuple of int
        Of the chunk's first sample, which is in the dataset.

    Raises
    ------
    OSError, RuntimeError
        h5py's, if HDF5 cannot read it.
    """
    try:
        with phil:
            found: tuple[int, bytes] = dataset.id.read_direct_chunk(offset)
    except (OSError, RuntimeError, ValueError) as error:
        if _NOT_ALLOCATED not in str(error):
            dataset[offset]  # a chunk that is missing can be read, one that is damaged cannot
        return None
    return found
