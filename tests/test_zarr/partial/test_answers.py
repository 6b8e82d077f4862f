"""Reading parts of chunks: chunks that change or are damaged, stores that read no parts, shards."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

import flaccodec
from flaccodec import FlacCodec
from flaccodec.exceptions import FlacCodecError, FrameError
from flaccodec.zarr import chunk_reader as partial
from support.watched_store import IgnoresRanges, RaisesBeyondTheEnd, WatchedStore, WithoutRanges
from test_zarr.partial.stored import (
    FRAME,
    KEY,
    SHAPE,
    create,
    frame_spans,
    noise,
    read_bytes,
    write_bytes,
)

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
