"""Arrays that go through groups, and the packages that write and read them."""

import flacarray
import flacarray.hdf5
import flacarray.zarr
import h5py
import numpy as np

import flaccodec.hdf5
import flaccodec.zarr

DTYPES = ["int32", "int64", "float32", "float64"]


def make(dtype, shape):
    scale = 2.0**40 if dtype == "int64" else 1000
    return np.random.default_rng(0).normal(0, scale, shape).astype(dtype)


def options_of(dtype):
    return {"quanta": 0.01} if dtype.startswith("f") else {}


def modules(kind):
    return (flaccodec.hdf5, flacarray.hdf5) if kind == "hdf5" else (flaccodec.zarr, flacarray.zarr)


def write(fa, group):
    (fa.write_hdf5 if isinstance(group, h5py.Group) else fa.write_zarr)(group)


def read(cls, group, **options):
    return (cls.read_hdf5 if isinstance(group, h5py.Group) else cls.read_zarr)(group, **options)


def another(group, name="another"):
    return group.create_group(name)
