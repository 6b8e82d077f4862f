"""A disk that is full, in parallel HDF5: all ranks raise, and what failed is not there.

Run with a folder, on two ranks or more, with an h5py that has MPI. The file is not closed, and the
ranks end without more ado: Open MPI 4.1 now and then hangs as it closes a file of which a write
failed.
"""

import gc
import os
import resource
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from ranks import COMM, RANK

import flaccodec.hdf5
from flaccodec.exceptions import RankError

FOLDER = Path(sys.argv[1])


def check_a_full_disk():
    """As it looks like: no rank's file may become larger than this."""
    rng = np.random.default_rng(RANK)
    array = rng.integers(-(2**30), 2**30, (2, 300_000), dtype="int32")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = h5py.File(FOLDER / "full.h5", "w", driver="mpio", comm=COMM)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 2**20, limits[1]))
    try:
        with pytest.raises(RankError, match=r"rank \d: OSError: .*write") as caught:
            flaccodec.hdf5.write_array(array, file, mpi_comm=COMM)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    if RANK == 0:  # the others keep the traceback, and what it refers to
        del caught
        gc.collect()
    assert list(file) == []
    flaccodec.hdf5.write_array(array, file, mpi_comm=COMM)
    np.testing.assert_array_equal(flaccodec.hdf5.read_array(file, mpi_comm=COMM), array)
    return file


file = check_a_full_disk()  # and not closed
(FOLDER / f"checked-{RANK}").touch()
COMM.Barrier()
os._exit(0)
