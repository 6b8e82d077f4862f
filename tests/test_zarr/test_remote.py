"""Stores elsewhere: S3 through obstore and s3fs, HTTP through fsspec, and Icechunk."""

from __future__ import annotations

import itertools

import numpy as np
import obstore.store
import pytest
import zarr
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, ObjectStore

import flaccodec
import flaccodec.zarr
from flaccodec import FlacCodec, core
from flaccodec.exceptions import CorruptChunkError
from flaccodec.zarr import chunk_reader as partial

pytest_plugins = ["support.servers.nginx", "support.servers.s3"]

FRAME = core.DEFAULT_FRAME_SIZE
SHAPE = (8, 50 * FRAME)


def noise(shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-(2**16), 2**16, size=shape, dtype="int32")


@pytest.fixture(autouse=True)
def index_cache(monkeypatch):
    monkeypatch.setattr(partial, "index_cache", partial.IndexCache())


def object_store(server, bucket):
    # obstore takes the address, and does not speak HTTP, unless told to.
    store = obstore.store.S3Store(
        bucket,
        endpoint=server.url,
        region=server.region,
        client_options={"allow_http": True},
        **server.keys,
    )
    return ObjectStore(store)


@pytest.fixture
def stores():
    """Keep the stores of a test, and close their sessions, which fsspec leaves open."""

    async def close(filesystem):
        session = await filesystem.set_session()
        await session.close()

    kept = []
    yield kept
    for store in kept:
        if isinstance(store, FsspecStore):
            sync(close(store.fs))


def fsspec_store(server, bucket):
    return FsspecStore.from_url(
        f"s3://{bucket}",
        storage_options={
            "key": server.keys["access_key_id"],
            "secret": server.keys["secret_access_key"],
            "endpoint_url": server.url,
            "client_kwargs": {"region_name": server.region},
            "skip_instance_cache": True,
        },
    )


@pytest.fixture(params=[object_store, fsspec_store], ids=["obstore", "s3fs"])
def make_store(request, s3, stores):
    """Give a function that makes stores of one bucket."""
    bucket = s3.make_bucket()

    def make():
        stores.append(request.param(s3, bucket))
        return stores[-1]

    return make


def read_chunk(store, key="c/0/0"):
    return sync(store.get(key, default_buffer_prototype())).to_bytes()


def frame_spans(chunk):
    """Return where each frame of a chunk lies, shape (n_streams, n_frames, 2)."""
    header = core.read_header(chunk)
    sizes = np.frombuffer(chunk, "<u4", header.n_streams * header.n_frames, header.sizes_at)
    sizes = (sizes & core.FRAME_SIZE_MASK).reshape(header.n_streams, header.n_frames).astype(int)
    lengths = np.concatenate(
        [np.full((header.n_streams, 1), core.STREAM_HEADER_SIZE), sizes], axis=1
    )
    stops = (header.head_size + np.cumsum(lengths)).reshape(lengths.shape)[:, 1:]
    return np.stack([stops - sizes, stops], axis=-1)


# -- S3 -----------------------------------------------------------------------------------------


def test_there_and_back(make_store):
    data = noise().astype("float64") / 100
    stored = flaccodec.create_array(
        make_store(), data=data, chunks=(4, 10 * FRAME), codecs=[FlacCodec(quanta=0.01)]
    )
    again = zarr.open_array(make_store(), mode="r+")
    np.testing.assert_allclose(again[:], data, rtol=0, atol=1e-9)
    again[3, 100:200] = 7
    assert (stored[3, 100:200] == 7).all()
    np.testing.assert_allclose(stored[3, 200:300], data[3, 200:300], rtol=0, atol=1e-9)


def test_a_slice_fetches_index_and_frames(make_store, s3):
    data = noise()
    flaccodec.create_array(make_store(), data=data, chunks=SHAPE)
    store = make_store()
    chunk = read_chunk(store)
    frames = frame_spans(chunk)
    array = zarr.open_array(store)
    s3.forget()
    np.testing.assert_array_equal(array[3, 10_000:10_200], data[3, 10_000:10_200])
    first = s3.chunk_requests
    bound = core.head_bound("int32", SHAPE, FRAME)
    span = tuple(frames[3, 10_000 // FRAME])
    assert [r.method for r in first] == ["GET", "GET", "GET"]
    assert first[0].range == (0, bound)
    assert sorted(r.range for r in first[1:]) == [(0, core.HEADER_SIZE), span]
    assert sum(r.nbytes for r in first) == bound + core.HEADER_SIZE + span[1] - span[0]
    assert sum(r.nbytes for r in first) < len(chunk) / 40

    s3.forget()
    np.testing.assert_array_equal(array[7, 86_100:86_300], data[7, 86_100:86_300])
    span = tuple(frames[7, 86_100 // FRAME])
    assert sorted(r.range for r in s3.chunk_requests) == [(0, core.HEADER_SIZE), span]
    assert sum(r.nbytes for r in s3.chunk_requests) == core.HEADER_SIZE + span[1] - span[0]


def test_frames_of_several_streams(make_store, s3):
    data = noise()
    flaccodec.create_array(make_store(), data=data, chunks=SHAPE)
    array = zarr.open_array(make_store())
    frames = frame_spans(read_chunk(make_store()))
    s3.forget()
    np.testing.assert_array_equal(array[2:5, 4000:4200], data[2:5, 4000:4200])
    spans = [(int(frames[i, 0, 0]), int(frames[i, 1, 1])) for i in (2, 3, 4)]
    bound = core.head_bound("int32", SHAPE, FRAME)
    assert sorted(r.range for r in s3.chunk_requests) == [(0, core.HEADER_SIZE), (0, bound), *spans]


def test_most_of_a_chunk_is_one_request(make_store, s3):
    data = noise()
    flaccodec.create_array(make_store(), data=data, chunks=SHAPE)
    array = zarr.open_array(make_store())
    chunk = read_chunk(make_store())
    s3.forget()
    np.testing.assert_array_equal(array[:, 5:], data[:, 5:])
    # s3fs asks for the size of an object before it reads all of it.
    gets = [(r.range, r.nbytes) for r in s3.chunk_requests if r.method == "GET"]
    assert gets == [(None, len(chunk))]


def test_a_slice_of_a_shard_fetches_a_chunk(make_store, s3):
    data = noise()
    flaccodec.create_array(make_store(), data=data, chunks=(1, 10 * FRAME), shards=SHAPE)
    array = zarr.open_array(make_store())
    s3.forget()
    np.testing.assert_array_equal(array[3, 50_000:50_200], data[3, 50_000:50_200])
    index_size = 40 * 16 + 4
    index, chunk = s3.chunk_requests
    assert index.range == (-index_size, 0)
    assert index.nbytes == index_size
    assert chunk.range[1] - chunk.range[0] == chunk.nbytes < 130_000


def test_missing_chunks(make_store):
    array = flaccodec.create_array(
        make_store(), shape=SHAPE, chunks=SHAPE, dtype="float32", fill_value=np.nan
    )
    assert np.isnan(array[3, 10_000:10_200]).all()
    assert np.isnan(array[:, ::20_000]).all()


def test_a_chunk_that_is_written_anew_is_noticed(make_store):
    data, other = noise(), noise(seed=1)
    flaccodec.create_array(make_store(), data=data, chunks=SHAPE)
    array = zarr.open_array(make_store())
    np.testing.assert_array_equal(array[3, 10_000:10_200], data[3, 10_000:10_200])
    zarr.open_array(make_store(), mode="r+")[:] = other
    np.testing.assert_array_equal(array[3, 10_000:10_200], other[3, 10_000:10_200])
    zarr.open_array(make_store(), mode="r+")[:] = 0  # a chunk without any frame of this size
    np.testing.assert_array_equal(array[7, -200:], np.zeros(200))


def test_damage_names_the_chunk(make_store):
    flaccodec.create_array(make_store(), data=noise(), chunks=SHAPE)
    store = make_store()
    chunk = bytearray(read_chunk(store))
    chunk[int(frame_spans(bytes(chunk))[3, 2, 0]) + 900] ^= 1
    sync(store.set("c/0/0", cpu.Buffer.from_bytes(bytes(chunk))))
    with pytest.raises(CorruptChunkError, match=r"chunk .*c/0/0.*stream 3, frame 2"):
        zarr.open_array(store)[3, 10_000:10_200]


def test_groups_in_flacarrays_layout(make_store):
    data = noise((4, 5000))
    flaccodec.zarr.write_array(data, zarr.create_group(make_store()))
    group = zarr.open_group(make_store(), mode="r")
    keep = np.array([False, True, False, True])
    np.testing.assert_array_equal(flaccodec.zarr.read_array(group, keep), data[keep])


# -- HTTP -----------------------------------------------------------------------------------------


def test_a_slice_over_http_fetches_index_and_frames(start_nginx, tmp_path, stores):
    data = noise()
    flaccodec.create_array(tmp_path / "www" / "a.zarr", data=data, chunks=SHAPE)
    chunk = (tmp_path / "www/a.zarr/c/0/0").read_bytes()
    frames = frame_spans(chunk)
    server = start_nginx(tmp_path / "www")
    stores.append(FsspecStore.from_url(f"{server.url}/a.zarr", read_only=True))
    array = zarr.open_array(stores[0], mode="r")
    np.testing.assert_array_equal(array[3, 10_000:10_200], data[3, 10_000:10_200])
    np.testing.assert_array_equal(array[7, 86_100:86_300], data[7, 86_100:86_300])
    requests = [r for r in server.requests() if "/c/" in r.path]
    assert {r.status for r in requests} == {206}
    bound = core.head_bound("int32", SHAPE, FRAME)
    first, second = tuple(frames[3, 10_000 // FRAME]), tuple(frames[7, 86_100 // FRAME])
    assert requests[0].range == (0, bound)
    assert sorted(r.range for r in requests[1:3]) == [(0, core.HEADER_SIZE), first]
    assert sorted(r.range for r in requests[3:]) == [(0, core.HEADER_SIZE), second]
    sent = sum(r.body_bytes_sent for r in requests)
    assert sent == bound + 2 * core.HEADER_SIZE + np.diff([first, second]).sum()


# -- Icechunk -------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path):
    reason = "icechunk has no wheel for this machine"
    icechunk = pytest.importorskip("icechunk", reason=reason)
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "repo")))


def test_an_earlier_snapshot(repository):
    versions = [noise(seed=seed) for seed in range(2)]
    session = repository.writable_session("main")
    flaccodec.create_array(session.store, data=versions[0], chunks=SHAPE)
    snapshots = [session.commit("first")]
    session = repository.writable_session("main")
    zarr.open_array(session.store, mode="r+")[:, 5000:10_500] = versions[1][:, 5000:10_500]
    snapshots.append(session.commit("second"))
    versions[1] = np.concatenate(
        [versions[0][:, :5000], versions[1][:, 5000:10_500], versions[0][:, 10_500:]], axis=1
    )
    arrays = [
        zarr.open_array(repository.readonly_session(snapshot_id=name).store, mode="r")
        for name in snapshots
    ]
    # Both in turns: what is remembered of a chunk's index must not go from one to the other.
    for _, (array, data) in itertools.product(range(2), zip(arrays, versions, strict=True)):
        np.testing.assert_array_equal(array[3, 10_400:10_600], data[3, 10_400:10_600])
        np.testing.assert_array_equal(array[7, ::9000], data[7, ::9000])
    for array, data in zip(arrays, versions, strict=True):
        np.testing.assert_array_equal(array[:], data)


def test_a_slice_of_a_snapshot_fetches_frames(repository, monkeypatch):
    data = noise()
    session = repository.writable_session("main")
    flaccodec.create_array(session.store, data=data, chunks=SHAPE)
    session.commit("first")
    store = repository.readonly_session("main").store
    asked = []
    get = type(store).get

    async def note(self, key, prototype, byte_range=None):
        asked.append((key, byte_range))
        return await get(self, key, prototype, byte_range)

    monkeypatch.setattr(type(store), "get", note)
    array = zarr.open_array(store, mode="r")
    asked.clear()
    np.testing.assert_array_equal(array[3, 10_000:10_200], data[3, 10_000:10_200])
    spans = [(span.start, span.end) for _, span in asked]
    assert spans[0] == (0, core.head_bound("int32", SHAPE, FRAME))
    assert len(spans) == 3
    assert spans[2] == (0, core.HEADER_SIZE)
    assert spans[1][1] - spans[1][0] < 20_000


def test_copies_between_stores_move_bytes(make_store, tmp_path):
    """A store's chunks are the same bytes wherever they are."""
    data = noise((4, 5000))
    flaccodec.create_array(make_store(), data=data, chunks=(4, 5000))
    flaccodec.create_array(LocalStore(tmp_path / "a"), data=data, chunks=(4, 5000))
    assert read_chunk(make_store()) == (tmp_path / "a/c/0/0").read_bytes()
