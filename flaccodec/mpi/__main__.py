"""Quick checks of MPI, HDF5 and Zarr on a machine that is new to flaccodec."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.array.flacarray import FlacArray
from flaccodec.exceptions import FlacCodecError, QuantaError
from flaccodec.mpi.agreement import attempt, share
from flaccodec.runtime.optional import needed

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Any, Path], str]

SAMPLES = 20_000
"""Of each stream."""


def main() -> None:
    """Run what the command line asks for, on each rank; exit with 1 where a check fails."""
    parser = argparse.ArgumentParser(prog="python -m flaccodec.mpi", description=__doc__)
    parser.add_argument("--selftest", action="store_true", required=True, help="run the checks")
    parser.add_argument(
        "--folder", help="where files are written; ranks must share it (default: this folder)"
    )
    options = parser.parse_args()
    with needed("flaccodec.mpi", "mpi", "mpi4py"):
        from mpi4py import MPI as mpi  # noqa: N811
    comm = mpi.COMM_WORLD
    say = print if comm.rank == 0 else _say_nothing
    say(f"MPI: {mpi.Get_library_version().splitlines()[0]}", flush=True)
    try:
        folder = _make_folder(comm, options.folder or ".")
    except FlacCodecError as error:
        say(f"No files can be written to --folder: {error}", flush=True)
        sys.exit(1)
    try:
        failed = sum(not _run(check, comm, folder, say) for check in CHECKS)
    finally:
        comm.Barrier()
        if comm.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
    ranks = f"{comm.size} rank{'s' if comm.size > 1 else ''}"
    say(f"{failed} of {len(CHECKS)} checks failed." if failed else f"All is well on {ranks}.")
    sys.exit(1 if failed else 0)


def _make_folder(comm: Any, parent: str) -> Path:
    """Make a folder in one that all ranks see, as that of temporary files often is not."""

    def make() -> str:
        return tempfile.mkdtemp(prefix="flaccodec-", dir=parent) if comm.rank == 0 else ""

    return Path(share(comm, make)[0])


def _say_nothing(*_: Any, **__: Any) -> None:
    pass


def _run(check: Check, comm: Any, folder: Path, say: Callable[..., None]) -> bool:
    """Run a check on all ranks, and say how it went."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = check(comm, folder)
        error = ""
    except Exception:
        result, error = "", traceback.format_exc()
    told = comm.allgather(error)
    failed = [rank for rank, text in enumerate(told) if text]
    if failed:
        say(f"FAILED  {check.__doc__} On rank {failed[0]}:\n{told[failed[0]]}", flush=True)
    else:
        say(f"ok      {check.__doc__}{' ' + result if result else ''}", flush=True)
    return not failed


def _rows(comm: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return this rank's rows of an array: one on even ranks, two on odd ones."""
    rng = np.random.default_rng(comm.rank)
    return rng.normal(size=(1 + comm.rank % 2, SAMPLES)).cumsum(axis=-1)


def _compare(comm: Any, got: Any) -> None:
    def check() -> None:
        off = np.abs(np.asarray(got) - _rows(comm)).max()
        if off > 0.5:
            raise ValueError(f"samples are off by {off}, more than half of the quanta")

    share(comm, check)


def _dist(comm: Any) -> list[tuple[int, int]]:
    fa = FlacArray.from_array(_rows(comm), quanta=1.0, mpi_comm=comm)
    return fa.mpi_dist


def check_arrays(comm: Any, folder: Path) -> str:
    """Make a FlacArray over the ranks."""
    fa = FlacArray.from_array(_rows(comm), quanta=1.0, mpi_comm=comm)
    _compare(comm, fa.to_array())
    return f"Its shape is {fa.global_shape}."


def check_errors(comm: Any, folder: Path) -> str:
    """Raise one rank's error on all."""
    last = comm.size - 1
    try:
        FlacArray.from_array(_rows(comm), quanta=-1.0 if comm.rank == last else 1.0, mpi_comm=comm)
    except QuantaError:
        return ""
    raise AssertionError("nothing was raised")


def check_hdf5(comm: Any, folder: Path) -> str:
    """Write and read an HDF5 group."""
    import h5py

    from flaccodec.hdf5 import read_array, write_array

    parallel = bool(h5py.get_config().mpi)
    path = folder / "test.h5"

    def create() -> Any:
        if parallel:
            return h5py.File(path, "w", driver="mpio", comm=comm)
        return h5py.File(path, "w") if comm.rank == 0 else None

    file = attempt(comm, create)
    write_array(_rows(comm), file, quanta=1.0, mpi_comm=comm)
    _compare(comm, read_array(file, mpi_comm=comm, mpi_dist=_dist(comm), no_flatten=True))
    if file is not None:
        file.close()
    if parallel:
        return "With parallel HDF5: each rank wrote its own."
    return "This h5py is built without MPI: rank 0 wrote for all."


def check_zarr(comm: Any, folder: Path) -> str:
    """Write and read a Zarr group."""
    import zarr

    from flaccodec.zarr import read_array, write_array

    path = folder / "group.zarr"
    share(comm, lambda: str(zarr.create_group(path)) if comm.rank == 0 else "")
    group = attempt(comm, lambda: zarr.open_group(path, mode="r+"))
    write_array(_rows(comm), group, quanta=1.0, mpi_comm=comm)
    _compare(comm, read_array(group, mpi_comm=comm, mpi_dist=_dist(comm)))
    return ""


def check_distributed(comm: Any, folder: Path) -> str:
    """Write a Zarr array from all ranks at once."""
    from flaccodec.zarr import create_distributed

    rows = _rows(comm)
    array, own = create_distributed(
        folder / "array.zarr", comm, local_shape=rows.shape, dtype=rows.dtype
    )
    share(comm, lambda: array.__setitem__(own, rows))
    _compare(comm, attempt(comm, lambda: array[own]))
    return f"Its chunks are {array.chunks}."


CHECKS: list[Check] = [check_arrays, check_errors, check_hdf5, check_zarr, check_distributed]

if __name__ == "__main__":
    main()
