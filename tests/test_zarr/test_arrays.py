"""FlacArray to Zarr and back, moved where it can be."""

import sys
import tracemalloc
from functools import partial

import h5py
import numpy as np
import pytest
import zarr
from zarr.codecs import BytesCodec, ShardingCodec, ZstdCodec

from flaccodec import FlacArray, FlacCodec, core, create_array
from flaccodec.chunks import packing as stream_chunks
from flaccodec.chunks.packing import whole_stream_chunks
from flaccodec.exceptions import (
    ChunkMismatchError,
    ConfigurationError,
    CorruptChunkError,
    UnsupportedDtypeError,
)
from support.flacarrays import ARRAYS, FLOATS, RNG, WALK
from support.strategies import same_bits


@pytest.fixture
def no_coding(monkeypatch):
    """Fail where anything is encoded or decoded."""

    def fail(*_, **__):
        raise AssertionError("samples were encoded or decoded")

    for name in ("encode_chunk", "decode_chunk", "decode_spans"):
        monkeypatch.setattr(core, name, fail)


@pytest.fixture(params=ARRAYS)
def fa(request):
    return ARRAYS[request.param]


def test_there_and_back_without_decoding(fa, no_coding, tmp_path):
    array = fa.to_zarr(tmp_path / "a")
    assert (array.shape, array.dtype, array.compressors) == (fa.shape, fa.dtype, ())
    assert FlacArray.from_zarr(array) == fa
    assert FlacArray.from_zarr(str(tmp_path / "a")) == fa


def test_what_zarr_reads_is_what_the_flacarray_holds(fa, tmp_path):
    fa.to_zarr(tmp_path / "a")
    assert same_bits(zarr.open_array(tmp_path / "a")[...], fa.to_array())


@pytest.mark.parametrize("chunks", [(1, 1, 700), (2, 3, 700), (4, 6, 700), (4, 2, 700)])
def test_chunks_of_whole_streams_are_what_the_codec_would_write(chunks, tmp_path):
    for name in ("integers", "uniform quanta", "lossless"):
        fa = ARRAYS[name]
        moved = fa.to_zarr(tmp_path / name, chunks=chunks)
        coded = create_array(
            tmp_path / f"{name} coded", data=fa.to_array(), chunks=chunks, codecs=[moved.serializer]
        )
        for path in (tmp_path / name / "c").rglob("*"):
            if path.is_file():
                other = tmp_path / f"{name} coded" / path.relative_to(tmp_path / name)
                assert path.read_bytes() == other.read_bytes()
        assert same_bits(moved[...], coded[...])
        assert FlacArray.from_zarr(moved) == fa


SHARDS = [
    {"chunks": (1, 6, 700), "shards": (2, 6, 700)},
    {"chunks": (1, 3, 700), "shards": (4, 6, 700)},
    {"chunks": (2, 2, 700), "shards": (2, 2, 700)},
    {"chunks": (1, 2, 700), "shards": (3, 4, 700)},  # some lie partly beyond the array
]


@pytest.mark.parametrize("options", SHARDS, ids=str)
@pytest.mark.parametrize("name", [name for name, fa in ARRAYS.items() if fa.ndim == 3])
def test_shards_are_moved_too(name, options, no_coding, monkeypatch):
    fa = ARRAYS[name]
    array = fa.to_zarr({}, **options)
    assert (array.chunks, array.shards) == tuple(options.values())
    assert FlacArray.from_zarr(array) == fa
    monkeypatch.undo()
    assert same_bits(array[...], fa.to_array())
    array[1, 2:5, 30:40] = 7
    assert (array[1, 2:5, 30:40] == 7).all()
    assert same_bits(array[2:], fa[2:])


@pytest.mark.parametrize("options", [*SHARDS, {"chunks": (3, 4, 700)}], ids=str)
def test_chunks_that_zarr_wrote_are_moved_even_at_the_edges(options, monkeypatch):
    for name in ("integers", "uniform quanta", "lossless"):
        fa = ARRAYS[name]
        codec = fa.to_zarr({}).serializer
        array = zarr.create_array(
            {}, data=fa.to_array(), serializer=codec, compressors=None, **options
        )
        with monkeypatch.context() as patch:
            for coding in ("encode_chunk", "decode_chunk", "decode_spans"):
                patch.setattr(core, coding, None)
            assert FlacArray.from_zarr(array) == fa


def test_shards_without_all_of_their_chunks():
    options = {"chunks": (1, 6, 700), "shards": (2, 6, 700)}
    array = create_array({}, shape=WALK.shape, dtype="int32", fill_value=3, **options)
    assert (FlacArray.from_zarr(array).to_array() == 3).all()
    array[1] = WALK[1]
    np.testing.assert_array_equal(FlacArray.from_zarr(array).to_array(), array[...])


def test_shards_with_their_index_elsewhere_are_decoded():
    codec = ShardingCodec(chunk_shape=(1, 6, 700), codecs=[FlacCodec()], index_location="start")
    array = zarr.create_array(
        {}, shape=WALK.shape, dtype="int32", chunks=(2, 6, 700), serializer=codec, compressors=None
    )
    array[...] = WALK
    np.testing.assert_array_equal(FlacArray.from_zarr(array).to_array(), WALK)


def test_a_shard_that_is_damaged_is_an_error():
    store = {}
    array = ARRAYS["integers"].to_zarr(store, chunks=(1, 6, 700), shards=(2, 6, 700))
    shard = store["c/1/0/0"]
    for damaged in (flipped(shard.to_bytes(), -1), flipped(shard.to_bytes(), -9), b"short"):
        store["c/1/0/0"] = type(shard).from_bytes(damaged)
        with pytest.raises(ValueError, match=r"checksum|buffer|size|too short"):
            FlacArray.from_zarr(array)
    store["c/1/0/0"] = type(shard).from_bytes(flipped(shard.to_bytes(), 3))
    with pytest.raises(CorruptChunkError, match=r"^shard .*c/1/0/0, chunk at \(2, 0, 0\): "):
        FlacArray.from_zarr(array)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda chunk: b"damaged", CorruptChunkError),
        (lambda chunk: flipped(chunk, 70), CorruptChunkError),
        (lambda chunk: chunk[:-1], CorruptChunkError),
        (lambda chunk: FlacArray.from_array(WALK[:1]).to_chunk(), ChunkMismatchError),
    ],
    ids=["no chunk", "index", "short", "another"],
)
def test_damage_names_the_chunk(tmp_path, change, error):
    array = ARRAYS["integers"].to_zarr(tmp_path / "x.zarr", chunks=(2, 6, 700))
    path = tmp_path / "x.zarr/c/1/0/0"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(error, match=r"^chunk .*x\.zarr/c/1/0/0: "):
        FlacArray.from_zarr(array)


def flipped(data, at):
    damaged = bytearray(data)
    damaged[at] ^= 1
    return bytes(damaged)


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (3, 6, 700)},
        {"chunks": (2, 6, 300)},
        {"chunks": (1, 3, 350), "shards": (2, 6, 700)},
        {"compressors": [ZstdCodec()]},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", [name for name, fa in ARRAYS.items() if fa.ndim == 3])
def test_other_chunks_go_by_blocks(name, options, tmp_path):
    fa = ARRAYS[name]
    array = fa.to_zarr(tmp_path / "a", **options)
    assert same_bits(array[...], fa.to_array())
    assert same_bits(FlacArray.from_zarr(array).to_array(), fa.to_array())


def test_blocks_bound_the_memory(tmp_path, monkeypatch):
    """Where chunks are no whole streams, some of the array is there at a time."""
    walk = np.cumsum(RNG.integers(-9, 9, (64, 60_000)), axis=-1).astype("int32")  # 15 MB
    fa = FlacArray.from_array(walk)
    monkeypatch.setattr(stream_chunks, "BLOCK_SAMPLES", 2**18)  # 1 MB

    def peak(function):
        tracemalloc.start()
        result = function()
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest, result

    fa.to_zarr(tmp_path / "first", chunks=(8, 25_000))  # what is imported and cached is so before
    out, array = peak(lambda: fa.to_zarr(tmp_path / "second", chunks=(8, 25_000)))
    back, again = peak(lambda: FlacArray.from_zarr(array))
    assert out < walk.nbytes / 4
    assert back < fa.nbytes + walk.nbytes / 4
    np.testing.assert_array_equal(again.to_array(), walk)


def test_options_of_zarr_are_passed_on(tmp_path):
    array = ARRAYS["integers"].to_zarr(
        tmp_path,
        name="group/a",
        attributes={"units": "counts"},
        dimension_names=("x", "y", "time"),
        fill_value=7,
    )
    assert array.attrs["units"] == "counts"
    assert array.metadata.dimension_names == ("x", "y", "time")
    with pytest.raises(ValueError, match="exists"):
        ARRAYS["integers"].to_zarr(tmp_path, name="group/a")
    ARRAYS["integers"].to_zarr(tmp_path, name="group/a", overwrite=True)


class FullStore(zarr.storage.MemoryStore):
    """Takes two chunks and no more."""

    chunks = 0

    async def set(self, key, value, *args):
        if not key.endswith("zarr.json"):
            if self.chunks == 2:
                raise OSError("no space left")
            self.chunks += 1
        await super().set(key, value, *args)


def keys_of(store):
    return set(store._store_dict)


@pytest.mark.parametrize("chunks", [(1, 6, 700), (2, 6, 300)])
@pytest.mark.parametrize("options", [{}, {"name": "group/a"}, {"overwrite": True}], ids=str)
def test_what_could_not_be_written_is_not_there(chunks, options):
    fa, store = ARRAYS["integers"], FullStore()
    with pytest.raises(OSError, match="no space left"):
        fa.to_zarr(store, chunks=chunks, **options)
    assert keys_of(store) == set()


def test_what_was_there_before_stays():
    fa, store = ARRAYS["integers"], FullStore()
    fa.to_zarr(store, name="other", chunks=(4, 6, 700))
    before = keys_of(store)
    with pytest.raises(OSError, match="no space left"):
        fa.to_zarr(store, name="a", chunks=(1, 6, 700))
    assert keys_of(store) == before
    with pytest.raises(ValueError, match="exists"):
        fa.to_zarr(store, name="other")
    np.testing.assert_array_equal(zarr.open_array(store, path="other")[...], WALK)


def test_a_damaged_frame_leaves_no_array(tmp_path):
    damaged = bytearray(ARRAYS["integers"].to_chunk())
    damaged[-5] ^= 1
    fa = FlacArray.from_chunk(bytes(damaged), WALK.shape)
    with pytest.raises(CorruptChunkError, match="stream 23"):
        fa.to_zarr(tmp_path / "a.zarr", chunks=(1, 6, 300))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (1, 0, 700)},
        {"chunks": [1, -1, 700]},
        {"chunks": (1, 6, 700), "shards": (2, 6, 0)},
    ],
    ids=str,
)
def test_chunks_without_samples_are_refused(options):
    store = {}
    with pytest.raises(ConfigurationError, match=r"must be 1 or more along each axis\. Got .*="):
        ARRAYS["integers"].to_zarr(store, **options)
    assert store == {}


def test_chunks_that_are_missing_hold_the_fill_value():
    array = create_array({}, shape=(4, 100), chunks=(1, 100), dtype="float32", fill_value=np.nan)
    array[1] = 2.5
    fa = FlacArray.from_zarr(array)
    assert same_bits(fa.to_array(), array[...])


def test_chunks_of_different_quanta_come_from_parts_written_apart():
    """As after a change of quanta: chunks that cannot be told from the codec alone."""
    store = {}
    array = create_array(store, data=FLOATS[0], chunks=(3, 700), codecs=[FlacCodec(quanta=0.01)])
    other = FlacArray.from_array(FLOATS[0, :3], quanta=0.5).to_chunk()
    store["c/0/0"] = type(store["c/0/0"]).from_bytes(other)
    assert same_bits(FlacArray.from_zarr(array).to_array(), array[...])
    lossless = FlacArray.from_array(FLOATS[0, :3], lossless=True).to_chunk()
    store["c/0/0"] = type(store["c/0/0"]).from_bytes(lossless)
    assert np.abs(FlacArray.from_zarr(array)[3:] - array[3:]).max() == 0


def test_arrays_of_other_codecs_are_taken_in_bit_for_bit():
    array = zarr.create_array({}, data=FLOATS, chunks=(3, 4, 300), serializer=BytesCodec())
    assert same_bits(FlacArray.from_zarr(array).to_array(), FLOATS)
    scalar = zarr.create_array({}, shape=(), dtype="int32")
    assert FlacArray.from_zarr(scalar)[()] == 0


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="shape comes from the FlacArray"):
        ARRAYS["integers"].to_zarr({}, shape=(3,))
    with pytest.raises(ConfigurationError, match="without axes"):
        FlacArray.from_array(np.int32(1)).to_zarr({})
    with pytest.raises(UnsupportedDtypeError):
        FlacArray.from_zarr(zarr.create_array({}, shape=(3,), dtype="bool"))
    with pytest.raises(ConfigurationError, match="no samples"):
        FlacArray.from_zarr(zarr.create_array({}, shape=(0, 3), chunks=(1, 3), dtype="int8"))


def test_levels_go_along(tmp_path):
    walk = ARRAYS["integers"].to_array()
    fa = FlacArray.from_array(walk, level=8)
    moved = fa.to_zarr(tmp_path / "moved")
    coded = fa.to_zarr(tmp_path / "coded", chunks=(2, 6, 300))
    assert moved.serializer.level == coded.serializer.level == 8
    for array in (moved, coded):
        assert FlacArray.from_zarr(array).level == 8
    assert FlacArray.from_zarr(coded) == fa


def test_without_tqdm_nothing_is_made(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="progress=True needs tqdm"):
        ARRAYS["integers"].to_zarr(tmp_path / "a", progress=True)
    assert not (tmp_path / "a").exists()
    group = zarr.open_group(tmp_path / "g", mode="w")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for call in (
            partial(ARRAYS["integers"].write_hdf5, file, name="x", layout="chunks"),
            partial(FlacArray.from_array(WALK.astype("i8")).write_hdf5, file),
            partial(FlacArray.from_array(WALK.astype("i8")).write_zarr, group),
        ):
            with pytest.raises(ImportError, match="progress=True needs tqdm"):
                call(progress=True)
        assert list(file) == list(group) == []


def test_progress_is_shown_where_it_is_asked_for(capsys):
    array = ARRAYS["integers"].to_zarr({}, progress=True)
    FlacArray.from_zarr(array, progress=True)
    shown = capsys.readouterr().err
    assert "to_zarr" in shown
    assert "from_zarr" in shown
    FlacArray.from_zarr(array)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "shape", [(10,), (1, 10), (97, 10), (64, 10**6), (4, 5, 6, 1000), (7, 10**7)]
)
def test_default_chunks_hold_whole_streams(shape):
    chunks = whole_stream_chunks(shape)
    assert chunks[-1] == shape[-1]
    assert all(n % c == 0 for n, c in zip(shape, chunks, strict=True))
    assert np.prod(chunks) <= max(2**20, shape[-1])
