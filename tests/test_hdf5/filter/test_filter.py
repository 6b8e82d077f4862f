"""The HDF5 filter through h5py: what is written, what is read, what is refused."""

from __future__ import annotations

import ctypes
import io
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

from flaccodec import FlacCodec, core, hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import ConfigurationError, QuantaError
from flaccodec.hdf5 import FILTER_ID, Flac
from flaccodec.hdf5 import filter as hdf5_filter
from support.sources import CSRC
from support.strategies import FLOATS, INTEGERS, float_arrays, integer_arrays, same_bits

DTYPES = [order + np.dtype(name).str[1:] for name in INTEGERS + FLOATS for order in "<>"]


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
        file.flush()
        image = file.id.get_file_image()
    with h5py.File(io.BytesIO(image)) as file:
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


# -- options ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"level": 0, "frame_size": 16},
        {"level": 8, "frame_size": 65535},
        {"quanta": 1e-3},
        {"quanta": 2.0**-1000},
        {"precision": -2.5},
        {"precision": 0},
        {"precision": 6},
    ],
    ids=str,
)
def test_options_are_in_the_dataset(file, options):
    x = file.create_dataset("x", shape=(4, 9), dtype="f8", compression=Flac(**options))
    assert hdf5_filter.options_of(x) == CodecOptions(**options)
    assert Flac(**options).options == CodecOptions(**options)
    assert pickle.loads(pickle.dumps(Flac(**options))) == Flac(**options)
    assert eval(repr(Flac(**options))) == Flac(**options)
    assert hash(Flac(**options)) == hash(Flac(**options))


def test_a_dataset_without_the_filter_has_no_options(file):
    assert hdf5_filter.options_of(file.create_dataset("x", data=[1, 2])) is None
    assert hdf5_filter.options_of(file.create_dataset("y", data=[1, 2], compression=1)) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((3, 5, 0, 0, 0, 4096), r"must be of layout 1 or 2\. Got layout 3, in \(3, 5, .*: a later"),
        ((3,), r"must be of layout 1 or 2\. Got layout 3, in \(3,\): a later"),
        ((), r"must be 6 values or more.* Got 0, \(\): HDF5 did not ask"),
        ((1, 8, 3, 1, 2), r"must be 6 values or more.* Got 5, \(1, 8, 3, 1, 2\): .* anew"),
        ((1, 5, 7, 0, 0, 4096), r"must have 0 to 2 as value 3.* Got 7, in \(1, 5, 7"),
    ],
    ids=str,
)
def test_client_data_that_are_not_the_filters_are_refused(values, message):
    with pytest.raises(ConfigurationError, match=f"^the client data of filter 61868 {message}"):
        hdf5_filter.read_client_data(values)


def test_the_dataset_whose_client_data_are_refused_is_named(file, monkeypatch):
    x = file.create_dataset("x", (9,), "i4", compression=Flac())
    monkeypatch.setattr(hdf5_filter, "_LAYOUT", 2)
    with pytest.raises(ConfigurationError, match=r"^/x of .*x\.h5: the client data .* layout 2"):
        hdf5_filter.options_of(x)


def test_options_that_cannot_be():
    with pytest.raises(ConfigurationError, match="level must be"):
        Flac(level=9)
    with pytest.raises(QuantaError):
        Flac(quanta=0)
    with pytest.raises(ConfigurationError, match="not both"):
        Flac(quanta=1, precision=1)
    with pytest.raises(ConfigurationError, match="frame_size must be"):
        Flac(frame_size=15)


def double_words(value):
    return struct.unpack("<II", struct.pack("<d", value))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ((), {}),
        ((1,), {}),
        ((1, 8), {"level": 8}),
        ((1, 5, 3, 1, 3), {"quanta": 1e-3}),
        ((1, 5, 3, 25, 1), {"quanta": 2.5}),
        ((1, 5, 3, 4294967295, 12, 64), {"quanta": 4294967295e-12, "frame_size": 64}),
        ((1, 5, 3, 40), {"quanta": 40}),
        ((1, 5, 4, 4), {"precision": 4}),
        ((1, 5, 4, 35, 1), {"precision": 3.5}),
        ((1, 5, 1, *double_words(0.1)), {"quanta": 0.1}),
        ((1, 5, 2, *double_words(-1)), {"precision": -1}),
        ((1, 0, 0, 0, 0, 16), {"level": 0, "frame_size": 16}),
    ],
    ids=str,
)
def test_client_data_as_people_type_them(file, values, options):
    x = file.create_dataset("x", shape=(9,), dtype="f4", **{**Flac(), "compression_opts": values})
    assert x.id.get_create_plist().get_filter(0)[2] == (
        *Flac(**options).filter_options,
        *(9, 0, 1, 9, 0),
    )
    assert hdf5_filter.options_of(x) == CodecOptions(**options)


def test_the_example_in_the_specification(file):
    page = (CSRC.parent / "docs" / "format.md").read_text()
    (typed,) = re.findall(r"UD=(\d+),0,5,(\S+) in.h5", page)
    (stored,) = re.findall(r"has the client data\n\n    ([\d ]+)\n", page)
    number, values = int(typed[0]), tuple(map(int, typed[1].split(",")))
    x = file.create_dataset(
        "x", (40, 900), ">f4", chunks=(4, 300), compression=number, compression_opts=values
    )
    assert x.id.get_create_plist().get_filter(0)[2] == tuple(map(int, stored.split()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0,), r"value 1 .* must be 1 to 3\. Got 0; a later"),
        ((4, 5), r"value 1 .* must be 1 to 3\. Got 4; a later"),
        ((1, 9), r"level must be 0 to 8\. Got 9"),
        ((1, 2**32 - 1), r"level must be 0 to 8\. Got 4294967295"),
        ((1, 5, 5), r"value 3 .* must be 0 to 4\. Got 5"),
        ((1, 5, 0, 1), r"values 4 and 5 .* must be 0 .* Got 1, 0"),
        ((1, 5, 1), r"quanta must be positive and finite\. Got 0"),
        ((1, 5, 1, *double_words(-1)), r"quanta must be positive and finite\. Got -1"),
        ((1, 5, 1, *double_words(np.inf)), r"quanta must be positive and finite\. Got inf"),
        ((1, 5, 2, *double_words(np.nan)), r"precision must be finite\. Got -?nan"),
        ((1, 5, 3, 0, 3), r"quanta must be positive and finite\. Got 0"),
        ((1, 5, 3, 1, 400), r"quanta must be positive and finite\. Got 0"),
        ((1, 5, 0, 0, 0, 15), r"frame_size must be 16 to 65535\. Got 15"),
        ((1, 5, 0, 0, 0, 65536), r"frame_size must be 16 to 65535\. Got 65536"),
        ((1, 5, 0, 0, 0, 4096, 1), r"at most 6 values of client data\. Got 7"),
        ((1,) * 12, r"at most 6 values of client data\. Got 12"),
        ((1,) * 100, r"at most 6 values of client data\. Got 100"),
        ((2, 5, 3, 1, 0, 99, 1), r"layout 2 must be 6 values, and 2 for each .* marks\. Got 7"),
        ((2, 5, 3, 1, 0, 99, *range(16)), r"layout 2 .* at most 7 marks\. Got 22"),
        ((2, 5, 3, 1, 0, 99, *range(5)), r"layout 2 must be 6 values, .* Got 11"),
        ((2, 5, 3, 1, 0, 99, *range(23)), r"layout 2 must be 6 values, .* Got 29"),
        ((3, 5, 3, 1, 0, 99, 1, 1), r"layout 3 must be 6 values, and 3 for each .* Got 8"),
        ((3, 5, 3, 1, 0, 99, *[0] * 24), r"layout 3 .* at most 7 marks\. Got 30"),
        ((3, 5, 3, 1, 0, 99, 4, 1, 1), r"first of the three values of a mark .* 0 to 3\. Got 4"),
        ((3, 5, 3, 1, 0, 99, 3, 1, 400), r"a mark must be finite\. Got -1e400"),
    ],
    ids=str,
)
def test_bad_client_data_are_refused(file, values, message):
    with pytest.raises(ValueError, match=f"flaccodec: .*{message}"):
        file.create_dataset("x", shape=(9,), dtype="f4", **{**Flac(), "compression_opts": values})
    assert "x" not in file


# -- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [
        ("f2", "convert it to float32 or float64"),
        ("g", "convert it to float32 or float64"),
        ("S8", "a string"),
        ("c8", "real and imaginary part"),
        ("?", "convert it to uint8"),
        (h5py.enum_dtype({"a": 1}), "convert it to uint8"),
        ([("a", "i4"), ("b", "f4")], "store each field"),
        (h5py.ref_dtype, "a reference"),
        ("V4", "opaque"),
        (("i4", (3,)), "give the dataset its axes instead"),
    ],
    ids=str,
)
def test_dtypes_are_refused(file, dtype, reason):
    with pytest.raises(ValueError, match=rf"flaccodec: the dtype must be one of int8, .*{reason}"):
        file.create_dataset("x", shape=(8,), dtype=np.dtype(dtype), compression=Flac())
    assert "x" not in file


@pytest.mark.parametrize(
    ("type_id", "change"),
    [
        (h5py.h5t.STD_I16LE, lambda t: t.set_precision(12)),
        (h5py.h5t.IEEE_F32LE, lambda t: t.set_ebias(100)),
        (h5py.h5t.STD_B16LE, lambda t: None),
    ],
    ids=["12 bits in 16", "another exponent", "bits"],
)
def test_layouts_of_numbers_that_are_not_numpys_are_refused(file, type_id, change):
    type_id = type_id.copy()
    change(type_id)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((50,))
    plist.set_filter(FILTER_ID, 0, ())
    with pytest.raises(ValueError, match=r"flaccodec: the dtype must be one of"):
        h5py.h5d.create(file.id, b"x", type_id, h5py.h5s.create_simple((50,)), plist)


@pytest.mark.parametrize("option", [{"quanta": 1}, {"precision": 1}], ids=str)
def test_rounding_of_integers_is_refused(file, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name} is for float32 and float64.*Got dtype int16"):
        file.create_dataset("x", shape=(9,), dtype="i2", compression=Flac(**option))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"shuffle": True}, "2 (shuffle)"),
        ({"scaleoffset": 3}, "6 (scaleoffset)"),
    ],
)
def test_h5pys_filters_in_front_are_refused(file, options, name):
    with pytest.raises(ValueError, match=rf"no filter may stand before .*{re.escape(name)}"):
        file.create_dataset("x", shape=(9,), dtype="f4", compression=Flac(), **options)
    assert "x" not in file


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda p: p.set_fletcher32(), r"no filter may stand before .*3 \(fletcher32\)"),
        (lambda p: p.set_deflate(1), r"no filter may stand before .*1 \(deflate\)"),
        (lambda p: p.set_filter(FILTER_ID, 0, ()), "the filter is there twice"),
    ],
    ids=["fletcher32", "deflate", "twice"],
)
def test_filters_in_front_are_refused(file, add, message):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((50,))
    add(plist)
    plist.set_filter(FILTER_ID, h5py.h5z.FLAG_OPTIONAL, ())
    if plist.get_nfilters() == 1:
        pytest.skip("HDF5 keeps one of two")
    with pytest.raises(ValueError, match=message):
        h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I16LE, h5py.h5s.create_simple((50,)), plist)


def create_int8(file, chunks):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(chunks)
    plist.set_filter(FILTER_ID, 0, ())
    space = h5py.h5s.create_simple(chunks)
    return h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I8LE, space, plist).get_create_plist()


def test_streams_are_counted_over_all_axes_but_the_last(file):
    assert create_int8(file, (2**16, 2**15, 1)).get_filter(0)[2][6:] == (1, 0, 2**31, 1, 0)


@pytest.mark.skipif(h5py.version.hdf5_version_tuple < (2,), reason="no chunks of 4 GiB")
def test_more_streams_than_a_chunk_can_hold_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w", libver="v200") as file:
        with pytest.raises(ValueError, match="more streams, samples or frames"):
            create_int8(file, (2**17, 2**16, 1))
        values = create_int8(file, (2, 2**33)).get_filter(0)[2]
        assert values[6:] == (1, 0, 2, 0, 2)


def test_strings_of_variable_length_lie_beside_the_filter(tmp_path):
    """HDF5 asks no filter about them at first, and h5py adds filters as optional."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", (2,), h5py.string_dtype(), chunks=(2,), compression=Flac())
        x[...] = "a"
        file["x"][1] = "bb"
    message = r"flaccodec: the dtype must be one of int8, .* string"
    with h5py.File(tmp_path / "x.h5", "r+") as file, pytest.raises(OSError, match=message):
        file["x"][1] = "ccc"
    with h5py.File(tmp_path / "x.h5") as file:
        assert list(file["x"].asstr()) == ["a", "bb"]
        assert file["x"].id.get_chunk_info(0).filter_mask == 1
        assert hdf5_filter.options_of(file["x"]) is None
        assert list(hdf5.read(file["x"])) == [b"a", b"bb"]
        with pytest.raises(
            ConfigurationError, match=r"/x of .* must be of numbers.*dtype is object"
        ):
            hdf5.to_zarr(file["x"], {})


def test_strings_of_variable_length_are_refused_where_the_filter_is_mandatory(file):
    """As C programs have it, and h5py does not let us."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((2,))
    plist.set_filter(FILTER_ID, h5py.h5z.FLAG_MANDATORY, (1, 5))
    with pytest.raises(ValueError, match="not suitable for filters"):
        file.create_dataset("x", (2,), h5py.string_dtype(), chunks=(2,), dcpl=plist)
    assert "x" not in file


# -- damage ------------------------------------------------------------------------------


@pytest.fixture
def damaged(tmp_path):
    """Give a function that replaces the chunk of a dataset, and reads it anew."""
    path = tmp_path / "damaged.h5"
    array = np.cumsum(make("i4", (3, 64)), axis=1, dtype="i4")
    write(path, array, chunks=array.shape, compression=Flac(frame_size=16))

    def replace(change, mask=0):
        with h5py.File(path, "r+") as file:
            file["x"].id.write_direct_chunk((0, 0), bytes(change), mask)
        return read(path)

    with h5py.File(path) as file:
        chunk = chunk_bytes(file["x"])[0, 0]
    return array, chunk, replace


def test_every_flipped_byte_is_refused(damaged):
    array, chunk, replace = damaged
    for at in range(len(chunk)):
        changed = bytearray(chunk)
        changed[at] ^= 1 << at % 8
        with pytest.raises(OSError, match=r"Can't .*read data \(flaccodec: .+\)"):
            replace(changed)
    np.testing.assert_array_equal(replace(chunk), array)


def test_a_chunk_cut_short_anywhere_is_refused(damaged):
    _, chunk, replace = damaged
    for size in range(1, len(chunk)):
        with pytest.raises(OSError, match="flaccodec: the chunk is cut short: expected"):
            replace(chunk[:size])


def test_the_reason_names_stream_and_frame(damaged):
    _, chunk, replace = damaged
    header = core.read_header(chunk)
    changed = bytearray(chunk)
    changed[header.head_size + core.STREAM_HEADER_SIZE + 8] ^= 1
    with pytest.raises(OSError, match=r"frame is damaged \(at stream 0, frame 0, sample 0\)"):
        replace(changed)
    changed = bytearray(chunk)
    changed[-3] ^= 1
    with pytest.raises(OSError, match=r"frame is damaged \(at stream 2, frame 3, sample 48\)"):
        replace(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c + b"x", r"bytes follow the end of the chunk: expected \d+\. Got \d+"),
        (lambda c: b"nothing of the kind" * 9, "these bytes are not a flaccodec chunk"),
        (lambda c: c[:4] + b"\x02" + c[5:], "format version is unknown: expected 1. Got 2"),
        (lambda c: c[:59] + b"\x01" + c[60:], "a reserved bit is set"),
        (lambda c: c[:63] + bytes([c[63] ^ 1]) + c[64:], "CRC-32C 0x[0-9a-f]{8}. Got 0x"),
        (
            lambda c: core.encode_chunk(make("i2", (3, 64))),
            "dtype is not the expected one: expected int32. Got int16",
        ),
        (
            lambda c: core.encode_chunk(make("i4", (64, 3))),
            "expected 3 streams of 64 samples. Got 64 streams of 3",
        ),
        (
            lambda c: core.encode_chunk(make("i4", (3, 63))),
            "expected 3 streams of 64 samples. Got 3 streams of 63",
        ),
    ],
    ids=["longer", "other bytes", "version", "reserved", "crc", "dtype", "streams", "samples"],
)
def test_chunks_of_another_kind_are_refused(damaged, change, message):
    _, chunk, replace = damaged
    with pytest.raises(OSError, match=f"flaccodec: .*{message}"):
        replace(change(chunk))


def test_chunks_of_another_writer_are_read(damaged):
    """Frame size, level and the note of byte order are the writer's business."""
    array, _, replace = damaged
    other = core.encode_chunk(array.astype(">i4"), level=0, frame_size=30, keep_byte_order=True)
    np.testing.assert_array_equal(replace(other), array)


def test_a_chunk_that_was_not_filtered_is_read_as_it_is(damaged):
    array, _, replace = damaged
    np.testing.assert_array_equal(replace(array.tobytes(), mask=1), array)


def test_what_lies_beside_a_damaged_chunk_is_read(tmp_path):
    array = make("i4", (4, 100))
    path = tmp_path / "x.h5"
    write(path, array, chunks=(2, 100), compression=Flac())
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((2, 0), b"damaged")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["x"][:2], array[:2])
        with pytest.raises(OSError, match="cut short"):
            file["x"][1:3]
        np.testing.assert_array_equal(file["x"][:2], array[:2])


def test_client_data_that_lie_are_refused(tmp_path):
    """A file whose client data were changed by other hands."""
    path = tmp_path / "x.h5"
    write(path, make("i4", (3, 64)), chunks=(3, 64), compression=Flac())
    whole = path.read_bytes()
    (values,) = re.findall(
        re.escape(struct.pack("<11I", *Flac().filter_options, 3, 0, 3, 64, 0)), whole
    )
    for place, value, message in [
        (0, 3, "value 1 of a dataset's client data, their layout, must be 1 or 2. Got 3"),
        (0, 4, "value 1 of the client data"),
        (1, 9, "level must be"),
        (5, 3, "frame_size must be"),
        (6, 0, "describe no chunk"),
        (6, 11, "describe no chunk"),
        (6, 4, "expected int64. Got int32"),
        (7, 2, "describe no chunk"),
        (8, 0, "describe no chunk"),
        (8, 4, "expected 4 streams of 64"),
        (9, 0, "describe no chunk"),
        (10, 2**31, "describe no chunk"),
        (10, 1, "expected 3 streams of 4294967360"),
    ]:
        changed = bytearray(values)
        struct.pack_into("<I", changed, 4 * place, value)
        path.write_bytes(whole.replace(values, bytes(changed)))
        with pytest.raises(OSError, match=f"flaccodec: .*{message}"):
            read(path)
