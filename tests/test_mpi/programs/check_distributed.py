"""Ordinary Zarr arrays and HDF5 datasets that ranks write at once.

Run with a folder, and with "parallel" where h5py is built for it.
"""

import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from ranks import COMM, RANK, ROWS, SIZE, part, ranges, run, waves

import flaccodec
import flaccodec.hdf5
import flaccodec.zarr
from flaccodec import FlacArray, FlacCodec
from flaccodec.exceptions import (
    ConfigurationError,
    EmptyArrayError,
    GroupError,
    RankError,
)
from flaccodec.hdf5 import Flac
from flaccodec.hdf5 import rows as hdf5_rows

FOLDER = Path(sys.argv[1])
PARALLEL = sys.argv[2:] == ["parallel"]
assert h5py.get_config().mpi == PARALLEL
names = iter(range(10**6))


def check_zarr():
    for rows in ROWS:
        array = waves((sum(rows), 3, 500), "float32")
        local = part(array, rows)
        path = FOLDER / f"{next(names)}.zarr"
        options = {"codecs": [FlacCodec(quanta=0.5)], "name": "x", "attributes": {"a": 1}}
        made, own = flaccodec.zarr.create_distributed(
            path, COMM, local_shape=local.shape, dtype="float32", **options
        )
        assert (own.start, own.stop) == ranges(rows)[RANK]
        made[own] = local
        COMM.Barrier()
        alone = flaccodec.create_array({}, data=array, chunks=made.chunks, **options)
        np.testing.assert_array_equal(made[...], alone[...])
        assert made.attrs["a"] == 1
        assert not any(first % made.chunks[0] for first, stop in ranges(rows) if first < stop)
        if RANK == 0:  # the same bytes as one process writes
            for name in sorted(p for p in path.rglob("*") if p.is_file()):
                key = name.relative_to(path).as_posix()
                if "/c/" in key:
                    assert name.read_bytes() == alone.store._store_dict[key].to_bytes()
        COMM.Barrier()


def check_a_path_that_is_not_utf8():
    path = FOLDER / os.fsdecode(b"station-\xe4.zarr")
    local = np.full((2, 500), RANK, "int16")
    options = {"local_shape": local.shape, "dtype": "int16"}
    made, own = flaccodec.zarr.create_distributed(path, COMM, **options)
    made[own] = local
    COMM.Barrier()
    np.testing.assert_array_equal(zarr.open_array(path)[own], local)


def check_shards_and_given_chunks():
    array = waves((4 * SIZE, 600), "int16")
    local = array[4 * RANK : 4 * RANK + 4]
    for sizes in (
        {"shards": (4, 600), "chunks": (2, 200)},
        {"shards": (2, 600)},
        {"chunks": (1, 7)},
    ):
        path = FOLDER / f"{next(names)}.zarr"
        made, own = flaccodec.zarr.create_distributed(
            path, COMM, local_shape=local.shape, dtype="int16", **sizes
        )
        for name, given in sizes.items():
            assert getattr(made, name) == given
        made[own] = local
        COMM.Barrier()
        np.testing.assert_array_equal(made[...], array)


def check_parts_of_one_stream():
    array = waves((1000 * SIZE,), "int32")
    local = array[1000 * RANK : 1000 * RANK + 1000]
    made, own = flaccodec.zarr.create_distributed(
        FOLDER / f"{next(names)}.zarr", COMM, local_shape=local.shape, dtype="int32"
    )
    made[own] = local
    COMM.Barrier()
    assert made.chunks == (1000,)
    np.testing.assert_array_equal(made[...], array)


def check_what_zarr_refuses():
    def create(rows, **options):
        path = FOLDER / f"{next(names)}.zarr"
        options = {"local_shape": (rows, 50), "dtype": "int32", **options}
        with pytest.raises((ConfigurationError, EmptyArrayError, ValueError)) as caught:
            flaccodec.zarr.create_distributed(path, COMM, **options)
        assert not path.exists()
        texts = COMM.allgather(str(caught.value))
        assert texts == [texts[0]] * SIZE
        return texts[0]

    assert "no rows on any rank" in create(0)
    assert "must have 2 sizes" in create(3, chunks=(3,))
    assert "local_shape must have an axis" in create(3, local_shape=())
    for shape in ((3, 0), (3, 0, 5)):
        assert "local_shape must have samples in its rows" in create(3, local_shape=shape)
    if SIZE == 1:
        return
    assert (
        "no two ranks may write to one of the chunks. Got chunks of 8 rows, while rank 1 begins at "
        "row 12, in one that rank 0 writes to. These would do: 1, 2, 3, 4, 6, 12 rows."
    ) in create(12, chunks=(8, 50))
    assert "one of the shards. Got shards of 24" in create(12, shards=(24, 50), chunks=(12, 50))
    assert "128, 256, 512, 1,024 rows, or another divisor of 1,024" in create(1024, chunks=(7, 50))
    text = create(2, local_shape=(2, 50 + (RANK == SIZE - 1)))
    assert f"shape (2, 51) on rank {SIZE - 1}" in text
    assert "one dtype" in create(2, dtype="i4" if RANK else "i2")
    # A store of rank 0's own.
    with pytest.raises((RankError, ValueError), match=r"rank [1-3]: "):
        flaccodec.zarr.create_distributed({}, COMM, local_shape=(2, 50), dtype="int32")


def check_a_path_that_is_another_store_on_a_rank():
    if SIZE == 1:
        return
    path = FOLDER / f"disk-{RANK == SIZE - 1}" / "y.zarr"
    if RANK == SIZE - 1:
        left = zarr.create_array(path, shape=(100, 7), dtype="int16")
    COMM.Barrier()
    with pytest.raises(GroupError, match=rf"rank {SIZE - 1}: .*all ranks must open one store"):
        flaccodec.zarr.create_distributed(path, COMM, local_shape=(2, 50), dtype="int32")
    if RANK == SIZE - 1:
        assert zarr.open_array(path).shape == left.shape
    assert not list(path.glob(".*"))


def check_hdf5():
    if not PARALLEL:
        options = {"local_shape": (1, 9), "dtype": "i4"}
        with (
            h5py.File(FOLDER / f"{RANK}.h5", "w") as file,
            pytest.raises(ConfigurationError, match="is built without MPI"),
        ):
            flaccodec.hdf5.create_distributed(file, "x", COMM, **options)
        return
    for rows in ROWS:
        array = waves((sum(rows), 3, 500), "float32")
        local = part(array, rows)
        for transfer in (2**30, 5000):
            path = FOLDER / f"{next(names)}.h5"
            with (
                pytest.MonkeyPatch.context() as patch,
                h5py.File(path, "w", driver="mpio", comm=COMM) as file,
            ):
                patch.setattr(hdf5_rows, "TRANSFER_BYTES", transfer)
                made, own = flaccodec.hdf5.create_distributed(
                    file,
                    "x",
                    COMM,
                    local_shape=local.shape,
                    dtype="float32",
                    compression=Flac(quanta=0.5),
                )
                flaccodec.hdf5.write_distributed(made, COMM, own, local)
                chunks = made.chunks
            other = FOLDER / f"alone-{RANK}.h5"
            with h5py.File(other, "w") as alone:
                alone.create_dataset("x", data=array, chunks=chunks, compression=Flac(quanta=0.5))
            with h5py.File(other) as alone, h5py.File(path) as file:
                one = alone["x"]
                np.testing.assert_array_equal(file["x"][...], one[...])
                for i in range(one.id.get_num_chunks()):
                    at = one.id.get_chunk_info(i).chunk_offset
                    mine, theirs = (d.id.read_direct_chunk(at) for d in (file["x"], one))
                    assert mine == theirs
            COMM.Barrier()


def check_one_unlimited_axis_that_is_not_the_first():
    """HDF5's chunk queries name the wrong chunks then, in the newer format."""
    if not PARALLEL:
        return
    for rows in ROWS:
        array = waves((sum(rows), 3, 500), "float32")
        local = part(array, rows)
        path = FOLDER / f"{next(names)}.h5"
        options = {"local_shape": local.shape, "dtype": "float32"}
        options |= {"chunks": (1, 2, 120), "maxshape": (sum(rows), 3, None)}
        with h5py.File(path, "w", driver="mpio", comm=COMM, libver="latest") as file:
            made, own = flaccodec.hdf5.create_distributed(file, "x", COMM, **options)
            flaccodec.hdf5.write_distributed(made, COMM, own, local)
            COMM.Barrier()
            np.testing.assert_array_equal(made[...], array)
            np.testing.assert_array_equal(flaccodec.hdf5.read(made), array)
            np.testing.assert_array_equal(FlacArray.read_hdf5(made).to_array(), array)
            np.testing.assert_array_equal(flaccodec.hdf5.to_zarr(made, {})[...], array)
        COMM.Barrier()
        for opened in ({"driver": "mpio", "comm": COMM}, {}):
            with h5py.File(path, **opened) as file:
                x = file["x"]
                np.testing.assert_array_equal(flaccodec.hdf5.read(x), array)
                np.testing.assert_array_equal(flaccodec.hdf5.read(x, own), array[own])
                np.testing.assert_array_equal(flaccodec.hdf5.to_zarr(x, {})[own], array[own])
        COMM.Barrier()


def check_one_rank_reads_alone():
    if not PARALLEL:
        return
    with h5py.File(FOLDER / f"{next(names)}.h5", "w", driver="mpio", comm=COMM) as file:
        options = {"local_shape": (2, 9), "dtype": "i4"}
        made, own = flaccodec.hdf5.create_distributed(file, "x", COMM, **options)
        local = np.full((2, 9), RANK, "i4")
        flaccodec.hdf5.write_distributed(made, COMM, own, local)
        if RANK == SIZE - 1:
            np.testing.assert_array_equal(flaccodec.hdf5.read(made, own), local)
            np.testing.assert_array_equal(FlacArray.read_hdf5(made)[own], local)
        COMM.Barrier()
        other = None if RANK == SIZE - 1 else file
        with pytest.raises(TypeError, match=rf"rank {SIZE - 1}: hgrp must be an h5py"):
            flaccodec.hdf5.create_distributed(other, "y", COMM, **options)


def check_what_hdf5_refuses():
    if not PARALLEL:
        return
    with h5py.File(FOLDER / f"{next(names)}.h5", "w", driver="mpio", comm=COMM) as file:
        create = flaccodec.hdf5.create_distributed
        if SIZE > 1:
            with pytest.raises(ConfigurationError, match=r"These would do: 1, 2, 3, 4, 6, 12 rows"):
                create(file, "x", COMM, local_shape=(12, 9), dtype="i4", chunks=(5, 9))
        made, own = create(file, "x", COMM, local_shape=(2, 9), dtype="i4")
        last = RANK == SIZE - 1
        with pytest.raises(ConfigurationError, match=rf"rank {SIZE - 1}: arr must have the rows'"):
            flaccodec.hdf5.write_distributed(made, COMM, own, np.zeros((2, 8 if last else 9), "i4"))


def check_options_of_hdf5_that_differ():
    if not PARALLEL or SIZE == 1:
        return

    last = RANK == SIZE - 1
    with h5py.File(FOLDER / f"{next(names)}.h5", "w", driver="mpio", comm=COMM) as file:
        group = file.create_group("g")
        for told, place, name, options in (
            ("name must .* Got 'x' on rank 0, and 5 on", file, 5 if last else "x", {}),
            ("group must", group if last else file, "x", {}),
            ("fillvalue must .* Got nothing", file, "x", {"fillvalue": 1} if last else {}),
            ("compression must", file, "x", {"compression": Flac(level=RANK)}),
        ):
            with pytest.raises(ConfigurationError, match=told):
                flaccodec.hdf5.create_distributed(
                    place, name, COMM, local_shape=(2, 9), dtype="f4", **options
                )
        assert list(file) == ["g"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)  # written with its address
        flaccodec.hdf5.create_distributed(
            file, "x", COMM, local_shape=(2, 9), dtype="f4", dcpl=properties
        )


def check_rows_that_are_none_of_the_dataset():
    if not PARALLEL:
        return
    with h5py.File(FOLDER / f"{next(names)}.h5", "w", driver="mpio", comm=COMM) as file:
        create, write = flaccodec.hdf5.create_distributed, flaccodec.hdf5.write_distributed
        made, own = create(file, "x", COMM, local_shape=(2, 9), dtype="i4")
        local = np.full((2, 9), RANK, "i4")
        write(made, COMM, own, local)
        n = 2 * SIZE
        for rows in (
            slice(n, n + 2),
            slice(-2, 0),
            slice(-3, -1),
            slice(2, 0),
            slice(0, n, 2),
            slice(None),
            slice(0.0, 2.0),
            [0, 1],
        ):
            given = rows if RANK == SIZE - 1 else own
            with pytest.raises(ConfigurationError, match=rf"rank {SIZE - 1}: rows must be a slice"):
                write(made, COMM, given, local)
        np.testing.assert_array_equal(made[own], local)


def check_samples_that_quanta_cannot_hold():
    """They are stored exactly: no rank fails, for which the others would wait."""
    if not PARALLEL:
        return
    path, written = FOLDER / f"{next(names)}.h5", {}
    with h5py.File(path, "w", driver="mpio", comm=COMM) as file:
        for flac in (Flac(quanta=1e-3), Flac(precision=30)):
            name = next(names)
            made, own = flaccodec.hdf5.create_distributed(
                file,
                f"{name}",
                COMM,
                local_shape=(3, 50),
                dtype="f8",
                chunks=(1, 50),
                compression=flac,
            )
            local = np.full((3, 50), 7.0)
            local[1, :3] = np.nan, np.inf, -np.inf
            rows = slice(np.int64(own.start), np.int64(own.stop), 1)
            flaccodec.hdf5.write_distributed(made, COMM, rows, local)
            if RANK == SIZE - 1:
                local[2] = np.arange(50) + 1e300
                local[2, 7] = 7e299
            flaccodec.hdf5.write_distributed(made, COMM, own, local)
            written[f"{name}"] = own, local
    # Parallel HDF5 1.10 would give what a rank has read before from its cache, whatever the filter.
    with h5py.File(path, "r", driver="mpio", comm=COMM) as file:
        for name, (own, local) in written.items():
            np.testing.assert_array_equal(file[name][own], local)


def check_fill_values_far_from_zero():
    """They have no part in the quanta, and are no reason to refuse samples."""
    if not PARALLEL:
        return
    with h5py.File(FOLDER / f"{next(names)}.h5", "w", driver="mpio", comm=COMM) as file:
        made, own = flaccodec.hdf5.create_distributed(
            file,
            "x",
            COMM,
            local_shape=(3, 50),
            dtype="f4",
            compression=Flac(quanta=1e-3),
            fillvalue=9.97e36,
        )
        local = np.zeros((3, 50), "f4")
        local[1] = 9.97e36
        flaccodec.hdf5.write_distributed(made, COMM, own, local)
        np.testing.assert_array_equal(made[own], local)


def check_samples_that_a_dtype_cannot_hold():
    """Nothing is clipped or wrapped: all ranks refuse, and what was written stays."""
    if not PARALLEL:
        return
    write = flaccodec.hdf5.write_distributed
    with h5py.File(FOLDER / f"{next(names)}.h5", "w", driver="mpio", comm=COMM) as file:
        for dtype, fits, wrong, told in (
            ("i4", np.int64(2**31 - 1), np.int64(2**33 + 5), "8589934597"),
            ("i4", np.uint32(7), np.float64(7.0), "of the dataset's dtype, int32. Got float64"),
            ("u2", np.int64(2**16 - 1), np.int64(-1), "-1"),
            ("f4", np.float64(0.5), np.float64(1e300), "1e\\+300"),
            ("f4", np.float64(np.inf), np.complex128(1), "Got complex128"),
        ):
            name = f"{next(names)}"
            made, own = flaccodec.hdf5.create_distributed(
                file, name, COMM, local_shape=(2, 9), dtype=dtype
            )
            write(made, COMM, slice(*map(np.int64, (own.start, own.stop))), np.full((2, 9), fits))
            local = np.full((2, 9), wrong if RANK == SIZE - 1 else fits)
            with pytest.raises(ConfigurationError, match=rf"rank {SIZE - 1}: arr must.*{told}"):
                write(made, COMM, own, local)
            np.testing.assert_array_equal(made[own], np.full((2, 9), fits, dtype=dtype))
        with pytest.raises(ConfigurationError, match="arr must not be masked"):
            write(made, COMM, own, np.ma.masked_all((2, 9), "f4"))


if __name__ == "__main__":
    flaccodec.set_num_threads(1)
    run(
        check_zarr,
        check_shards_and_given_chunks,
        check_parts_of_one_stream,
        check_what_zarr_refuses,
        check_a_path_that_is_another_store_on_a_rank,
        check_hdf5,
        check_one_rank_reads_alone,
        check_what_hdf5_refuses,
        check_options_of_hdf5_that_differ,
        check_rows_that_are_none_of_the_dataset,
        check_samples_that_quanta_cannot_hold,
        check_fill_values_far_from_zero,
        check_samples_that_a_dtype_cannot_hold,
    )
