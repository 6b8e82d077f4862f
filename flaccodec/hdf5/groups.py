"""Groups of the flacarray package's layout in HDF5, written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flaccodec.runtime.optional import needed

with needed("flaccodec.hdf5", "hdf5", "h5py"):
    import h5py  # noqa: TC002 - here, to tell what is missing

from flaccodec import core
from flaccodec.groups import ranks
from flaccodec.groups.encode import compress_array
from flaccodec.groups.ranks import read_array_anywhere
from flaccodec.groups.read import read_group
from flaccodec.groups.write import write_group
from flaccodec.hdf5.group_door import HDF5Door, place_of
from flaccodec.mpi.distribution import is_comm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from flaccodec.groups.layout import GroupStreams
    from flaccodec.samples.keep import Indices


def write_streams(hgrp: h5py.Group, streams: GroupStreams) -> None:
    """Write compressed streams to an HDF5 group, where flacarray 0.3 and later reads them.

    Parameters
    ----------
    hgrp : h5py.Group
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

    def create(name: str, array: npt.NDArray[Any]) -> h5py.Dataset:
        return hgrp.create_dataset(name, data=array)

    write_group(hgrp, place_of(hgrp), streams, create)


def read_streams(
    hgrp: h5py.Group, keep: npt.ArrayLike | None = None
) -> tuple[GroupStreams, Indices | None]:
    """Read compressed streams from an HDF5 group that flaccodec or flacarray wrote.

    Parameters
    ----------
    hgrp : h5py.Group
    keep : array_like of bool, optional
        Which streams to read, of the array's leading shape; pages of the file that hold none
        of their bytes are not touched.

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
    return read_group(HDF5Door(), hgrp, keep)


def write_compressed(
    hgrp: Any,
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
    """Write streams and tables, as `array_compress` gives them, to an HDF5 group.

    Parameters
    ----------
    hgrp : HDF5 group
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
    write_parts(HDF5Door(), hgrp, write_streams, parts, mpi_comm, mpi_dist)


def read_compressed(
    hgrp: Any, keep: npt.ArrayLike | None = None, mpi_comm: Any = None, mpi_dist: Any = None
) -> tuple[Any, ...]:
    """Read streams and tables of an HDF5 group, as flacarray gives them.

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

    return read_parts(HDF5Door(), hgrp, read_streams, keep, mpi_comm, mpi_dist)


def write_array(
    arr: npt.NDArray[Any],
    hgrp: h5py.Group,
    level: int = core.DEFAULT_LEVEL,
    quanta: npt.ArrayLike | None = None,
    precision: npt.ArrayLike | None = None,
    mpi_comm: Any = None,
    use_threads: bool | None = False,
    progress: bool = False,
) -> None:
    """Compress an array to an HDF5 group that flacarray reads.

    Parameters
    ----------
    arr : ndarray of int32, int64, float32 or float64, shape (..., n)
    hgrp : h5py.Group
        It may hold other things, but none of the layout's datasets.
    level : int
        FLAC's level, 0 (fast) to 8 (small).
    quanta, precision : float or array_like, optional
        For floats one of the two, as for `flaccodec.utils.float_to_int`; with neither, what
        `FlacArray.from_array` does. Integers are stored exactly whichever is given, as flacarray
        does.
    mpi_comm : mpi4py.MPI.Comm, optional
        All its ranks call this, each with its part of one array (see `FlacArray.from_array`).
        Where the file is open with ``driver="mpio"`` on all ranks, each writes its own part;
        else rank 0 writes, and `hgrp` may be None on the others.
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
        return ranks.write_array(HDF5Door(), hgrp, mpi_comm, arr, options)
    streams = compress_array(arr, level, quanta, precision, use_threads, progress)
    write_streams(hgrp, streams)


def read_array(
    hgrp: h5py.Group,
    keep: npt.ArrayLike | None = None,
    stream_slice: slice | None = None,
    keep_indices: bool = False,
    mpi_comm: Any = None,
    mpi_dist: Any = None,
    use_threads: bool | None = False,
    no_flatten: bool = False,
    progress: bool = False,
) -> Any:
    """Decompress an array from an HDF5 group that flaccodec or flacarray wrote.

    Parameters
    ----------
    hgrp : h5py.Group
    keep : array_like of bool, optional
        Which streams, of the leading shape; pages of the file that hold none of their bytes
        are not touched.
    stream_slice : slice, optional
        Which samples of each, without a step.
    keep_indices : bool
        Also return the indices of the kept streams, or None without `keep`, as flacarray does.
    mpi_comm : mpi4py.MPI.Comm, optional
        All its ranks call this, and each gets some rows along the leading axis, or the streams
        kept in them. `hgrp` may be None on all but rank 0, which then reads for them.
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
        HDF5Door(), hgrp, read_streams, mpi_comm, keep, mpi_dist, options
    )
    return (array, indices) if keep_indices else array
