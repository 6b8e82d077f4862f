"""Memory that runs out in the filter of one rank, while all write together: none waits for ever.

Run with the folder of a plugin that fails, which HDF5_PLUGIN_PATH names, and a folder to write to,
on two ranks or more, with an h5py that has MPI.
"""

import ctypes
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from ranks import COMM, RANK, SIZE, run, waves

PLUGIN, FOLDER = sys.argv[1:3]
os.environ["HDF5_PLUGIN_PATH"] = PLUGIN
fail_at = ctypes.CDLL(f"{PLUGIN}/libh5flaccodec.so").flaccodec_fail_at
LAST = SIZE - 1
KEEPS_MASKS = h5py.version.hdf5_version_tuple >= (1, 14)
"""Older ones forget, in collective transfers, which filters a chunk went past."""


def check_a_collective_write():
    path = Path(FOLDER) / "x.h5"
    array = waves((2 * SIZE, 3000), "int32")
    with h5py.File(path, "w", driver="mpio", comm=COMM) as file:
        x = file.create_dataset("x", array.shape, "i4", chunks=(2, 1000), compression=61868)
        plain = file.create_dataset("plain", array.shape, "i4")
        fail_at(0 if RANK == LAST else -1)
        for dataset in (x, plain):
            with dataset.collective:
                dataset[2 * RANK : 2 * RANK + 2] = array[2 * RANK : 2 * RANK + 2]
        assert fail_at(-1) == (3 if RANK == LAST else 0)
    COMM.Barrier()
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["plain"][...], array)
        np.testing.assert_array_equal(file["x"][: 2 * LAST], array[: 2 * LAST])
        mask, chunk = file["x"].id.read_direct_chunk((2 * LAST, 0))
        assert chunk == array[2 * LAST :, :1000].tobytes()
        assert mask == int(KEEPS_MASKS)
        if KEEPS_MASKS:
            np.testing.assert_array_equal(file["x"][...], array)
        else:
            with pytest.raises(OSError, match="flaccodec: these bytes are not a flaccodec chunk"):
                file["x"][...]


if __name__ == "__main__":
    run(check_a_collective_write)
