"""FlacArrays to HDF5 datasets and back, moved where they can be."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from flaccodec import FlacArray, core
from flaccodec.chunks import packing as stream_chunks
from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptChunkError,
    EmptyArrayError,
    UnsupportedDtypeError,
)
from flaccodec.hdf5 import Flac
from flaccodec.hdf5 import filter as hdf5_filter
from support.flacarrays import ARRAYS, FLOATS, WALK
from support.strategies import same_bits


@pytest.fixture
def no_coding(monkeypatch):
    """Fail where anything is encoded or decoded."""

    def fail(*_, **__):
        raise AssertionError("samples were encoded or decoded")

    for name in ("encode_chunk", "decode_chunk", "decode_spans"):
        monkeypatch.setattr(core, name, fail)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", fail)
    monkeypatch.setattr(h5py.Dataset, "__setitem__", fail)
    return monkeypatch


@pytest.fixture(params=ARRAYS)
def fa(request):
    return ARRAYS[request.param]


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        yield file


def test_there_and_back_without_decoding(fa, file, no_coding):
    fa.write_hdf5(file, name="x", layout="chunks")
    assert (file["x"].shape, file["x"].dtype) == (fa.shape, fa.dtype)
    assert FlacArray.read_hdf5(file, name="x") == fa
    assert FlacArray.read_hdf5(file["x"]) == fa
    no_coding.undo()
    assert same_bits(file["x"][...], fa.to_array())


@pytest.mark.parametrize("chunks", [(1, 1, 700), (2, 3, 700), (4, 6, 700), (4, 2, 700)])
def test_chunks_of_whole_streams_are_what_the_filter_would_write(file, chunks):
    ARRAYS["integers"].write_hdf5(file, name="x", layout="chunks", chunks=chunks)
    file.create_dataset("y", data=WALK, chunks=chunks, compression=Flac())
    file.flush()
    for i in range(file["x"].id.get_num_chunks()):
        offset = file["x"].id.get_chunk_info(i).chunk_offset
        x, y = (file[name].id.read_direct_chunk(offset) for name in "xy")
        assert x == y


@pytest.mark.parametrize("chunks", [(1, 1, 300), (3, 6, 700), (4, 4, 700)])
@pytest.mark.parametrize("name", [name for name, fa in ARRAYS.items() if fa.ndim == 3])
def test_other_chunks_are_decoded_and_written(name, file, chunks):
    fa = ARRAYS[name]
    fa.write_hdf5(file, name="x", layout="chunks", chunks=chunks)
    assert file["x"].chunks == chunks
    assert same_bits(file["x"][...], fa.to_array())
    assert same_bits(FlacArray.read_hdf5(file, name="x").to_array(), fa.to_array())


def test_chunks_at_the_edges_are_read_without_decoding(file, monkeypatch):
    file.create_dataset("x", data=WALK, chunks=(3, 4, 700), compression=Flac())
    for name in ("encode_chunk", "decode_chunk", "decode_spans"):
        monkeypatch.setattr(core, name, None)
    assert FlacArray.read_hdf5(file["x"]) == ARRAYS["integers"]


def test_options_keep_later_writes_to_the_grid(file):
    ARRAYS["uniform quanta"].write_hdf5(file, name="x", layout="chunks")
    ARRAYS["quanta of each stream"].write_hdf5(file, name="y", layout="chunks")
    assert hdf5_filter.options_of(file["x"]) == CodecOptions(quanta=1e-3)
    assert hdf5_filter.options_of(file["y"]) == CodecOptions()


def test_some_streams(file):
    fa = ARRAYS["integers"]
    fa.write_hdf5(file, name="x", layout="chunks")
    keep = np.zeros((4, 6), dtype=bool)
    keep[1, 2:4] = keep[3, 5] = True
    kept = FlacArray.read_hdf5(file, keep, name="x")
    np.testing.assert_array_equal(kept.to_array(), WALK[keep])
    with pytest.raises(EmptyArrayError, match="keep must have a stream at least"):
        FlacArray.read_hdf5(file["x"], np.zeros((4, 6), dtype=bool))
    with pytest.raises(ConfigurationError, match="shape"):
        FlacArray.read_hdf5(file["x"], np.ones(4, dtype=bool))


def test_a_leading_axis_for_one_stream(file):
    ARRAYS["one stream"].write_hdf5(file, name="x", layout="chunks")
    assert FlacArray.read_hdf5(file, name="x").shape == (700,)
    assert FlacArray.read_hdf5(file, name="x", no_flatten=True).shape == (1, 700)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (4, 6, 100)},
        {"compression": "gzip"},
        {"compression": Flac(), "fletcher32": True, "chunks": (2, 6, 700)},
        {"compression": Flac(quanta=0.25), "chunks": (2, 4, 300)},
    ],
    ids=str,
)
def test_any_dataset_is_read(file, options, monkeypatch):
    monkeypatch.setattr(stream_chunks, "BLOCK_SAMPLES", 5000)
    x = file.create_dataset("x", data=FLOATS, **options)
    assert same_bits(FlacArray.read_hdf5(x).to_array(), x[...])


@pytest.mark.parametrize("chunks", [(2, 6, 700), (3, 4, 700), (2, 4, 300)])
@pytest.mark.parametrize("options", [{"quanta": 0.25}, {"precision": 2}], ids=str)
def test_what_was_quantized_once_is_not_quantized_anew(file, chunks, options):
    file.create_dataset("x", data=FLOATS, chunks=chunks, fletcher32=True, **Flac(**options))
    name = file.filename
    file.close()  # HDF5's cache has samples that are not quantized yet
    with h5py.File(name) as file:
        assert same_bits(FlacArray.read_hdf5(file, name="x").to_array(), file["x"][...])


def test_missing_and_unlike_chunks_are_encoded_anew(file):
    x = file.create_dataset("x", (4, 700), "i4", chunks=(1, 700), fillvalue=9, compression=Flac())
    x[1:] = WALK[0, 1:4]
    np.testing.assert_array_equal(FlacArray.read_hdf5(x).to_array(), x[...])
    x.id.write_direct_chunk((0, 0), core.encode_chunk(WALK[0, 0], frame_size=50))
    np.testing.assert_array_equal(FlacArray.read_hdf5(x).to_array(), WALK[0, :4])


def test_progress(file, capsys):
    ARRAYS["integers"].write_hdf5(file, name="x", layout="chunks", progress=True)
    FlacArray.read_hdf5(file, name="x", progress=True)
    assert "write_hdf5" in (said := capsys.readouterr().err)
    assert "read_hdf5" in said


def test_the_default_is_flacarrays_layout(file):
    ARRAYS["integers"].write_hdf5(file)
    assert "compressed" in file
    assert FlacArray.read_hdf5(file) == ARRAYS["integers"]


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "chunks"},
        {"name": "x"},
        {"name": "x", "layout": "flacarray"},
        {"chunks": (1, 1, 700)},
    ],
    ids=str,
)
def test_options_of_the_other_layout(file, options):
    with pytest.raises(ConfigurationError, match='layout="chunks" needs name='):
        ARRAYS["integers"].write_hdf5(file, **options)


def test_what_cannot_be(file):
    with pytest.raises(ConfigurationError, match="Got 'tiles'"):
        ARRAYS["integers"].write_hdf5(file, layout="tiles")
    with pytest.raises(ConfigurationError, match="without axes has no chunks"):
        FlacArray.from_array(np.int32(5)).write_hdf5(file, name="x", layout="chunks")
    with pytest.raises(UnsupportedDtypeError):
        FlacArray.read_hdf5(file.create_dataset("c", data=[1j]))
    for data in (3, np.zeros((0, 4))):
        with pytest.raises(ConfigurationError, match="has no streams"):
            FlacArray.read_hdf5(file.create_dataset(None, data=data))
    file.create_group("g")
    with pytest.raises(ConfigurationError, match="name must be that of a dataset"):
        FlacArray.read_hdf5(file, name="g")


@pytest.mark.parametrize("group", ["abc", None, {}], ids=repr)
def test_groups_must_be_groups(group):
    with pytest.raises(TypeError, match=r"hgrp must be an h5py\.Group\. Got "):
        ARRAYS["integers"].write_hdf5(group, name="x", layout="chunks")
    with pytest.raises(TypeError, match=r"hgrp must be an h5py\.Group\. Got "):
        FlacArray.read_hdf5(group, name="x")


def test_a_distribution_is_that_of_one_process(file):
    for name in ("integers", "one stream"):
        fa = ARRAYS[name]
        fa.write_hdf5(file, name=name, layout="chunks")
        assert FlacArray.read_hdf5(file, name=name, mpi_dist=fa.mpi_dist) == fa
        for wrong in ([(0, 2), (2, 4)], [(0, 3)], 7):
            with pytest.raises(ConfigurationError, match="mpi_dist must be 1 pairs"):
                FlacArray.read_hdf5(file, name=name, mpi_dist=wrong)


def test_damage_names_dataset_and_chunk(file):
    ARRAYS["integers"].write_hdf5(file, name="x", layout="chunks", chunks=(2, 6, 700))
    file["x"].id.write_direct_chunk((2, 0, 0), b"damaged")
    with pytest.raises(CorruptChunkError, match=r"/x of .*, chunk at \(2, 0, 0\): "):
        FlacArray.read_hdf5(file, name="x")


@pytest.mark.parametrize("name", ["x", "inner/deep/x"])
def test_what_could_not_be_written_is_not_there(file, name):
    damaged = bytearray(ARRAYS["integers"].to_chunk())
    damaged[-5] ^= 1
    fa = FlacArray.from_chunk(bytes(damaged), WALK.shape)
    file.create_group("other")
    with pytest.raises(CorruptChunkError, match="stream 23"):
        fa.write_hdf5(file, name=name, layout="chunks", chunks=(1, 6, 300))
    assert list(file) == ["other"]
    with pytest.raises(ValueError, match="greater than data shape"):
        fa.write_hdf5(file, name=name, layout="chunks", chunks=(9, 6, 300))
    assert list(file) == ["other"]


@pytest.mark.parametrize("chunks", [(1, 0, 700), (1, -1, 700), 0])
def test_chunks_without_samples_are_refused(file, chunks):
    with pytest.raises(ConfigurationError, match=r"1 or more along each axis\. Got chunks="):
        ARRAYS["integers"].write_hdf5(file, name="x", layout="chunks", chunks=chunks)
    assert list(file) == []


def test_what_has_the_name_stays(file):
    file["x"] = 5
    with pytest.raises(ValueError, match="already exists"):
        ARRAYS["integers"].write_hdf5(file, name="x", layout="chunks")
    assert file["x"][()] == 5
