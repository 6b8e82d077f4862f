"""HDF5 datasets to Zarr arrays and back, by copying chunks."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.errors import ContainsArrayError

from flaccodec import FlacCodec, core, create_array, hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import (
    ChecksumError,
    ChunkMismatchError,
    ConfigurationError,
    CorruptChunkError,
    TruncatedChunkError,
)
from flaccodec.hdf5 import Flac
from flaccodec.hdf5 import filter as hdf5_filter
from flaccodec.hdf5.as_zarr import arrays as hdf5_zarr
from flaccodec.hdf5.as_zarr import attributes as hdf5_attributes
from flaccodec.hdf5.chunks import fletcher32 as hdf5_fletcher32
from support.strategies import FLOATS, INTEGERS, same_bits

SHAPE, CHUNKS = (5, 7, 230), (2, 3, 100)
DTYPES = [order + np.dtype(name).str[1:] for name in INTEGERS + FLOATS for order in "<>"]


def make(dtype="i4", shape=SHAPE, seed=0):
    noise = np.random.default_rng(seed).normal(0, 40, shape)
    return np.abs(noise).astype(dtype) if np.dtype(dtype).kind == "u" else noise.astype(dtype)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        yield file


@pytest.fixture
def no_coding(monkeypatch):
    """Fail where anything is encoded or decoded, by this package or by HDF5."""

    def fail(*_, **__):
        raise AssertionError("samples were encoded or decoded")

    def forbid():
        for name in ("encode_chunk", "decode_chunk", "decode_spans"):
            monkeypatch.setattr(core, name, fail)
        for name in ("__getitem__", "__setitem__"):
            monkeypatch.setattr(h5py.Dataset, name, fail)
            monkeypatch.setattr(zarr.Array, name, fail)
        return monkeypatch

    return forbid


def hdf5_chunks(dataset):
    found = {}
    for i in range(dataset.id.get_num_chunks()):
        offset = dataset.id.get_chunk_info(i).chunk_offset
        number = tuple(a // b for a, b in zip(offset, dataset.chunks, strict=True))
        found[number] = dataset.id.read_direct_chunk(offset)[1]
    return found


def reopened(file):
    """Open a file again: HDF5's cache has samples that are not quantized yet."""
    name = file.filename
    file.close()
    return h5py.File(name)


def zarr_chunks(store):
    return {
        tuple(int(part) for part in key.split("/")[1:]): value.to_bytes()
        for key, value in store.items()
        if key.startswith("c/")
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_there_and_back_without_decoding(file, dtype, no_coding):
    array, options = make(dtype), {"level": 3, "frame_size": 64}
    x = file.create_dataset("x", data=array, chunks=CHUNKS, fillvalue=7, **Flac(**options))
    store = {}
    patches = no_coding()
    moved = hdf5.to_zarr(x, store)
    back = hdf5.from_zarr(moved, file, "back")
    patches.undo()
    assert zarr_chunks(store) == hdf5_chunks(x) == hdf5_chunks(back)
    native = np.dtype(dtype).newbyteorder("=")
    assert moved.dtype == back.dtype == native
    assert (moved.shape, moved.chunks, moved.fill_value) == (SHAPE, CHUNKS, 7)
    assert moved.serializer == FlacCodec(**options)
    assert moved.compressors == ()
    assert (back.chunks, back.fillvalue) == (CHUNKS, 7)
    assert hdf5_filter.options_of(back) == CodecOptions(**options)
    again = zarr.open_array(store, mode="r")
    for got in (again[...], back[...]):
        assert same_bits(got, array.astype(native))
    assert same_bits(again[1, 2:, 90:120], array[1, 2:, 90:120].astype(native))


@pytest.mark.parametrize("options", [{"quanta": 0.25}, {"precision": 2.5}], ids=str)
def test_rounded_floats(file, options):
    array = make("f8")
    array[1, 2, 3:9], array[4, 6] = np.nan, np.inf
    x = file.create_dataset("x", data=array, chunks=CHUNKS, **Flac(**options))
    store = {}
    back = hdf5.from_zarr(hdf5.to_zarr(x, store), file, "back")
    assert zarr_chunks(store) == hdf5_chunks(x) == hdf5_chunks(back)
    assert hdf5_filter.options_of(back) == CodecOptions(**options)
    assert same_bits(zarr.open_array(store)[...], x[...])


def test_what_each_side_writes_later_is_the_same(file):
    """Options come along; so do chunks at the edge, which are whole on both sides."""
    x = file.create_dataset("x", data=make("f4"), chunks=CHUNKS, **Flac(quanta=0.5, level=8))
    store = {}
    array = hdf5.to_zarr(x, store)
    for target in (x, array):
        target[3:, 2:, 50:] = 11.3
    file.flush()
    assert zarr_chunks(store) == hdf5_chunks(x)


@pytest.mark.parametrize("fill", [np.nan, -np.inf, 2.5, 0.0])
def test_chunks_that_are_not_there_stay_so(file, fill):
    x = file.create_dataset("x", SHAPE, "f8", chunks=CHUNKS, fillvalue=fill, **Flac())
    x[2:4, 3:6, 100:200] = 1
    file.flush()
    store = {}
    array = hdf5.to_zarr(x, store)
    assert list(zarr_chunks(store)) == [(1, 1, 1)]
    np.testing.assert_array_equal(array[...], x[...])
    back = hdf5.from_zarr(array, file, "back")
    assert list(hdf5_chunks(back)) == [(1, 1, 1)]
    np.testing.assert_array_equal(back[...], x[...])


@settings(max_examples=40)
@given(st.data())
def test_any_shape_and_chunks(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4)))
    chunks = tuple(data.draw(st.integers(1, 12)) for _ in shape)
    array, store = make("i2", shape), {}
    source = create_array(store, data=array, chunks=chunks)
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        x = hdf5.from_zarr(source, file, "x")
        np.testing.assert_array_equal(x[...], array)
        np.testing.assert_array_equal(hdf5.to_zarr(x, {})[...], array)


def test_other_filters_behind_are_taken_off(file):
    array = make("i4")
    with_sum = file.create_dataset("a", data=array, chunks=CHUNKS, fletcher32=True, **Flac())
    plain = file.create_dataset("b", data=array, chunks=CHUNKS, **Flac())
    file.flush()
    store = {}
    hdf5.to_zarr(with_sum, store)
    assert zarr_chunks(store) == hdf5_chunks(plain)


@pytest.mark.parametrize("options", [{}, {"quanta": 0.5}, {"precision": 2}], ids=str)
@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_fletcher32_is_taken_off_without_decoding(file, dtype, options, no_coding):
    file.create_dataset("x", data=make(dtype), chunks=CHUNKS, fletcher32=True, **Flac(**options))
    with reopened(file) as file:
        x, store = file["x"], {}
        want = x[...].astype(np.dtype(dtype).newbyteorder("="))
        patches = no_coding()
        moved = hdf5.to_zarr(x, store)
        patches.undo()
        chunks = hdf5_chunks(x)
    assert zarr_chunks(store) == {number: chunk[:-4] for number, chunk in chunks.items()}
    assert same_bits(moved[...], want)


@pytest.mark.parametrize("nbytes", [1, 2, 3, 720, 721, 2**16 + 1, 300_001])
@pytest.mark.parametrize(
    "make", [np.zeros, partial(np.full, fill_value=255), np.arange], ids=["zeros", "ones", "counts"]
)
def test_fletcher32_is_hdf5s(file, nbytes, make):
    data = make(nbytes).astype("u1")
    x = file.create_dataset("x", data=data, chunks=(nbytes,), fletcher32=True)
    file.flush()
    _, chunk = x.id.read_direct_chunk((0,))
    np.testing.assert_array_equal(hdf5_fletcher32.take_off(chunk), data)


@pytest.mark.parametrize("at", [-100, -1])
def test_damage_that_fletcher32_tells(file, at):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, fletcher32=True, **Flac())
    file.flush()
    _, chunk = x.id.read_direct_chunk((2, 3, 100))
    damaged = bytearray(chunk)
    damaged[at] ^= 1
    x.id.write_direct_chunk((2, 3, 100), bytes(damaged))
    message = r"^/x of .*, chunk at \(2, 3, 100\): expected 0x.* as the Fletcher-32 checksum"
    with pytest.raises(ChecksumError, match=message):
        hdf5.to_zarr(x, {})


def write_with_gzip_behind(file, array, **options):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(CHUNKS)
    plist.set_filter(hdf5.FILTER_ID, 0, Flac(**options).filter_options)
    plist.set_deflate(1)
    space = h5py.h5s.create_simple(array.shape)
    x = h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, plist))
    x[...] = array


@pytest.mark.parametrize("options", [{"quanta": 0.5}, {"precision": 2}], ids=str)
def test_what_was_quantized_once_is_not_quantized_anew(file, options):
    write_with_gzip_behind(file, make("f4"), **options)
    with reopened(file) as file:
        assert same_bits(hdf5.to_zarr(file["x"], {})[...], file["x"][...])


def test_chunks_that_did_not_go_through_the_filter(file):
    array = make(">f4", (4, 100))
    x = file.create_dataset("x", data=array, chunks=(2, 100), **Flac())
    x.id.write_direct_chunk((2, 0), array[:2].tobytes(), filter_mask=1)
    got = hdf5.to_zarr(x, {})[...]
    assert same_bits(got, np.concatenate([array[:2], array[:2]]).astype("f4"))


def test_arguments_go_to_both_sides(file, tmp_path):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    hdf5.to_zarr(x, tmp_path / "a.zarr", name="inner/x", attributes={"a": 1})
    array = zarr.open_array(tmp_path / "a.zarr", path="inner/x")
    assert dict(array.attrs) == {"a": 1}
    back = hdf5.from_zarr(array, file, "in/y", maxshape=(None, None, None))
    assert back.name == "/in/y"
    assert back.maxshape == (None, None, None)
    again = hdf5.from_zarr(tmp_path / "a.zarr" / "inner" / "x", file, "z")
    np.testing.assert_array_equal(again[...], make())


# -- attributes and dimensions ------------------------------------------------------------------

ATTRIBUTES = {
    "text": "µV",
    "number": 3,
    "float": 2.5,
    "yes": True,
    "numbers": [1, 2, 3],
    "floats": [1.5, 2.0],
    "words": ["a", "bc"],
    "grid": [[1, 2], [3, 4]],
}


def test_attributes(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs.update(ATTRIBUTES)
    x.attrs["bytes"] = np.bytes_(b"abc")
    x.attrs["empty"] = h5py.Empty("S1")
    array = hdf5.to_zarr(x, {})
    more = {"bytes": "abc", "empty": ""}
    assert dict(array.attrs) == {**ATTRIBUTES, **more}
    back = hdf5.from_zarr(array, file, "back")
    assert dict(hdf5.to_zarr(back, {}).attrs)["words"] == ["a", "bc"]
    assert back.attrs["text"] == "µV"
    assert back.attrs["float"].dtype == "f8"


def test_attributes_of_one_are_scalars(file):
    """As readers of netCDF have them, which writes each number as an array of one.

    xarray makes objects of packed data whose ``scale_factor`` is a list.
    """
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs["scale_factor"] = np.array([0.5])
    x.attrs["units"] = np.array(["µV"], dtype=h5py.string_dtype())
    x.attrs["bytes"] = np.array([b"abc"])
    x.attrs["matrix"] = np.array([[4]], dtype="i2")
    array = hdf5.to_zarr(x, {})
    scalars = {"scale_factor": 0.5, "units": "µV", "bytes": "abc"}
    assert dict(array.attrs) == {**scalars, "matrix": [[4]]}
    assert hdf5.from_zarr(array, file, "back").attrs["scale_factor"] == 0.5


OF_PYTABLES = {"CLASS": "EARRAY", "NAME": "voltage", "TITLE": "a recording"}


@pytest.mark.parametrize("kind", [str, np.bytes_])
def test_attributes_like_those_of_scales_are_kept(file, kind):
    x = file.create_dataset("x", data=np.arange(90), **Flac())
    x.attrs.update({name: kind(value) for name, value in OF_PYTABLES.items()})
    array = hdf5.to_zarr(x, {}, dimension_names=("back",))
    assert dict(array.attrs) == OF_PYTABLES
    again = hdf5.to_zarr(hdf5.from_zarr(array, file, "back"), {})
    assert dict(again.attrs) == OF_PYTABLES
    assert again.metadata.dimension_names == ("back",)
    assert h5py.h5f.get_obj_count(file.id, h5py.h5f.OBJ_ATTR) == 0


@pytest.mark.parametrize("name", ["x", "time", "bare"])
@pytest.mark.parametrize("value", ["EARRAY", "DIMENSION_SCALE", 3, [1, 2]])
@pytest.mark.parametrize("attribute", ["CLASS", "NAME"])
def test_dimensions_have_names_beside_attributes_like_those_of_scales(file, attribute, value, name):
    """As labels, where HDF5 would fail, or overwrite them."""
    file["time"] = np.arange(90)
    file["time"].attrs["NAME"] = "seconds"
    source = create_array(
        {}, data=np.arange(90), dimension_names=(name,), attributes={attribute: value}
    )
    x = hdf5.to_zarr(hdf5.from_zarr(source, file, "x"), {})
    assert x.metadata.dimension_names == (name,)
    assert dict(x.attrs) == {attribute: value}
    assert file["time"].attrs["NAME"] == "seconds"
    assert h5py.h5f.get_obj_count(file.id, h5py.h5f.OBJ_ATTR) == 0


ARRAYS = {
    "ids": np.array([1, 2**64 - 1], "u8"),
    "signed": np.array([-1, 2**62]),
    "matrix": np.eye(2),
    "mixed": np.array([[1, 2.5], [np.nan, -0.0]]),
    "cube": np.arange(8).reshape(2, 2, 2),
    "empty": np.array([]),
    "empties": np.zeros((2, 0)),
    "flags": np.array([[True, False]]),
    "large": np.uint64(2**64 - 1),
    "number": np.int64(-3),
}


def test_attributes_are_arrays_again(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs.update(ARRAYS)
    x.attrs["words"] = np.array([["a", "µ"], ["", "d"]], dtype=h5py.string_dtype())
    back = hdf5.from_zarr(hdf5.to_zarr(x, {}), file, "back").attrs
    for name, value in ARRAYS.items():
        assert (back[name].dtype, back[name].shape) == (value.dtype, value.shape), name
        assert same_bits(np.asarray(back[name]), np.asarray(value)), name
    assert back["words"].tolist() == [["a", "µ"], ["", "d"]]


JSON_TEXTS = {
    "map": ({"a": [1, None]}, '{"a": [1, null]}'),
    "none": (None, "null"),
    "mixed": ([1, "a"], '[1, "a"]'),
    "bools and numbers": ([True, 1], "[true, 1]"),
    "several lengths": ([[1], [2, 3]], "[[1], [2, 3]]"),
    "maps": ([{"a": 1}], '[{"a": 1}]'),
    "huge": (2**64, "18446744073709551616"),
    "too far apart": ([-1, 2**63], "[-1, 9223372036854775808]"),
    "no float": ([0.5, 2**60 + 1], "[0.5, 1152921504606846977]"),
}


def test_attributes_that_hdf5_has_no_form_for_are_json_there(file):
    source = create_array({}, data=make(), chunks=CHUNKS)
    source.attrs.update({name: value for name, (value, _) in JSON_TEXTS.items()})
    x = hdf5.from_zarr(source, file, "x")
    assert dict(x.attrs) == {name: text for name, (_, text) in JSON_TEXTS.items()}


@pytest.mark.parametrize("dimension_names", [None, ("a", "b", "c")])
@pytest.mark.parametrize("value", ["text", [1, 2]])
def test_attributes_of_hdf5s_own_names_are_left_out(file, value, dimension_names):
    """HDF5 and netCDF4 would take them for their notes on dimensions; HDF5 crashed."""
    names = sorted(hdf5_attributes._OF_HDF5)
    source = create_array({}, data=make(), chunks=CHUNKS, dimension_names=dimension_names)
    source.attrs.update({**dict.fromkeys(names, value), "units": "mV"})
    x = hdf5.from_zarr(source, file, "x")
    assert set(x.attrs) <= {"units", "DIMENSION_LIST"}
    again = hdf5.to_zarr(x, {})
    assert dict(again.attrs) == {"units": "mV"}
    assert again.metadata.dimension_names == dimension_names


REFUSED = {
    "odd": "a\0b",
    "long": list(range(20_000)),
    "_FillValue": 2**40,
}


@pytest.mark.parametrize("name", REFUSED)
def test_attributes_that_hdf5_refuses_are_named(file, name):
    source = create_array({}, data=make(), chunks=CHUNKS, attributes={name: REFUSED[name]})
    message = f"^attribute '{name}' cannot be kept in HDF5: .* Change or delete it"
    with pytest.raises(ConfigurationError, match=message):
        hdf5.from_zarr(source, file, "x")
    assert "x" not in file


def test_long_attributes_in_the_latest_format(tmp_path):
    source = create_array({}, data=make(), chunks=CHUNKS, attributes={"long": REFUSED["long"]})
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        assert hdf5.from_zarr(source, file, "x").attrs["long"].tolist() == REFUSED["long"]


@pytest.mark.parametrize(
    "value",
    ["reference", 1 + 2j, np.zeros(1, [("a", "i4")]), np.longdouble(1), np.ones(2, np.longdouble)],
    ids=str,
)
def test_attributes_that_json_has_no_form_for_are_named(file, tmp_path, value):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs["odd"] = x.ref if isinstance(value, str) else value
    with pytest.raises(ConfigurationError, match=r"attribute 'odd' of /x of .* must be numbers"):
        hdf5.to_zarr(x, tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr").exists()
    assert dict(hdf5.to_zarr(x, {}, attributes={}).attrs) == {}


@pytest.mark.parametrize("value", ["x", [1.0, 2.0], h5py.Empty("f4")], ids=str)
def test_fill_values_that_are_not_one_number_are_named(file, value):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs["_FillValue"] = value
    message = r"attribute '_FillValue' of /x of .* must be one number, to be .*: change or delete"
    with pytest.raises(ConfigurationError, match=message):
        hdf5.to_zarr(x, {})


LATIN = "µV".encode("latin-1")


@pytest.mark.parametrize("kind", ["fixed", "list", "variable", "variable list"])
def test_text_in_other_encodings_is_named(file, kind):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    value = np.array([LATIN] * (2 if "list" in kind else 1), dtype="S2")
    value = value.astype(h5py.string_dtype()) if "variable" in kind else value
    x.attrs["units"] = value if "list" in kind else value[0]
    message = (
        r"attribute 'units' of /x of .* must be text in UTF-8.*Got b'\\xb5V': change or delete"
    )
    with pytest.raises(ConfigurationError, match=message):
        hdf5.to_zarr(x, {})


def test_names_of_dimensions_are_scales(file):
    source = create_array(
        {}, data=make(), chunks=CHUNKS, dimension_names=("day", None, "time"), attributes={"a": 1}
    )
    file["time"] = np.arange(230) / 10
    x = hdf5.from_zarr(source, file, "x")
    assert [d.label for d in x.dims] == ["", "", ""]
    assert x.dims[2][0] == file["time"]
    assert file["day"].attrs["NAME"].startswith(b"This is a netCDF dimension but not a netCDF var")
    again = hdf5.to_zarr(x, {})
    assert again.metadata.dimension_names == ("day", None, "time")
    assert dict(again.attrs) == {"a": 1}


def test_names_without_fitting_scales_are_labels(file):
    file["time"] = np.arange(9)
    file.create_group("day")
    names = ("day", "with/slash", "time")
    x = hdf5.from_zarr(
        create_array({}, data=make(), chunks=CHUNKS, dimension_names=names), file, "x"
    )
    assert [len(d) for d in x.dims] == [0, 0, 0]
    assert [d.label for d in x.dims] == list(names)
    assert hdf5.to_zarr(x, {}).metadata.dimension_names == names


def test_a_coordinate_is_its_own_scale(file):
    source = create_array({}, data=np.arange(90), dimension_names=("time",))
    time = hdf5.from_zarr(source, file, "time")
    assert h5py.h5ds.is_scale(time.id)
    again = hdf5.to_zarr(time, {})
    assert (again.metadata.dimension_names, dict(again.attrs)) == (("time",), {})


def test_without_names(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    assert hdf5.to_zarr(x, {}).metadata.dimension_names is None
    assert hdf5.to_zarr(x, {}, dimension_names="abc").metadata.dimension_names == ("a", "b", "c")


@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_xarray_reads_what_came_from_netcdf_and_back(tmp_path, dtype):
    values = make(dtype, (4, 300))
    x = xarray.DataArray(values, dims=("stream", "time"), attrs={"units": "mV"})
    x.encoding = {"compression": Flac(), "chunksizes": (2, 300), "_FillValue": values.dtype.type(9)}
    x.to_dataset(name="x").to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "x.nc") as file, h5py.File(tmp_path / "y.nc", "w") as other:
        array = hdf5.to_zarr(file["x"], tmp_path / "x.zarr", name="x")
        hdf5.from_zarr(array, other, "x")
    with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as want:
        wanted = want.x.load()
    for got in (
        xarray.open_dataset(tmp_path / "y.nc", engine="h5netcdf"),
        xarray.open_dataset(tmp_path / "x.zarr", engine="zarr", consolidated=False),
    ):
        with got:
            xarray.testing.assert_identical(got.x.load(), wanted)
            assert got.x.encoding["_FillValue"] == 9
    with h5netcdf.File(tmp_path / "y.nc") as file:
        assert dict(file.dimensions["stream"]._h5ds.attrs)["NAME"].endswith(b"         4")


@pytest.mark.parametrize("packing", [{"scale_factor": 0.5}, {"add_offset": 10.0}], ids=str)
def test_xarray_unpacks_what_came_from_netcdf(tmp_path, packing):
    values = make("f4", (4, 300)).round() / 2
    values[1, 7] = np.nan
    x = xarray.DataArray(values, dims=("stream", "time"))
    x.encoding = {"compression": Flac(), "chunksizes": (2, 300), "dtype": "i2", "_FillValue": -1}
    x.encoding |= packing
    x.to_dataset(name="x").to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "x.nc") as file:
        hdf5.to_zarr(file["x"], tmp_path / "x.zarr", name="x")
    with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as file:
        wanted = file.x.load()
    with xarray.open_zarr(tmp_path / "x.zarr", consolidated=False, chunks=None) as got:
        xarray.testing.assert_identical(got.x.load(), wanted)
        assert got.x.dtype == wanted.dtype


FILLS = {
    "of another kind": ("f4", np.int32(-9)),
    "of another kind, single": ("f8", np.array([[-9]], "i2")),
    "float among integers": ("i4", np.float64(-1)),
    "large": ("u8", np.uint64(2**64 - 1)),
    "longdouble": ("f8", np.longdouble(-9)),
    "no sample": ("i4", np.float64(np.nan)),
    "no sample, fraction": ("i4", np.array([0.5])),
}


@pytest.mark.parametrize("name", FILLS)
def test_xarray_reads_fill_values_of_other_kinds(tmp_path, name):
    dtype, fill = FILLS[name]
    values = make(dtype, (4, 300))
    values[1, 7:8] = np.nan_to_num(fill).reshape(-1)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", data=values, **Flac())
        x.attrs["_FillValue"] = fill
        hdf5.to_zarr(x, tmp_path / "x.zarr", name="x", dimension_names=("stream", "time"))
    with xarray.open_zarr(tmp_path / "x.zarr", consolidated=False, chunks=None) as got:
        assert ("_FillValue" in got.x.encoding) == ("no sample" not in name)
        np.testing.assert_array_equal(got.x, np.where(values == fill, np.nan, values))


# -- refusals -----------------------------------------------------------------------------------


def test_datasets_without_the_filter(file):
    for name, options in (("a", {}), ("b", {"compression": "gzip"})):
        x = file.create_dataset(name, data=make(), **options)
        with pytest.raises(ConfigurationError, match=rf"/{name} of .* must have the flaccodec"):
            hdf5.to_zarr(x, {})
    with pytest.raises(TypeError, match=r"must be an h5py.Dataset\. Got File"):
        hdf5.to_zarr(file, {})


ODD_ARRAYS = {
    "zarr_format=2": {"zarr_format": 2},
    "BytesCodec": {"compressors": None},
    "shards": {"serializer": FlacCodec(), "compressors": None, "shards": (4, 6, 200)},
    "ZstdCodec": {"serializer": FlacCodec()},
}


@pytest.mark.parametrize("word", ODD_ARRAYS)
def test_arrays_whose_chunks_are_not_hdf5s(file, word):
    array = zarr.create_array({}, data=make(), chunks=CHUNKS, **ODD_ARRAYS[word])
    with pytest.raises(ConfigurationError, match=f"(?s)must be of zarr_format 3.*{word}.*Flac"):
        hdf5.from_zarr(array, file, "x")
    assert "x" not in file


def test_an_array_without_axes(file):
    with pytest.raises(ConfigurationError, match="Got an array without axes"):
        hdf5.from_zarr(create_array({}, shape=(), dtype="i4"), file, "x")


def test_what_comes_from_the_other_side_cannot_be_given(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    with pytest.raises(ConfigurationError, match="chunks comes from the dataset"):
        hdf5.to_zarr(x, {}, chunks=(1, 1, 1))
    with pytest.raises(ConfigurationError, match="compression comes from the array"):
        hdf5.from_zarr(hdf5.to_zarr(x, {}), file, "y", compression="gzip")
    with pytest.raises(ValueError, match="already exists"):
        hdf5.from_zarr(hdf5.to_zarr(x, {}), file, "x")


@pytest.mark.parametrize(
    "options", [{"fletcher32": True}, {"shuffle": True}, {"scaleoffset": 0}], ids=str
)
def test_other_filters_cannot_be_given(file, options):
    """Zarr's chunks did not go through them: HDF5 would not read the dataset."""
    source = create_array({}, data=make(), chunks=CHUNKS)
    ((name, value),) = options.items()
    with pytest.raises(ConfigurationError, match=f"no filter but FLAC.* Got {name}={value}: leave"):
        hdf5.from_zarr(source, file, "x", **options)
    assert list(file) == []
    off = dict.fromkeys(options, False if value is True else None)
    np.testing.assert_array_equal(hdf5.from_zarr(source, file, "x", **off)[...], make())


def flip_head(chunk):
    return chunk[:70] + bytes([chunk[70] ^ 1]) + chunk[71:]


DAMAGES = [
    (flip_head, ChecksumError),
    (lambda chunk: chunk[:-1], TruncatedChunkError),
    (lambda chunk: chunk + b"x", CorruptChunkError),
    (lambda _: core.encode_chunk(make("f4", CHUNKS)).tobytes(), ChunkMismatchError),
]


@pytest.mark.parametrize(("change", "error"), DAMAGES)
def test_damage_names_the_chunk(file, change, error):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    store = {}
    array = hdf5.to_zarr(x, store)
    _, chunk = x.id.read_direct_chunk((2, 3, 100))
    x.id.write_direct_chunk((2, 3, 100), change(chunk))
    with pytest.raises(error, match=r"^/x of .*x\.h5, chunk at \(2, 3, 100\): "):
        hdf5.to_zarr(x, {})
    store["c/1/1/1"] = zarr.core.buffer.cpu.Buffer.from_bytes(change(chunk))
    with pytest.raises(error, match=r"^chunk .*c/1/1/1: "):
        hdf5.from_zarr(array, file, "y")
    assert list(file) == ["x"]


@pytest.fixture
def damaged(file):
    """A dataset whose last chunk is damaged; not the chunks before."""
    x = file.create_dataset("damaged", data=make(), chunks=CHUNKS, **Flac())
    x.id.write_direct_chunk((4, 6, 200), b"damaged")
    return x


def files_below(path):
    return {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "other"),
    [(None, None), ("x", None), ("x", "y"), ("inner/deep/x", None), ("inner/deep/x", "inner/y")],
)
def test_what_could_not_be_copied_is_not_there(file, tmp_path, damaged, name, other):
    """An array with some chunks missing would open, and read as the fill value there."""
    root, memory = tmp_path / "x.zarr", {}
    for store in (root, memory):
        if other is not None:
            create_array(store, name=other, data=make(), chunks=CHUNKS)
    before, keys = files_below(root), set(memory)
    sound = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    for store in (root, memory):
        with pytest.raises(CorruptChunkError):
            hdf5.to_zarr(damaged, store, name=name)
    assert (files_below(root), set(memory)) == (before, keys)
    for store in (root, memory):
        np.testing.assert_array_equal(hdf5.to_zarr(sound, store, name=name)[...], make())


def test_what_was_there_before_stays(file, tmp_path, damaged):
    root = tmp_path / "x.zarr"
    hdf5.to_zarr(file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac()), root)
    before = files_below(root)
    with pytest.raises(ContainsArrayError):
        hdf5.to_zarr(damaged, root)
    assert files_below(root) == before
    with pytest.raises(CorruptChunkError):
        hdf5.to_zarr(damaged, root, overwrite=True)
    assert files_below(root) == set()
    (root / "notes.txt").write_text("a note")
    with pytest.raises(CorruptChunkError):
        hdf5.to_zarr(damaged, root)
    assert "zarr.json" not in files_below(root)
    assert (root / "notes.txt").read_text() == "a note"


def test_what_cannot_be_removed_is_told(tmp_path, damaged):
    store = zarr.storage.ZipStore(tmp_path / "x.zip", mode="w")
    with store, pytest.raises(CorruptChunkError) as caught:
        hdf5.to_zarr(damaged, store, name="x")
    assert "is incomplete, and could not be removed" in caught.value.__notes__[0]


def contents(file):
    """Return all there is in a file: the attributes of objects, and links by themselves."""
    found = {}
    file.visititems(lambda name, member: found.update({name: str(dict(member.attrs))}))
    return found, {name: type(file.get(name, getlink=True)) for name in file}


@pytest.mark.parametrize("name", ["x", "g1/g2/x", "/g1/x", "there/x", "there/g2/x", None])
def test_what_could_not_be_copied_is_not_in_hdf5(file, name):
    file.create_group("there")
    before, store = contents(file), {}
    array = create_array(store, data=make(), chunks=CHUNKS)
    store["c/1/1/1"] = zarr.core.buffer.cpu.Buffer.from_bytes(b"damaged")
    with pytest.raises(CorruptChunkError, match="c/1/1/1"):
        hdf5.from_zarr(array, file, name)
    assert contents(file) == before


def test_a_dataset_that_cannot_be_created_leaves_no_groups(file):
    array = create_array({}, data=make(), chunks=CHUNKS)
    with pytest.raises(TypeError):
        hdf5.from_zarr(array, file, "g1/x", no_option=1)
    assert contents(file) == ({}, {})
    file["x"] = make()
    with pytest.raises(ValueError, match="already exists"):
        hdf5.from_zarr(array, file, "x")
    np.testing.assert_array_equal(file["x"][...], make())


def test_a_dataset_without_a_name(file):
    source = create_array({}, data=make(), chunks=CHUNKS, dimension_names=("a", None, None))
    x = hdf5.from_zarr(source, file, None)
    np.testing.assert_array_equal(x[...], make())
    assert list(file) == ["a"]


def scale_with_a_scale(file):
    file["time"], file["seconds"] = np.arange(230), np.arange(230)
    file["seconds"].make_scale()
    file["time"].dims[0].attach_scale(file["seconds"])


def link_to_nothing(file):
    file["time"] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize("prepare", [scale_with_a_scale, link_to_nothing])
def test_scales_that_hdf5_refuses_are_named(file, prepare):
    prepare(file)
    file["day"] = np.arange(5)
    file["hour"] = np.arange(7)
    file["hour"].make_scale("hours")
    before = contents(file)
    for first in ("day", "new"):
        source = create_array(
            {}, data=make(), chunks=CHUNKS, dimension_names=(first, "hour", "time")
        )
        message = r"^dimension 'time' must have 'time' of group / as its scale\..* rename the dim"
        with pytest.raises(ConfigurationError, match=message):
            hdf5.from_zarr(source, file, "x")
    assert contents(file) == before


class SlowStore(zarr.storage.MemoryStore):
    """Counts the chunks that are on their way at once, and refuses one.

    None of them arrives before there are as many as ``expected``, and the one to refuse.
    """

    def __init__(self, expected, refused=None):
        super().__init__()
        self.expected, self.refused = expected, refused
        self.seen = {None}
        self.under_way = self.most = 0

    async def set(self, key, value, *args):
        if key.endswith("zarr.json"):
            return await super().set(key, value, *args)
        self.seen.add(key)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            async with asyncio.timeout(20):
                while self.most < self.expected or self.refused not in self.seen:
                    await asyncio.sleep(0.001)
            if key == self.refused:
                raise OSError("no space left")
            await asyncio.sleep(0.01)  # more would come now
        finally:
            self.under_way -= 1
        await super().set(key, value, *args)


@pytest.mark.parametrize(("n_chunks", "most"), [(3.5, 3), (0.1, 1), (1000, 10)])
def test_chunks_are_in_memory_some_at_a_time(file, monkeypatch, n_chunks, most):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    monkeypatch.setattr(hdf5_zarr, "MOST_NBYTES", int(n_chunks * 600 * 4))
    store = SlowStore(expected=most)
    np.testing.assert_array_equal(hdf5.to_zarr(x, store)[...], make())
    assert store.most == most


def test_nothing_is_written_any_more_after_an_error(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    store = SlowStore(expected=10, refused="c/0/0/1")
    with pytest.raises(OSError, match="no space left"):
        hdf5.to_zarr(x, store)
    assert store.under_way == 0
    written = dict(store._store_dict)
    time.sleep(0.05)
    assert store._store_dict == written
    assert len(written) <= 1 + 2 * 10


@pytest.mark.parametrize("stored", ["plain", "behind fletcher32", "in memory"])
@pytest.mark.parametrize("where", ["files", "memory"])
def test_copying_where_h5pys_lock_is_held(tmp_path, stored, where):
    """As in a callback of ``visititems``: who helps must not wait for HDF5."""
    memory = {"driver": "core", "backing_store": False} if stored == "in memory" else {}
    store = {} if where == "memory" else tmp_path / "x.zarr"
    copies = []

    def visit():
        with h5py.File(tmp_path / "x.h5", "w", **memory) as file:
            fletcher32 = stored == "behind fletcher32"
            file.create_dataset("x", data=make(), chunks=CHUNKS, fletcher32=fletcher32, **Flac())
            file.visititems(lambda _, x: copies.append(hdf5.to_zarr(x, store)))

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    visitor.join(30)
    assert not visitor.is_alive()
    np.testing.assert_array_equal(copies[0][...], make())
