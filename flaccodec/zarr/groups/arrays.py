"""Zarr groups in the flacarray package's layout, ``zarr_format`` 3 and 2."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.groups.write import write_array_parts
from flaccodec.runtime.optional import needed

with needed("flaccodec.zarr", "zarr"):
    pass

from flaccodec import core
from flaccodec.groups import ranks
from flaccodec.groups.encode import compress_parts
from flaccodec.groups.layout import COMPRESSED
from flaccodec.groups.ranks import read_array_anywhere
from flaccodec.groups.read import read_group
from flaccodec.groups.write import write_group
from flaccodec.mpi.distribution import is_comm
from flaccodec.zarr.groups.consolidated import past_consolidated
from flaccodec.zarr.groups.door import CHUNK_BYTES, ZarrDoor, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    import zarr

    from flaccodec.groups.layout import GroupStreams
    from flaccodec.samples.keep import Indices

__all__ = [
    "read_array",
    "read_compressed",
    "read_streams",
    "write_array",
    "write_compressed",
    "write_streams",
]


def write_streams(zgrp: zarr.Group, streams: GroupStreams) -> None:
    """Write compressed streams to a Zarr group, where flacarray 0.3 and later reads them.

    The FLAC streams are in chunks of 2 MiB, and not compressed once more.

    Parameters
    ----------
    zgrp : zarr.Group
        It may hold other things, but none of the layout's datasets.
    streams : GroupStreams
        Of format 1.

    Raises
    ------
    GroupExistsError
        The group has datasets of these names.
    ConfigurationError
        The streams cannot be written as format 1.
    """
    place, group = place_of(zgrp), past_consolidated(zgrp)

    def create(name: str, array: npt.NDArray[Any]) -> Any:
        if name != COMPRESSED:
            return group.create_array(name, data=array)
        with _appending(group) as write:
            return write(array)

    write_group(group, place, streams, create)


@contextlib.contextmanager
def _appending(zgrp: zarr.Group) -> Iterator[Callable[[npt.NDArray[np.uint8]], None]]:
    """Give what writes the compressed bytes, some after the other.

    Chunks are written once each, and are the same however the bytes come.
    """
    array: zarr.Array[Any] | None = None
    held = np.empty(0, dtype=np.uint8)

    def flush(size: int) -> None:
        nonlocal array, held
        if array is None:
            chunks = (min(size, CHUNK_BYTES),)
            array = zgrp.create_array(COMPRESSED, data=held[:size], chunks=chunks, compressors=None)
        else:
            array.append(held[:size])
        held = held[size:].copy()

    def write(data: npt.NDArray[np.uint8]) -> None:
        nonlocal held
        held = np.concatenate([held, data]) if held.size else data
        if held.size > CHUNK_BYTES:
            flush(held.size // CHUNK_BYTES * CHUNK_BYTES)

    yield write
    if held.size:
        flush(held.size)


def read_streams(
    zgrp: zarr.Group, keep: npt.ArrayLike | None = None
) -> tuple[GroupStreams, Indices | None]:
    """Read compressed streams from a Zarr group that flaccodec or flacarray wrote.

    Parameters
    ----------
    zgrp : zarr.Group
    keep : array_like of bool, optional
        Which streams to read, of the array's leading shape. Their bytes alone are fetched, or the
        chunks that hold some where chunks are compressed or sharded, or the store gives no ranges.

    Returns
    -------
    streams : GroupStreams
        With `keep`, of shape (number kept, stream_size).
    indices : list of tuple of int, or None
        Where in the leading shape each stream kept is; None without `keep`.

    Raises
    ------
    GroupError
        The group holds no flacarray data, or data that contradict each other.
    ConfigurationError
        `keep` is not of bool, or of another shape.
    """
    return read_group(ZarrDoor(), zgrp, keep)


def write_compressed(
    zgrp: Any,
    leading_shape: tuple[int, ...],
    global_leading_shape: tuple[int, ...],
    stream_size: int,
    stream_starts: npt.NDArray[np.int64],
    global_stream_starts: npt.NDArray[np.int64],
    stream_nbytes: npt.NDArray[np.int64],
    stream_offsets: npt.NDArray[Any] | None,
    stream_gains: npt.NDArray[Any] | None,
    compressed: npt.NDArray[np.uint8],
    n_channels: int,
    local_nbytes: int,
    global_nbytes: int,
    global_process_nbytes: list[int],
    mpi_comm: Any,
    mpi_dist: list[tuple[int, int]],
) -> None:
    """Write streams and tables, as `array_compress` gives them, to a Zarr group.

    Parameters
    ----------
    zgrp : Zarr group
        As for `write_array`.
    leading_shape, global_leading_shape : tuple of int
        Of this rank's streams, and of all.
    stream_size : int
        Samples of a stream.
    stream_starts, stream_nbytes, stream_offsets, stream_gains : ndarray or None
        Of this rank's streams.
    compressed : ndarray of uint8
        Their bytes.
    n_channels : int
        FLAC channels of each: 1 for 32-bit dtypes, 2 for 64-bit ones.
    global_stream_starts, local_nbytes, global_nbytes, global_process_nbytes
        Not needed, since they follow from the others.
    mpi_comm, mpi_dist
        The communicator, or None, and the rows of each rank.

    Raises
    ------
    GroupError, ConfigurationError
        The parts contradict each other, or the group has datasets of these names.
    """
    from flaccodec.groups.parts import write_parts

    parts = {
        "leading_shape": leading_shape,
        "global_leading_shape": global_leading_shape,
        "stream_size": stream_size,
        "stream_starts": stream_starts,
        "stream_nbytes": stream_nbytes,
        "stream_offsets": stream_offsets,
        "stream_gains": stream_gains,
        "compressed": compressed,
        "n_channels": n_channels,
    }
    write_parts(ZarrDoor(), zgrp, write_streams, parts, mpi_comm, mpi_dist)


def read_compressed(
    zgrp: Any, keep: npt.ArrayLike | None = None, mpi_comm: Any = None, mpi_dist: Any = None
) -> tuple[Any, ...]:
    """Read streams and tables of a Zarr group, as flacarray gives them.

    Parameters are those of `read_array`.

    Returns
    -------
    tuple
        Shape of this rank's part and of the whole, compressed bytes, FLAC channels, starts,
        bytes, offsets and gains of the streams, rows of each rank, and with `keep` the places of
        the streams.

    Raises
    ------
    GroupError
        As `read_streams`.
    """
    from flaccodec.groups.parts import read_parts

    return read_parts(ZarrDoor(), zgrp, read_streams, keep, mpi_comm, mpi_dist)


def write_array(
    arr: Any,
    zgrp: zarr.Group,
    level: int = core.DEFAULT_LEVEL,
    quanta: npt.ArrayLike | None = None,
    precision: npt.ArrayLike | None = None,
    mpi_comm: Any = None,
    use_threads: bool | None = False,
    progress: bool = False,
) -> None:
    """Compress an array to a Zarr group that flacarray reads.

    Parameters
    ----------
    arr : ndarray of int32, int64, float32 or float64, shape (..., n)
        Or anything of this kind that can be sliced, such as ``np.memmap``, an h5py dataset, a
        zarr or a dask array. It is then read, and the group written, by blocks of about 4
        million samples, or a stream where that is longer; memory holds no more than that. The
        group is the same.
    zgrp : zarr.Group
        It may hold other things, but none of the layout's datasets. Consolidated metadata of the
        store do not tell of these: consolidate them anew.
    level : int
        FLAC's level, 0 (fast) to 8 (small).
    quanta, precision : float or array_like, optional
        For floats one of the two, as for `flaccodec.utils.float_to_int`; with neither, what
        `FlacArray.from_array` does. Integers are stored exactly whichever is given, as flacarray
        does.
    mpi_comm : mpi4py.MPI.Comm, optional
        All its ranks call this, each with its part of one array (see `FlacArray.from_array`).
        Where all ranks have the group, each writes chunks of its own; else rank 0 writes, and
        `zgrp` may be None on the others.
    use_threads : bool
        Whether to encode on several threads.
    progress : bool
        Show a bar while streams are encoded; needs tqdm.

    Raises
    ------
    UnsupportedDtypeError
        The layout cannot hold the dtype; the message says what can.
    GroupExistsError
        The group has datasets of these names.
    ConfigurationError
        The array is masked, or both quanta and precision are given.
    """
    if is_comm(mpi_comm) and mpi_comm.size > 1:
        options = {
            "level": level,
            "quanta": quanta,
            "precision": precision,
            "use_threads": use_threads,
            "progress": progress,
        }
        return ranks.write_array(ZarrDoor(), zgrp, mpi_comm, arr, options)
    array = compress_parts(arr, level, quanta, precision, use_threads, progress)
    place, group = place_of(zgrp), past_consolidated(zgrp)

    def create(name: str, table: npt.NDArray[Any]) -> zarr.Array[Any]:
        return group.create_array(name, data=table)

    return write_array_parts(group, place, array, create, _appending(group))


def read_array(
    zgrp: zarr.Group,
    keep: npt.ArrayLike | None = None,
    stream_slice: slice | None = None,
    keep_indices: bool = False,
    mpi_comm: Any = None,
    mpi_dist: Any = None,
    use_threads: bool | None = False,
    no_flatten: bool = False,
    progress: bool = False,
) -> Any:
    """Decompress an array from a Zarr group that flaccodec or flacarray wrote.

    Parameters
    ----------
    zgrp : zarr.Group
    keep : array_like of bool, optional
        Which streams, of the leading shape. Their bytes alone are fetched, or the chunks that
        hold some where chunks are compressed or sharded, or the store gives no ranges.
    stream_slice : slice, optional
        Which samples of each, without a step.
    keep_indices : bool
        Also return the indices of the kept streams, or None without `keep`, as flacarray does.
    mpi_comm : mpi4py.MPI.Comm, optional
        All its ranks call this, and each gets some rows along the leading axis, or the streams
        kept in them. `zgrp` may be None on all but rank 0, which then reads for them.
    mpi_dist : list of (int, int), optional
        The first row of each rank, and that after its last. By default rows are spread evenly.
    use_threads : bool
        Whether to decode on several threads.
    no_flatten : bool
        Whether an array of one axis gets a leading axis of 1.
    progress : bool
        Show a bar while streams are decoded; needs tqdm.

    Returns
    -------
    ndarray
        The values that flacarray restores, bit for bit. Of floats that were written by a
        FlacArray, or with neither quanta nor precision, the values that it held. With `keep`, of
        shape (number kept, samples).
    list of tuple of int, or None
        Only with `keep_indices`: where in the leading shape, of the whole array, each stream is;
        None without `keep`.

    Raises
    ------
    GroupError
        The group holds no flacarray data, or data that contradict each other.
    CorruptStreamError
        A stream is damaged; no samples are returned.
    """
    options = {
        "stream_slice": stream_slice,
        "use_threads": use_threads,
        "no_flatten": no_flatten,
        "progress": progress,
    }
    array, indices = read_array_anywhere(
        ZarrDoor(), zgrp, read_streams, mpi_comm, keep, mpi_dist, options
    )
    return (array, indices) if keep_indices else array
