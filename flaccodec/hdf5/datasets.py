"""FlacArray <-> HDF5 datasets, by moving bytes where chunks hold whole streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.runtime.optional import needed

with needed("FlacArray.write_hdf5 and read_hdf5", "hdf5", "h5py"):
    import h5py
    from h5py import h5d

from flaccodec import core
from flaccodec.chunks import packing as stream_chunks
from flaccodec.chunks.options import CodecOptions
from flaccodec.chunks.packed import Packed
from flaccodec.chunks.packing import (
    check_chunk_shape,
    hold_whole_streams,
    options_for,
    span_streams,
    whole_stream_chunks,
)
from flaccodec.exceptions import ConfigurationError, EmptyArrayError, located
from flaccodec.hdf5.chunks.places import write_chunk
from flaccodec.hdf5.chunks.stored import FlacChunks
from flaccodec.hdf5.direct import read, write
from flaccodec.hdf5.filter import Flac, name_of
from flaccodec.hdf5.members import check_group, made_whole_or_not
from flaccodec.runtime.progress import check_progress
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.keep import check_keep
from flaccodec.samples.quanta_warnings import WarnedOnce

if TYPE_CHECKING:
    import numpy.typing as npt


def write_dataset(
    packed: Packed,
    group: h5py.Group,
    name: str,
    chunk_shape: tuple[int, ...] | None = None,
    fillvalue: Any = None,
    progress: bool = False,
) -> h5py.Dataset:
    """Make a dataset of a FlacArray; `FlacArray.write_hdf5` explains."""
    check_group(group)
    check_progress(progress)
    if packed.ndim == 0:
        raise ConfigurationError("a FlacArray without axes has no chunks: use create_dataset.")
    check_chunk_shape("chunks", chunk_shape)
    with made_whole_or_not(group, name):
        dataset = group.create_dataset(
            name,
            shape=packed.shape,
            dtype=packed.dtype,
            chunks=chunk_shape or whole_stream_chunks(packed.shape),
            compression=Flac(**options_for(packed).to_dict()),
            fillvalue=packed.fill_value if fillvalue is None else fillvalue,
        )
        with WarnedOnce():
            _fill(packed, dataset, progress)
    return dataset


def _fill(packed: Packed, dataset: h5py.Dataset, progress: bool) -> None:
    chunks = FlacChunks.need(dataset)
    if hold_whole_streams(packed.shape, chunks.shape):
        for number, block in stream_chunks.blocks(
            packed.shape, chunks.shape, "write_hdf5", progress
        ):
            write_chunk(dataset, chunks.offset(number), stream_chunks.take(packed, block))
    else:
        for _, block in stream_chunks.blocks(packed.shape, chunks.shape, "write_hdf5", progress):
            write(dataset, packed[block], block)


def is_dataset(source: Any) -> bool:
    """Whether something is a dataset, not a group."""
    return isinstance(source, h5py.Dataset)


def member(group: h5py.Group, name: str) -> Any:
    """Return what has a name in a group."""
    check_group(group)
    return group[name]


def read_dataset(
    dataset: h5py.Dataset,
    keep: npt.ArrayLike | None = None,
    no_flatten: bool = False,
    progress: bool = False,
) -> Packed:
    """Make a FlacArray of a dataset; `FlacArray.read_hdf5` explains."""
    packed = _read_whole(dataset, progress)
    remembered: dict[str, Any] = {
        "level": packed.level,
        "fill_value": packed.fill_value,
        "missing_value": packed.missing_value,
    }
    if keep is not None:
        streams = np.flatnonzero(check_keep(keep, packed.leading_shape))
        if len(streams) == 0:
            raise EmptyArrayError("keep must have a stream at least. Got none.")
        picks = np.stack([np.zeros_like(streams), streams], axis=-1)
        kept = core.gather_streams([packed.checked_chunk()], picks)
        return Packed.own(kept, **remembered)
    if no_flatten and packed.ndim == 1:
        return Packed.own(packed.chunk, **remembered)
    return packed


def _read_whole(dataset: h5py.Dataset, progress: bool) -> Packed:
    core.check_dtype(dataset.dtype)
    if not dataset.shape or 0 in dataset.shape:
        raise ConfigurationError(
            f"{name_of(dataset)} has no streams. Its shape is {dataset.shape}."
        )
    chunks, fill_value = FlacChunks.of(dataset), _fill_value(dataset)
    if chunks is not None and span_streams(dataset.shape, chunks.shape):
        moved = _move_in(chunks, fill_value, progress)
        if moved is not None:
            return moved
    options = CodecOptions() if chunks is None else chunks.options
    with WarnedOnce():
        return stream_chunks.encode_blocks(
            dataset.shape,
            lambda block: np.asarray(read(dataset, block)),
            options,
            fill_value,
            "read_hdf5",
            progress,
        )


def _fill_value(dataset: h5py.Dataset) -> Any:
    """Return a dataset's fill value; 0 where it is undefined, which h5py does not read."""
    status = dataset.id.get_create_plist().fill_value_defined()
    return dataset.dtype.type(0) if status == h5d.FILL_VALUE_UNDEFINED else dataset.fillvalue


def _move_in(chunks: FlacChunks, fill_value: Any, progress: bool) -> Packed | None:
    def fetch(number: tuple[int, ...]) -> npt.NDArray[np.uint8] | None:
        source = chunks.flac_source(number)
        if source is None:
            return None
        chunk = np.frombuffer(source(), dtype=np.uint8)
        with located(chunks.place(number)):
            core.check_streams(chunk, num_threads=choose_threads(None))
        return chunk

    shape = chunks.dataset.shape
    pieces = (
        (block, fetch(number))
        for number, block in stream_chunks.blocks(shape, chunks.shape, "read_hdf5", progress)
    )
    return stream_chunks.join(chunks.dtype, shape, chunks.shape, pieces, chunks.options, fill_value)
