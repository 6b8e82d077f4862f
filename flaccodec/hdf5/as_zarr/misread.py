"""Datasets without FLAC that VirtualiZarr would misread, without a word.

It takes the bytes in the file for numpy's, of the dtype that h5py gives the dataset, and all
chunks for what the dataset's filters make of samples. HDF5 allows more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from h5py import h5t

from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5.as_zarr.virtual_places import can_be_taught
from flaccodec.hdf5.chunks.places import queries_are_right, told_chunks

if TYPE_CHECKING:
    import h5py
    import numpy as np
    from h5py.h5d import StoreInfo


def check_is_read_right(dataset: h5py.Dataset, name: str, place: str) -> None:
    """Check that samples in the file are as VirtualiZarr takes them to be.

    Parameters
    ----------
    dataset : h5py.Dataset
    name : str
        Of the dataset in its group.
    place : str
        What to call the dataset in messages.

    Raises
    ------
    ConfigurationError
        They are not; the message says why.
    """
    oddity = _oddity(dataset.id.get_type())
    if oddity is not None:
        raise ConfigurationError(
            f"{place}: samples must lie in the file as in numpy's memory, to be read in place. Got "
            f"{oddity}: copy it to a dataset of numpy's own dtypes, in this machine's byte order, "
            f"or leave it out with drop_variables=[{name!r}]."
        )
    masked = _masked_chunk(dataset)
    if masked is not None:
        offset, byte = tuple(masked.chunk_offset), f"byte {masked.byte_offset:,} of the file"
        raise ConfigurationError(
            f"{place}: all chunks must have gone through all of the dataset's filters, to be read "
            f"in place. Got filter mask {masked.filter_mask} of the chunk at "
            f"{offset if queries_are_right(dataset) else byte}: copy it to a dataset with FLAC or "
            f"without filters, or leave it out with drop_variables=[{name!r}]."
        )
    if dataset.chunks and not queries_are_right(dataset) and not can_be_taught():
        raise ConfigurationError(
            f"{place}: HDF5 must tell VirtualiZarr where its chunks are. It names the wrong ones, "
            "in files of the newer format with one unlimited axis that is not the first: copy it "
            f"to a dataset with FLAC, or leave it out with drop_variables=[{name!r}]."
        )


def _oddity(stored: h5t.TypeID) -> str | None:
    """Return what is odd about a type in a file; None where its bytes are numpy's."""
    if isinstance(stored, h5t.TypeEnumID):
        return _oddity(stored.get_super())
    if isinstance(stored, h5t.TypeIntegerID | h5t.TypeFloatID):
        return None if _is_numpys(stored) else "numbers of reduced precision or another layout"
    if isinstance(stored, h5t.TypeStringID):
        is_padded = not stored.is_variable_str() and stored.get_strpad() == h5t.STR_SPACEPAD
        return "text that ends in spaces, which HDF5 takes off" if is_padded else None
    if isinstance(stored, h5t.TypeCompoundID) and not _is_complex(stored):
        return _oddity_of_compound(stored)
    return None


def _dtype(stored: h5t.TypeID) -> np.dtype[Any] | None:
    """Return the dtype that h5py gives a type; None where numpy has none, as of 3 bytes."""
    try:
        dtype: np.dtype[Any] = stored.dtype
    except TypeError:
        return None
    return dtype


def _is_numpys(stored: h5t.TypeID) -> bool:
    dtype = _dtype(stored)
    return dtype is not None and bool(h5t.py_create(dtype) == stored)


def _is_complex(stored: h5t.TypeCompoundID) -> bool:
    dtype = _dtype(stored)
    return dtype is not None and dtype.kind == "c"


def _oddity_of_compound(stored: h5t.TypeCompoundID) -> str | None:
    fields = [stored.get_member_type(i) for i in range(stored.get_nmembers())]
    if sum(field.get_size() for field in fields) != stored.get_size():
        return "a compound with gaps between its fields"
    if any(isinstance(field, h5t.TypeArrayID) for field in fields):
        return "a compound with arrays as fields"
    inner = next(filter(None, map(_oddity, fields)), None)
    if inner is None and not stored.dtype.isnative:
        return "a compound with fields of another byte order than this machine's"
    return inner


def _masked_chunk(dataset: h5py.Dataset) -> StoreInfo | None:
    """Return the first chunk past which a filter was left out, as its filter mask says.

    Those of strings of variable length are none: they are HDF5's addresses, which VirtualiZarr
    does not take for samples.
    """
    if not dataset.id.get_create_plist().get_nfilters() or dataset.dtype.kind == "O":
        return None
    return next((chunk for chunk in told_chunks(dataset) if chunk.filter_mask), None)
