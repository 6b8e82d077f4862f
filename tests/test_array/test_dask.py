"""FlacArrays and Zarr arrays in dask: threads, processes, and a cluster of two processes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from threading import Lock

import dask
import dask.array as da
import numpy as np
import pytest
import xarray
import zarr
from dask.base import tokenize
from zarr.storage import LocalStore, MemoryStore

import flaccodec
import flaccodec.zarr
from flaccodec import FlacArray, FlacCodec, core
from flaccodec.runtime import threads
from support.needs import needs
from support.watched_store import WatchedStore

pytest_plugins = ["support.schedulers"]

SHAPE = (6, 40_960)
CHUNKS = (2, 10_240)


def walk(shape=SHAPE, dtype="int32", seed=0):
    steps = np.random.default_rng(seed).normal(0, 10, shape)
    return np.cumsum(steps, axis=-1).astype(dtype)


# -- Zarr arrays -------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [FlacCodec(), FlacCodec(quanta=1e-2)], ids=["exact", "quanta"])
def test_to_zarr_and_from_zarr(tmp_path, scheduler, codec):
    data = walk(dtype="float32")
    data[1, 7:9] = np.nan
    target = flaccodec.create_array(
        tmp_path / "a.zarr", shape=SHAPE, chunks=CHUNKS, dtype="f4", serializer=codec
    )
    da.from_array(data, chunks=CHUNKS).to_zarr(target)
    again = da.from_zarr(str(tmp_path / "a.zarr"))
    assert again.chunksize == CHUNKS
    got = again.compute()
    np.testing.assert_allclose(got, data, rtol=0, atol=0 if codec.quanta is None else 0.00501)
    np.testing.assert_array_equal(again[4, 10_000:30_000:7].compute(), got[4, 10_000:30_000:7])
    np.testing.assert_allclose(da.nanmean(again, axis=1).compute(), np.nanmean(got, axis=1), 1e-4)


@needs("dask", "2026.8")
def test_arrays_that_dask_makes(tmp_path, scheduler):
    data = walk()
    da.from_array(data, chunks=CHUNKS).to_zarr(
        str(tmp_path / "a.zarr"),
        serializer=FlacCodec(level=3),
        compressors=None,
    )
    stored = zarr.open_array(tmp_path / "a.zarr")
    assert stored.metadata.codecs == (FlacCodec(level=3),)
    assert stored.chunks == CHUNKS
    np.testing.assert_array_equal(stored[:], data)


def test_regions_and_other_blocks(tmp_path, scheduler):
    """dask's blocks may hold several chunks of Zarr's, or shards."""
    data = walk()
    stored = flaccodec.create_array(
        tmp_path / "a.zarr", shape=SHAPE, chunks=(1, 5120), shards=CHUNKS, dtype="i4"
    )
    first = da.from_array(data[:4], chunks=(2, 20_480))
    first.to_zarr(stored, region=(slice(0, 4), slice(None)))
    da.from_array(data[4:], chunks=CHUNKS).to_zarr(stored, region=(slice(4, 6), slice(None)))
    np.testing.assert_array_equal(da.from_zarr(stored).rechunk((6, 5000)).compute(), data)


UNEVEN = (4, 7000)
"""Blocks of dask that do not divide `CHUNKS`."""


@pytest.mark.filterwarnings("ignore:Passing storage-related arguments")  # of dask before 2026.8
@pytest.mark.parametrize("options", [{}, {"chunks": (1, 5120), "shards": SHAPE}], ids=str)
@pytest.mark.parametrize("write", ["store", "to_zarr", "to_zarr of a path", "xarray"])
def test_threads_lose_nothing_where_blocks_share_chunks(tmp_path, write, options):
    """dask's own way of writing loses most of such an array, with any codec."""
    data, path = walk(), tmp_path / "a.zarr"
    blocks = da.from_array(data, chunks=UNEVEN)
    options = {"chunks": CHUNKS, **options}
    with dask.config.set(scheduler="threads", num_workers=8):
        if write == "to_zarr of a path":
            codec = {"serializer": FlacCodec(), "compressors": None}
            blocks.to_zarr(str(path), **codec, **options)
        elif write == "xarray":
            dataset = xarray.Dataset({"x": (("channel", "time"), blocks)})
            encoding = {"x": {**flaccodec.encoding(dataset.x), **options}}
            dataset.to_zarr(
                path, encoding=encoding, zarr_format=3, consolidated=False, safe_chunks=False
            )
            path = path / "x"
        else:
            target = flaccodec.create_array(path, shape=SHAPE, dtype="i4", **options)
            if write == "store":
                blocks.store(target, lock=False)
            else:
                blocks.to_zarr(target)
    np.testing.assert_array_equal(zarr.open_array(path)[...], data)


def test_our_own_doors_take_blocks_that_do_not_divide(tmp_path, scheduler):
    data = walk()
    blocks = da.from_array(data, chunks=UNEVEN)
    array = flaccodec.create_array(tmp_path / "a.zarr", data=blocks, chunks=CHUNKS)
    np.testing.assert_array_equal(array[...], data)
    group = zarr.create_group(tmp_path / "group.zarr")
    flaccodec.zarr.write_array(blocks, group)
    np.testing.assert_array_equal(flaccodec.zarr.read_array(group), data)


def test_a_block_of_dask_fetches_frames(tmp_path):
    data = walk((4, 25 * core.DEFAULT_FRAME_SIZE))
    store = WatchedStore(MemoryStore())
    stored = flaccodec.create_array(store, data=data, chunks=data.shape)
    part = da.from_zarr(stored, chunks=(1, 2000))[2, 50_000:50_100]
    store.forget()
    np.testing.assert_array_equal(part.compute(scheduler="synchronous"), data[2, 50_000:50_100])
    assert store.fetched < len(store._store._store_dict["c/0/0"]) / 10


# -- FlacArrays ----------------------------------------------------------------------------


def test_blocks_of_a_flacarray(scheduler):
    data = walk()
    blocks = da.from_array(FlacArray.from_array(data), chunks=CHUNKS)
    assert blocks.dtype == data.dtype
    assert isinstance(blocks._meta, np.ndarray)
    np.testing.assert_array_equal(blocks.compute(), data)
    np.testing.assert_array_equal(blocks.sum(axis=1).compute(), data.sum(axis=1))
    np.testing.assert_array_equal(blocks[::-1, 100:9000:7].compute(), data[::-1, 100:9000:7])
    np.testing.assert_array_equal(blocks[:, [5, 1, 30_000]].compute(), data[:, [5, 1, 30_000]])
    np.testing.assert_array_equal(blocks[[1, 5]][:, 3].compute(), data[[1, 5]][:, 3])


def test_blocks_of_three_axes_and_chosen_chunks(scheduler):
    data = walk((2, 3, 5000), "float64")
    fa = FlacArray.from_array(data, quanta=1e-3)
    blocks = da.from_array(fa, chunks="auto")
    np.testing.assert_array_equal(blocks.compute(), fa.to_array())
    assert np.abs(blocks - data).max().compute() <= 0.5e-3 + 1e-9


@pytest.fixture
def decoded(monkeypatch):
    """Note the spans that are decoded, and on how many threads."""
    calls = []
    decode_spans = core.decode_spans

    def note(head, pieces, spans, out, *, num_threads):
        calls.append((spans.copy(), num_threads))
        return decode_spans(head, pieces, spans, out, num_threads=num_threads)

    monkeypatch.setattr(core, "decode_spans", note)
    return calls


def test_only_the_frames_of_a_block_are_decoded(decoded):
    data = walk()
    blocks = da.from_array(FlacArray.from_array(data), chunks=CHUNKS)
    assert decoded == []
    np.testing.assert_array_equal(
        blocks.blocks[1, 2].compute(scheduler="threads"), data[2:4, 20_480:30_720]
    )
    ((spans, _),) = decoded
    assert sorted(spans["stream"].tolist()) == [2, 3]
    assert set(spans["start"].tolist()) == {20_480}
    assert set(spans["count"].tolist()) == {10_240}


def test_the_frames_beside_a_block_may_be_damaged():
    """What is not decoded is not noticed: the frames of other blocks are left alone."""
    data = walk()
    fa = FlacArray.from_array(data)
    chunk = bytearray(fa.to_chunk())
    starts = fa.stream_starts + core.read_header(chunk).head_size
    chunk[int(starts[5]) + 2000] ^= 1  # in the first frame of the last stream
    blocks = da.from_array(FlacArray.from_chunk(bytes(chunk), fa.shape), chunks=CHUNKS)
    np.testing.assert_array_equal(blocks.blocks[:2].compute(), data[:4])
    np.testing.assert_array_equal(blocks.blocks[2, 1:].compute(), data[4:, 10_240:])
    with pytest.raises(flaccodec.CorruptChunkError, match="stream 5, frame 0"):
        blocks.blocks[2, 0].compute(scheduler="threads")


def test_the_name_in_dask_follows_the_content():
    data = walk((2, 1000))
    one, same = (FlacArray.from_array(data) for _ in range(2))
    assert tokenize(one) == tokenize(same)
    assert tokenize(one) != tokenize(FlacArray.from_array(data + 1))
    assert tokenize(one) != tokenize(FlacArray.from_chunk(one.to_chunk(), (2, 1, 1000)))


# -- threads -----------------------------------------------------------------------------


@pytest.fixture
def eight_processors(monkeypatch):
    monkeypatch.setattr(threads, "available_processors", lambda: 8)


def test_threads_of_a_pool_decode_on_one_thread_each(decoded, eight_processors):
    blocks = da.from_array(FlacArray.from_array(walk()), chunks=CHUNKS)
    blocks.compute(scheduler="threads", num_workers=2)
    assert [n for _, n in decoded] == [1] * blocks.npartitions
    decoded.clear()
    blocks.compute(scheduler="synchronous")
    assert [n for _, n in decoded] == [8] * blocks.npartitions


def test_threads_of_a_pool_encode_on_one_thread_each(monkeypatch, eight_processors):
    numbers = []
    encode_chunk = core.encode_chunk

    def note(*args, num_threads, **kwargs):
        numbers.append(num_threads)
        return encode_chunk(*args, num_threads=num_threads, **kwargs)

    monkeypatch.setattr(core, "encode_chunk", note)
    data = walk((2, 1000))
    with ThreadPoolExecutor(1) as pool:
        for use_threads in (None, False, True):
            pool.submit(FlacArray.from_array, data, use_threads=use_threads).result()
    FlacArray.from_array(data)
    assert numbers == [1, 1, 8, 8]


def test_a_number_that_was_set_goes_for_pools_too(decoded, eight_processors):
    blocks = da.from_array(FlacArray.from_array(walk()), chunks=CHUNKS)
    with flaccodec.num_threads(3):
        blocks.compute(scheduler="threads")
    assert {n for _, n in decoded} == {3}


REPLACED = Lock()
"""Held where functions are replaced, as other threads would take what stands in for them."""


def chosen_threads(_=None):
    """Return how many threads an index of a FlacArray is decoded with here."""
    numbers = []
    fa = FlacArray.from_array(np.arange(9))
    with REPLACED, pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "decode_spans", lambda *_, num_threads: numbers.append(num_threads))
        patch.setattr(threads, "available_processors", lambda: 8)
        fa[2:5]
    return numbers


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_of_a_pool_decode_on_one_thread_each(method):
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert pool.submit(chosen_threads).result() == [1]
    assert chosen_threads() == [8]


def test_workers_of_any_scheduler_decode_on_one_thread(scheduler):
    found = dask.compute(*(dask.delayed(chosen_threads, pure=False)() for _ in range(3)))
    assert found == ([1], [1], [1])


def test_chunks_of_zarr_are_coded_on_one_thread(tmp_path, monkeypatch, decoded):
    coded = []
    encode_chunk, decode_chunk = core.encode_chunk, core.decode_chunk

    def note(function):
        def call(*args, num_threads, **kwargs):
            coded.append(num_threads)
            return function(*args, num_threads=num_threads, **kwargs)

        return call

    monkeypatch.setattr(core, "encode_chunk", note(encode_chunk))
    monkeypatch.setattr(core, "decode_chunk", note(decode_chunk))
    data = walk()
    stored = flaccodec.create_array(
        LocalStore(tmp_path / "a"), shape=SHAPE, chunks=CHUNKS, dtype="i4"
    )
    da.from_array(data, chunks=CHUNKS).to_zarr(stored)
    da.from_zarr(stored).compute(scheduler="threads")
    da.from_zarr(stored, chunks=(1, 1000))[3].compute(scheduler="threads")
    assert len(coded) >= 24
    assert decoded
    assert {*coded, *(n for _, n in decoded)} == {1}
