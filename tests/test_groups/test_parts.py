"""Groups of flacarray's layout, read in part."""

from __future__ import annotations

import h5py
import numcodecs
import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

import flaccodec.zarr
from flaccodec import FlacArray, hdf5
from flaccodec.compress import array_compress
from flaccodec.exceptions import (
    ConfigurationError,
    GroupExistsError,
)
from flaccodec.groups import runs as group_runs
from flaccodec.groups.layout import GroupStreams
from flaccodec.groups.read import read_bytes
from flaccodec.zarr.groups import arrays as group_zarr
from flaccodec.zarr.groups.door import ZarrDoor, readable
from support.watched_store import IgnoresRanges, WatchedStore, WithoutRanges
from test_groups.streams import WIDE, assert_same, compress, values_of


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_does_not_depend_on_the_order_in_memory(dtype):
    """A group that ranks write, each its rows, is what one process writes."""
    array = np.random.default_rng(1).normal(0, 1000, (30, 5000)).cumsum(axis=-1).astype(dtype)
    expected = array_compress(array, precision=5.0)
    for other in (np.asfortranarray(array), np.repeat(array, 2, axis=-1)[:, ::2]):
        for one, two in zip(expected, array_compress(other, precision=5.0), strict=True):
            np.testing.assert_array_equal(one, two)


def test_masks_of_one_stream(door):
    array = np.arange(70, dtype="int32")
    door.write(door.root, compress(array))
    for keep in (np.array(True), np.array([True]), [True]):
        streams, indices = door.read(door.root, keep)
        assert_same(values_of(streams), array.reshape(1, 70))
        assert indices == [(0,)]


def test_a_mask_of_nothing_keeps_nothing(door):
    door.write(door.root, compress(WIDE.astype("float64"), quanta=1.0))
    streams, indices = door.read(door.root, np.zeros((6, 5), bool))
    assert indices == []
    assert streams.shape == (0, 4000)
    assert streams.compressed.shape == streams.stream_starts.shape == (0,)
    assert streams.stream_gains.shape == (0,)


@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_any_mask(door, density):
    door.write(door.root, compress(WIDE))
    for seed in range(5):
        keep = np.random.default_rng(seed).random((6, 5)) < density
        keep[3, 3] = True
        streams, indices = door.read(door.root, keep)
        assert_same(values_of(streams), WIDE[keep])
        assert_same(np.array(indices), np.argwhere(keep))


def test_streams_in_another_order_are_read(door):
    """Nothing in the layout says that streams begin in the order of their indices."""
    streams = compress(WIDE)
    turned = GroupStreams(
        WIDE.shape,
        WIDE.dtype,
        streams.compressed,
        streams.stream_starts[::-1, ::-1],
        streams.stream_nbytes[::-1, ::-1],
    )
    door.write(door.root, turned)
    keep = np.ones((6, 5), bool)
    keep[2] = False
    assert_same(values_of(door.read(door.root)[0]), WIDE[::-1, ::-1])
    assert_same(values_of(door.read(door.root, keep)[0]), WIDE[::-1, ::-1][keep])


@pytest.mark.parametrize(
    "keep", [np.ones((6, 4), bool), np.ones(30, bool), np.ones((6, 5), int), np.array(True), "no"]
)
def test_masks_that_fit_not_are_refused(door, keep):
    door.write(door.root, compress(WIDE))
    with pytest.raises(
        ConfigurationError, match=r"keep must be bool of the leading shape, \(6, 5\)"
    ):
        door.read(door.root, keep)


@pytest.fixture
def hdf5_reads(monkeypatch):
    """Give the ranges of compressed bytes that are read of HDF5 files."""
    reads = []
    read = h5py.Dataset.__getitem__

    def watched(dataset, key):
        if dataset.name == "/compressed":
            reads.append((key.start, key.stop))
        return read(dataset, key)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", watched)
    return reads


def test_hdf5_reads_touch_the_bytes_of_their_streams_alone(tmp_path, hdf5_reads):
    streams = compress(WIDE)
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        hdf5.write_streams(file, streams)
        keep = np.zeros((6, 5), bool)
        keep[1, 2:] = keep[4, 0] = keep[2, 0] = True  # 7 to 10 are neighbours, and 20
        hdf5.read_streams(file, keep)
    starts, stops = streams.stream_starts.ravel(), np.append(streams.stream_starts.ravel(), 0)[1:]
    assert hdf5_reads == [(starts[7], stops[10]), (starts[20], stops[20])]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_reads_touch_the_chunks_of_their_streams_alone(zarr_format):
    streams = compress(WIDE)
    chunk = 4000  # less than half of a stream
    store = WatchedStore(MemoryStore())
    group = zarr.create_group(store, zarr_format=zarr_format)
    group_zarr.write_streams(group, streams)
    del group["compressed"]
    group.create_array("compressed", data=streams.compressed, chunks=(chunk,), compressors=None)
    keep = np.zeros((6, 5), bool)
    keep[1, 2:4] = keep[4, 0] = True
    store.forget()
    group_zarr.read_streams(group, keep)
    asked = [
        int(get.key.rsplit("/", 1)[-1])
        for get in store.gets
        if "compressed/" in get.key and "." not in get.key
    ]
    needed = set()
    for start, size in zip(streams.stream_starts[keep], streams.stream_nbytes[keep], strict=True):
        needed.update(range(start // chunk, (start + size - 1) // chunk + 1))
    assert sorted(asked) == sorted(needed)


MANY = np.random.default_rng(5).integers(-(2**10), 2**10, (100, 10000), dtype="int32")


def gets_of_compressed(store):
    return [get for get in store.gets if "compressed/" in get.key and "/." not in get.key]


@pytest.fixture(params=["3", "3 with keys of 2", "2"])
def watched(request):
    """Give a store that counts, and a group in a group of it, with streams of MANY."""
    store = WatchedStore(MemoryStore())
    zarr_format = int(request.param[0])
    group = zarr.create_group(store, zarr_format=zarr_format).create_group("in/side")
    flaccodec.zarr.write_array(MANY, group)
    if "keys" in request.param:
        data = group["compressed"][...]
        del group["compressed"]
        encoding = {"name": "v2", "separator": "."}
        put = {"chunks": (group_zarr.CHUNK_BYTES,), "compressors": None}
        group.create_array("compressed", data=data, chunk_key_encoding=encoding, **put)
    store.forget()
    return store, group


@pytest.mark.parametrize("reads", [flaccodec.zarr.read_array, FlacArray.read_zarr])
def test_zarr_reads_touch_the_bytes_of_their_streams_alone(watched, reads):
    store, group = watched
    nbytes = group["stream_bytes"][...]
    keep = np.zeros(100, bool)
    keep[[50, 51, 90]] = True
    store.forget()
    np.testing.assert_array_equal(np.asarray(reads(group, keep=keep)), MANY[keep])
    gets = gets_of_compressed(store)
    assert sum(get.nbytes for get in gets) == nbytes[keep].sum()
    starts, stops = group["stream_starts"][...], np.cumsum(nbytes)
    assert {get.span for get in gets} == {(starts[50], stops[51]), (starts[90], stops[90])}


def test_zarr_reads_of_all_streams_take_one_request_a_chunk(watched):
    store, group = watched
    put_compressed(group, chunks=(10**5,), compressors=None)
    chunks = group["compressed"].nchunks
    store.forget()
    values = flaccodec.zarr.read_array(group, keep=np.ones(100, bool))
    np.testing.assert_array_equal(values, MANY)
    spans = [get.span for get in gets_of_compressed(store)]
    assert sorted(spans, key=str)[1:] == [None] * (chunks - 1)
    assert chunks == len(spans) > 10


def put_compressed(group, **options):
    data = group["compressed"][...]
    del group["compressed"]
    group.create_array("compressed", data=data, **options)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (4000,), "compressors": None},
        {"chunks": (4000,)},
        {"chunks": (4000,), "shards": (8000,)},
        {"chunks": (4000,), "shards": (8000,), "compressors": None},
    ],
)
def test_streams_over_chunks_of_any_kind_are_read(zarr_format, options):
    if zarr_format == 2 and "shards" in options:
        options = {"chunks": (5000,), "filters": [numcodecs.Delta("u1")], "compressors": None}
    group = zarr.create_group({}, zarr_format=zarr_format)
    flaccodec.zarr.write_array(MANY[:20], group)
    put_compressed(group, **options)
    for seed in range(3):
        keep = np.random.default_rng(seed).random(20) < 0.3
        values = flaccodec.zarr.read_array(group, keep=keep)
        np.testing.assert_array_equal(values, MANY[:20][keep])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("fill_value", [0, 7])
def test_chunks_that_are_missing_are_of_the_fill_value(zarr_format, fill_value):
    group = zarr.create_group({}, zarr_format=zarr_format)
    array = group.create_array(
        "compressed",
        shape=(100,), dtype="u1", chunks=(30,), compressors=None, fill_value=fill_value,
    )  # fmt: skip
    array[30:60] = np.arange(30)
    data = read_bytes(ZarrDoor(), group, np.array([95, 20]), np.array([5, 20]))
    np.testing.assert_array_equal(data, np.append(array[95:], array[20:40]))
    assert set(data[:15]) == {fill_value}


@pytest.mark.parametrize("store", [IgnoresRanges, WithoutRanges])
def test_stores_without_ranges_are_read_by_chunks(store):
    group = zarr.create_group(store(MemoryStore()))
    flaccodec.zarr.write_array(MANY, group)
    keep = np.arange(100) % 9 == 3
    np.testing.assert_array_equal(flaccodec.zarr.read_array(group, keep=keep), MANY[keep])


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["", "det"])
def test_groups_of_a_store_with_consolidated_metadata(zarr_format, name):
    """They tell of a time before the datasets were there."""
    array = np.arange(12, dtype="int32").reshape(2, 6)
    store = zarr.create_group({}, zarr_format=zarr_format).store
    zarr.open_group(store).create_group("det")

    def open_group():
        root = zarr.open_group(store)
        return root[name] if name else root

    zarr.consolidate_metadata(store)
    group = open_group()
    for write in (
        lambda: flaccodec.zarr.write_array(array, group),
        lambda: FlacArray.from_array(array).write_zarr(group),
    ):
        write()
        with pytest.raises(GroupExistsError):
            write()
        for reader in (group, open_group()):
            np.testing.assert_array_equal(flaccodec.zarr.read_array(reader), array)
            assert FlacArray.read_zarr(reader) == FlacArray.from_array(array)
        there = zarr.open_group(store, path=name, use_consolidated=False)
        for dataset in list(there):
            if dataset != "det":
                del there[dataset]


def test_what_consolidated_metadata_tell_of_is_read_without_asking_the_store():
    array = np.arange(12, dtype="int32").reshape(2, 6)
    group = zarr.create_group({}, zarr_format=2)
    flaccodec.zarr.write_array(array, group)
    consolidated = zarr.consolidate_metadata(group.store)
    assert readable(consolidated) is consolidated
    np.testing.assert_array_equal(flaccodec.zarr.read_array(consolidated), array)


def test_runs_over_many_chunks_are_read(monkeypatch):
    monkeypatch.setattr(group_runs, "READ_BYTES", 5000)
    group = zarr.create_group({})
    flaccodec.zarr.write_array(MANY[:, :200], group)
    put_compressed(group, chunks=(300,), compressors=None)
    for seed in range(5):
        keep = np.random.default_rng(seed).random(100) < 0.5
        values = flaccodec.zarr.read_array(group, keep=keep)
        np.testing.assert_array_equal(values, MANY[keep, :200])


def test_runs_are_of_neighbours():
    starts, nbytes = np.array([0, 10, 25, 30, 99]), np.array([10, 10, 5, 10, 1])
    assert group_runs.split_runs(starts, nbytes, 1) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert group_runs.split_runs(starts, nbytes, 30) == [slice(0, 4), slice(4, 5)]
    assert group_runs.split_runs(starts, nbytes, 100) == [slice(0, 5)]
    assert group_runs.split_runs(starts[:0], nbytes[:0], 1) == []


def test_gaps_of_less_than_a_page_are_read_along():
    starts, nbytes = np.array([0, 4105, 8301, 9000]), np.array([10, 100, 10, 5])
    assert np.array_equal(starts[1:] - starts[:-1] - nbytes[:-1], [4095, 4096, 689])
    runs = group_runs.split_runs(starts, nbytes, 1, group_runs.PAGE_BYTES - 1)
    assert runs == [slice(0, 2), slice(2, 4)]


def test_short_streams_of_hdf5_are_read_together(tmp_path, hdf5_reads):
    array = np.random.default_rng(3).integers(-2000, 2000, (5000, 100), dtype="int32")
    keep = np.arange(5000) % 2 == 0
    keep[2000:2100] = False  # some 20 KB
    with h5py.File(tmp_path / "short.h5", "w") as file:
        hdf5.write_array(array, file)
        starts, nbytes = file["stream_starts"][...], file["stream_bytes"][...]
        hdf5_reads.clear()
        assert_same(hdf5.read_array(file, keep=keep), array[keep])
    first, last = starts[1998] + nbytes[1998], starts[4998] + nbytes[4998]
    assert hdf5_reads == [(0, first), (starts[2100], last)]


def test_runs_end_at_borders(monkeypatch):
    monkeypatch.setattr(group_runs, "READ_BYTES", 50)
    starts, nbytes = np.arange(0, 200, 10), np.full(20, 10)
    assert group_runs.split_runs(starts, nbytes, 1) == [slice(i, i + 5) for i in range(0, 20, 5)]
    assert group_runs.split_runs(starts, nbytes, 20) == [
        *(slice(i, i + 4) for i in range(0, 20, 4)),
    ]
    assert group_runs.split_runs(starts, nbytes, 1000) == [slice(0, 20)]
