"""The numcodecs codec, by numcodecs' own checks and in zarr_format=2 arrays."""

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from numcodecs.registry import get_codec

from flaccodec import FlacCodec
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptChunkError,
    QuantaError,
    UnsupportedDtypeError,
)
from flaccodec.numcodecs import Flac
from support.strategies import float_arrays, integer_arrays, same_bits

ARRAYS = [
    np.arange(1000, dtype="int32"),
    np.arange(1000, dtype=">i4"),
    np.random.default_rng(0).integers(-99, 99, (10, 100), dtype="int64"),
    np.asfortranarray(np.random.default_rng(1).integers(0, 99, (10, 10, 10), dtype="uint16")),
    np.asfortranarray(np.random.default_rng(2).normal(size=(20, 50)).astype(">f4")),
    np.random.default_rng(3).normal(size=(2, 3, 4, 5)),
    np.array(7, dtype="int8"),
]
CODECS = [Flac(), Flac(level=0, frame_size=16), Flac(level=8)]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_decoding_gives_back_the_memory_of_the_array(codec, array):
    chunk = codec.encode(array)
    assert isinstance(chunk, bytes)
    decoded = codec.decode(chunk)
    assert decoded.tobytes() == array.tobytes(order="A")
    for readable in (bytearray(chunk), memoryview(chunk), np.frombuffer(chunk, np.uint8)):
        assert codec.decode(readable).tobytes() == array.tobytes(order="A")
    out = np.empty_like(array)
    assert codec.decode(chunk, out=out) is out
    np.testing.assert_array_equal(out, array)
    raw = bytearray(array.nbytes)
    codec.decode(chunk, out=raw)
    assert bytes(raw) == array.tobytes(order="A")


@pytest.mark.parametrize("cut", [np.s_[::2], np.s_[:, ::-1], np.s_[..., 1::2]], ids=str)
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 0, 2)], ids=str)
def test_decoding_gives_c_order_where_an_array_is_not_contiguous(axes, cut):
    array = np.arange(120, dtype="int16").reshape(4, 5, 6).transpose(axes)[cut]
    assert not array.flags.forc
    decoded = Flac().decode(Flac().encode(array))
    np.testing.assert_array_equal(decoded, array.ravel(order="C"))


@given(integer_arrays())
def test_integers(array):
    decoded = Flac().decode(Flac().encode(array))
    np.testing.assert_array_equal(decoded.reshape(array.shape), array)


@given(float_arrays())
def test_floats(array):
    assert same_bits(Flac().decode(Flac().encode(array)).reshape(array.shape), array)


def test_out_must_have_the_right_size():
    chunk = Flac().encode(np.arange(5, dtype="int32"))
    with pytest.raises(ConfigurationError, match=r"20 bytes for this chunk\. Got 16"):
        Flac().decode(chunk, out=np.empty(4, "int32"))


def test_numcodecs_finds_it_by_its_id():
    codec = get_codec({"id": "flaccodec", "level": 3, "quanta": 0.5})
    assert codec == Flac(level=3, quanta=0.5)
    assert codec.get_config() == {
        "id": "flaccodec",
        "level": 3,
        "quanta": 0.5,
        "precision": None,
        "frame_size": 4096,
    }
    assert get_codec(Flac(precision=3).get_config()) == Flac(precision=3)
    assert eval(repr(codec), {"Flac": Flac}) == codec
    assert isinstance(codec, numcodecs.abc.Codec)


def test_bad_options_are_refused():
    with pytest.raises(QuantaError):
        Flac(quanta=0)
    with pytest.raises(ConfigurationError, match="integers are stored exactly"):
        Flac(quanta=1).encode(np.arange(3))
    with pytest.raises(UnsupportedDtypeError):
        Flac().encode(np.zeros(3, dtype="datetime64[s]"))
    with pytest.raises(CorruptChunkError):
        Flac().decode(b"not a chunk, certainly not one of sixty-four bytes or more than that")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i2", ">i4", "<f8", ">f4", "|u1"])
def test_as_the_compressor_of_a_format_2_array(tmp_path, order, dtype):
    data = np.random.default_rng(4).integers(0, 200, (30, 70)).astype(dtype)
    array = zarr.create_array(
        tmp_path / "a",
        shape=data.shape,
        chunks=(8, 25),
        dtype=dtype,
        zarr_format=2,
        order=order,
        compressors=Flac(level=2),
        fill_value=0,
    )
    array[...] = data
    again = zarr.open_array(tmp_path / "a", mode="r+")
    np.testing.assert_array_equal(again[...], data)
    again[3:5, 10:60] = 7
    data[3:5, 10:60] = 7
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[...], data)
    assert again.dtype == np.dtype(dtype)


def test_with_a_format_2_filter(tmp_path):
    data = np.cumsum(np.random.default_rng(5).integers(-9, 9, 5000)).astype("int32")
    zarr.create_array(
        tmp_path / "a",
        data=data,
        zarr_format=2,
        filters=[numcodecs.Delta(dtype="<i4")],
        compressors=Flac(),
    )
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[...], data)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_the_bytes_are_those_of_the_zarr_chunk(dtype):
    data = np.random.default_rng(6).normal(0, 100, (7, 600)).astype(dtype)
    quanta = 0.5 if dtype == "float32" else None
    store = {}
    array = zarr.create_array(
        store,
        shape=data.shape,
        chunks=data.shape,
        dtype=dtype,
        serializer=FlacCodec(quanta=quanta, level=3),
        compressors=None,
    )
    array[...] = data
    assert store["c/0/0"].to_bytes() == Flac(quanta=quanta, level=3).encode(data)
