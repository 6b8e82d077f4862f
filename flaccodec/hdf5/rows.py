"""Rows of a dataset, written by the ranks that hold them."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.hdf5", "hdf5", "h5py"):
    import h5py
    from h5py import h5fd, h5p, h5s
from flaccodec.mpi.agreement import share

if TYPE_CHECKING:
    import numpy.typing as npt


TRANSFER_BYTES = 2**30
"""Bytes that a rank writes at once; MPI's files take less than 2 GiB."""


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
    stop = first + len(rows)
    # They end with chunks: one that two transfers wrote would be decoded for the second.
    starts = [first, *range(first - first % step + step, stop, step)] if len(rows) else []
    transfers = max(share(comm, lambda: len(starts)))
    collective = h5p.create(h5p.DATASET_XFER)
    collective.set_dxpl_mpio(h5fd.MPIO_COLLECTIVE)
    error: Exception | None = None
    for start, end in itertools.pairwise([*starts, *[stop] * (transfers + 1 - len(starts))]):
        try:
            _write(dataset, start, rows[start - first : end - first], collective)
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
