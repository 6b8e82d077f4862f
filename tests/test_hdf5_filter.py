"""The HDF5 filter through h5py: what is written, what is read, what is refused."""

from __future__ import annotations

import ctypes
import pickle
import re
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOATS, INTEGERS, float_arrays, integer_arrays, same_bits

from flaccodec import FlacCodec, core, hdf5, hdf5_filter
from flaccodec.exceptions import ConfigurationError, QuantaError
from flaccodec.hdf5 import FILTER_ID, Flac
from flaccodec.options import CodecOptions

DTYPES = [order + np.dtype(name).str[1:] for name in INTEGERS + FLOATS for order in "<>"]
CSRC = Path(__file__).resolve().parents[1] / "csrc"


def make(dtype, shape, seed=0):
    noise = np.random.default_rng(seed).normal(0, 40, shape)
    return np.abs(noise).astype(dtype) if np.dtype(dtype).kind == "u" else noise.astype(dtype)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        yield file


def write(path, array, chunks=True, **options):
    """Write an array to a file that is closed again, so that it is read from its chunks."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, chunks=chunks, **options)


def read(path):
    with h5py.File(path) as file:
        return file["x"][...]


def in_memory(array, **options):
    """Write an array to a file in memory, and read it from its chunks."""
    with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
        file.create_dataset("x", data=array, **options)
        image = file.id.get_file_image() if file.flush() is None else None
    with h5py.File.in_memory(image) as file:
        return file["x"][...]


def chunk_bytes(dataset):
    chunks = {}
    for i in range(dataset.id.get_num_chunks()):
        offset = dataset.id.get_chunk_info(i).chunk_offset
        mask, chunk = dataset.id.read_direct_chunk(offset)
        assert mask == 0
        chunks[tuple(a // b for a, b in zip(offset, dataset.chunks, strict=True))] = chunk
    return chunks


# -- the number, the plugin, the registration ----------------------------------------


def test_the_number_is_the_same_in_c():
    (number,) = re.findall(r"#define FC_FILTER_ID (\w+)", (CSRC / "hdf5/dataset.h").read_text())
    assert int(number, 0) == FILTER_ID == 61868
    library = ctypes.CDLL(str(Path(hdf5.PLUGIN_PATH) / "libh5flaccodec.so"))
    library.H5PLget_plugin_info.restype = ctypes.POINTER(ctypes.c_int * 4)
    assert list(library.H5PLget_plugin_info().contents) == [1, FILTER_ID, 1, 1]
    assert library.H5PLget_plugin_type() == 0


def test_registering_again_brings_the_filter_back(file):
    h5py.h5z.unregister_filter(FILTER_ID)
    try:
        assert not h5py.h5z.filter_avail(FILTER_ID)
    finally:
        hdf5.register()
    assert h5py.h5z.filter_avail(FILTER_ID)
    file.create_dataset("x", data=np.arange(9), compression=Flac())
    hdf5.register()
    np.testing.assert_array_equal(file["x"][...], np.arange(9))
