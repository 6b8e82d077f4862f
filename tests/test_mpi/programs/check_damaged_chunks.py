"""Chunks that are damaged or missing, as ranks write to an HDF5 dataset: all raise, or none.

Run with a folder, on two ranks or more, with an h5py that is built for parallel HDF5.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from ranks import COMM, RANK, SIZE, run, waves

from flaccodec import hdf5
from flaccodec.exceptions import ConfigurationError, CorruptChunkError
from flaccodec.hdf5 import rows as hdf5_rows

FOLDER = Path(sys.argv[1])
FILTERS = {"flac": {"compression": hdf5.Flac()}, "gzip": {"compression": 5, "fletcher32": True}}
LAST = SIZE - 1
ROWS, SAMPLES = 4 * SIZE, 1000
OLD = waves((ROWS, SAMPLES), "int32")
NEW = OLD + 1
names = iter(range(10**6))


def damage(path, offset):
    with h5py.File(path) as file:
        info = file["x"].id.get_chunk_info_by_coord(offset)
    with path.open("r+b") as file:
        file.seek(info.byte_offset + info.size // 2)
        stored = file.read(8)
        file.seek(-len(stored), 1)
        file.write(bytes(255 - byte for byte in stored))


def make(chunks, options, written=slice(0, ROWS), damaged=None, **others):
    """Have rank 0 make a dataset by itself; return its file's path."""
    path = FOLDER / f"{next(names)}.h5"
    if RANK == 0:
        with h5py.File(path, "w", **others) as file:
            x = file.create_dataset("x", OLD.shape, OLD.dtype, chunks=chunks, **options)
            x[written] = OLD[written]
        if damaged is not None:
            damage(path, damaged)
    COMM.Barrier()
    return path


def write(path, rows):
    """Have all ranks write rows of NEW; return what each reads afterwards, in the same file."""
    with h5py.File(path, "r+", driver="mpio", comm=COMM) as file:
        hdf5.write_distributed(file["x"], COMM, rows, NEW[rows])
        return file["x"][rows]


def check_stays_as_it_was(path, but):
    """All chunks but one."""
    with h5py.File(path) as file:
        x = file["x"]
        for row, sample in np.ndindex(-(-ROWS // x.chunks[0]), -(-SAMPLES // x.chunks[1])):
            at = row * x.chunks[0], sample * x.chunks[1]
            part = tuple(slice(i, i + n) for i, n in zip(at, x.chunks, strict=True))
            if at != but:
                np.testing.assert_array_equal(x[part], OLD[part])
    COMM.Barrier()


def check_a_damaged_chunk():
    first, on_border = 4 * LAST, slice(4 * RANK, 4 * RANK + 4)
    for options in FILTERS.values():
        for chunks, damaged, rows in (
            ((2, 500), (first, 0), slice(4 * RANK + 1, 4 * RANK + 4)),  # rows begin within it
            ((2, 500), (first + 2, 500), slice(4 * RANK, 4 * RANK + 3)),  # they end within it
            ((4, 500), (first, 500), slice(4 * RANK + 1, 4 * RANK + 2)),  # both
            ((2, 600), (first + 2, 600), on_border),  # the last axis ends within it
            ((ROWS - 1, 1000), (0, 0), on_border),  # many ranks have rows of it
            ((ROWS - 1, 1000), (ROWS - 1, 0), on_border),  # the first axis ends within it
        ):
            path = make(chunks, options, damaged=damaged)
            told = rf"^rank \d+: the chunk at \({damaged[0]}, {damaged[1]}\) of dataset '/x' cannot"
            with pytest.raises(CorruptChunkError, match=told):
                write(path, rows)
            check_stays_as_it_was(path, damaged)


def check_damaged_chunks_that_are_replaced_or_left_alone():
    """They are no reason to fail."""
    for options in FILTERS.values():
        path = make((2, 500), options, damaged=(4 * LAST, 0))
        rows = slice(4 * RANK, 4 * RANK + 4)
        np.testing.assert_array_equal(write(path, rows), NEW[rows])
        path = make((2, 500), options, damaged=(4 * LAST, 0))
        rows = slice(4 * RANK + 2, 4 * RANK + 3)
        np.testing.assert_array_equal(write(path, rows), NEW[rows])
        path = make((2, 500), options, damaged=(4 * LAST + 2, 0))
        rows = slice(4 * RANK + 1, 4 * RANK + 4)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hdf5_rows, "TRANSFER_BYTES", 2 * SAMPLES * 4)  # none writes a part of it
            np.testing.assert_array_equal(write(path, rows), NEW[rows])


def check_parts_of_chunks():
    """They are read as they were written, not as they were when they were checked."""
    for options in FILTERS.values():
        for chunks in ((2, 500), (3, 600), (4, 1000), (ROWS, 77), (1, 1000)):
            for first, stop in ((0, 4), (1, 3), (3, 4), (0, 0), (0, 4 * (RANK == LAST))):
                for transfer in (2**30, 5000):
                    path = make(chunks, options)
                    rows = slice(4 * RANK + first, 4 * RANK + stop)
                    with pytest.MonkeyPatch.context() as patch:
                        patch.setattr(hdf5_rows, "TRANSFER_BYTES", transfer)
                        np.testing.assert_array_equal(write(path, rows), NEW[rows])
                    expected = OLD.copy()
                    for each in COMM.allgather(rows):
                        expected[each] = NEW[each]
                    with h5py.File(path) as file:
                        np.testing.assert_array_equal(file["x"][...], expected)
                    COMM.Barrier()


def check_no_chunk_is_there():
    for options in FILTERS.values():
        path = make((2, 600), options, slice(0, 0))
        rows = slice(4 * RANK + 1, 4 * RANK + 4)
        np.testing.assert_array_equal(write(path, rows), NEW[rows])


def check_some_chunks_are_missing():
    """Parallel HDF5 before 1.14 adds none where there are others: its ranks wait for ever."""
    for options in FILTERS.values():
        for libver in ("earliest", "latest"):
            for written in (slice(0, 2), slice(ROWS - 2, ROWS), slice(0, ROWS - 1)):
                path = make((2, 600), options, written, libver=libver)
                np.testing.assert_array_equal(write(path, written), NEW[written])  # those there
                rows = slice(4 * RANK, 4 * RANK + 4)
                if written != slice(0, ROWS - 1) and h5py.version.hdf5_version_tuple < (1, 14):
                    told = r"^rank \d+: ranks can write .* Got none at \(\d+, 0\) of dataset '/x'"
                    with pytest.raises(ConfigurationError, match=told):
                        write(path, rows)
                else:
                    np.testing.assert_array_equal(write(path, rows), NEW[rows])


if __name__ == "__main__":
    run(
        check_a_damaged_chunk,
        check_damaged_chunks_that_are_replaced_or_left_alone,
        check_parts_of_chunks,
        check_no_chunk_is_there,
        check_some_chunks_are_missing,
    )
