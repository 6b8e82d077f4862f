"""HDF5 files that are read in place as Zarr stores."""

from __future__ import annotations

import h5py
import numpy as np
import zarr

from flaccodec.hdf5 import Flac

SHAPE, CHUNKS = (16, 30_000), (8, 12_000)


def make(dtype="i4", shape=SHAPE, seed=0):
    noise = np.random.default_rng(seed).normal(0, 4000, shape)
    return np.abs(noise).astype(dtype) if np.dtype(dtype).kind == "u" else noise.astype(dtype)


def write(path, array, **options):
    options = {"chunks": CHUNKS, "compression": Flac(), **options}
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, **options)
    return path


def open_x(store, path="x"):
    return zarr.open_array(store, path=path, mode="r")
