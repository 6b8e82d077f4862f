"""HDF5 groups and datasets over MPI ranks."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

from flaccodec.runtime.optional import needed

with needed("flaccodec.hdf5", "hdf5", "h5py"):
    import h5py

from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5.filter import Flac
from flaccodec.hdf5.low_level.driver import is_parallel
from flaccodec.hdf5.members import check_group
from flaccodec.hdf5.rank_checks import check_can_write
from flaccodec.hdf5.rows import write_rows
from flaccodec.mpi.agreement import attempt, share
from flaccodec.mpi.grid import distributed_chunks, rows_of
from flaccodec.samples.masks import unmasked
from flaccodec.samples.quanta import held_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


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
    CorruptChunkError
        On all ranks: a chunk that is to be changed in part is damaged. Nothing was written.
    RankError
        On all ranks: a rank could not write.

    Notes
    -----
    Ranks would wait for ever for one whose transfer fails. So each rank tries beforehand to decode
    the chunks that HDF5 will decode: those within which `rows` begin or end, and those that the end
    of an axis cuts. No sample makes the filter fail, nor does a rank without memory to encode: its
    chunk is stored as samples. (Parallel HDF5 before 1.14 loses the note that a chunk is samples:
    docs/hdf5.md, "When a write fails".)
    """

    def check() -> npt.NDArray[Any]:
        array = unmasked(arr)
        shape = (check_rows(rows, dataset.shape[0]), *dataset.shape[1:])
        if array.shape != shape:
            raise ConfigurationError(f"arr must have the rows' shape, {shape}. Got {array.shape}.")
        held = held_samples(array, dataset.dtype)
        check_can_write(dataset, rows.start, rows.stop)
        return held

    local = attempt(comm, check)
    write_rows(comm, dataset, rows.start, local)
