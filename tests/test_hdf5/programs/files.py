"""HDF5 files that programs write and read."""

from __future__ import annotations

import h5py
import numpy as np

from flaccodec.hdf5 import filter as hdf5_filter


def walk(dtype="f4", shape=(16, 2000)):
    steps = np.random.default_rng(0).normal(0, 10, shape)
    return np.cumsum(steps, axis=1).astype(dtype)


def write(path, array, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, **options)


def read(path, name="x"):
    with h5py.File(path) as file:
        return file[name][...]


def options_in(path, name="x"):
    with h5py.File(path) as file:
        return hdf5_filter.options_of(file[name])
