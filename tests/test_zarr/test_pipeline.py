"""FlacCodecPipeline; that it reads what zarr's own does, the tests of zarr's arrays show."""

import subprocess
import sys

import numpy as np
import pytest
import zarr
from zarr.codecs import ShardingCodec, TransposeCodec, ZstdCodec
from zarr.core import codec_pipeline
from zarr.core.buffer import default_buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.storage import LocalStore, MemoryStore

import flaccodec
from flaccodec import FlacCodec, core
from flaccodec.exceptions import FrameError, QuantaTooFineError
from flaccodec.zarr.pipeline.pipeline import FlacCodecPipeline
from support.watched_store import WatchedStore

PATH = "flaccodec.zarr_pipeline.FlacCodecPipeline"
DATA = np.random.default_rng(0).integers(-1000, 1000, (6, 7, 900)).astype("int32")
CHUNKS = (2, 3, 300)


@pytest.fixture(autouse=True)
def _chosen():
    with zarr.config.set({"codec_pipeline.path": PATH}):
        yield


@pytest.fixture
def outputs(monkeypatch):
    """What decode_chunk wrote into."""
    written, decode = [], core.decode_chunk

    def watched(chunk, out, **options):
        written.append(out)
        return decode(chunk, out, **options)

    monkeypatch.setattr(core, "decode_chunk", watched)
    return written


def make(store=None, **options):
    options = {"data": DATA, "chunks": CHUNKS, "codecs": [FlacCodec(frame_size=64)]} | options
    return flaccodec.create_array({} if store is None else store, **options)


def in_place(outputs, array):
    return sum(np.shares_memory(out, array) for out in outputs)


def test_whole_chunks_are_decoded_where_they_belong(outputs):
    array = make()
    assert isinstance(array.async_array.codec_pipeline, FlacCodecPipeline)
    got = array[:]
    np.testing.assert_array_equal(got, DATA)
    # Of 3 x 3 x 3 chunks, the last along the middle axis have but one row inside.
    assert in_place(outputs, got) == 18


@pytest.mark.parametrize(
    ("selection", "n_in_place"),
    [
        (np.s_[2:4, 3:6, 300:600], 1),
        (np.s_[2:4, 3:6, 300:601], 1),
        (np.s_[2:6, 3, :], 0),
        (np.s_[::2, :3, :300], 0),
        (np.s_[1:3, :3, :300], 0),
    ],
    ids=str,
)
def test_parts_are_left_to_zarr(outputs, selection, n_in_place):
    got = make()[selection]
    np.testing.assert_array_equal(got, DATA[selection])
    assert in_place(outputs, got) == n_in_place


@pytest.mark.parametrize("dtype", ["i4", ">i4", "f8", ">f4", "u1", "i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_dtypes_and_orders(outputs, dtype, order):
    data = np.abs(DATA[:, :6] % 100).astype(dtype)
    got = make(data=data, config={"order": order})[:]
    np.testing.assert_array_equal(got, data)
    assert got.dtype == np.dtype(dtype)
    assert in_place(outputs, got) == 18


def test_into_an_array_that_is_given(outputs):
    out = np.zeros_like(DATA)
    buffer = default_buffer_prototype().nd_buffer.from_numpy_array(out)
    make().get_basic_selection(..., out=buffer)
    np.testing.assert_array_equal(out, DATA)
    assert in_place(outputs, out) == 18


def test_inside_of_shards(outputs):
    got = make(chunks=(1, 7, 300), shards=(2, 7, 900))[:]
    np.testing.assert_array_equal(got, DATA)
    assert in_place(outputs, got) == 0  # zarr copies shards
    assert len(outputs) == 18


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_missing_chunks_hold_the_fill_value(batch_size):
    with zarr.config.set({"codec_pipeline.batch_size": batch_size}):
        array = make(data=None, shape=DATA.shape, dtype="int32", fill_value=-5)
        array[2:4, :3] = DATA[2:4, :3]
        wanted = np.full_like(DATA, -5)
        wanted[2:4, :3] = DATA[2:4, :3]
        np.testing.assert_array_equal(array[:], wanted)


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_chunks_are_under_way_than_zarr_is_configured_for(limit):
    store = WatchedStore(MemoryStore())
    with zarr.config.set({"codec_pipeline.batch_size": 100, "async.concurrency": limit}):
        array = make(store)
        store.forget()
        np.testing.assert_array_equal(array[:, :6], DATA[:, :6])
    assert len(store.gets) == 18
    assert store.most_at_once == limit


def test_zarr_is_told_what_is_missing(monkeypatch):
    """zarr 3.2 and later ask for it; parts of chunks are zarr's to tell."""
    told, read_batch = [], FlacCodecPipeline.read_batch

    async def watched(*args):
        told.extend(await read_batch(*args))
        return told[-1:]

    monkeypatch.setattr(FlacCodecPipeline, "read_batch", watched)
    array = make(data=None, shape=DATA.shape, dtype="int32", fill_value=-5)
    array[2:4, :3, :300] = 1
    array[:, :6]  # 3 x 2 x 3 chunks
    assert sorted(status["status"] for status in told) == 17 * ["missing"] + ["present"]
    told.clear()
    array[:, :6, :301]
    assert len(told) == 12
    assert {"status": "missing"} in told


def test_arrays_of_other_codecs_get_zarrs_own_pipeline(outputs):
    arrays = [
        zarr.create_array({}, data=DATA, chunks=CHUNKS, **options)
        for options in ({}, {"shards": (6, 9, 900)}, {"zarr_format": 2})
    ]
    for array in arrays:
        assert type(array.async_array.codec_pipeline) is BatchedCodecPipeline
        np.testing.assert_array_equal(array[:], DATA)
    assert len(outputs) == 0


WITH_OTHERS = {
    "plain": {},
    "filtered": {"codecs": [TransposeCodec(order=(1, 0, 2)), FlacCodec(frame_size=64)]},
    "compressed": {"codecs": [FlacCodec(frame_size=64), ZstdCodec()]},
    "sharded": {"shards": (4, 6, 900)},
    "sharding beside": {
        "codecs": [
            TransposeCodec(order=(0, 1, 2)),
            ShardingCodec(chunk_shape=(1, 3, 300), codecs=[FlacCodec(frame_size=64)]),
        ]
    },
}


@pytest.mark.parametrize("name", ["filtered", "compressed", "sharded"])
def test_chunks_with_other_codecs_are_decoded_to_memory_of_their_own(outputs, name):
    array = make(**WITH_OTHERS[name])
    assert not isinstance(array.async_array.codec_pipeline, FlacCodecPipeline)
    got = array[:]
    np.testing.assert_array_equal(got, DATA)
    assert in_place(outputs, got) == 0


def damage(path, inner=None, n_inner=1):
    """Damage a frame in the middle of a chunk, which may be one of those of a shard."""
    raw = bytearray(path.read_bytes())
    at, size = 0, len(raw)
    if inner is not None:
        index = np.frombuffer(raw[-16 * n_inner - 4 : -4], "<u8").reshape(-1, 2)
        at, size = index[inner].tolist()
    raw[at + size // 2] ^= 0x55
    path.write_bytes(raw)


def write_part(array):
    array[2, 0, 301] = 5


def read_part(array):
    return array[2:4, :3, 301:600]


def read_all(array):
    return array[:]


PLACES = {
    "plain": r"^chunk file:.*/a/c/1/0/1: [^:]*stream \d",
    "filtered": r"^chunk file:.*/a/c/1/0/1: [^:]*stream \d",
    "sharded": r"^shard file:.*/a/c/0/0/0: inner chunk \(1, 0, 1\): [^:]*stream \d",
    "sharding beside": r"^shard file:.*/a/c/1/0/1: inner chunk \(1, 0, 0\): [^:]*stream \d",
}


def wrapped(path):
    """A store that zarr asks asynchronously."""
    return WatchedStore(LocalStore(path))


@pytest.fixture(params=["ours", "fused", "fused, one worker"])
def _pipeline(request):
    """Choose each pipeline whose errors name chunks: ours, and zarr's others."""
    if request.param == "ours":
        yield
        return
    if not hasattr(codec_pipeline, "FusedCodecPipeline"):
        pytest.skip("zarr 3.4 and later have it")
    workers = 1 if "one" in request.param else 4
    chosen = {"path": f"{codec_pipeline.__name__}.FusedCodecPipeline", "max_workers": workers}
    with zarr.config.set({f"codec_pipeline.{key}": value for key, value in chosen.items()}):
        yield


@pytest.mark.parametrize("use", [read_all, read_part, write_part], ids=lambda use: use.__name__)
@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("wrap", [LocalStore, wrapped])
@pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed` codec")
@pytest.mark.usefixtures("_pipeline")
def test_a_damaged_chunk_is_named(tmp_path, name, use, wrap):
    array = make(wrap(tmp_path / "a"), **WITH_OTHERS[name])
    if name == "sharded":
        damage(tmp_path / "a" / "c" / "0" / "0" / "0", 7, 12)
    elif name == "sharding beside":
        damage(tmp_path / "a" / "c" / "1" / "0" / "1", 1, 2)
    else:
        damage(tmp_path / "a" / "c" / "1" / "0" / "1")
    with pytest.raises(FrameError, match=PLACES[name].replace("file:", "(wrapping-)?file:")):
        use(array)


@pytest.mark.parametrize("name", ["plain", "filtered"])
def test_of_a_batch_of_chunks_the_damaged_one_is_among_those_named(tmp_path, name):
    make(tmp_path / "a", **WITH_OTHERS[name])
    damage(tmp_path / "a" / "c" / "1" / "0" / "1")
    named = "chunk file:.*/a/c/1/0/1"
    if name == "filtered":
        named = "one of 18, from chunk file:.*/a/c/0/0/0 to chunk file:.*/a/c/2/1/2"
    with (
        zarr.config.set({"codec_pipeline.batch_size": 100}),
        pytest.raises(FrameError, match=rf"^{named}: [^:]*stream \d"),
    ):
        zarr.open_array(tmp_path / "a")[:, :6]


def test_a_chunk_that_cannot_be_written_is_named(tmp_path):
    codec = FlacCodec(quanta=1e-3, strict=True)
    array = make(tmp_path / "a", data=DATA.astype("f8"), codecs=[codec])
    with pytest.raises(QuantaTooFineError, match=r"^chunk file:.*/a/c/0/1/2: quanta are too fine"):
        array[1, 5, 800] = 1e30


SHOW = """
import sys, zarr
array = zarr.open_array(sys.argv[1])
print(type(array.async_array.codec_pipeline).__name__, int(array[:].sum()))
"""


def in_new_process(code, path, **environment):
    """What a program prints that says nothing of flaccodec but what the code does."""
    result = subprocess.run(
        [sys.executable, "-c", code, path],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.split()


def test_plain_zarr_reads_with_it(tmp_path):
    make(tmp_path / "a")
    assert in_new_process(SHOW, tmp_path / "a") == ["FlacCodecPipeline", str(DATA.sum())]


def test_another_choice_stands(tmp_path):
    make(tmp_path / "a")
    zarrs_own = f"{BatchedCodecPipeline.__module__}.BatchedCodecPipeline"
    wanted = ["BatchedCodecPipeline", str(DATA.sum())]
    chosen = in_new_process(SHOW, tmp_path / "a", ZARR_CODEC_PIPELINE__PATH=zarrs_own)
    assert chosen == wanted
    code = (
        "import flaccodec.zarr, zarr\n"
        f"zarr.config.set({{'codec_pipeline.path': {zarrs_own!r}}})\n{SHOW}"
    )
    assert in_new_process(code, tmp_path / "a") == wanted
    code = (
        "import zarr\nfrom zarr.core.codec_pipeline import BatchedCodecPipeline as Own\n"
        "class Another(Own): pass\n"
        "zarr.registry.register_pipeline(Another)\n"
        f"zarr.config.set({{'codec_pipeline.path': '__main__.Another'}})\n{SHOW}"
    )
    assert in_new_process(code, tmp_path / "a") == ["Another", str(DATA.sum())]


def test_a_block_around_the_import_ends_with_what_was_before_it(tmp_path):
    """As the documentation says, since zarr puts back what it noted at the block's beginning."""
    make(tmp_path / "a")
    zarrs_own = f"{BatchedCodecPipeline.__module__}.BatchedCodecPipeline"
    code = (
        f"import zarr\nwith zarr.config.set({{'codec_pipeline.path': {zarrs_own!r}}}):\n"
        f"    import flaccodec.zarr\n{SHOW}"
    )
    assert in_new_process(code, tmp_path / "a") == ["BatchedCodecPipeline", str(DATA.sum())]


def test_programs_without_flac_keep_their_configuration(tmp_path):
    zarr.create_array(tmp_path / "a", data=DATA)
    code = f"{SHOW}\nprint(zarr.config.get('codec_pipeline.path'), 'flaccodec' in sys.modules)"
    shown = in_new_process(code, tmp_path / "a")
    assert shown[2:] == ["zarr.core.codec_pipeline.BatchedCodecPipeline", "False"]
