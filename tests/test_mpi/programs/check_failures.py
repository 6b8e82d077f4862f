"""A rank that fails: all ranks raise, and none waits for the others.

Run with a folder, on two ranks or more.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from ranks import COMM, RANK, SIZE, run, waves

import flaccodec
import flaccodec.hdf5
import flaccodec.zarr
from flaccodec import FlacArray
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptGroupError,
    CorruptStreamError,
    QuantaError,
    QuantaTooFineError,
    RankError,
)
from flaccodec.groups import ranks_read
from flaccodec.groups import ranks_read as mpi_group_read
from flaccodec.hdf5 import group_door
from flaccodec.mpi import agreement as mpi_ranks
from flaccodec.mpi import messages as mpi_messages
from flaccodec.zarr.groups import door as zarr_door

FOLDER = Path(sys.argv[1])
LAST = SIZE - 1


def check_bad_quanta():
    quanta = np.nan if RANK == LAST else 1.0
    path = FOLDER / "quanta.zarr"
    if RANK == 0:
        zarr.open_group(path, mode="w")
    COMM.Barrier()
    group = zarr.open_group(path)
    for call in (
        lambda: FlacArray.from_array(np.ones((2, 50)), quanta=quanta, mpi_comm=COMM),
        lambda: flaccodec.zarr.write_array(np.ones((2, 50)), group, quanta=quanta, mpi_comm=COMM),
    ):
        with pytest.raises(QuantaError, match=rf"rank {LAST}: quanta must be .*at stream 0"):
            call()
    assert list(group) == []


def check_errors_keep_what_they_tell():
    data = np.full((2, 50), 1e30 if RANK == LAST else 1.0, dtype="float64")
    with pytest.raises(QuantaTooFineError, match=f"rank {LAST}: ") as caught:
        FlacArray.from_array(data, quanta=1e-3, mpi_comm=COMM, strict=True)
    assert caught.value.stream == 0
    assert caught.value.smallest > 1
    assert caught.value.rank == LAST


def check_options_that_one_rank_gives():
    """They are checked before ranks wait for each other, but on all."""
    fa = FlacArray.from_array(np.ones((2, 50), "int32"), mpi_comm=COMM)
    last = RANK == LAST
    for write in (
        lambda: fa.write_hdf5(None, layout="flacarrays" if last else "flacarray"),
        lambda: fa.write_hdf5(None, fillvalue=1 if last else None),
    ):
        with pytest.raises(ConfigurationError, match=f"^rank {LAST}: layout"):
            write()
    name = "x" if last else None
    with pytest.raises(ConfigurationError, match=f"^rank {LAST}: a dataset is read in one process"):
        FlacArray.read_hdf5(None, mpi_comm=COMM, name=name)


def check_other_errors():
    def work():
        if RANK == LAST:
            raise OSError(28, "No space left on device")

    with pytest.raises(RankError, match=rf"rank {LAST}: OSError: .*No space left") as caught:
        mpi_ranks.share(COMM, work)
    assert isinstance(caught.value.__cause__, OSError) == (RANK == LAST)
    with pytest.raises(TypeError, match=r"rank 0: hgrp must be an h5py\.Group"):
        flaccodec.hdf5.read_array("x", mpi_comm=COMM)

    def fail():
        raise ValueError(f"of rank {RANK}")

    with pytest.raises(RankError, match=r"rank 0: ValueError: of rank 0") as caught:
        mpi_ranks.share(COMM, fail)
    assert "(Ranks that failed, too: 1" in str(caught.value)

    def allocate():
        if RANK == LAST:
            np.empty(2**62, dtype=np.uint8)

    with pytest.raises(MemoryError, match=f"^rank {LAST}: Unable to allocate 4.00 EiB"):
        mpi_ranks.share(COMM, allocate)


def check_rank_0_fails_as_it_writes():
    """While others serve it: they stop, and nothing is left in the group."""
    array = waves((2, 5000), "int32")
    group_door._said.add("")
    group = h5py.File(FOLDER / "full.h5", "w") if RANK == 0 else None
    with pytest.MonkeyPatch.context() as patch:
        if RANK == 0:
            patch.setattr(h5py.Dataset, "__setitem__", full)
        with pytest.raises(RankError, match="rank 0: OSError: disk full"):
            flaccodec.hdf5.write_array(array, group, mpi_comm=COMM)
    if RANK == 0:
        assert list(group) == []
        group.close()


def full(*_):
    raise OSError("disk full")


def check_a_rank_fails_as_it_writes_its_chunks():
    rng = np.random.default_rng(RANK)
    array = rng.integers(-(2**30), 2**30, (2, 500_000), dtype="int32")
    path = FOLDER / "chunks.zarr"
    if RANK == 0:
        zarr.open_group(path, mode="w")
    COMM.Barrier()
    group = zarr.open_group(path)
    with pytest.MonkeyPatch.context() as patch:
        if RANK == LAST:
            patch.setattr(zarr.Array, "__setitem__", full)
        with pytest.raises(RankError, match=f"rank {LAST}: OSError: disk full"):
            flaccodec.zarr.write_array(array, group, mpi_comm=COMM)
    COMM.Barrier()
    assert list(zarr.open_group(path)) == []


def interrupted(*_):
    raise KeyboardInterrupt


def check_a_rank_is_interrupted_as_it_follows_rank_0():
    """It takes all that rank 0 has to say, so that later messages are not taken for that."""
    path = FOLDER / "interrupted.zarr"
    array = waves((2, 5000), "int32", RANK)
    if RANK == 0:
        zarr.open_group(path, mode="w")
    COMM.Barrier()
    group = zarr.open_group(path)
    expected = KeyboardInterrupt if RANK == LAST else RankError
    with pytest.MonkeyPatch.context() as patch:
        if RANK == LAST:
            patch.setattr(zarr_door, "_write_own", interrupted)
        with pytest.raises(expected) as caught:
            flaccodec.zarr.write_array(array, group, mpi_comm=COMM)
    if RANK < LAST:
        assert str(caught.value) == f"rank {LAST}: KeyboardInterrupt: "
    assert COMM.bcast(1 - RANK) == 1
    flaccodec.zarr.write_array(array, group, mpi_comm=COMM)
    got = flaccodec.zarr.read_array(group if RANK == 0 else None, mpi_comm=COMM)
    np.testing.assert_array_equal(got, array)


def check_a_follower_that_fails():
    """It is asked on, and all ranks raise at the end."""
    asked = []

    def follow(order):
        asked.append(order)
        if RANK == LAST and order == 0:
            raise OSError("no")

    def lead(tell):
        for order in range(3):
            tell(order)

    with pytest.raises(RankError, match=f"^rank {LAST}: OSError: no$"):
        mpi_ranks.direct(COMM, lead, follow)
    assert asked == ([0, 1, 2] if RANK else [])


def check_rank_0_fails_as_it_reads():
    """In the middle of what it sends."""
    path = FOLDER / "read.h5"
    if RANK == 0:
        with h5py.File(path, "w") as file:
            flaccodec.hdf5.write_array(waves((2 * SIZE, 5000), "int32"), file)
    group = h5py.File(path) if RANK == 0 else None
    calls = []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            full()
        return read_bytes(*arguments)

    read_bytes = ranks_read.read_bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks_read, "read_bytes", failing)
        with pytest.raises(RankError, match="rank 0: OSError: disk full"):
            flaccodec.hdf5.read_array(group, mpi_comm=COMM)
    if RANK == 0:
        group.close()


def check_a_rank_without_room_for_what_rank_0_reads():
    path = FOLDER / "room.h5"
    array = waves((2 * SIZE, 5000), "int32")
    if RANK == 0:
        with h5py.File(path, "w") as file:
            flaccodec.hdf5.write_array(array, file)
    group = h5py.File(path) if RANK == 0 else None

    def no_room(*_):
        raise np._core._exceptions._ArrayMemoryError((2**40,), np.dtype("u1"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mpi_group_read, "PIECE_BYTES", 1000)
        if RANK == LAST:
            patch.setattr(mpi_group_read._Received, "of", no_room)
        with pytest.raises(MemoryError, match=rf"^rank {LAST}: Unable to allocate 1\.00 TiB"):
            flaccodec.hdf5.read_array(group, mpi_comm=COMM)
        patch.undo()
        got = flaccodec.hdf5.read_array(group, mpi_comm=COMM)
    np.testing.assert_array_equal(got, array[2 * RANK : 2 * RANK + 2])
    if RANK == 0:
        group.close()


def check_a_group_whose_streams_claim_more_bytes_than_it_has():
    """Nobody makes room for these."""
    path = FOLDER / "claim.h5"
    if RANK == 0:
        with h5py.File(path, "w") as file:
            flaccodec.hdf5.write_array(np.zeros((1000 * SIZE, 4), "i4"), file)
            del file["compressed"]
            file.create_dataset("compressed", shape=(10**8,), dtype="u1", chunks=(2**20,))
            file["stream_starts"][...] = 0
            file["stream_bytes"][...] = 10**8
    COMM.Barrier()
    for file in (None if RANK else h5py.File(path), h5py.File(path)):
        with pytest.raises(CorruptGroupError, match="Got 0 bytes of compressed that are stored"):
            flaccodec.hdf5.read_array(file, mpi_comm=COMM)
        if file is not None:
            file.close()


def check_damaged_stream():
    path = FOLDER / "damaged.zarr"
    array = waves((2 * SIZE, 5000), "int32")
    if RANK == 0:
        group = zarr.open_group(path, mode="w")
        flaccodec.zarr.write_array(array, group)
        data = group["compressed"][...]
        data[-100:-50] ^= 255
        group["compressed"][...] = data
    COMM.Barrier()
    text = rf"rank {LAST}: .*stream {2 * SIZE - 1}"
    for call in (flaccodec.zarr.read_array, FlacArray.read_zarr):
        with pytest.raises(CorruptStreamError, match=text):
            call(zarr.open_group(path, mode="r"), mpi_comm=COMM)


def check_messages():
    """Arrays that go in pieces: to another rank, and joined on all."""
    rng = np.random.default_rng(1)
    for size in (1, 3, 8, 2**30):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mpi_messages, "MESSAGE_BYTES", size)
            for rows in ([2] * SIZE, [0] * LAST + [5], list(range(SIZE))):
                whole = rng.normal(size=(sum(rows), 3))
                first = sum(rows[:RANK])
                local = whole[first : first + rows[RANK]]
                joined = mpi_messages.gather_rows(COMM, local, rows)
                np.testing.assert_array_equal(joined, whole)
            if RANK == 0:
                mpi_messages.send(COMM, whole, LAST)
            if RANK == LAST:
                got = np.empty_like(whole)
                mpi_messages.receive(COMM, got, 0)
                np.testing.assert_array_equal(got, whole)


if __name__ == "__main__":
    flaccodec.set_num_threads(1)
    run(
        check_bad_quanta,
        check_errors_keep_what_they_tell,
        check_options_that_one_rank_gives,
        check_other_errors,
        check_rank_0_fails_as_it_writes,
        check_a_rank_fails_as_it_writes_its_chunks,
        check_a_rank_is_interrupted_as_it_follows_rank_0,
        check_a_follower_that_fails,
        check_rank_0_fails_as_it_reads,
        check_a_rank_without_room_for_what_rank_0_reads,
        check_a_group_whose_streams_claim_more_bytes_than_it_has,
        check_damaged_stream,
        check_messages,
    )
