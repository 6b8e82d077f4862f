"""Large results are made in the memory of those that are gone."""

import copy
import gc
import mmap
import os
import pickle
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest
import zarr

import flaccodec
from flaccodec import FlacArray, FlacCodec, core, hdf5
from flaccodec.runtime import memory
from flaccodec.zarr import read_array, write_array

pytestmark = pytest.mark.skipif(not memory.CAN_KEEP, reason="the system cannot take memory back")

ROWS, SAMPLES = 9, 1_000_000
"""Of int32: more than memory.LEAST."""


@pytest.fixture(autouse=True)
def waiting(monkeypatch):
    """The blocks that wait; none at first."""
    blocks = []
    monkeypatch.setattr(memory, "_waiting", blocks)
    return blocks


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(0).integers(-100, 100, (ROWS, SAMPLES)).astype("int32")


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["<i4", ">i4", "<f8", ">f8", "u1"])
def test_arrays_are_as_numpy_makes_them(dtype):
    shape = 3, 5, memory.LEAST // 15 + 1
    wanted = np.empty(shape, dtype)
    got = memory.empty(shape, dtype)
    assert (got.shape, got.dtype, got.strides) == (wanted.shape, wanted.dtype, wanted.strides)
    assert got.flags.writeable
    assert got.flags.aligned
    got[:] = 7
    assert (got == 7).all()


def test_small_arrays_are_numpys(waiting):
    array = memory.empty((memory.LEAST - 1,), "u1")
    assert array.flags.owndata
    del array
    assert waiting == []


def test_the_next_result_takes_what_one_has_left(waiting):
    first = memory.empty((memory.LEAST,), "u1")
    place = address(first)
    view = first[5:9]
    del first
    assert waiting == []  # a view is as good as the array
    del view
    assert len(waiting) == 1
    assert address(memory.empty((memory.LEAST // 8,), "f8")) == place


def test_two_results_never_share_memory(waiting):
    arrays = [memory.empty((memory.LEAST,), "u1") for _ in range(3)]
    for number, array in enumerate(arrays):
        array[:] = number
    assert [int(array.max()) for array in arrays] == [0, 1, 2]
    del array, arrays[1]
    again = memory.empty((memory.LEAST,), "u1")
    again[:] = 9
    assert [int(array.min()) for array in arrays] == [0, 2]


def test_blocks_of_other_sizes_are_left_to_wait(waiting):
    del_me = memory.empty((2 * memory.LEAST,), "u1")
    del del_me
    small = memory.empty((memory.LEAST,), "u1")
    assert len(waiting) == 1
    larger = memory.empty((3 * memory.LEAST,), "u1")
    assert len(waiting) == 1
    assert not np.shares_memory(small, larger)


def test_no_more_is_kept_than_said(waiting, monkeypatch):
    monkeypatch.setattr(memory, "MOST_KEPT", 3 * memory.LEAST)
    arrays = [memory.empty((memory.LEAST + number,), "u1") for number in range(5)]
    while arrays:
        del arrays[0]
    assert [len(block) for block in waiting] == [memory.LEAST + n for n in (3, 4)]
    # 3 * LEAST and a few bytes did not fit.
    large = memory.empty((4 * memory.LEAST,), "u1")
    del large
    assert [len(block) for block in waiting] == [memory.LEAST + n for n in (3, 4)]
    monkeypatch.setattr(memory, "MOST_KEPT", 0)
    last = memory.empty((memory.LEAST + 4,), "u1")
    del last
    assert len(waiting) == 1


def test_the_system_takes_it_back(waiting):
    """What waits is marked as free; zeros where it has been taken."""
    array = memory.empty((memory.LEAST,), "u1")
    array[:] = 1
    del array
    (block,) = waiting
    block.madvise(mmap.MADV_DONTNEED)  # as if the system had
    assert set(memory.empty((memory.LEAST,), "u1")[:: mmap.PAGESIZE].tolist()) == {0}


def test_without_memory_numpy_says_so(waiting, monkeypatch):
    with pytest.raises(MemoryError):
        memory.empty((1 << 50,), "u1")

    def refuse(*_):
        raise OSError("no memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert memory.empty((memory.LEAST,), "u1").flags.owndata


def test_what_waits_is_given_up_before_memory_is_short(data):
    """Where a process may have so much and no more."""
    code = """
import re, resource
from flaccodec.runtime import memory
size = int(re.search(r"VmSize:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 10 * memory.LEAST, -1))
for n in (3, 5, 8):
    array = memory.empty((n * memory.LEAST,), "u1")
    array[:] = n
    del array
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux's limits")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shapes_that_no_memory_holds():
    for make in (np.empty, memory.empty):
        with pytest.raises(ValueError, match="too"):
            make((1 << 31, 1 << 31), "f8")


def test_arrays_can_be_made_read_only_and_back():
    array = memory.empty((memory.LEAST,), "u1")
    array.setflags(write=False)
    array.setflags(write=True)
    array[0] = 1


def test_the_block_is_not_copied_without_its_array():
    array = memory.empty((memory.LEAST,), "u1")
    copied = copy.deepcopy(array)
    assert not np.shares_memory(array, copied)
    block = array.base.base
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="without the array"):
            make(block)


def test_arrays_that_go_while_the_lock_is_held(waiting):
    """As when the collector frees one in the midst of taking a block."""
    array = memory.empty((memory.LEAST,), "u1")
    with memory._lock:
        del array
        other = memory.empty((memory.LEAST,), "u1")
    assert waiting == []
    del other
    assert len(waiting) == 1


def test_many_threads(waiting):
    failures = []

    def work(number):
        for _ in range(200):
            array = memory.empty((memory.LEAST,), "u1")
            array[:: memory.LEAST // 7] = number
            if (array[:: memory.LEAST // 7] != number).any():
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(map(len, waiting)) <= memory.MOST_KEPT


def readers(data, folder):
    """Ways to read an array: a name, and what reads."""
    fa = FlacArray.from_array(data)
    chunk = fa.to_chunk()
    group = zarr.open_group(folder / "group.zarr", mode="w")
    write_array(data, group)
    stored = flaccodec.create_array(folder / "a.zarr", data=data, chunks=data.shape)
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("x", data=data, chunks=(3, SAMPLES), compression=hdf5.Flac())

    def read_hdf5():
        with h5py.File(folder / "a.h5") as file:
            return hdf5.read(file["x"])

    return {
        "to_array": fa.to_array,
        "slice": lambda: fa[:, : SAMPLES - 1],
        "decode_chunk": lambda: core.decode_chunk(chunk),
        "group": lambda: read_array(group),
        "hdf5": read_hdf5,
        "zarr": lambda: stored[:],
    }


def test_every_way_to_read(data, tmp_path, waiting):
    for name, read in readers(data, tmp_path).items():
        got = read()
        np.testing.assert_array_equal(got, data[:, : got.shape[1]], err_msg=name)
        place = address(got)
        got[:] = -1
        del got
        gc.collect()
        again = read()
        np.testing.assert_array_equal(again, data[:, : again.shape[1]], err_msg=name)
        if name != "zarr":  # which makes its result itself
            assert address(again) == place, name
        del again


class Disturbed(list):
    """Blocks that another thread lets go, for want of memory, when one is looked for."""

    def __iter__(self):
        for block in super().__iter__():
            assert memory._take(sys.maxsize) is None
            yield block


def test_blocks_may_be_let_go_while_one_is_taken(monkeypatch):
    array = memory.empty((memory.LEAST,), "u1")
    at = address(array)
    del array
    monkeypatch.setattr(memory, "_waiting", Disturbed(memory._waiting))
    assert address(memory.empty((memory.LEAST,), "u1")) == at


def test_a_forked_child_has_blocks_of_its_own(data):
    code = """
import os, sys
import numpy as np
from flaccodec.runtime import memory
first = memory.empty((memory.LEAST,), "u1")
first[:] = 1
del first
child = os.fork()
array = memory.empty((memory.LEAST,), "u1")
array[:] = 2 if child else 3
if not child:
    os._exit(int(not (array == 3).all()))
assert os.waitpid(child, 0)[1] == 0
assert (array == 2).all()
"""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_codec_whose_chunks_are_large(data, waiting):
    """zarr's own pipeline copies each chunk: the next is decoded where the last was."""
    path = "zarr.core.codec_pipeline.BatchedCodecPipeline"
    with zarr.config.set({"codec_pipeline.path": path, "async.concurrency": 1}):
        array = flaccodec.create_array(
            {}, data=np.concatenate([data, data]), chunks=data.shape, codecs=[FlacCodec()]
        )
        assert (array[:] == array[:]).all()
    assert len(waiting) == 1
