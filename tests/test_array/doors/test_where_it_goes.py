"""What users are told who give a codec to the wrong library, or a configuration that cannot be."""

import json
import warnings

import h5py
import hypothesis.strategies as st
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

import flaccodec
import flaccodec.numcodecs
from flaccodec import FlacArray, FlacCodec, hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import ChunkMismatchError, ConfigurationError, FlacCodecError, QuantaError

OTHERS = [flaccodec.numcodecs.Flac(level=3), hdf5.Flac(level=3)]
TOLD = r"serializer=(flaccodec\.)?FlacCodec\("


@pytest.mark.parametrize("codec", OTHERS)
@pytest.mark.parametrize("place", ["serializer", "compressors", "filters"])
def test_zarr_format_3_names_its_codec(codec, place):
    given = [codec] if place != "serializer" else codec
    with pytest.raises(TypeError, match=TOLD):
        zarr.create_array({}, shape=(10,), dtype="i4", **{place: given})


@pytest.mark.parametrize("place", ["compressors", "filters"])
def test_so_it_does_where_one_codec_is_no_list(place):
    with pytest.raises(TypeError, match=TOLD):
        zarr.create_array({}, shape=(10,), dtype="i4", **{place: flaccodec.numcodecs.Flac()})


@pytest.mark.parametrize("codec", OTHERS)
@pytest.mark.parametrize("place", ["serializer", "compressors", "filters", "codecs"])
def test_our_create_array_says_with_which_options(codec, place):
    given = [codec] if place == "codecs" else codec
    with pytest.raises(ConfigurationError, match=r"use serializer=FlacCodec\(level=3, "):
        flaccodec.create_array({}, shape=(10,), dtype="i4", **{place: given})


def test_zarr_format_2_takes_one_codec_as_ever():
    for codec in (flaccodec.numcodecs.Flac(), [flaccodec.numcodecs.Flac()]):
        array = zarr.create_array({}, shape=(9,), dtype="i4", zarr_format=2, compressors=codec)
        array[:] = 7
        assert array[:].tolist() == 9 * [7]
    for other in (FlacCodec(), hdf5.Flac()):
        with pytest.raises((TypeError, ValueError), match=r"compressors=flaccodec\.numcodecs"):
            zarr.create_array({}, shape=(9,), dtype="i4", zarr_format=2, compressors=[other])


def test_h5py_names_its_filter(tmp_path):
    message = r"compression=flaccodec\.hdf5\.Flac"
    with h5py.File(tmp_path / "x", "w") as file, pytest.raises(TypeError, match=message):
        file.create_dataset("x", (9,), "f4", compression=flaccodec.numcodecs.Flac())


# -- configurations ------------------------------------------------------------------------


def test_options_of_later_versions():
    config = {"id": "flaccodec", "level": 5, "later": 1}
    with pytest.raises(ConfigurationError, match=r"'later'; a later flaccodec may know it"):
        numcodecs.get_codec(config)
    with pytest.raises(ConfigurationError, match=r"'later'; a later flaccodec may know it"):
        FlacCodec.from_dict({"name": "flaccodec", "configuration": {"later": None}})


ANY = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)
CONFIGURATIONS = ANY | st.dictionaries(
    st.sampled_from([*CodecOptions().to_dict(), "later"]), ANY | st.integers(-1, 99), max_size=4
)


def options_or_error(make, configuration):
    """Return the options that are made, or the message of an error of ours."""
    try:
        return make(configuration)
    except FlacCodecError as error:
        return str(error)


@given(CONFIGURATIONS)
def test_any_json_gives_a_codec_or_an_error_of_ours(configuration):
    """And the same options in both formats of Zarr, which their own metadata make again."""
    entry = {"name": "flaccodec", "configuration": configuration}
    options = options_or_error(lambda entry: FlacCodec.from_dict(entry).options, entry)
    from_config = flaccodec.numcodecs.Flac.from_config
    assert options == options_or_error(lambda c: from_config(c).options, configuration)
    if isinstance(options, str):
        assert "Got" in options
    else:
        codec = FlacCodec(**options.to_dict())
        assert FlacCodec.from_dict(json.loads(json.dumps(codec.to_dict()))) == codec


@given(st.sampled_from(sorted(CodecOptions().to_dict())), ANY)
def test_any_value_of_an_option_gives_options_or_an_error_of_ours(name, value):
    found = [
        options_or_error(lambda c: flaccodec.encoding(**c)["serializer"].options, {name: value}),
        options_or_error(lambda c: FlacCodec(**c).options, {name: value}),
        options_or_error(lambda c: flaccodec.numcodecs.Flac(**c).options, {name: value}),
    ]
    assert found[0] == found[1] == found[2]
    if value is not None:  # for HDF5 a frame_size of None is the default
        assert found[0] == options_or_error(lambda c: hdf5.Flac(**c).options, {name: value})


@pytest.mark.parametrize("value", [5.0, 5])
def test_json_has_one_kind_of_numbers(value):
    codec = FlacCodec.from_dict({"name": "flaccodec", "configuration": {"level": value}})
    assert codec == FlacCodec(level=5)
    assert json.dumps(codec.to_dict()["configuration"]["level"]) == "5"
    frames = numcodecs.get_codec({"id": "flaccodec", "frame_size": 128 * value})
    assert frames == flaccodec.numcodecs.Flac(frame_size=640)
    with pytest.raises(ConfigurationError, match=r"level must be an integer.*Got 5\.5"):
        numcodecs.get_codec({"id": "flaccodec", "level": 5.5})
    with pytest.raises(QuantaError, match=r"configuration of codec 'flaccodec': quanta must"):
        numcodecs.get_codec({"id": "flaccodec", "quanta": "1"})


# -- chunks ------------------------------------------------------------------------------------


def changed(chunks, **kwargs):
    """An array with its chunk shape changed in its metadata."""
    store = MemoryStore()
    data = np.arange(40, dtype="i4").reshape(4, 10)
    flaccodec.create_array(store, data=data, chunks=(2, 10), **kwargs)
    buffer = default_buffer_prototype().buffer
    metadata = json.loads(sync(store.get("zarr.json", default_buffer_prototype())).to_bytes())
    holder = metadata["codecs"][0] if kwargs else metadata["chunk_grid"]
    holder["configuration"]["chunk_shape"] = chunks
    sync(store.set("zarr.json", buffer.from_bytes(json.dumps(metadata).encode())))
    return store


@pytest.mark.parametrize("chunks", [[0, 10], [2, 0], [0, 0]])
def test_chunks_without_samples(tmp_path, chunks):
    match = r"must be 1 or more along each axis.*Got "
    with pytest.raises(ConfigurationError, match=match):
        zarr.open_array(changed(chunks))
    for options in ({}, {"shards": (4, 10)}):
        with pytest.raises(ConfigurationError, match=match):
            FlacArray.from_zarr(changed(chunks, **options))
        with pytest.raises(ConfigurationError, match=match), h5py.File(tmp_path / "x", "w") as file:
            hdf5.from_zarr(changed(chunks, **options), file, "x")
    with pytest.raises(ConfigurationError, match=match):
        flaccodec.create_array({}, shape=(4, 10), dtype="i4", chunks=chunks)


def test_arrays_without_samples_may_have_such_chunks():
    array = flaccodec.create_array({}, shape=(0, 10), dtype="i4", chunks=(0, 10))
    assert array[:].shape == (0, 10)
    with pytest.raises(ConfigurationError, match="must be 1 or more"):
        array.resize((4, 10))


def test_chunks_of_zarr_format_2_without_samples():
    store = MemoryStore()
    zarr.create_array(store, shape=(4,), chunks=(2,), dtype="i4", zarr_format=2,
                      compressors=flaccodec.numcodecs.Flac())  # fmt: skip
    metadata = json.loads(sync(store.get(".zarray", default_buffer_prototype())).to_bytes())
    text = json.dumps({**metadata, "chunks": [0]}).encode()
    sync(store.set(".zarray", default_buffer_prototype().buffer.from_bytes(text)))
    with pytest.raises(ConfigurationError, match=r"must be 1 or more.*\.zarray"):
        FlacArray.from_zarr(store)


@pytest.mark.parametrize("chunks", [[2**40, 10], [4, 10], [2, 2**40], [3, 7], [1, 10]])
def test_chunks_of_another_shape(chunks):
    for at in (np.s_[:], np.s_[0], np.s_[1, 4:]):
        array = zarr.open_array(changed(chunks))
        with pytest.raises(ChunkMismatchError, match=r"chunk .*expected a chunk of .* Got one of"):
            array[at]


@pytest.mark.parametrize("dtype", ["i4", "f4"])
def test_a_remembered_chunk_that_has_become_another(dtype):
    """What is remembered of a larger or smaller chunk is of no use, and does no harm."""
    for first, then in ((2, 4), (4, 2)):
        store = MemoryStore()
        for rows in (first, then):
            data = np.arange(rows * 20_000).reshape(rows, -1).astype(dtype)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                array = flaccodec.create_array(
                    store, data=data, chunks=(rows, 20_000), overwrite=True
                )
            np.testing.assert_array_equal(array[rows - 1, 9000:9010], data[rows - 1, 9000:9010])
