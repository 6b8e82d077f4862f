"""Datasets of which HDF5 keeps the chunks at the edges past all filters."""

from __future__ import annotations

import ctypes

import h5py
import numpy as np
import pytest
import zarr

from flaccodec import FlacArray, core, hdf5
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import Flac, virtual_zarr
from flaccodec.hdf5.low_level import library as hdf5_library
from support.strategies import same_bits

SHAPE, CHUNKS = (5, 250), (2, 100)
DONT_FILTER_PARTIAL_CHUNKS = 2


def make(dtype="i4", shape=SHAPE):
    return np.random.default_rng(0).normal(0, 40, shape).astype(dtype)


def unfiltered_edges(chunks):
    """Return properties as a program in C makes them; h5py has no function for it."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(chunks)
    set_chunk_opts = ctypes.CDLL(h5py.h5p.__file__).H5Pset_chunk_opts
    set_chunk_opts.argtypes = (ctypes.c_int64, ctypes.c_uint)
    assert set_chunk_opts(plist.id, DONT_FILTER_PARTIAL_CHUNKS) >= 0
    return plist


def create(file, array, chunks=CHUNKS, *, maxshape=None, fletcher32=False, **options):
    plist = unfiltered_edges(chunks)
    plist.set_filter(hdf5.FILTER_ID, 0, Flac(**options).filter_options)
    if fletcher32:
        plist.set_fletcher32()
    space = h5py.h5s.create_simple(array.shape, maxshape or array.shape)
    dtype = h5py.h5t.py_create(array.dtype)
    x = h5py.Dataset(h5py.h5d.create(file.id, b"x", dtype, space, plist))
    x[...] = array
    return x


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


def stored(path, offset):
    with h5py.File(path) as file:
        return file["x"].id.read_direct_chunk(offset)


@pytest.mark.parametrize("dtype", ["<i2", ">f4"])
@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize("select", [np.s_[...], np.s_[4, 210:220], np.s_[1:3, ::7]])
def test_read(path, dtype, mode, select):
    array = make(dtype)
    with h5py.File(path, "w") as file:
        create(file, array)
    assert stored(path, (4, 100)) == (0, bytes(np.pad(array[4:, 100:200], ((0, 1), (0, 0)))))
    with h5py.File(path, mode) as file:
        assert same_bits(hdf5.read(file["x"], select), array[select])


@pytest.mark.parametrize("select", [np.s_[...], np.s_[0, 240], np.s_[3:, 50:]], ids=str)
@pytest.mark.parametrize("fletcher32", [False, True])
def test_write(path, select, fletcher32):
    array = make()
    with h5py.File(path, "w") as file:
        x = create(file, array, fletcher32=fletcher32)
        array[select] = 3 * array[select]
        hdf5.write(x, array[select], select)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["x"][...], array)
    assert stored(path, (4, 200))[1] == bytes(np.pad(array[4:, 200:], ((0, 1), (0, 50))))


def test_the_edge_is_where_the_dataset_ends_now(path):
    array = make()
    with h5py.File(path, "w") as file:
        x = create(file, array, maxshape=(h5py.h5s.UNLIMITED,) * 2)
        x.resize((6, 300))
        hdf5.write(x, array, np.s_[:5, :250])
        x.resize((3, 200))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(hdf5.read(file["x"]), array[:3, :200])
        np.testing.assert_array_equal(file["x"][...], array[:3, :200])


def test_without_edges_chunks_are_ours_to_decode(path, monkeypatch):
    array = make(shape=(4, 200))
    with h5py.File(path, "w") as file:
        create(file, array)
    with h5py.File(path) as file:
        monkeypatch.setattr(h5py.Dataset, "__getitem__", None)
        np.testing.assert_array_equal(hdf5.read(file["x"]), array)


@pytest.mark.parametrize("chunks", [CHUNKS, (2, 250)])
def test_copies_have_the_samples(path, chunks):
    array = make(">f4")
    with h5py.File(path, "w") as file:
        create(file, array, chunks)
    with h5py.File(path) as file:
        assert same_bits(hdf5.to_zarr(file["x"], {})[...], array.astype("f4"))
        assert same_bits(FlacArray.read_hdf5(file, name="x").to_array(), array.astype("f4"))


def test_chunks_within_are_moved_as_they_are(path):
    store = {}
    with h5py.File(path, "w") as file:
        create(file, make("f4"), precision=2)
    with h5py.File(path) as file:
        hdf5.to_zarr(file["x"], store)
    assert store["c/1/0"].to_bytes() == stored(path, (2, 0))[1]


def test_there_is_no_reference_to_samples(path):
    with h5py.File(path, "w") as file:
        create(file, make())
    message = r"/x, in file:.* gone through .*filters.*H5Pset_chunk_opts.*drop_variables=\['x'\]"
    with pytest.raises(ConfigurationError, match=message):
        virtual_zarr(path)
    assert list(zarr.open_group(virtual_zarr(path, drop_variables=["x"]), mode="r")) == []


def test_nor_to_samples_of_datasets_with_other_filters(path):
    """VirtualiZarr would have them shuffled back, though they are not shuffled."""
    with h5py.File(path, "w") as file:
        plist = unfiltered_edges(CHUNKS)
        plist.set_shuffle()
        space = h5py.h5s.create_simple(SHAPE)
        h5py.h5d.create(file.id, b"y", h5py.h5t.STD_I32LE, space, plist)
        file["y"][...] = make()
    with pytest.raises(ConfigurationError, match=r"/y, in file:.*H5Pset_chunk_opts"):
        virtual_zarr(path)


def test_samples_without_filters_are_what_they_are(path):
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple(SHAPE)
        h5py.h5d.create(file.id, b"y", h5py.h5t.STD_I32LE, space, unfiltered_edges(CHUNKS))
        file["y"][...] = make()
    y = zarr.open_array(virtual_zarr(path), path="y", mode="r")
    np.testing.assert_array_equal(y[...], make())


def test_there_are_references_where_no_chunk_is_at_an_edge(path):
    array = make(shape=(4, 200))
    with h5py.File(path, "w") as file:
        create(file, array)
    x = zarr.open_array(virtual_zarr(path), path="x", mode="r")
    np.testing.assert_array_equal(x[...], array)


class WithoutFunctions:
    """A library in which nothing is found."""

    def __init__(self, path):
        self.path = path


@pytest.mark.parametrize("past", [False, True])
def test_where_hdf5_cannot_be_asked_h5py_reads_and_writes(path, past, monkeypatch):
    array = make()
    with h5py.File(path, "w") as file:
        if past:
            create(file, array)
        else:
            file.create_dataset("x", data=array, chunks=CHUNKS, compression=Flac())
    hdf5_library.library_function.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", WithoutFunctions)
    try:
        with h5py.File(path, "r+") as file:
            x = file["x"]
            np.testing.assert_array_equal(hdf5.read(x), array)
            hdf5.write(x, 1, np.s_[0, 240])
            array[0, 240] = 1
            np.testing.assert_array_equal(x[...], array)
            np.testing.assert_array_equal(hdf5.to_zarr(x, {})[...], array)
        with pytest.raises(ConfigurationError, match="H5Pset_chunk_opts"):
            virtual_zarr(path)
    finally:
        hdf5_library.library_function.cache_clear()


def test_ordinary_datasets_are_told_from_them(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=make(), chunks=CHUNKS, compression=Flac())
    with h5py.File(path) as file:
        monkeypatch.setattr(h5py.Dataset, "__getitem__", None)
        np.testing.assert_array_equal(hdf5.read(file["x"]), make())
        for name in ("encode_chunk", "decode_chunk", "decode_spans"):
            monkeypatch.setattr(core, name, None)
        hdf5.to_zarr(file["x"], {})
