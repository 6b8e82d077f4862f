"""Arrays that are not in memory: read by blocks, written by blocks, to the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pandas
import pytest
import zarr
from zarr.storage import MemoryStore

import flaccodec
import flaccodec.zarr
from flaccodec import FlacArray, FlacCodec
from flaccodec.exceptions import (
    ConfigurationError,
    EmptyArrayError,
    GroupExistsError,
    QuantaTooFineError,
    UnsupportedDtypeError,
)
from flaccodec.runtime import progress
from flaccodec.samples import blocks
from flaccodec.zarr.groups import arrays as group_zarr

SHAPES = [(900,), (7, 900), (2, 3, 900), (2, 1, 5, 900)]
KINDS = ["memmap", "h5py", "zarr", "dask", "FlacArray"]


def make(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(0, 1000, shape).astype(dtype)


@pytest.fixture(params=KINDS)
def elsewhere(request, tmp_path):
    """Give a function that puts an array where it is not in memory."""
    files = []

    def put(data):
        if request.param == "memmap":
            made = np.memmap(tmp_path / "a.raw", dtype=data.dtype, mode="w+", shape=data.shape)
            made[...] = data
            return made
        if request.param == "h5py":
            files.append(h5py.File(tmp_path / "a.h5", "w"))
            return files[0].create_dataset("x", data=data)
        if request.param == "zarr":
            return zarr.create_array(tmp_path / "a.zarr", data=data)
        if request.param == "dask":
            return da.from_array(data, chunks=-1)
        return FlacArray.from_array(data, lossless=data.dtype.kind == "f")

    yield put
    for file in files:
        file.close()


@pytest.fixture(autouse=True)
def two_streams_a_block(monkeypatch):
    monkeypatch.setattr(progress, "BLOCK_SAMPLES", 2 * 900 + 100)


def stored(store):
    return {name: buffer.to_bytes() for name, buffer in store._store_dict.items()}


class Watched:
    """An array that notes how many samples are asked for at once."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.asked = []

    def __getitem__(self, key):
        part = self.array[key]
        self.asked.append(part.size)
        return part

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all of the array is asked for")


# -- blocks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 9, 10, 25, 60, 10**6])
@pytest.mark.parametrize("shape", [(5,), (7, 5), (2, 3, 5), (3, 1, 4, 5), (2, 3, 4, 5), (1, 1, 5)])
def test_blocks_of_streams_follow_each_other(shape, samples):
    numbers = np.arange(np.prod(shape[:-1], dtype=int)).reshape(shape[:-1])
    found = []
    for streams, part in blocks.stream_blocks(shape, samples):
        of_part = numbers[part[:-1]].ravel()
        np.testing.assert_array_equal(of_part, np.arange(streams.start, streams.stop))
        assert of_part.size == 1 or of_part.size * shape[-1] <= samples
        assert part[-1] == slice(None)
        found += of_part.tolist()
    assert found == list(range(numbers.size))


@pytest.mark.parametrize("samples", [1, 30, 100, 10**6])
@pytest.mark.parametrize(
    ("shape", "chunks"), [((10,), (3,)), ((7, 10), (2, 5)), ((4, 3, 9), (1, 2, 9))]
)
def test_blocks_of_chunks_cover_an_array_once(shape, chunks, samples):
    seen = np.zeros(shape, int)
    for block in blocks.chunk_blocks(shape, chunks, samples):
        assert all(part.start % chunk == 0 for part, chunk in zip(block, chunks, strict=True))
        inside = seen[block]
        inside += 1
        whole = np.prod([part.stop - part.start for part in block])
        assert whole <= max(samples, np.prod(chunks))
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("array", "elsewhere"),
    [(np.zeros(3), False), (np.int32(3), False), ([1, 2], False), (3.0, False), ("text", False)],
)
def test_arrays_in_memory_are_no_blocks(array, elsewhere):
    assert blocks.is_elsewhere(array) is elsewhere


# -- groups in flacarray's layout ----------------------------------------------------------


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", ">f8"])
def test_write_array_writes_the_same(elsewhere, dtype, shape, zarr_format, monkeypatch):
    monkeypatch.setattr(group_zarr, "CHUNK_BYTES", 5000)
    data = make(shape, dtype)
    options = {"quanta": 0.5} if data.dtype.kind == "f" else {}
    stores = MemoryStore(), MemoryStore()
    for store, array in zip(stores, (data, elsewhere(data)), strict=True):
        group = zarr.create_group(store, zarr_format=zarr_format)
        flaccodec.zarr.write_array(array, group, **options)
        np.testing.assert_allclose(flaccodec.zarr.read_array(group), data, rtol=0, atol=0.2501)
    assert stored(stores[0]) == stored(stores[1])


@pytest.mark.parametrize("name", ["quanta", "precision"])
def test_options_of_each_stream_go_with_it(name):
    data = make((2, 3, 900))
    options = {name: np.array([[1, 2, 3], [0.5, 1.5, 2.5]])}
    stores = MemoryStore(), MemoryStore()
    for store, array in zip(stores, (data, Watched(data)), strict=True):
        flaccodec.zarr.write_array(array, zarr.create_group(store), **options)
    assert stored(stores[0]) == stored(stores[1])


@pytest.mark.parametrize("chunk", [1, 999, 1000, 1001, 10**6])
def test_chunks_are_the_same_however_the_bytes_come(chunk, monkeypatch):
    """Sizes of blocks at, below and above the size of chunks."""
    monkeypatch.setattr(group_zarr, "CHUNK_BYTES", 1000)
    data = np.random.default_rng(0).integers(1, 255, 4000, "uint8")
    for size in (1, 1000, 1001, 2000, 4000):
        stores = MemoryStore(), MemoryStore()
        for store, step in zip(stores, (size, chunk), strict=True):
            group = zarr.create_group(store)
            with group_zarr._appending(group) as write:
                for first in range(0, size, step):
                    write(data[:size][first : first + step])
            np.testing.assert_array_equal(group["compressed"][:], data[:size])
        assert stored(stores[0]) == stored(stores[1])


def test_blocks_alone_are_read():
    data = make((7, 900))
    watched = Watched(data)
    flaccodec.zarr.write_array(watched, zarr.create_group({}), quanta=0.5)
    assert watched.asked == [1800, 1800, 1800, 900]
    watched.asked.clear()
    FlacArray.from_array(watched)
    assert watched.asked == [1800, 1800, 1800, 900]
    watched.asked.clear()
    flaccodec.create_array({}, data=watched, chunks=(1, 300))
    assert max(watched.asked) <= 1900
    assert sum(watched.asked) == data.size


def test_a_stream_is_a_block_at_the_least():
    watched = Watched(make((2, 10_000)))
    group = zarr.create_group({})
    flaccodec.zarr.write_array(watched, group, quanta=0.5)
    assert watched.asked == [10_000, 10_000]


def test_errors_say_where_and_leave_nothing():
    data = make((7, 900))
    data[5, 17] = 1e20
    group = zarr.create_group({})
    with pytest.raises(QuantaTooFineError, match=r"in streams 4 to 5,.*at stream 1, ") as error:
        flaccodec.zarr.write_array(Watched(data), group, quanta=1e-3)
    assert error.value.stream == 5
    assert not list(group)
    assert not dict(group.attrs)
    with pytest.raises(QuantaTooFineError, match=r"in streams 4 to 5,"):
        FlacArray.from_array(Watched(data), quanta=1e-3, strict=True)
    with pytest.raises(UnsupportedDtypeError, match="int16"):
        flaccodec.zarr.write_array(Watched(np.zeros((2, 9), "int16")), group)
    with pytest.raises(EmptyArrayError, match="no samples"):
        flaccodec.zarr.write_array(Empty((0, 9)), group, quanta=1)
    with pytest.raises(ConfigurationError, match="without axes"):
        flaccodec.zarr.write_array(Empty(()), group, quanta=1)
    flaccodec.zarr.write_array(Watched(data), group, precision=3)
    watched = Watched(data)
    with pytest.raises(GroupExistsError, match="already has"):
        flaccodec.zarr.write_array(watched, group, precision=3)
    assert watched.asked == []


class Empty:
    def __init__(self, shape):
        self.shape, self.dtype = shape, np.dtype("f8")

    def __getitem__(self, key):
        return np.empty(self.shape)[key]

    def __array__(self, dtype=None, copy=None):
        return np.empty(self.shape)


# -- ordinary arrays --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shards", [False, True])
def test_create_array_writes_the_same(elsewhere, shape, shards):
    data = make(shape)
    chunks = (*(1,) * (len(shape) - 1), 250)
    options = {"chunks": chunks, "codecs": [FlacCodec(quanta=0.5)]}
    if shards:
        options["shards"] = (*(min(n, 2) for n in shape[:-1]), 500)
    stores = MemoryStore(), MemoryStore()
    for store, array in zip(stores, (data, elsewhere(data)), strict=True):
        made = flaccodec.create_array(store, data=array, **options)
        assert np.abs(made[...] - data).max() <= 0.2501
    assert stored(stores[0]) == stored(stores[1])


def test_create_array_and_what_data_have():
    data = Watched(make((2, 900)))
    with pytest.raises(ConfigurationError, match="dtype is that of data"):
        flaccodec.create_array({}, data=data, dtype="f4")
    with pytest.raises(ConfigurationError, match="shape is that of data"):
        flaccodec.create_array({}, data=data, shape=(2, 900))
    made = flaccodec.create_array({}, data=data, write_data=False, fill_value=7)
    assert made.shape == (2, 900)
    assert data.asked == []
    assert (made[...] == 7).all()


def test_a_series_of_pandas():
    data = make((900,))
    series = pandas.Series(data, index=np.arange(900) / 7)
    assert FlacArray.from_array(series) == FlacArray.from_array(data)
    group = zarr.create_group({})
    flaccodec.zarr.write_array(series, group, quanta=0.5)
    assert np.abs(flaccodec.zarr.read_array(group) - data).max() <= 0.2501


@pytest.mark.parametrize("shape", [(900,), (7, 900), (2, 3, 900)])
@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("int16", {}),
        ("uint64", {}),
        ("float64", {"quanta": 0.5}),
        ("float64", {"precision": 3}),
        ("float32", {"lossless": True}),
        ("float32", {}),
    ],
)
def test_flacarrays_are_the_same(elsewhere, shape, dtype, options):
    data = np.abs(make(shape)).astype(dtype)
    expected = FlacArray.from_array(data, **options)
    made = FlacArray.from_array(elsewhere(data), **options)
    assert made == expected
    assert made.shape == shape


# -- memory --------------------------------------------------------------------------------------

PROGRAM = """
import re, sys, threading, time
import h5py, numpy as np, zarr
import flaccodec, flaccodec.zarr
from flaccodec import FlacCodec

kind, how, path, rows = *sys.argv[1:4], int(sys.argv[4])
SHAPE = rows, 250_000

def status(name):
    return int(re.search(name + r":\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

def noise(row):
    return np.random.default_rng(row).integers(-3000, 3000, SHAPE[1]).astype("f4")

if kind == "memmap":
    source = np.memmap(path + "/source", dtype="f4", mode="w+", shape=SHAPE)
elif kind == "h5py":
    source = h5py.File(path + "/source", "w").create_dataset("x", SHAPE, "f4")
else:
    source = zarr.create_array(path + "/source", shape=SHAPE, chunks=(1, SHAPE[1]), dtype="f4")
for row in range(rows):
    source[row] = noise(row)
if kind == "dask":
    import dask.array
    source = dask.array.from_zarr(source)

def write(source, target):
    if how == "group":
        flaccodec.zarr.write_array(source, zarr.create_group(target), quanta=1.0)
    else:
        codecs = [FlacCodec(quanta=1.0)]
        flaccodec.create_array(target, data=source, chunks=(1, SHAPE[1]), codecs=codecs)

write(source[:20], path + "/warm")  # libraries and pools of threads are there
before, peak, done = status("RssAnon"), 0, threading.Event()

# Pages of a mapped file count as a process's memory, though the system takes them at need.
def watch():
    global peak
    while not done.is_set():
        peak = max(peak, status("RssAnon"))
        time.sleep(0.001)

if kind == "memmap":
    watcher = threading.Thread(target=watch)
    watcher.start()
    write(source, path + "/target")
    done.set()
    watcher.join()
else:
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    write(source, path + "/target")
    peak = status("VmHWM")
print(peak - before)
target = zarr.open(path + "/target", mode="r")
last = np.arange(rows) == rows - 1
got = flaccodec.zarr.read_array(target, last)[0] if how == "group" else target[-1]
assert (got == noise(rows - 1)).all()
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("how", ["group", "array"])
@pytest.mark.parametrize("kind", ["memmap", "h5py", "zarr", "dask"])
def test_peak_memory_is_flat(tmp_path, kind, how):
    peaks = []
    for rows in (180, 360):  # 180 and 360 MB: in fewer blocks not all that may meet do
        path = tmp_path / str(rows)
        path.mkdir()
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, kind, how, str(path), str(rows)],
            capture_output=True,
            text=True,
            env=os.environ | {"MALLOC_ARENA_MAX": "1"},  # else glibc keeps some for each thread
        )
        assert result.returncode == 0, result.stderr
        peaks.append(int(result.stdout))
    assert max(peaks) < 180e6
    assert peaks[1] < peaks[0] + 30e6
