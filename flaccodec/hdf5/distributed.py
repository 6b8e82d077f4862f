"""HDF5 groups and datasets over MPI ranks."""

from __future__ import annotations

import math
import operator
import re
import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.hdf5", "hdf5", "h5py"):
    import h5py
    from h5py import h5fd, h5p, h5s

from flaccodec.exceptions import ConfigurationError
from flaccodec.groups import io as group_io
from flaccodec.hdf5.filter import Flac
from flaccodec.hdf5.low_level.driver import is_parallel
from flaccodec.hdf5.members import check_group
from flaccodec.mpi.agreement import attempt, share
from flaccodec.mpi.grid import distributed_chunks, rows_of
from flaccodec.samples.masks import unmasked
from flaccodec.samples.quanta import held_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from flaccodec.groups.layout import GroupStreams
    from flaccodec.groups.ranks import SpreadStreams, SpreadTable

TRANSFER_BYTES = 2**30
"""Bytes that a rank writes at once; MPI's files take less than 2 GiB."""

_said: set[str] = set()


class HDF5Door:
    """How ranks write to HDF5 groups."""

    def place(self, group: Any) -> str:
        """Return what to call a group in messages."""
        from flaccodec.hdf5.groups import _place

        return _place(group)

    def to_write(self, group: h5py.Group) -> h5py.Group:
        """Return the group itself."""
        return group

    def to_read(self, group: h5py.Group) -> h5py.Group:
        """Return the group itself."""
        return group

    def all_can_write(self, group: h5py.Group) -> bool:
        """Whether the file is open in all ranks' name."""
        return is_parallel(group.file)

    def is_of_all(self, group: h5py.Group) -> bool:
        """As `all_can_write`: HDF5 has all ranks write to such a file together, or none."""
        return is_parallel(group.file)

    def create(self, group: h5py.Group, name: str, table: SpreadTable) -> h5py.Dataset:
        """Create a dataset without data."""
        return group.create_dataset(name, shape=table.shape, dtype=table.dtype)

    def rows_together(self, dataset: h5py.Dataset) -> int:
        """Return 1: the datasets have no chunks."""
        return 1

    def write_by_all(
        self, group: h5py.Group, place: str, comm: Any, streams: SpreadStreams
    ) -> None:
        """Have all ranks create the group's datasets, and each write its rows."""

        def create(name: str, array: Any) -> h5py.Dataset:
            table = cast("SpreadTable", array)
            dataset = self.create(group, name, table)
            write_own_rows(comm, dataset, table.ranges[comm.rank][0], table.local)
            return dataset

        group_io.write_group(group, place, cast("GroupStreams", streams), create)

    def first_writes_alone(self) -> None:
        """Warn, once in a process."""
        if _said:
            return
        _said.add("")
        mpi = "" if h5py.get_config().mpi else " This h5py is built without MPI."
        warnings.warn(
            "rank 0 writes the HDF5 file alone, with what the other ranks send. With an h5py built "
            'for parallel HDF5, and a file opened with driver="mpio" and comm= on all ranks, each '
            f"would write its own.{mpi}",
            stacklevel=2,
        )


def write_own_rows(comm: Any, dataset: h5py.Dataset, first: int, rows: npt.NDArray[Any]) -> None:
    """Have each rank write its rows of a dataset without chunks, in transfers of its own.

    HDF5 reports a disk that is full for these. For collective ones Open MPI tells it of none.

    Parameters
    ----------
    comm, dataset, first, rows
        As for `write_rows`.
    """
    step = max(1, TRANSFER_BYTES // _row_bytes(dataset))

    def write() -> None:
        for start in range(0, len(rows), step):
            _write(dataset, first + start, rows[start : start + step], None)

    share(comm, write)


def _row_bytes(dataset: h5py.Dataset) -> int:
    sizes: tuple[int, ...] = dataset.shape[1:]
    return max(1, int(dataset.dtype.itemsize) * math.prod(sizes))


def write_rows(comm: Any, dataset: h5py.Dataset, first: int, rows: npt.NDArray[Any]) -> None:
    """Have each rank write its rows of a dataset with chunks, in collective transfers.

    HDF5 wants every rank to take part in every transfer, those without rows, too.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    dataset : h5py.Dataset
        Of a file that is open with ``driver="mpio"``.
    first : int
        Where this rank's rows begin.
    rows : ndarray
    """
    together = dataset.chunks[0] if dataset.chunks else 1
    step = max(1, TRANSFER_BYTES // (_row_bytes(dataset) * together)) * together
    transfers = max(share(comm, lambda: -(-len(rows) // step)))
    collective = h5p.create(h5p.DATASET_XFER)
    collective.set_dxpl_mpio(h5fd.MPIO_COLLECTIVE)
    error: Exception | None = None
    for number in range(transfers):
        part = rows[number * step : (number + 1) * step]
        try:
            _write(dataset, first + number * step, part, collective)
        except Exception as failure:
            error = error or failure

    def check() -> None:
        if error is not None:
            raise error

    share(comm, check)


def _write(dataset: h5py.Dataset, first: int, rows: npt.NDArray[Any], transfer: Any) -> None:
    rows = np.ascontiguousarray(rows)
    space, memory = dataset.id.get_space(), h5s.create_simple((max(1, len(rows)), *rows.shape[1:]))
    if rows.size:
        space.select_hyperslab((first, *[0] * (rows.ndim - 1)), rows.shape)
    else:
        space.select_none()
        memory.select_none()
        rows = np.zeros(memory.shape, dtype=rows.dtype)
    dataset.id.write(memory, space, rows, dxpl=transfer)


def check_parallel(group: h5py.Group) -> None:
    """Check that a group's file is open in all ranks' name.

    Raises
    ------
    TypeError
        It is no group.
    ConfigurationError
        It is not.
    """
    check_group(group)
    if is_parallel(group.file):
        return
    built = "" if h5py.get_config().mpi else " This h5py is built without MPI."
    raise ConfigurationError(
        'the file must be open for parallel HDF5, with driver="mpio" and comm=, on all ranks. Got '
        f"driver {group.file.driver!r}.{built}"
    )


def check_alike(comm: Any, arguments: Mapping[str, Any]) -> None:
    """Check that all ranks give the same arguments: HDF5 has them create one dataset together.

    Raises
    ------
    ConfigurationError
        On all ranks: they do not; the message names one.
    """
    told = share(comm, lambda: {name: _written(value) for name, value in arguments.items()})
    for rank, other in enumerate(told):
        for name in {**told[0], **other}:
            here, there = (some.get(name, "nothing") for some in (told[0], other))
            if here != there:
                raise ConfigurationError(
                    f"{name} must be the same on all ranks. Got {here} on rank 0, and {there} on "
                    f"rank {rank}."
                )


def _written(value: Any) -> str:
    """Return how a value is written, but for its address, which is another on each rank."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def create_distributed(
    hgrp: h5py.Group,
    name: str,
    comm: Any,
    *,
    local_shape: Sequence[int],
    dtype: npt.DTypeLike,
    chunks: Sequence[int] | None = None,
    compression: Any = None,
    **kwargs: Any,
) -> tuple[h5py.Dataset, slice]:
    """Create an HDF5 dataset of FLAC chunks to which MPI ranks write at once.

    All ranks call this, each with the shape of its part of the dataset; the parts' rows, along
    the leading axis, are joined in the order of the ranks. No chunk has rows of two ranks.
    Write with `write_distributed`.

    Parameters
    ----------
    hgrp : h5py.Group
        Of a file that is open with ``driver="mpio"`` on all ranks, for HDF5 1.10.2 or later.
    name : str
    comm : mpi4py.MPI.Comm
        The file's.
    local_shape : tuple of int
        Of this rank's part. Leading sizes may differ, and be 0; the others are the same on all.
    dtype : dtype
        The same on all ranks.
    chunks : tuple of int, optional
        By default they hold whole streams, about a million samples.
    compression : Flac, optional
        The filter; by default ``Flac()``.
    **kwargs
        What `h5py.Group.create_dataset` takes besides.

    Returns
    -------
    dataset : h5py.Dataset
    rows : slice
        This rank's rows.

    Raises
    ------
    ConfigurationError
        On all ranks: chunks would have rows of two ranks (the message has the sizes that would
        do), the parts do not go together, the file is not open on all ranks, or these give
        other names or options.
    EmptyArrayError
        On all ranks: the dataset would have no samples.
    """
    share(comm, lambda: check_parallel(hgrp))
    layout = rows_of(comm, local_shape, dtype)
    chosen = share(comm, lambda: distributed_chunks(layout, chunks))[0]
    options = {"compression": Flac() if compression is None else compression, **kwargs}
    check_alike(comm, {"group": hgrp.name, "name": name, **options})
    dataset = hgrp.create_dataset(
        name, shape=layout.shape, dtype=layout.dtype, chunks=chosen, **options
    )
    return dataset, slice(*layout.ranges[comm.rank])


def check_rows(rows: slice, n: int) -> int:
    """Check that a slice is of rows of a dataset that has `n`; return how many it holds.

    Raises
    ------
    ConfigurationError
        It is not: HDF5 would refuse it on this rank, while others wait for it.
    """
    try:
        first, stop, step = (operator.index(i) for i in (rows.start, rows.stop, rows.step or 1))
    except (AttributeError, TypeError):
        first, stop, step = -1, -1, 1
    if step != 1 or not 0 <= first <= stop <= n:
        raise ConfigurationError(
            f"rows must be a slice of the dataset's {n:,} rows, from the first to that after the "
            f"last, without a step, as create_distributed returns it. Got {rows!r}."
        )
    return stop - first


def write_distributed(dataset: h5py.Dataset, comm: Any, rows: slice, arr: npt.ArrayLike) -> None:
    """Write each rank's rows of a dataset of `create_distributed`. All ranks call this.

    Parameters
    ----------
    dataset : h5py.Dataset
    comm : mpi4py.MPI.Comm
    rows : slice
        This rank's; empty for a rank without rows, which must call this, too.
    arr : array_like
        What to write to ``dataset[rows]``.

    Raises
    ------
    ConfigurationError
        On all ranks: a rank's `rows` are not rows of the dataset, or its array is not of their
        shape, or has samples that the dataset's dtype cannot hold.
    RankError
        On all ranks: a rank could not write.

    Notes
    -----
    No sample makes the filter fail, nor does a rank without memory for it: its chunk is stored as
    samples. Ranks would wait for one whose transfer fails. (Parallel HDF5 before 1.14 loses the
    note that a chunk is samples: docs/hdf5.md, "When a write fails".)
    """

    def check() -> npt.NDArray[Any]:
        array = unmasked(arr)
        shape = (check_rows(rows, dataset.shape[0]), *dataset.shape[1:])
        if array.shape != shape:
            raise ConfigurationError(f"arr must have the rows' shape, {shape}. Got {array.shape}.")
        return held_samples(array, dataset.dtype)

    local = attempt(comm, check)
    write_rows(comm, dataset, rows.start, local)
