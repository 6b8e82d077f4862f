"""Reading parts of chunks: what is asked of the store, and that what comes is right."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from zarr.core.buffer import cpu
from zarr.storage import LocalStore, MemoryStore

import flaccodec
from flaccodec import FlacCodec, core
from flaccodec.chunks.ranges import MAX_REQUESTS, MERGE_GAP, merge_ranges
from flaccodec.exceptions import FlacCodecError, FrameError
from flaccodec.zarr import chunk_reader as partial
from support.watched_store import IgnoresRanges, RaisesBeyondTheEnd, WatchedStore, WithoutRanges

FRAME = core.DEFAULT_FRAME_SIZE
SHAPE = (8, 25 * FRAME)
KEY = "c/0/0"


def noise(shape, bits=17, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size=shape, dtype="int32")


@pytest.fixture(autouse=True)
def index_cache(monkeypatch):
    cache = partial.IndexCache()
    monkeypatch.setattr(partial, "index_cache", cache)
    return cache


@pytest.fixture(params=["memory", "local"])
def make_store(request, tmp_path):
    """Give a function that makes stores of the same content, each a different object."""
    content = {}

    def make(kind=WatchedStore):
        if request.param == "memory":
            return kind(MemoryStore(content))
        return kind(LocalStore(tmp_path / "array.zarr"))

    return make


@pytest.fixture
def store(make_store):
    return make_store()


def read_bytes(store, key=KEY):
    """Return a stored chunk, without the store's noticing."""
    inner = store._store
    if isinstance(inner, MemoryStore):
        return inner._store_dict[key].to_bytes()
    return (inner.root / key).read_bytes()


def write_bytes(store, data, key=KEY):
    inner = store._store
    if data is None:
        inner.delete_sync(key)
    else:
        inner.set_sync(key, cpu.Buffer.from_bytes(data))


def create(store, data, **kwargs):
    options = {
        name: kwargs.pop(name) for name in ("frame_size", "quanta", "precision") if name in kwargs
    }
    kwargs.setdefault("chunks", data.shape)
    return flaccodec.create_array(
        store, data=data, overwrite=True, codecs=[FlacCodec(**options)], **kwargs
    )


def frame_spans(chunk):
    """Return where each frame of a chunk lies, shape (n_streams, n_frames, 2)."""
    header = core.read_header(chunk)
    sizes = np.frombuffer(chunk, "<u4", header.n_streams * header.n_frames, header.sizes_at)
    sizes = (sizes & core.FRAME_SIZE_MASK).reshape(header.n_streams, header.n_frames).astype(int)
    spans = np.empty((*sizes.shape, 2), dtype=int)
    at = header.head_size
    for stream in range(header.n_streams):
        at += core.STREAM_HEADER_SIZE
        for frame in range(header.n_frames):
            spans[stream, frame] = at, at + sizes[stream, frame]
            at = spans[stream, frame, 1]
    return spans


# -- requests ------------------------------------------------------------------------


def test_first_slice_is_head_then_frames_and_header(store):
    data = noise(SHAPE)
    array = create(store, data)
    frames = frame_spans(read_bytes(store))
    store.forget()
    np.testing.assert_array_equal(array[3, 10_000:10_200], data[3, 10_000:10_200])
    assert store.spans[0] == (0, core.head_bound("int32", SHAPE, FRAME))
    frame = tuple(frames[3, 10_000 // FRAME])
    assert sorted(store.spans[1:]) == [(0, core.HEADER_SIZE), frame]
    assert store.most_at_once == 2


def test_second_slice_is_header_and_frames_at_once(store):
    data = noise(SHAPE)
    array = create(store, data)
    frames = frame_spans(read_bytes(store))
    array[3, 10_000:10_200]
    for stream, start in ((3, 10_050), (7, 86_100), (0, 0)):
        store.forget()
        values = array[stream, start : start + 200]
        np.testing.assert_array_equal(values, data[stream, start : start + 200])
        assert sorted(store.spans) == sorted(
            [(0, core.HEADER_SIZE), tuple(frames[stream, start // FRAME])]
        )
        assert store.most_at_once == 2


def test_another_array_of_the_same_store_knows_the_index(store):
    data = noise(SHAPE)
    create(store, data)[0, :10]
    store.forget()
    np.testing.assert_array_equal(zarr.open_array(store)[5, -10:], data[5, -10:])
    assert (0, core.HEADER_SIZE) in store.spans


@pytest.mark.parametrize(
    "selection", [np.s_[:], np.s_[:, : 15 * FRAME], np.s_[1:], np.s_[::2], np.s_[:, :: FRAME - 1]]
)
def test_most_of_a_chunk_is_one_request(store, selection):
    data = noise(SHAPE)
    array = create(store, data)
    for _ in range(2):
        store.forget()
        np.testing.assert_array_equal(array[selection], data[selection])
        assert store.spans == [None]


@pytest.mark.parametrize("selection", [np.s_[2, 5], np.s_[:], np.s_[3, 100:200]])
def test_missing_chunk_is_one_request(store, selection):
    array = flaccodec.create_array(
        store, shape=SHAPE, chunks=SHAPE, dtype="int32", fill_value=-7, codecs=[FlacCodec()]
    )
    for _ in range(2):
        store.forget()
        np.testing.assert_array_equal(array[selection], np.full(SHAPE, -7)[selection])
        assert [get.nbytes for get in store.gets] == [None]


def ask(array, store, points):
    """Read single samples; return the spans of frames that were asked for."""
    store.forget()
    streams, samples = zip(*points, strict=True)
    array.vindex[list(streams), list(samples)]
    return sorted(store.frame_spans)


def test_neighbouring_frames_are_one_request_and_far_ones_separate(store):
    array = create(store, noise(SHAPE))
    frames = frame_spans(read_bytes(store))

    store.forget()
    array[2, 3 * FRAME - 1 : 5 * FRAME + 1]
    assert store.frame_spans == [(frames[2, 2, 0], frames[2, 5, 1])]

    # neighbours in the order of the chunk, wherever the samples are
    assert ask(array, store, [(2, 4 * FRAME), (2, 3 * FRAME)]) == [
        (frames[2, 3, 0], frames[2, 4, 1])
    ]
    last = SHAPE[1] - 1
    assert ask(array, store, [(4, last), (5, 0)]) == [(frames[4, -1, 0], frames[5, 0, 1])]
    # a frame lies between
    far = ask(array, store, [(2, 5 * FRAME), (2, 3 * FRAME), (6, 0)])
    assert far == [tuple(frames[2, 3]), tuple(frames[2, 5]), tuple(frames[6, 0])]


def test_small_gaps_are_fetched_too(store):
    array = create(store, noise((4, 6400)), frame_size=64)
    frames = frame_spans(read_bytes(store))
    gap = frames[1, 12, 0] - frames[1, 10, 1]
    assert gap < MERGE_GAP
    assert ask(array, store, [(1, 640), (1, 64 * 12)]) == [(frames[1, 10, 0], frames[1, 12, 1])]


def test_never_more_than_max_requests(store):
    data = noise((16, 400 * 64), bits=31)
    array = create(store, data, frame_size=64, chunks=data.shape)
    selection = np.s_[:, :: 64 * 12]
    wanted = len(range(0, 400, 12)) * 16
    assert wanted > 4 * MAX_REQUESTS
    for _ in range(2):
        store.forget()
        np.testing.assert_array_equal(array[selection], data[selection])
        assert MAX_REQUESTS // 2 < len(store.frame_spans) <= MAX_REQUESTS
        assert store.most_at_once <= zarr.config.get("async.concurrency")
        assert store.fetched < len(read_bytes(store))


@pytest.mark.parametrize("equal_gaps", [False, True])
@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 130, 200, 1000])
def test_merged_ranges(count, equal_gaps):
    rng = np.random.default_rng(count)
    gaps = np.full(count, 5000) if equal_gaps else rng.integers(MERGE_GAP + 1, 9000, count)
    sizes = rng.integers(1, 5000, count)
    stops = np.cumsum(gaps + sizes)
    starts = stops - sizes
    order = rng.permutation(count)
    ranges = merge_ranges(starts[order], stops[order])
    assert ranges == sorted(ranges)
    assert all(
        any(a <= x and y <= b for a, b in ranges) for x, y in zip(starts, stops, strict=True)
    )
    assert {a for a, _ in ranges} <= set(starts)
    assert {b for _, b in ranges} <= set(stops)
    assert len(ranges) == min(count, MAX_REQUESTS)


def test_bytes_fetched_for_200_samples(store):
    data = noise((64, 100_000))
    array = create(store, data)
    chunk = read_bytes(store)
    for start in (50_000, 4000):  # the second is in two frames
        store.forget()
        np.testing.assert_array_equal(array[31, start : start + 200], data[31, start : start + 200])
        assert store.fetched <= core.read_header(chunk).head_size + 64 * 1024
        assert store.fetched < len(chunk) / 200


def test_each_chunk_is_asked_by_itself(store):
    data = noise((4, 8 * 6400))
    array = create(store, data, chunks=(2, 6400), frame_size=640)
    store.forget()
    np.testing.assert_array_equal(array[1:3, 6300:6500], data[1:3, 6300:6500])
    keys = [get.key for get in store.gets]
    assert sorted(keys) == sorted([f"c/{i}/{j}" for i in (0, 1) for j in (0, 1)] * 3)


def test_chunk_of_other_frame_size_than_the_configuration_says(store):
    # Its index is longer than what is asked for first.
    data = noise((4, 64_000))
    create(store, data, frame_size=64)
    chunk = read_bytes(store)
    array = create(store, data, frame_size=4096)
    write_bytes(store, chunk)
    for _ in range(2):
        store.forget()
        np.testing.assert_array_equal(array[2, 30_000:30_100], data[2, 30_000:30_100])
        assert len(store.gets) <= 4
        assert store.fetched < len(chunk) / 5


# -- the cache -------------------------------------------------------------------------


def test_cache_is_bounded(store, monkeypatch):
    data = noise((2, 20 * 1600))
    array = create(store, data, chunks=(2, 1600), frame_size=64)
    array[0, :10]
    one = partial.index_cache._bytes
    cache = partial.IndexCache(max_bytes=3 * one + one // 2)
    monkeypatch.setattr(partial, "index_cache", cache)

    def read(chunk):
        """Whether reading a slice began with the known index."""
        store.forget()
        np.testing.assert_array_equal(
            array[1, chunk * 1600 : chunk * 1600 + 10], data[1, chunk * 1600 : chunk * 1600 + 10]
        )
        return len(store.spans) == 2

    for chunk in range(20):
        assert not read(chunk)
        assert cache._bytes == min(chunk + 1, 3) * one
    assert len(cache._entries) == 3
    assert read(17)  # so 18 is now the one unused for longest
    assert not read(0)
    assert not read(18)
    assert read(17)


def test_index_larger_than_the_cache(store, monkeypatch):
    cache = partial.IndexCache(max_bytes=10)
    monkeypatch.setattr(partial, "index_cache", cache)
    data = noise(SHAPE)
    array = create(store, data)
    for _ in range(2):
        store.forget()
        np.testing.assert_array_equal(array[1, :10], data[1, :10])
        assert len(store.gets) == 3
        assert cache._bytes == 0
        assert not cache._entries


def test_cache_keeps_no_store_alive(index_cache):
    array = create(WatchedStore(MemoryStore()), noise(SHAPE))
    array[0, :10]
    ((store, _),) = index_cache._entries.values()
    assert store() is not None
    del array
    assert store() is None


def test_threads_at_once(store, monkeypatch):
    monkeypatch.setattr(partial, "index_cache", partial.IndexCache(max_bytes=5000))
    data = noise((4, 64_000))
    array = create(store, data, chunks=(2, 16_000), frame_size=256)

    def read(seed):
        rng = np.random.default_rng(seed)
        for _ in range(10):
            stream, start = rng.integers(4), rng.integers(60_000)
            if not np.array_equal(array[stream, start : start + 300], data[stream, start:][:300]):
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(16)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent():
    code = """
import os, signal
from flaccodec.zarr import chunk_reader as partial
from zarr.storage import MemoryStore, StorePath
partial.index_cache._lock.acquire()  # as a thread would have it
child = os.fork()
if not child:
    signal.alarm(20)
    partial.index_cache.drop(StorePath(MemoryStore(), "c/0"))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# -- chunks that change ------------------------------------------------------------------

SIGNAL = noise((4, 64_000), bits=24)


def same_sizes(name):
    """Return two arrays whose chunks differ in nothing but a table of the index, or nearly."""
    if name == "constant":
        return np.full(SHAPE, 2**29 + 5, "int32"), np.full(SHAPE, 2**29 + 6, "int32"), {}
    if name == "constant floats":
        return np.full(SHAPE, 1e6), np.full(SHAPE, 1e6 + 1), {"quanta": 1e-3}
    if name == "offsets":  # that make 32 bits 24
        return SIGNAL + 2**29, SIGNAL + 2**29 + 1000, {}
    if name == "offsets and samples":
        return SIGNAL + 2**29, -SIGNAL - 2**29, {}
    if name == "quanta":  # follow the data
        return SIGNAL.astype("float32"), SIGNAL.astype("float32") * 2, {"precision": 4}
    if name == "quanta and samples":
        return SIGNAL.astype("float32"), SIGNAL.astype("float32") * -2, {"precision": 6.68}
    if name == "samples":
        return SIGNAL, -SIGNAL, {}
    raise ValueError(name)


PAIRS = [
    "constant",
    "constant floats",
    "offsets",
    "offsets and samples",
    "quanta",
    "quanta and samples",
    "samples",
]


@pytest.mark.parametrize("pair", PAIRS)
def test_chunk_written_anew_is_never_stale(make_store, pair):
    old, new, options = same_sizes(pair)
    store, other_store = make_store(), make_store()
    writer = create(store, old, **options)
    old_chunk = read_bytes(store)
    readers = [
        writer,
        zarr.open_array(store),
        zarr.open_array(store, mode="r"),
        zarr.open_array(other_store),
    ]
    expected = {"old": writer[:], "new": None}
    places = np.s_[2, 30_000:30_200], np.s_[0, :5], np.s_[3, -5:]
    for reader in readers:
        for place in places:
            np.testing.assert_array_equal(reader[place], expected["old"][place])
    writer[:] = new
    new_chunk = read_bytes(store)
    assert old_chunk != new_chunk
    np.testing.assert_array_equal(frame_spans(old_chunk), frame_spans(new_chunk))
    expected["new"] = writer[:]
    for reader in readers:
        for place in places:
            np.testing.assert_array_equal(reader[place], expected["new"][place])
    assert not np.array_equal(expected["old"], expected["new"])


def test_samples_written_in_part_are_read(store):
    data = noise(SHAPE)
    array, reader = create(store, data), zarr.open_array(store)
    for stream in range(4):
        reader[stream, 5000:5010]
        array[stream, 5000:5005] = stream
        data[stream, 5000:5005] = stream
        np.testing.assert_array_equal(reader[stream, 5000:5010], data[stream, 5000:5010])


def test_chunk_that_shrinks(make_store):
    store = make_store(RaisesBeyondTheEnd)
    data = noise(SHAPE)
    array, reader = create(store, data), zarr.open_array(store)
    np.testing.assert_array_equal(reader[7, -200:], data[7, -200:])
    array[:] = 5
    for _ in range(2):
        np.testing.assert_array_equal(reader[7, -200:], np.full(200, 5))


def test_deleted_chunk_gives_fill_value(store):
    array = create(store, noise(SHAPE), fill_value=9)
    array[3, 100:200]
    write_bytes(store, None)
    for _ in range(2):
        np.testing.assert_array_equal(array[3, 100:200], np.full(100, 9))


def test_chunk_that_comes_and_goes(store):
    array = create(store, noise(SHAPE), fill_value=9)
    chunk = read_bytes(store)
    first = array[3, 100:200]
    for _ in range(2):
        write_bytes(store, None)
        np.testing.assert_array_equal(array[3, 100:200], np.full(100, 9))
        write_bytes(store, chunk)
        np.testing.assert_array_equal(array[3, 100:200], first)


@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize(
    "selection",
    [np.s_[2, 30_000:30_200], np.s_[1:3, 30_000:30_200], np.s_[2, ::30_000]],
    ids=["one frame", "two streams", "far frames"],
)
@pytest.mark.parametrize("pair", [*PAIRS, "other sizes", "deleted"])
def test_chunk_that_changes_between_requests(pair, selection, remembered, monkeypatch):
    """What is read is what was there before or what is there now; never some of each."""
    store = WatchedStore(MemoryStore())
    if pair == "other sizes":
        old, new, options = SIGNAL, noise((4, 64_000), bits=12), {}
    elif pair == "deleted":
        old, new, options = SIGNAL + 2**29, None, {"fill_value": 9}
    else:
        old, new, options = same_sizes(pair)
    expected = []
    if new is None:
        new_chunk = None
        expected.append(np.full(old.shape, 9)[selection])
    else:
        expected.append(create(store, new, **options)[:][selection])
        new_chunk = read_bytes(store)
    array = create(store, old, **options)
    expected.append(array[:][selection])
    old_chunk = read_bytes(store)

    changed, failed = 0, 0
    for count in range(1, 9):
        write_bytes(store, old_chunk)
        partial.index_cache.__init__()
        if remembered:
            array[0, :10]
        store.forget()
        store.after = {count: lambda: write_bytes(store, new_chunk)}
        try:
            values = array[selection]
        except FlacCodecError:
            failed += 1
            continue
        finally:
            changed += not store.after
        assert any(np.array_equal(values, e) for e in expected), f"changed after request {count}"
    assert changed >= 2
    assert failed == 0  # one change is got over


@pytest.mark.parametrize("pair", ["samples", "offsets", "offsets and samples"])
@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("selection", [np.s_[2, 30_000:30_200], np.s_[2, ::30_000]], ids=str)
def test_chunk_that_changes_all_the_time(pair, selection, remembered):
    """Another one is there at every request: then what one request gives is read."""
    old, new, options = same_sizes(pair)
    store = WatchedStore(MemoryStore())
    create(store, new, **options)
    chunks = [read_bytes(store)]
    array = create(store, old, **options)
    chunks.append(read_bytes(store))
    for first in (0, 1):
        if remembered:
            array[0, :10]
        store.forget()
        store.after = {
            count: lambda count=count: write_bytes(store, chunks[(first + count) % 2])  # noqa: B023
            for count in range(1, 40)
        }
        values = array[selection]
        assert len(store.gets) <= 10
        store.after.clear()
        assert any(np.array_equal(values, data[selection]) for data in (old, new))


# -- damage --------------------------------------------------------------------------------


def test_damaged_frame_is_named_and_others_are_read(store):
    data = noise(SHAPE)
    array = create(store, data)
    chunk = bytearray(read_bytes(store))
    chunk[sum(frame_spans(chunk)[3, 7]) // 2] ^= 16
    write_bytes(store, bytes(chunk))
    with pytest.raises(FrameError, match=rf"chunk .*{KEY}.*stream 3, frame 7") as error:
        array[3, 7 * FRAME + 10 : 7 * FRAME + 20]
    assert (error.value.stream, error.value.frame) == (3, 7)
    np.testing.assert_array_equal(array[3, 8 * FRAME :][:50], data[3, 8 * FRAME :][:50])
    np.testing.assert_array_equal(array[4, 7 * FRAME :][:50], data[4, 7 * FRAME :][:50])


@pytest.mark.parametrize("size", [0, 1, 63, 64, 100, 863, 864, 100_000])
@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("kind", [WatchedStore, RaisesBeyondTheEnd])
def test_truncated_chunk(make_store, size, remembered, kind):
    store = make_store(kind)
    array = create(store, noise(SHAPE))
    if remembered:
        array[0, :10]
    write_bytes(store, read_bytes(store)[:size])
    for _ in range(2):
        with pytest.raises(FlacCodecError, match=rf"chunk .*{KEY}"):
            array[7, -200:]


# -- stores that cannot read parts ------------------------------------------------------------


@pytest.mark.parametrize("kind", [WithoutRanges, IgnoresRanges])
def test_store_that_cannot_read_parts(make_store, kind):
    data = noise(SHAPE)
    create(make_store(), data, fill_value=9)
    store = make_store(kind)
    array = zarr.open_array(store)
    for _ in range(2):
        store.forget()
        np.testing.assert_array_equal(array[3, 10_000:10_200], data[3, 10_000:10_200])
        np.testing.assert_array_equal(array[:, ::9000], data[:, ::9000])
        np.testing.assert_array_equal(array[1:], data[1:])
        whole = len(read_bytes(store))
        assert [get.nbytes for get in store.gets] == [whole] * 3
    array[3, 10_000:10_100] = 4
    np.testing.assert_array_equal(array[3, 10_099:10_102], [4, *data[3, 10_100:10_102]])
    write_bytes(store, None)
    np.testing.assert_array_equal(array[3, 10_000:10_200], np.full(200, 9))


@pytest.mark.parametrize("kind", [WithoutRanges, IgnoresRanges])
def test_store_that_can_no_longer_read_parts(store, kind):
    data = noise(SHAPE)
    array = create(store, data)
    array[3, 10_000:10_200]
    store.__class__ = kind
    for _ in range(2):
        np.testing.assert_array_equal(array[3, 10_000:10_200], data[3, 10_000:10_200])


@pytest.mark.parametrize("remembered", [False, True])
def test_store_that_fails(store, monkeypatch, remembered):
    data = noise(SHAPE)
    array = create(store, data)
    answer, failures = store._answer, []

    async def fail(*args):
        if failures:
            raise failures.pop()
        return await answer(*args)

    monkeypatch.setattr(store, "_answer", fail)
    if remembered:
        array[0, :10]
    failures += [ConnectionError("no route")] * 99
    with pytest.raises(ConnectionError, match="no route"):
        array[3, 10_000:10_200]
    failures.clear()
    np.testing.assert_array_equal(array[3, 10_000:10_200], data[3, 10_000:10_200])


# -- shards ----------------------------------------------------------------------------------


def test_slice_of_a_shard(store):
    data = noise((8, 64_000))
    array = create(store, data, shards=(8, 64_000), chunks=(2, 16_000), frame_size=256)
    shard_size = len(read_bytes(store))
    store.forget()
    np.testing.assert_array_equal(array[3, 20_000:20_100], data[3, 20_000:20_100])
    assert len(store.gets) == 2  # the shard's index, and the one chunk
    assert store.fetched < shard_size / 10
    store.forget()
    np.testing.assert_array_equal(array[:, 15_990:32_010:4000], data[:, 15_990:32_010:4000])
    array[0, :100] = 7
    np.testing.assert_array_equal(array[0, 98:102], [7, 7, *data[0, 100:102]])


def test_missing_chunk_of_a_shard(store):
    array = flaccodec.create_array(
        store,
        shape=(4, 4000),
        chunks=(2, 1000),
        shards=(4, 4000),
        dtype="float32",
        fill_value=np.nan,
        codecs=[FlacCodec(frame_size=64)],
    )
    assert np.isnan(array[3, 500:600]).all()
    array[0, :1000] = 3
    assert np.isnan(array[3, 500:600]).all()
    assert np.isnan(array[1, 500:600]).all()
    np.testing.assert_array_equal(array[0, 990:1000], np.full(10, 3.0))
