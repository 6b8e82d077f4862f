"""The HDF5 filter through h5py: what is stored, and what HDF5 does with it."""

from __future__ import annotations

import ctypes
import io
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from flaccodec import FlacCodec, core, hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.hdf5 import FILTER_ID, Flac
from flaccodec.hdf5 import filter as hdf5_filter
from support.sources import CSRC
from support.strategies import FLOATS, INTEGERS, float_arrays, integer_arrays, same_bits
from test_hdf5.filter.files import chunk_bytes, make, read, write

DTYPES = [order + np.dtype(name).str[1:] for name in INTEGERS + FLOATS for order in "<>"]


def in_memory(array, **options):
    """Write an array to a file in memory, and read it from its chunks."""
    with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
        file.create_dataset("x", data=array, **options)
        file.flush()
        image = file.id.get_file_image()
    with h5py.File(io.BytesIO(image)) as file:
        return file["x"][...]


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


# -- what is stored -------------------------------------------------------------------


SHAPES = [
    ((1000,), (300,)),
    ((7, 500), (3, 200)),
    ((3, 5, 60), (2, 2, 60)),
    ((2, 3, 4, 50), (1, 2, 3, 32)),
]


def zarr_chunks(array, chunks, codec):
    """Return the chunks that a FlacCodec writes, by their place in the grid."""
    store = {}
    target = zarr.create_array(
        store,
        shape=array.shape,
        chunks=chunks,
        dtype=array.dtype,
        serializer=codec,
        compressors=None,
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    target[...] = array
    return {
        tuple(int(part) for part in key.split("/")[1:]): value.to_bytes()
        for key, value in store.items()
        if key.startswith("c/")
    }


@pytest.mark.parametrize(("shape", "chunks"), SHAPES, ids=lambda s: f"{len(s)}d")
@pytest.mark.parametrize("dtype", DTYPES)
def test_chunks_are_those_of_a_zarr_array(tmp_path, dtype, shape, chunks):
    array = make(dtype, shape)
    options = {"level": 3, "frame_size": 64}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=array, chunks=chunks, compression=Flac(**options))
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["x"].dtype == array.dtype
        assert same_bits(file["x"][...], array)
        assert chunk_bytes(file["x"]) == zarr_chunks(array, chunks, FlacCodec(**options))


@pytest.mark.parametrize("options", [{"quanta": 0.25}, {"precision": 2.5}], ids=str)
@pytest.mark.parametrize("dtype", [d for d in DTYPES if "f" in d])
def test_rounded_chunks_are_those_of_a_zarr_array(tmp_path, dtype, options):
    array = make(dtype, (7, 500))
    array[1, 3:9], array[2, 0], array[3, 100] = np.nan, np.inf, -np.inf
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=array, chunks=(3, 200), compression=Flac(**options))
    with h5py.File(tmp_path / "x.h5") as file:
        assert chunk_bytes(file["x"]) == zarr_chunks(array, (3, 200), FlacCodec(**options))
        got = file["x"][...]
    finite = np.isfinite(array)
    assert same_bits(got[~finite], array[~finite])
    if "quanta" in options:
        assert np.abs(got[finite] - array[finite]).max() <= 0.125 * (1 + 1e-5)


@given(integer_arrays())
def test_integers_come_back(array):
    assert same_bits(in_memory(array, compression=Flac()), array)


@given(float_arrays())
def test_floats_come_back_bit_for_bit(array):
    assert same_bits(in_memory(array, compression=Flac()), array)


@given(float_arrays(magnitudes=st.integers(-3, 3)), st.sampled_from([1e-3, 0.5, 3.0]))
def test_promises_of_quanta(array, quanta):
    flac = Flac(quanta=quanta)
    got = in_memory(array, compression=flac)
    finite = np.isfinite(array)
    assert same_bits(got[~finite], array[~finite])
    error = np.abs(got[finite].astype("f8") - array[finite].astype("f8"))
    assert (error <= quanta / 2 + np.spacing(np.abs(got[finite])) / 2).all()
    assert same_bits(in_memory(got, compression=flac), got)


def test_h5py_chooses_chunks_where_none_are_given(file):
    array = make("i4", (300, 5000))
    x = file.create_dataset("x", data=array, compression=Flac())
    assert x.chunks is not None
    np.testing.assert_array_equal(x[...], array)


def test_as_keywords(tmp_path):
    array = make("f4", (4, 100))
    write(tmp_path / "x.h5", array, **Flac(quanta=0.5))
    assert np.abs(read(tmp_path / "x.h5") - array).max() <= 0.25 + 1e-5


def test_one_sample_and_more_axes_than_are_named():
    for shape in [(1,), (1, 1, 1, 1, 1), (2,) * 10]:
        array = make("i2", shape)
        np.testing.assert_array_equal(
            in_memory(array, chunks=shape, compression=Flac(frame_size=16)), array
        )


def test_a_large_chunk(tmp_path):
    array = np.cumsum(make("i4", (40, 200_000)), axis=1)
    write(tmp_path / "x.h5", array, chunks=array.shape, compression=Flac())
    np.testing.assert_array_equal(read(tmp_path / "x.h5"), array)


def test_chunks_that_grow():
    """Noise takes more bytes than it had."""
    array = np.random.default_rng(0).integers(0, 256, (300, 3)).astype("u1")
    np.testing.assert_array_equal(
        in_memory(array, chunks=(300, 3), compression=Flac(frame_size=16)), array
    )


# -- what HDF5 does with datasets ------------------------------------------------------


def test_growing_shrinking_and_writing_parts(tmp_path):
    path = tmp_path / "x.h5"
    expected = np.full((6, 400), -7, "i4")
    with h5py.File(path, "w") as file:
        x = file.create_dataset(
            "x",
            shape=(2, 100),
            maxshape=(None, None),
            chunks=(4, 130),
            dtype="i4",
            fillvalue=-7,
            compression=Flac(),
        )
        x[...] = expected[:2, :100] = make("i4", (2, 100))
        x.resize((6, 400))
    with h5py.File(path, "r+") as file:
        x = file["x"]
        np.testing.assert_array_equal(x[...], expected)
        x[3:5, 90:310] = expected[3:5, 90:310] = make("i4", (2, 220), seed=1)
        x[0] = expected[0] = 5
    with h5py.File(path, "r+") as file:
        np.testing.assert_array_equal(file["x"][...], expected)
        file["x"].resize((5, 200))
    with h5py.File(path, "r+") as file:
        np.testing.assert_array_equal(file["x"][...], expected[:5, :200])
        file["x"].resize((6, 400))
    expected[5:], expected[:, 200:] = -7, -7
    np.testing.assert_array_equal(read(path), expected)


def test_parts_written_again_with_quanta_change_nothing_else(tmp_path):
    path, array = tmp_path / "x.h5", make("f4", (4, 300))
    write(path, array, chunks=(4, 100), compression=Flac(quanta=0.01))
    before = read(path)
    for i in range(3):
        with h5py.File(path, "r+") as file:
            file["x"][0, 10 * i] = i
            before[0, 10 * i] = file["x"].dtype.type(round(i / 0.01) * 0.01)
    assert same_bits(read(path), before)


@pytest.mark.parametrize("fill_time", ["alloc", "ifset"])
@pytest.mark.parametrize("fill", [np.nan, -1.5, np.inf])
def test_fill_values(tmp_path, fill, fill_time):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        x = file.create_dataset(
            "x",
            shape=(4, 100),
            chunks=(2, 50),
            dtype="f8",
            fillvalue=fill,
            fill_time=fill_time,
            compression=Flac(quanta=0.5),
        )
        x[:2, :50] = 3
    expected = np.full((4, 100), fill)
    expected[:2, :50] = 3
    np.testing.assert_array_equal(read(path), expected)


def test_early_allocation_writes_the_fill_value_through_the_filter(file):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((50,))
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_value(np.array(9, "i4"))
    plist.set_filter(FILTER_ID, 0, ())
    space = h5py.h5s.create_simple((120,))
    h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I32BE, space, plist)
    chunks = chunk_bytes(file["x"])
    assert list(chunks) == [(0,), (1,), (2,)]
    np.testing.assert_array_equal(core.decode_chunk(chunks[1,]), np.full((1, 50), 9))
    np.testing.assert_array_equal(file["x"][...], np.full(120, 9))


def test_fletcher32_behind(tmp_path):
    array = make("f8", (10, 400))
    write(tmp_path / "x.h5", array, chunks=(5, 400), compression=Flac(), fletcher32=True)
    assert same_bits(read(tmp_path / "x.h5"), array)
    with h5py.File(tmp_path / "x.h5") as file:
        (chunk, _) = chunk_bytes(file["x"]).values()
        assert core.read_header(chunk).chunk_size == len(chunk) - 4


def test_a_compressor_behind(tmp_path):
    array = np.zeros((4, 100_000), "i2")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(array.shape)
        plist.set_filter(FILTER_ID, 0, ())
        plist.set_deflate(9)
        space = h5py.h5s.create_simple(array.shape)
        h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I16LE, space, plist))[...] = array
    np.testing.assert_array_equal(read(tmp_path / "x.h5"), array)


def test_copies_and_virtual_datasets_read_it(tmp_path):
    array = make("i2", (3, 1000))
    write(tmp_path / "x.h5", array, chunks=(1, 500), compression=Flac())
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file.copy("x", "copy")
        layout = h5py.VirtualLayout((1000,), "i2")
        layout[...] = h5py.VirtualSource(file["copy"])[1]
        file.create_virtual_dataset("virtual", layout)
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["copy"][...], array)
        np.testing.assert_array_equal(file["virtual"][...], array[1])
        assert hdf5_filter.options_of(file["copy"]) == CodecOptions()
        assert chunk_bytes(file["copy"]) == chunk_bytes(file["x"])


def test_a_property_list_for_datasets_of_another_shape_and_dtype(file):
    """The client data have what was true of the first dataset."""
    first = file.create_dataset("x", data=make("f4", (5, 90)), chunks=(5, 90), **Flac(level=7))
    plist = first.id.get_create_plist()
    values = plist.get_filter(0)[2]
    plist.set_chunk((2, 2, 30))
    space = h5py.h5s.create_simple((4, 4, 60))
    second = h5py.Dataset(h5py.h5d.create(file.id, b"y", h5py.h5t.STD_U16BE, space, plist))
    second[...] = array = make("u2", (4, 4, 60))
    file.flush()
    again = second.id.get_create_plist().get_filter(0)[2]
    assert values[:6] == again[:6] == Flac(level=7).filter_options
    assert (values[6:], again[6:]) == ((9, 0, 5, 90, 0), (6, 1, 4, 30, 0))
    second.id.refresh()
    np.testing.assert_array_equal(second[...], array)


@pytest.mark.parametrize("flag", [h5py.h5z.FLAG_MANDATORY, h5py.h5z.FLAG_OPTIONAL])
def test_the_filter_is_optional_whatever_programs_say(file, flag):
    """So that a chunk that cannot be encoded costs no file: test_failures.py."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((9,))
    plist.set_filter(FILTER_ID, flag, ())
    x = h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((9,)), plist)
    assert x.get_create_plist().get_filter(0)[1] & h5py.h5z.FLAG_OPTIONAL
