"""FlacCodec in Zarr v3 arrays: the ways to make one, what is refused then, metadata."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import zarr
from zarr.codecs import BytesCodec, TransposeCodec, ZstdCodec

import flaccodec
from flaccodec import FlacCodec
from flaccodec.exceptions import (
    ConfigurationError,
    QuantaError,
    UnsupportedDtypeError,
)
from test_zarr.arrays import WALK, create

RNG = np.random.default_rng(1)

pytestmark = pytest.mark.usefixtures("pipeline")


# -- ways to make an array -------------------------------------------------------------


def test_create_array_with_a_serializer(tmp_path):
    array = zarr.create_array(
        tmp_path / "a",
        shape=WALK.shape,
        chunks=(2, 3, 300),
        dtype="int32",
        serializer=FlacCodec(level=5),
        compressors=None,
    )
    array[...] = WALK
    again = zarr.open_array(tmp_path / "a")
    np.testing.assert_array_equal(again[...], WALK)
    assert again.serializer == FlacCodec(level=5)
    assert again.compressors == ()


def test_create_with_codecs(tmp_path):
    array = zarr.create(
        store=tmp_path / "a",
        shape=(4, 100),
        chunks=(2, 100),
        dtype="float64",
        codecs=[FlacCodec(quanta=1e-3)],
    )
    data = RNG.normal(size=(4, 100))
    array[...] = data
    assert np.abs(zarr.open_array(tmp_path / "a")[...] - data).max() <= 0.5e-3 + 1e-15


def test_our_create_array_adds_no_compressor():
    array = flaccodec.create_array({}, shape=(10,), dtype="float32", codecs=[FlacCodec(quanta=1)])
    assert array.compressors == ()
    assert flaccodec.create_array({}, shape=(10,), dtype="int8").serializer == FlacCodec()
    given = flaccodec.create_array({}, shape=(10,), dtype="int8", compressors=ZstdCodec())
    assert given.compressors == (ZstdCodec(),)


def test_our_create_array_splits_a_list_of_codecs():
    codecs = [
        TransposeCodec(order=(1, 0)),
        {"name": "flaccodec", "configuration": {"level": 3}},
        ZstdCodec(level=1),
    ]
    array = flaccodec.create_array({}, data=WALK[0], codecs=codecs)
    assert array.filters == (TransposeCodec(order=(1, 0)),)
    assert array.serializer == FlacCodec(level=3)
    assert array.compressors == (ZstdCodec(level=1),)
    np.testing.assert_array_equal(array[...], WALK[0])


def test_our_create_array_takes_all_that_zarrs_takes(tmp_path):
    array = flaccodec.create_array(
        tmp_path,
        name="group/a",
        shape=(6, 600),
        dtype="float32",
        chunks=(1, 100),
        shards=(3, 300),
        fill_value=np.nan,
        dimension_names=("detector", "time"),
        attributes={"units": "K"},
        chunk_key_encoding={"name": "v2", "separator": "."},
        config={"write_empty_chunks": True},
        overwrite=True,
        codecs=[FlacCodec(precision=4)],
    )
    assert array.shards == (3, 300)
    assert array.metadata.dimension_names == ("detector", "time")
    assert array.attrs["units"] == "K"
    assert np.isnan(array[...]).all()


@pytest.mark.parametrize(
    ("codecs", "message"),
    [
        ([], "one array-to-bytes codec"),
        ([ZstdCodec()], "one array-to-bytes codec"),
        ([FlacCodec(), BytesCodec()], "one array-to-bytes codec"),
        ([ZstdCodec(), FlacCodec()], "in this order"),
        ([FlacCodec(), TransposeCodec(order=(0,))], "in this order"),
    ],
)
def test_lists_of_codecs_that_cannot_be_are_refused(codecs, message):
    with pytest.raises(ConfigurationError, match=message):
        flaccodec.create_array({}, shape=(4,), dtype="int8", codecs=codecs)


def test_codecs_and_their_parts_are_not_given_together():
    with pytest.raises(ConfigurationError, match="codecs or compressors, not both"):
        flaccodec.create_array({}, shape=(4,), dtype="int8", codecs=[FlacCodec()], compressors=None)


def test_format_2_is_sent_to_numcodecs():
    with pytest.raises(ConfigurationError, match=r"flaccodec\.numcodecs\.Flac"):
        flaccodec.create_array({}, shape=(4,), dtype="int8", zarr_format=2)


# -- what is refused when an array is made ---------------------------------------------


@pytest.mark.parametrize("shards", [None, (8,)])
@pytest.mark.parametrize(
    ("dtype", "options", "error"),
    [
        ("float16", {}, UnsupportedDtypeError),
        ("complex64", {}, UnsupportedDtypeError),
        ("bool", {}, UnsupportedDtypeError),
        ("datetime64[s]", {}, UnsupportedDtypeError),
        ("U4", {}, UnsupportedDtypeError),
        ("string", {}, UnsupportedDtypeError),
        ("int32", {"quanta": 0.1}, ConfigurationError),
        ("uint8", {"precision": 3}, ConfigurationError),
    ],
)
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_arrays_that_cannot_be_are_refused_when_they_are_made(dtype, options, error, shards):
    store = {}
    with pytest.raises(error):
        zarr.create_array(
            store,
            shape=(8,),
            chunks=(4,),
            shards=shards,
            dtype=dtype,
            serializer=FlacCodec(**options),
            compressors=None,
        )
    assert not store


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"quanta": 1.0, "precision": 3}, ConfigurationError),
        ({"quanta": 0.0}, QuantaError),
        ({"quanta": float("nan")}, QuantaError),
        ({"level": 9}, ConfigurationError),
        ({"frame_size": 1}, ConfigurationError),
    ],
)
def test_options_that_cannot_be_are_refused(options, error):
    with pytest.raises(error):
        FlacCodec(**options)
    with pytest.raises(error):
        FlacCodec.from_dict({"name": "flaccodec", "configuration": options})


@pytest.mark.parametrize("place", ["compressors", "filters"])
def test_a_codec_in_the_wrong_place_says_where_it_goes(place):
    for codec in (FlacCodec(), FlacCodec().to_dict()):
        with pytest.raises(TypeError, match=r"use serializer="):
            zarr.create_array({}, shape=(4,), dtype="int8", **{place: codec})
    with pytest.raises(ConfigurationError, match=r"use serializer=FlacCodec"):
        flaccodec.create_array({}, shape=(4,), dtype="int8", **{place: [FlacCodec()]})
    message = r"for zarr_format=2, compressors=flaccodec\.numcodecs\.Flac"
    with pytest.raises((TypeError, ValueError), match=message):
        zarr.create_array({}, shape=(4,), dtype="int8", zarr_format=2, **{place: [FlacCodec()]})


# -- metadata --------------------------------------------------------------------------


def test_every_option_is_written_out():
    store = {}
    zarr.create_array(
        store, shape=(4,), dtype="float32", serializer=FlacCodec(quanta=1), compressors=None
    )
    (codec,) = json.loads(store["zarr.json"].to_bytes())["codecs"]
    assert codec == {
        "name": "flaccodec",
        "configuration": {"level": 5, "quanta": 1.0, "precision": None, "frame_size": 4096},
    }


def test_unknown_options_are_refused():
    with pytest.raises(ConfigurationError, match="'speed'; a later flaccodec may know it"):
        FlacCodec.from_dict({"name": "flaccodec", "configuration": {"speed": 3}})


def test_codecs_pickle_compare_and_hash_by_configuration():
    a, b = FlacCodec(quanta=1, level=3), FlacCodec(level=3, quanta=1.0)
    assert a == b
    assert len({a, b, FlacCodec()}) == 2
    assert pickle.loads(pickle.dumps(a)) == a
    assert FlacCodec.from_dict(a.to_dict()) == a
    assert eval(repr(a)) == a
    with pytest.raises(AttributeError):
        a.level = 4


def test_zarr_finds_the_codec_in_a_fresh_process(tmp_path):
    """Written here, read by a program that names neither flaccodec nor its codec."""
    create(tmp_path / "a", WALK, shards=(4, 6, 600))
    program = """
import sys, numpy, zarr
array = zarr.open_array(sys.argv[1], mode="r")
numpy.save(sys.argv[2], array[...])
numpy.save(sys.argv[3], array[2:4, 5, 100:650:3])
"""
    whole, part = tmp_path / "whole.npy", tmp_path / "part.npy"
    arguments = [str(p) for p in (tmp_path / "a", whole, part)]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    np.testing.assert_array_equal(np.load(whole), WALK)
    np.testing.assert_array_equal(np.load(part), WALK[2:4, 5, 100:650:3])
