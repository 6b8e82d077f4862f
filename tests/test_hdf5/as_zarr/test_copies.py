"""HDF5 datasets to Zarr arrays and back, by copying chunks."""

from __future__ import annotations

from functools import partial

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from flaccodec import FlacCodec, core, create_array, hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import ChecksumError
from flaccodec.hdf5 import Flac
from flaccodec.hdf5 import filter as hdf5_filter
from flaccodec.hdf5.chunks import fletcher32 as hdf5_fletcher32
from support.strategies import FLOATS, INTEGERS, same_bits
from test_hdf5.as_zarr.arrays import CHUNKS, SHAPE, make

DTYPES = [order + np.dtype(name).str[1:] for name in INTEGERS + FLOATS for order in "<>"]


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
