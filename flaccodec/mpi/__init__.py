"""Arrays over MPI ranks, through mpi4py.

The names are those of flacarray's module of this name. ``mpirun -n 4 python -m flaccodec.mpi
--selftest`` checks that MPI, HDF5 and Zarr work together on a machine. Importing this imports
mpi4py, and so initializes MPI, only when `MPI` or `use_mpi` is asked for; in programs that need
another level of threads than mpi4py's, import mpi4py first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.exceptions import ConfigurationError
from flaccodec.mpi.agreement import share
from flaccodec.mpi.distribution import check_ranges, even_ranges, join_parts
from flaccodec.runtime.optional import needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["distribute_and_verify", "global_array_properties", "global_bytes"]


def _import() -> Any:
    with needed("flaccodec.mpi", "mpi", "mpi4py"):
        from mpi4py import MPI
    return MPI


def __getattr__(name: str) -> Any:
    if name not in ("MPI", "use_mpi"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = _import()
    except ImportError:
        module = None
    return module if name == "MPI" else module is not None


def distribute_and_verify(
    mpi_comm: Any, n_elem: int, mpi_dist: Sequence[tuple[int, int]] | None = None
) -> Sequence[tuple[int, int]]:
    """Spread rows over ranks, or check how they are.

    Parameters
    ----------
    mpi_comm : mpi4py.MPI.Comm or None
        None for one process.
    n_elem : int
        Rows of the array.
    mpi_dist : list of (int, int), optional
        The first row of each rank, and that after its last. By default rows are spread evenly;
        the last ranks have none where there are not enough.

    Returns
    -------
    list of (int, int)

    Raises
    ------
    ConfigurationError
        `mpi_dist` is not one range for each rank, that follow one another from 0 to `n_elem`.
    """
    ranks = 1 if mpi_comm is None else mpi_comm.size
    if mpi_dist is None:
        return even_ranges(n_elem, ranks)
    check_ranges(mpi_dist, n_elem, ranks)
    return mpi_dist


def global_array_properties(
    local_shape: tuple[int, ...] | None, local_dtype: npt.DTypeLike | None, mpi_comm: Any
) -> dict[str, Any]:
    """Find what the ranks' parts of an array join to. All ranks call this.

    Parameters
    ----------
    local_shape : tuple of int, or None
        Of this rank's part; None or a leading 0 for a rank without rows.
    local_dtype : dtype, or None
        Of this rank's part.
    mpi_comm : mpi4py.MPI.Comm or None
        None for one process.

    Returns
    -------
    dict
        "shape" (with a leading axis in any case), "dtype" and "dist", the range of rows of each
        rank.

    Raises
    ------
    ConfigurationError
        The parts' dtypes or shapes do not go together, on all ranks.
    EmptyArrayError
        No rank has rows.
    """

    def describe() -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        if local_shape is None or (len(local_shape) and local_shape[0] == 0):
            return None
        if not local_shape or local_dtype is None:
            raise ConfigurationError("a rank with rows needs a shape with an axis, and a dtype.")
        shape = local_shape if len(local_shape) > 1 else (1, *local_shape)
        return tuple(shape), np.dtype(local_dtype)

    layout = join_parts([describe()] if mpi_comm is None else share(mpi_comm, describe))
    return {"shape": layout.shape, "dtype": layout.dtype, "dist": layout.ranges}


def global_bytes(
    local_nbytes: int, stream_starts: npt.NDArray[np.int64], mpi_comm: Any
) -> tuple[int, list[int], npt.NDArray[np.int64]]:
    """Find where the bytes of each rank's streams are among those of all. All ranks call this.

    Parameters
    ----------
    local_nbytes : int
        Bytes of this rank's streams.
    stream_starts : ndarray of int64
        Where each of them begins in this rank's bytes.
    mpi_comm : mpi4py.MPI.Comm or None
        None for one process.

    Returns
    -------
    nbytes : int
        Of all ranks.
    process_nbytes : list of int
        Of each.
    starts : ndarray of int64
        Where each of this rank's streams begins in the bytes of all.
    """
    if mpi_comm is None:
        return local_nbytes, [local_nbytes], stream_starts
    nbytes = mpi_comm.allgather(int(local_nbytes))
    return sum(nbytes), nbytes, stream_starts + sum(nbytes[: mpi_comm.rank])
