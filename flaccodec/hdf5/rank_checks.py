"""What would have ranks wait for each other for ever, found before they write to HDF5 together.

To write to a part of a chunk HDF5 decodes it first. In a collective write one rank does so, and if
that fails it leaves at once, while the others wait for it (HDF5 1.10.8 to 1.14.5, with any filter).
So each rank decodes these chunks before, alone.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import h5py

from flaccodec.exceptions import ConfigurationError, CorruptChunkError
from flaccodec.hdf5.chunks.places import has_chunks, read_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

_CAN_ADD_CHUNKS = 1, 14
"""The HDF5 from which on ranks can write chunks that are missing beside some that are not."""


def check_can_write(dataset: h5py.Dataset, first: int, stop: int) -> None:
    """Check that HDF5 will not fail on this rank as it writes some rows of a dataset.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of a file that is open with ``driver="mpio"``. Nothing is asked of other ranks.
    first, stop : int
        The first row that this rank writes, and the one after its last.

    Raises
    ------
    CorruptChunkError
        A chunk that HDF5 decodes before it writes to it cannot be decoded.
    ConfigurationError
        A chunk is missing, others are not, and this HDF5 cannot add it.
    """
    filters = dataset.id.get_create_plist().get_nfilters()
    if dataset.chunks is None or not filters or first == stop or not has_chunks(dataset):
        return
    if h5py.version.hdf5_version_tuple < _CAN_ADD_CHUNKS:
        _check_none_is_added(dataset, first, stop)
    for offset in _offsets(dataset, first, stop, only_decoded=True):
        _check_decodes(dataset, offset)


def _offsets(
    dataset: h5py.Dataset, first: int, stop: int, only_decoded: bool
) -> Iterator[tuple[int, ...]]:
    """Yield where the chunks begin that have some rows; or only those that HDF5 decodes.

    It does not decode a chunk of which all samples are written, unless the end of an axis cuts the
    chunk: HDF5 counts the samples that a chunk has room for.
    """
    (rows, *sizes), (_, *lengths) = dataset.chunks, dataset.shape
    starts = [range(0, n, size) for n, size in zip(lengths, sizes, strict=True)]
    within = list(itertools.product(*starts))
    cut = [
        at
        for at in within
        if any(i + size > n for i, size, n in zip(at, sizes, lengths, strict=True))
    ]
    for start in range(first - first % rows, stop, rows):
        whole = first <= start and start + rows <= stop
        for at in cut if whole and only_decoded else within:
            yield (start, *at)


def _check_none_is_added(dataset: h5py.Dataset, first: int, stop: int) -> None:
    n_chunks = math.prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
    if dataset.id.get_num_chunks() == n_chunks:
        return
    for offset in _offsets(dataset, first, stop, only_decoded=False):
        if read_chunk(dataset, offset) is None:
            raise ConfigurationError(
                "ranks can write chunks that are missing beside some that are there with HDF5 1.14 "
                "or later: before, they would wait for each other for ever. Got none at "
                f"{offset} of dataset {dataset.name!r}, with HDF5 {h5py.version.hdf5_version}. "
                "Write a sample of each missing chunk in one process first, or create the dataset "
                "with create_distributed, which adds all."
            )


def _check_decodes(dataset: h5py.Dataset, offset: tuple[int, ...]) -> None:
    if read_chunk(dataset, offset) is None:
        return
    try:
        dataset[offset]
    except (OSError, RuntimeError) as error:
        raise CorruptChunkError(
            f"the chunk at {offset} of dataset {dataset.name!r} cannot be decoded, as it must be "
            f"before HDF5 changes a part of it: {error}. Replace the whole chunk in one process "
            "first, with flaccodec.hdf5.write."
        ) from error
    finally:
        # HDF5 has the chunk in its cache now, and would give it from there even when it has been
        # written since. This takes it out.
        read_chunk(dataset, offset)
