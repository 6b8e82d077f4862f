"""FlacCodec in Zarr v3 arrays: every operation of Zarr's user guide, against numpy."""

import threading

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, ShardingCodec, TransposeCodec, ZstdCodec
from zarr.codecs.numcodecs import Delta
from zarr.storage import LocalStore, MemoryStore

import flaccodec
from flaccodec import FlacCodec
from flaccodec.chunks.index import ChunkIndex
from flaccodec.exceptions import (
    ChecksumError,
    ChunkMismatchError,
    FrameError,
    QuantaTooFineError,
)
from support.strategies import FLOATS, INTEGERS, same_bits
from test_zarr.arrays import WALK, create

RNG = np.random.default_rng(2)

pytestmark = pytest.mark.usefixtures("pipeline")


# -- the user guide's operations -------------------------------------------------------


SELECTIONS = [
    np.s_[...],
    np.s_[:],
    np.s_[3],
    np.s_[-1],
    np.s_[2, 4],
    np.s_[2, 4, 333],
    np.s_[-1, -2, -3],
    np.s_[1:4],
    np.s_[:, 2:5, 250:350],
    np.s_[..., 5],
    np.s_[..., 100:600:7],
    np.s_[::2, ::3, ::250],
    np.s_[4:2],
    np.s_[:, :, 699:],
    np.s_[0, ..., 10:20],
    np.s_[1:100, 0:1, -50:],
]


@pytest.fixture(params=["plain", "sharded", "filtered", "compressed"])
def walk(request, tmp_path):
    options = {
        "plain": {},
        "sharded": {"shards": (4, 6, 600)},
        "filtered": {"filters": [TransposeCodec(order=(2, 0, 1))]},
        "compressed": {"compressors": [ZstdCodec(level=1)]},
    }[request.param]
    return create(tmp_path / "a", WALK, **options)


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_reading_basic_selections(walk, selection):
    expected = WALK[selection]
    result = walk[selection]
    assert np.shape(result) == expected.shape
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_writing_basic_selections(walk, selection):
    expected = WALK.copy()
    expected[selection] = 7
    walk[selection] = 7
    np.testing.assert_array_equal(walk[...], expected)


def test_coordinate_selection(walk):
    at = ([0, 4, 2], [5, 0, 3], [699, 0, 350])
    np.testing.assert_array_equal(walk.get_coordinate_selection(at), WALK[at])
    np.testing.assert_array_equal(walk.vindex[at], WALK[at])
    walk.set_coordinate_selection(at, [1, 2, 3])
    np.testing.assert_array_equal(walk.vindex[at], [1, 2, 3])


def test_mask_selection(walk):
    mask = np.random.default_rng(1).random(WALK.shape) < 0.001
    np.testing.assert_array_equal(walk.get_mask_selection(mask), WALK[mask])
    walk.set_mask_selection(mask, -1)
    expected = np.where(mask, -1, WALK)
    np.testing.assert_array_equal(walk[...], expected)


def test_orthogonal_selection(walk):
    for selection in (
        ([0, 3], slice(None), [5, 6, 699]),
        (slice(None), [1, 4], slice(10, 600, 99)),
        ([True, False, True, False, False], 2, [0, 1]),
        (0, [5, 0], slice(None)),
    ):
        axes = [
            np.arange(n)[s] if not isinstance(s, int) else np.array([s])
            for s, n in zip(selection, WALK.shape, strict=True)
        ]
        expected = WALK[np.ix_(*axes)]
        result = walk.oindex[selection]
        np.testing.assert_array_equal(result, expected.reshape(result.shape))
        walk.oindex[selection] = 5
        assert (walk.oindex[selection] == 5).all()
        walk[...] = WALK


def test_block_selection(walk):
    if walk.shards is not None:
        pytest.skip("zarr selects blocks of shards by chunks of them")
    np.testing.assert_array_equal(walk.blocks[1, 0], WALK[2:4, 0:3])
    walk.blocks[0, 1, 2] = 3
    assert (walk[0:2, 3:6, 600:] == 3).all()


def test_resize_and_append(walk):
    walk.resize((3, 6, 500))
    np.testing.assert_array_equal(walk[...], WALK[:3, :, :500])
    walk.resize((3, 6, 650))
    np.testing.assert_array_equal(walk[..., :500], WALK[:3, :, :500])
    walk.append(WALK[3:, :, :650], axis=0)
    assert walk.shape == (5, 6, 650)
    np.testing.assert_array_equal(walk[3:], WALK[3:, :, :650])
    walk.append(WALK[:, :, 650:], axis=2)
    np.testing.assert_array_equal(walk[..., 650:], WALK[..., 650:])


def test_info_complete(walk):
    text = str(walk.info_complete())
    assert "FlacCodec" in text
    assert "No. bytes stored" in text
    assert walk.nbytes_stored() > 0


def test_append_along_time():
    array = flaccodec.create_array({}, shape=(3, 0), chunks=(3, 100), dtype="int16")
    data = RNG.integers(-99, 99, (3, 730)).astype("int16")
    for start in range(0, 730, 73):
        array.append(data[:, start : start + 73], axis=1)
    np.testing.assert_array_equal(array[...], data)


# -- dtypes, fill values, layouts ------------------------------------------------------


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, ">i4", ">f8", ">u2"])
@pytest.mark.parametrize("shards", [None, (20,)])
def test_every_dtype(dtype, shards):
    data = (RNG.normal(size=57) * 50).astype(dtype)
    array = create({}, data, chunks=(10,), shards=shards)
    assert same_bits(array[...], data.astype(array.dtype))
    np.testing.assert_array_equal(array[7:33:2], data[7:33:2])


@pytest.mark.parametrize("fill", [0, 5, -3.25, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("quanta", [None, 0.1])
def test_any_fill_value(fill, quanta):
    store = MemoryStore()
    array = flaccodec.create_array(
        store, shape=(6, 90), chunks=(2, 30), dtype="float64", fill_value=fill,
        codecs=[FlacCodec(quanta=quanta)],
    )  # fmt: skip
    np.testing.assert_array_equal(array[...], np.full((6, 90), fill))
    np.testing.assert_array_equal(array[3, 10:20], np.full(10, fill))
    array[0, 5] = 1.0
    expected = np.full((6, 90), fill)
    expected[0, 5] = 1.0
    np.testing.assert_allclose(array[...], expected, rtol=0, atol=0.05 if quanta else 0)
    array[...] = fill
    np.testing.assert_allclose(array[...], np.full((6, 90), fill), atol=0.05 if quanta else 0)


@pytest.mark.parametrize("write_empty", [True, False])
def test_empty_chunks(write_empty):
    store = {}
    array = flaccodec.create_array(
        store, shape=(4, 40), chunks=(2, 20), dtype="int32", fill_value=9,
        config={"write_empty_chunks": write_empty},
    )  # fmt: skip
    array[...] = 9
    assert array.nchunks_initialized == (4 if write_empty else 0)
    np.testing.assert_array_equal(array[...], np.full((4, 40), 9))


@pytest.mark.parametrize("order", ["C", "F"])
def test_either_order_in_memory(order):
    array = create({}, WALK, config={"order": order})
    np.testing.assert_array_equal(array[...], WALK)
    np.testing.assert_array_equal(array[1:3, :, 5], WALK[1:3, :, 5])


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (500,), (3, 1)])
def test_shapes_of_few_axes_and_samples(shape):
    data = RNG.integers(-99, 99, shape, dtype="int64")
    array = create({}, np.asarray(data), chunks=tuple(min(7, n) for n in shape))
    np.testing.assert_array_equal(array[...], data)
    if shape:
        np.testing.assert_array_equal(array[0], data[0])
    else:
        assert array[()] == data


def test_zero_sized_arrays_hold_nothing():
    array = flaccodec.create_array({}, shape=(0, 5), chunks=(1, 5), dtype="int32")
    assert array[...].shape == (0, 5)


# -- with other codecs -----------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
def test_with_a_delta_filter():
    data = np.cumsum(RNG.integers(0, 9, 5000)).astype("int32")
    array = create({}, data, chunks=(1000,), filters=[Delta(dtype="<i4")])
    np.testing.assert_array_equal(array[...], data)
    np.testing.assert_array_equal(array[900:1100], data[900:1100])


@pytest.mark.parametrize("compressor", [ZstdCodec(), BloscCodec()], ids=["zstd", "blosc"])
def test_with_a_compressor_behind_it(compressor):
    array = create({}, WALK, compressors=[compressor])
    np.testing.assert_array_equal(array[...], WALK)
    np.testing.assert_array_equal(array[1, 2, 3:400], WALK[1, 2, 3:400])


def test_inside_an_explicit_sharding_codec():
    sharding = ShardingCodec(chunk_shape=(1, 3, 100), codecs=[FlacCodec(), ZstdCodec(level=1)])
    array = flaccodec.create_array({}, data=WALK, chunks=(2, 3, 300), codecs=[sharding])
    np.testing.assert_array_equal(array[...], WALK)


def test_writing_what_was_read_through_zarr_changes_nothing(tmp_path):
    """Zarr reads, merges and writes a whole chunk when a part of it is written."""
    data = RNG.normal(size=(4, 1000)).astype("float32")
    data[1, 100:200] = np.nan
    array = create(tmp_path / "a", data, chunks=(4, 1000), serializer=FlacCodec(quanta=1e-3))
    before = array[...]
    for start in range(0, 1000, 50):
        array[0, start : start + 10] = 1.0
    assert same_bits(array[1:], before[1:])
    np.testing.assert_array_equal(array[0, 10:50], before[0, 10:50])


# -- errors name the chunk -------------------------------------------------------------


def test_a_damaged_chunk_is_named_by_its_key(tmp_path):
    array = create(tmp_path / "a", WALK)
    path = tmp_path / "a" / "c" / "1" / "0" / "2"
    raw = bytearray(path.read_bytes())
    index = ChunkIndex.from_head(np.frombuffer(bytes(raw), np.uint8))
    raw[index.positions[5, 1] + 9] ^= 0x55
    path.write_bytes(raw)
    for read in (lambda: array[...], lambda: array[3, 2, 690:]):
        with pytest.raises(FrameError, match=r"a/c/1/0/2.*stream 5, frame 1"):
            read()
    np.testing.assert_array_equal(array[:2], WALK[:2])
    raw[70] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ChecksumError, match=r"a/c/1/0/2"):
        zarr.open_array(tmp_path / "a")[2, 0, 650]


def test_a_chunk_of_another_array_is_refused(tmp_path):
    create(tmp_path / "a", WALK)
    other = create(tmp_path / "b", WALK.astype("int64"))
    path = tmp_path / "b" / "c" / "0" / "0" / "0"
    path.write_bytes((tmp_path / "a" / "c" / "0" / "0" / "0").read_bytes())
    for read in (lambda: other[...], lambda: other[0, 0, 5]):
        with pytest.raises(ChunkMismatchError, match=r"b/c/0/0/0.*of int64\. Got one of int32"):
            read()


def test_quanta_too_fine_write_nothing(tmp_path):
    codec = FlacCodec(quanta=1e-3, strict=True)
    kept = {"shape": (2, 50), "dtype": "f8", "chunks": (2, 50), "compressors": None}
    array = zarr.create_array(tmp_path / "a", serializer=codec, **kept)
    before = sorted(p for p in (tmp_path / "a").rglob("*") if p.is_file())
    with pytest.raises(QuantaTooFineError, match="stream 1, sample 3"):
        array[1, 3] = 1e30
    assert sorted(p for p in (tmp_path / "a").rglob("*") if p.is_file()) == before
    assert (array[...] == 0).all()


# -- side by side ----------------------------------------------------------------------


def test_threads_may_write_different_chunks_at_once(tmp_path):
    data = RNG.integers(-999, 999, (8, 4000)).astype("int32")
    array = flaccodec.create_array(
        LocalStore(tmp_path / "a"), shape=data.shape, chunks=(1, 1000), dtype="int32"
    )
    failures = []

    def write(row):
        try:
            array[row] = data[row]
            np.testing.assert_array_equal(array[row, 500:1500], data[row, 500:1500])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(row,)) for row in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[...], data)


def test_the_synchronous_and_the_asynchronous_way_are_one():
    import asyncio

    from zarr.core.array_spec import ArrayConfig, ArraySpec
    from zarr.core.buffer import cpu, default_buffer_prototype
    from zarr.core.dtype import Int32

    spec = ArraySpec(WALK.shape, Int32(), 0, ArrayConfig.from_dict({}), default_buffer_prototype())
    codec = FlacCodec()
    array = cpu.NDBuffer.from_numpy_array(WALK)
    chunk = codec._encode_sync(array, spec)
    assert chunk.to_bytes() == asyncio.run(codec._encode_single(array, spec)).to_bytes()
    np.testing.assert_array_equal(codec._decode_sync(chunk, spec).as_numpy_array(), WALK)
    decoded = asyncio.run(codec._decode_single(chunk, spec))
    np.testing.assert_array_equal(decoded.as_numpy_array(), WALK)
