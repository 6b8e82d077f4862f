"""Reading and writing HDF5 datasets chunk by chunk, side by side on all processors.

HDF5 runs its filters under one lock, one chunk after the other, and always decodes whole
chunks. Here HDF5 only moves the bytes of chunks.
"""

from __future__ import annotations

import contextlib
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5.chunks.places import write_chunk
from flaccodec.hdf5.chunks.stored import FlacChunks
from flaccodec.hdf5.filter import options_of
from flaccodec.hdf5.low_level.lock import collection_waits
from flaccodec.hdf5.selection import parse
from flaccodec.runtime import memory
from flaccodec.runtime.jobs import run_in_any_order, run_in_order
from flaccodec.runtime.threads import available_processors, resolve_threads
from flaccodec.samples.masks import check_unmasked, unmasked
from flaccodec.samples.quanta_warnings import WarnedOnce, at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import h5py
    import numpy.typing as npt

    from flaccodec.hdf5.selection import Part


@collection_waits()
def read(dataset: h5py.Dataset, selection: Any = (), num_threads: int | None = None) -> Any:
    """Read from an HDF5 dataset as ``dataset[selection]`` does, on all processors.

    Only the frames that the selection needs are decoded and, from a file that is opened
    read-only, only they are read. What this cannot do faster, ``dataset[selection]`` does:
    datasets without the filter, or with another one behind it (such as fletcher32), or with
    chunks at the edges that HDF5 keeps past all filters (``H5Pset_chunk_opts``), files that are
    open with MPI or SWMR, and masks of several axes at once.

    Parameters
    ----------
    dataset : h5py.Dataset
    selection : int, slice, Ellipsis, list or mask of one axis, or a tuple of these
        What h5py takes; by default everything.
    num_threads : int, optional
        By default all processors.

    Returns
    -------
    ndarray or scalar
        What ``dataset[selection]`` returns.

    Raises
    ------
    CorruptChunkError, ChunkMismatchError
        A chunk is damaged, or not of the dataset's dtype and chunk shape; the message names
        dataset and chunk. (Where h5py reads, it raises OSError.)
    TypeError, ValueError, IndexError
        h5py's, where it refuses the selection.

    Examples
    --------
    >>> import h5py, numpy as np
    >>> from flaccodec import hdf5
    >>> with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
    ...     x = file.create_dataset("x", data=np.arange(4000, dtype="int32").reshape(4, 1000),
    ...                             chunks=(2, 1000), compression=hdf5.Flac())
    ...     hdf5.read(x, (2, slice(500, 503)))
    array([2500, 2501, 2502], dtype=int32)
    """
    chunks = _direct(dataset)
    wanted = None if chunks is None else parse(dataset, selection)
    if chunks is None or wanted is None:
        return dataset[selection]
    out = memory.empty(wanted.shape, chunks.dtype)
    parts = wanted.parts(chunks.shape)
    side_by_side, within = _share(resolve_threads(num_threads, available_processors()), len(parts))

    def jobs() -> Iterator[Callable[[], None]]:
        for part in parts:
            stored = chunks.stored(part.number)
            if stored is None:
                out[part.at] = chunks.fill
            else:
                yield partial(chunks.decode, stored, part.local, out[part.at], within)

    run_in_any_order(jobs(), side_by_side)
    return out.reshape(wanted.result_shape)[()]


@collection_waits()
def write(
    dataset: h5py.Dataset,
    array: npt.ArrayLike,
    selection: Any = (),
    num_threads: int | None = None,
    strict: bool = False,
) -> None:
    """Write to an HDF5 dataset as ``dataset[selection] = array`` does, on all processors.

    A chunk that the selection covers is encoded and written; one that it covers partly is
    decoded first. What this cannot do faster, ``dataset[selection] = array`` does: what
    `read` leaves to h5py, and samples that HDF5 has to convert to a narrower dtype.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of a file that is open for writing.
    array : array_like
        Of the selection's shape, or one that h5py broadcasts to it.
    selection : int, slice, Ellipsis, list or mask of one axis, or a tuple of these
        What h5py takes; by default everything.
    num_threads : int, optional
        By default all processors. Does not change the bytes.
    strict : bool
        Raise `QuantaTooFineError` for a finite sample that quanta cannot hold. By default it is
        stored exactly, with a `QuantaWarning`. (HDF5's filter, with which h5py writes, stores it
        without a word: HDF5 loses files where a filter fails.)

    Raises
    ------
    ConfigurationError
        `array` is masked. (``dataset[selection] = array`` drops a mask: h5py does so itself.)
    QuantaTooFineError
        With `strict`, a sample is too many quanta from zero. Chunks before may have been written.
    CorruptChunkError, ChunkMismatchError
        A chunk that is to be changed in part is damaged.
    TypeError, ValueError, IndexError, OSError
        h5py's, where it refuses selection, array or writing.
    """
    array = _unmasked(array)
    chunks = _direct(dataset)
    if chunks is not None and dataset.file.mode == "r":
        chunks = None  # H5Dwrite_chunk does not look; h5py refuses
    wanted = None if chunks is None else parse(dataset, selection)
    values = None if chunks is None else _as_stored(array, chunks.dtype)
    if chunks is None or wanted is None or values is None:
        if strict:
            _check_never_strict(dataset)
        dataset[selection] = array
        return
    chunks.options = replace(chunks.options, strict=strict)
    values = wanted.spread(values)
    parts = wanted.parts(chunks.shape)
    side_by_side, within = _share(resolve_threads(num_threads, available_processors()), len(parts))
    jobs = (_encoding(chunks, part, values[part.at], within) for part in parts)
    with WarnedOnce(), contextlib.closing(run_in_order(jobs, side_by_side)) as encoded:
        for part, chunk in zip(parts, encoded, strict=True):
            write_chunk(dataset, chunks.offset(part.number), chunk)


def _direct(dataset: h5py.Dataset) -> FlacChunks | None:
    """Return the chunks of a dataset; None where h5py is to read or write it."""
    chunks = FlacChunks.of(dataset)
    if chunks is None or not chunks.is_plain or not chunks.is_ours_alone:
        return None
    return chunks


def _unmasked(array: npt.ArrayLike) -> npt.ArrayLike:
    """Return an array in memory, without a mask; numbers and lists as they are."""
    if hasattr(array, "__array__") and not isinstance(array, np.generic):
        return unmasked(array, "array")
    check_unmasked(array, "array")
    return array


def _as_stored(array: npt.ArrayLike, dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
    """Return samples that numpy converts to the dataset's dtype as HDF5 would; else None."""
    values = np.asarray(array, dtype=None if isinstance(array, np.ndarray) else dtype)
    if values.dtype.kind not in "iuf" or not np.can_cast(values.dtype, dtype, "safe"):
        return None
    return values


def _encoding(
    chunks: FlacChunks, part: Part, values: npt.NDArray[Any], num_threads: int
) -> Callable[[], npt.NDArray[np.uint8]]:
    """Return what makes the new chunk; the old one is read here, where it is needed."""
    is_replaced = part.covers(chunks.inside(part.number))
    stored = None if is_replaced else chunks.stored(part.number)

    def encode() -> npt.NDArray[np.uint8]:
        if values.shape == chunks.shape:
            samples = values.astype(chunks.dtype, copy=False)
        else:
            samples = np.empty(chunks.shape, dtype=chunks.dtype)
            chunks.decode(stored, (slice(None),) * samples.ndim, samples, num_threads)
            samples[part.local] = values
        with at(lambda: chunks.place(part.number)):
            return chunks.encode(samples, num_threads)

    return partial(copy_context().run, encode)  # where warnings are joined


def _check_never_strict(dataset: h5py.Dataset) -> None:
    """Check that h5py, which is to write, cannot come upon samples that quanta do not hold."""
    options = options_of(dataset)
    if options is not None and options.has_quanta:
        raise ConfigurationError(
            "strict is for what hdf5.write encodes by itself. Got a dataset, selection or array "
            "that it leaves to h5py, whose filter stores all samples: give whole chunks of the "
            "dataset's dtype, in a file that is open in one process, or leave strict out."
        )


def _share(num_threads: int, n_jobs: int) -> tuple[int, int]:
    """Return how many jobs to run side by side, and on how many threads each."""
    side_by_side = max(1, min(num_threads, n_jobs))
    return side_by_side, num_threads // side_by_side
