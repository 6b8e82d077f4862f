"""HDF5 datasets <-> Zarr arrays, by moving chunks as they are."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.hdf5.to_zarr", "zarr"):
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.config import config
    from zarr.core.sync import sync
    from zarr.storage import LocalStore

from flaccodec import core
from flaccodec.chunks.missing import with_marks
from flaccodec.exceptions import ConfigurationError, located
from flaccodec.hdf5.as_zarr.attributes import (
    dimension_names,
    name_dimensions,
    set_attributes,
    to_json,
)
from flaccodec.hdf5.chunks.places import write_chunk
from flaccodec.hdf5.chunks.stored import FlacChunks
from flaccodec.hdf5.filter import Flac
from flaccodec.hdf5.low_level.lock import collection_waits
from flaccodec.hdf5.members import made_whole_or_not
from flaccodec.runtime.jobs import run_in_any_order
from flaccodec.runtime.threads import available_processors
from flaccodec.zarr.arrays import chunk_key, is_plain
from flaccodec.zarr.codec import FlacCodec
from flaccodec.zarr.grid import written_shape
from flaccodec.zarr.places import open_array
from flaccodec.zarr.removal import Place
from flaccodec.zarr.threads import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import h5py
    from zarr.abc.store import Store
    from zarr.storage import StoreLike, StorePath


MOST_NBYTES = 32 * 2**20
"""Chunks of so many bytes, before encoding, are on their way at once; a few more may wait."""

_FROM_DATASET = (
    "shape",
    "dtype",
    "data",
    "chunks",
    "shards",
    "filters",
    "serializer",
    "compressors",
    "codecs",
    "fill_value",
    "zarr_format",
)
_FROM_ARRAY = ("shape", "dtype", "data", "chunks", "compression", "compression_opts", "fillvalue")
_OTHER_FILTERS = ("shuffle", "fletcher32", "scaleoffset")


# -- to Zarr -----------------------------------------------------------------------------


@collection_waits()
def to_zarr(dataset: h5py.Dataset, store: StoreLike, **kwargs: Any) -> zarr.Array[Any]:
    """Make a Zarr array of an HDF5 dataset, without decoding.

    Chunks, chunk shape, codec options, fill value, attributes and the names of dimensions
    (from dimension scales, else labels) come along. Chunks that were never written stay
    missing. A checksum behind a chunk (fletcher32) is verified and left out. What is not stored
    as a FLAC chunk (with another filter behind ours, with a filter mask, or at an edge that HDF5
    keeps past all filters) is decoded and encoded: with quanta, or bit for bit. Samples are in
    the machine's byte order in Zarr.

    Parameters
    ----------
    dataset : h5py.Dataset
        With the flaccodec filter.
    store : str, Path, mapping or zarr store
        As `zarr.create_array` takes it.
    **kwargs
        What `zarr.create_array` takes besides: ``name``, ``overwrite``, ``attributes``,
        ``dimension_names`` and so on.

    Returns
    -------
    zarr.Array

    Raises
    ------
    ConfigurationError
        The dataset is without the filter, or an attribute has no form in JSON.
    CorruptChunkError, ChunkMismatchError
        Header or index of a chunk is damaged, or a checksum behind it does not match, or it is
        not of the dataset's dtype and chunk shape; the message names it, and what was made
        of the array is removed. Frames are not looked at.

    Examples
    --------
    >>> import h5py, numpy as np
    >>> from flaccodec import hdf5
    >>> with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
    ...     x = file.create_dataset("x", data=np.arange(4000, dtype="int32").reshape(4, 1000),
    ...                             chunks=(2, 1000), compression=hdf5.Flac())
    ...     hdf5.to_zarr(x, {})[2, 500:503]
    array([2500, 2501, 2502], dtype=int32)
    """
    chunks = FlacChunks.need(dataset)
    for name in _FROM_DATASET:
        if name in kwargs:
            raise ConfigurationError(f"{name} comes from the dataset. Got {name}= as well.")
    if "attributes" not in kwargs:  # before the place is opened, which makes its folder
        kwargs["attributes"] = to_json(dataset, chunks.name)
    place = Place.of(
        store,
        kwargs.pop("name", None),
        kwargs.pop("storage_options", None),
        kwargs.pop("overwrite", False),
    )
    return place.make(
        lambda store: create_like(chunks, store, **kwargs),
        lambda array: _store_all(chunks, array, place.all_is_new),
    )


def _store_all(chunks: FlacChunks, array: zarr.Array[Any], all_is_new: bool) -> None:
    """Move all chunks, some at a time: the system copies on as many processors."""
    moves = _moves(chunks, array, all_is_new)
    run_in_any_order(moves, _at_a_time(chunks, array.store))


def _moves(
    chunks: FlacChunks, array: zarr.Array[Any], all_is_new: bool
) -> Iterator[Callable[[], None]]:
    for number in chunks.numbers():
        source, key = chunks.flac_source(number), chunk_key(array, number)
        if source is not None:
            yield partial(_move, source, key)
        elif not all_is_new:  # there may be a chunk of an array that was never finished
            sync(key.delete())


def _move(source: Callable[[], core.Buffer], key: StorePath) -> None:
    chunk = np.frombuffer(source(), np.uint8).data
    buffer = default_buffer_prototype().buffer.from_bytes(chunk)
    if _is_local(key.store) and hasattr(key.store, "set_sync"):  # from zarr 3.1.6 on
        key.store.set_sync(key.path, buffer)  # `set` would wake two threads more for each chunk
    else:
        # A file is written in a thread, which goes on although nobody waits for it.
        wait_for(key.set(buffer), may_be_cut=not _is_local(key.store))


def _at_a_time(chunks: FlacChunks, store: Store) -> int:
    nbytes = math.prod(chunks.shape) * chunks.dtype.itemsize
    limit: int = config.get("async.concurrency")
    if _is_local(store):  # copying is work; elsewhere most of the time is waiting
        limit = min(limit, 2 * available_processors())
    return max(1, min(MOST_NBYTES // nbytes, limit))


def _is_local(store: Store) -> bool:
    return type(store) is LocalStore  # one made of it may do otherwise


def create_like(chunks: FlacChunks, store: StoreLike, **kwargs: Any) -> zarr.Array[Any]:
    """Create the Zarr array that a dataset's chunks belong in."""
    dataset = chunks.dataset
    dtype = chunks.dtype.newbyteorder("=")
    if "attributes" not in kwargs:
        kwargs["attributes"] = to_json(dataset, chunks.name)
    kwargs.setdefault("dimension_names", dimension_names(dataset))
    return zarr.create_array(
        store,
        shape=dataset.shape,
        dtype=dtype,
        chunks=chunks.shape,
        serializer=FlacCodec(**chunks.options.to_dict()),
        compressors=None,
        fill_value=dtype.type(chunks.fill),
        **kwargs,
    )


# -- from Zarr ----------------------------------------------------------------------------


@collection_waits()
def from_zarr(
    array: zarr.Array[Any] | StoreLike, group: h5py.Group, name: str | None, **kwargs: Any
) -> h5py.Dataset:
    """Make an HDF5 dataset of a Zarr array, without decoding.

    Chunks, chunk shape, codec options, fill value, attributes and the names of dimensions
    come along; attributes that HDF5 has no form for, such as maps, as JSON text, and those with
    names of HDF5's own, such as DIMENSION_LIST, not at all. Chunks that were never written stay
    missing. A dimension's name becomes a dimension scale in the dataset's group: the dataset of
    that name where there is a fitting one, else one without coordinates, as netCDF4 makes them.
    So copy coordinates first. Where the name belongs to something else, it becomes the
    dimension's label.

    Parameters
    ----------
    array : zarr.Array, or what `zarr.open_array` takes
        Of zarr_format 3, with a FlacCodec, without shards, filters or compressors.
    group : h5py.Group
    name : str or None
        Of the new dataset in the group; None for one without a name.
    **kwargs
        What ``create_dataset`` takes besides: ``maxshape``, ``track_times`` and so on, but for
        other filters, through which Zarr's chunks did not go. Where a chunk is longer than the
        array, ``maxshape`` is the chunk's by default, since HDF5 wants that.

    Returns
    -------
    h5py.Dataset

    Raises
    ------
    ConfigurationError
        The array is of another kind, another filter is asked for, or HDF5 refuses an attribute or
        the name of a dimension; the message says what to do.
    CorruptChunkError, ChunkMismatchError
        Header or index of a chunk is damaged, or it is not of the array's dtype and chunk
        shape; the message names it, and the group is as it was. Frames are not looked at.
    """
    array = open_array(array)
    codec = _codec_of(array)
    _check_options(kwargs)
    if any(c > n for c, n in zip(array.chunks, array.shape, strict=True)):
        kwargs.setdefault("maxshape", tuple(map(max, array.chunks, array.shape)))
    with made_whole_or_not(group, name):
        dataset = group.create_dataset(
            name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=array.chunks,
            compression=Flac(**with_marks(codec.options, array.attrs, array.fill_value).to_dict()),
            fillvalue=array.fill_value,
            **kwargs,
        )
        _move_in(array, dataset)
        set_attributes(dataset, array.attrs.asdict())
        names = getattr(array.metadata, "dimension_names", None) or ()
        name_dimensions(dataset.parent if name else group, dataset, names)
    return dataset


def _codec_of(array: zarr.Array[Any]) -> FlacCodec:
    """Return the codec of an array whose chunks are FLAC chunks and nothing else."""
    is_even = written_shape(array) is not None
    codec = array.serializer if is_even and is_plain(array) and array.ndim else None
    if isinstance(codec, FlacCodec):
        return codec
    if not is_even:
        got = "chunks of different shapes (a rectilinear grid), which HDF5 cannot have"
    elif array.metadata.zarr_format != 3:
        got = f"zarr_format={array.metadata.zarr_format}"
    elif array.ndim == 0:
        got = "an array without axes"
    elif array.shards is not None:
        got = f"shards {array.shards}"
    else:
        got = f"{array.serializer!r}, filters {array.filters!r}, compressors {array.compressors!r}"
    raise ConfigurationError(
        "the array must be of zarr_format 3, with a FlacCodec as serializer and without shards, "
        f"filters and compressors, for its chunks to be HDF5's. Got {got}: decode it, "
        "group.create_dataset(name, data=array[:], compression=flaccodec.hdf5.Flac(...))."
    )


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse what the array decides, and filters."""
    for name in _FROM_ARRAY:
        if name in options:
            raise ConfigurationError(f"{name} comes from the array. Got {name}= as well.")
    for name in _OTHER_FILTERS:
        value = options.get(name)
        if value is not None and value is not False:  # scaleoffset=0 is a filter
            raise ConfigurationError(
                "the dataset must have no filter but FLAC, since Zarr's chunks become HDF5's as "
                f"they are. Got {name}={value!r}: leave it out. Chunks have checksums of their own."
            )


def _move_in(array: zarr.Array[Any], dataset: h5py.Dataset) -> None:
    chunks = FlacChunks.need(dataset)
    prototype = default_buffer_prototype()
    for number in chunks.numbers():
        key = chunk_key(array, number)
        buffer = sync(key.get(prototype))
        if buffer is None:
            continue
        chunk = buffer.as_numpy_array()
        with located(f"chunk {key}"):
            core.check_chunk(chunk, chunks.dtype, chunks.shape)
        write_chunk(dataset, chunks.offset(number), chunk)
