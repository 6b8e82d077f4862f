"""Reading parts of chunks: what is asked of the store, and what is kept of it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

import flaccodec
from flaccodec import FlacCodec, core
from flaccodec.chunks.ranges import MAX_REQUESTS, MERGE_GAP, merge_ranges
from flaccodec.zarr import chunk_reader as partial
from support.watched_store import WatchedStore
from test_zarr.partial.stored import (
    FRAME,
    SHAPE,
    create,
    frame_spans,
    noise,
    read_bytes,
    write_bytes,
)

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
