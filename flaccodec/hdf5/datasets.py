"""FlacArray <-> HDF5 datasets, by moving bytes where chunks hold whole streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.runtime.optional import needed

with needed("FlacArray.write_hdf5 and read_hdf5", "hdf5", "h5py"):
    import h5py
    from h5py import h5d

from flaccodec import core
from flaccodec.array.flacarray import FlacArray
from flaccodec.chunks import packing as stream_chunks
from flaccodec.chunks.options import CodecOptions
from flaccodec.chunks.packing import (
    check_chunk_shape,
    hold_whole_streams,
    options_for,
    span_streams,
    whole_stream_chunks,
)
from flaccodec.compress import choose_threads
from flaccodec.exceptions import ConfigurationError, EmptyArrayError, located
from flaccodec.hdf5.chunks.places import write_chunk
from flaccodec.hdf5.chunks.stored import FlacChunks
from flaccodec.hdf5.direct import read, write
from flaccodec.hdf5.filter import Flac, name_of
from flaccodec.hdf5.members import check_group, made_whole_or_not
from flaccodec.runtime.progress import check_progress
from flaccodec.samples.quanta_warnings import WarnedOnce
from flaccodec.utils import check_keep

if TYPE_CHECKING:
    import numpy.typing as npt


def write_dataset(
    fa: FlacArray,
    group: h5py.Group,
    name: str,
    chunk_shape: tuple[int, ...] | None = None,
    fillvalue: Any = None,
    progress: bool = False,
) -> h5py.Dataset:
    """Make a dataset of a FlacArray; `FlacArray.write_hdf5` explains."""
    check_group(group)
    check_progress(progress)
    if fa.ndim == 0:
        raise ConfigurationError("a FlacArray without axes has no chunks: use create_dataset.")
    check_chunk_shape("chunks", chunk_shape)
    with made_whole_or_not(group, name):
        dataset = group.create_dataset(
            name,
            shape=fa.shape,
            dtype=fa.dtype,
            chunks=chunk_shape or whole_stream_chunks(fa.shape),
            compression=Flac(**options_for(fa).to_dict()),
            fillvalue=fa.fill_value if fillvalue is None else fillvalue,
        )
        with WarnedOnce():
            _fill(fa, dataset, progress)
    return dataset


def _fill(fa: FlacArray, dataset: h5py.Dataset, progress: bool) -> None:
    chunks = FlacChunks.need(dataset)
    if hold_whole_streams(fa.shape, chunks.shape):
        for number, block in stream_chunks.blocks(fa.shape, chunks.shape, "write_hdf5", progress):
            write_chunk(dataset, chunks.offset(number), stream_chunks.take(fa, block))
    else:
        for _, block in stream_chunks.blocks(fa.shape, chunks.shape, "write_hdf5", progress):
            write(dataset, fa[block], block)


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
) -> FlacArray:
    """Make a FlacArray of a dataset; `FlacArray.read_hdf5` explains."""
    fa = _read_whole(dataset, progress)
    remembered: dict[str, Any] = {
        "level": fa.level,
        "fill_value": fa.fill_value,
        "missing_value": fa.missing_value,
    }
    if keep is not None:
        streams = np.flatnonzero(check_keep(keep, fa.leading_shape))
        if len(streams) == 0:
            raise EmptyArrayError("keep must have a stream at least. Got none.")
        picks = np.stack([np.zeros_like(streams), streams], axis=-1)
        kept = core.gather_streams([fa._checked_chunk()], picks)
        return FlacArray._own(kept, **remembered)
    if no_flatten and fa.ndim == 1:
        return FlacArray._own(fa._chunk, **remembered)
    return fa


def _read_whole(dataset: h5py.Dataset, progress: bool) -> FlacArray:
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
        return stream_chunks.encode(
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


def _move_in(chunks: FlacChunks, fill_value: Any, progress: bool) -> FlacArray | None:
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
