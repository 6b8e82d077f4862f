"""Groups of flacarray's layout: written by ranks as by one process, and read by ranks.

Run with a folder, and with "parallel" where h5py is built for it.
"""

import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import flacarray
import flacarray.hdf5
import flacarray.zarr
import h5py
import numpy as np
import pytest
import zarr
from ranks import COMM, RANK, ROWS, SIZE, part, ranges, run, waves

import flaccodec.hdf5
import flaccodec.mpi
import flaccodec.zarr
from flaccodec import FlacArray
from flaccodec.exceptions import (
    ConfigurationError,
    EmptyArrayError,
    GroupError,
    GroupExistsError,
    NoGroupError,
    UnsupportedDtypeError,
)
from flaccodec.groups import door as groups_door
from flaccodec.groups import ranks_read as mpi_group_read
from flaccodec.hdf5 import group_door
from flaccodec.hdf5 import rows as hdf5_rows
from flaccodec.mpi import messages as mpi_messages

FOLDER = Path(sys.argv[1])
PARALLEL = sys.argv[2:] == ["parallel"]
assert h5py.get_config().mpi == PARALLEL

OPTIONS = {"int32": {}, "int64": {}, "float32": {"quanta": 0.25}, "float64": {"precision": 6}}
RESTS = [(700,), (2, 300)]
names = iter(range(10**6))


def cases(every=ROWS):
    """Give each distribution with two of the dtypes, and each dtype with some of them."""
    for i, rows in enumerate(every):
        for dtype, rest in zip(list(OPTIONS)[i % 2 :: 2], RESTS, strict=True):
            yield rows, waves((sum(rows), *rest), dtype), OPTIONS[dtype]


# -- files, as each way has them ------------------------------------------------------------


@contextmanager
def hdf5_by_first(path, mode):
    """Give the file to rank 0 alone."""
    if RANK:
        yield None
    else:
        with h5py.File(f"{path}.h5", mode) as file:
            yield file
    COMM.Barrier()


@contextmanager
def hdf5_by_all(path, mode):
    if not PARALLEL and mode == "w":
        pytest.skip("without parallel HDF5")
    options = {"driver": "mpio", "comm": COMM} if PARALLEL else {}
    with h5py.File(f"{path}.h5", mode, **options) as file:
        yield file
    COMM.Barrier()


@contextmanager
def zarr_by_first(path, mode):
    yield None if RANK else zarr.open_group(f"{path}.zarr", mode=mode)
    COMM.Barrier()


@contextmanager
def zarr_by_all(path, mode):
    if RANK == 0:
        zarr.open_group(f"{path}.zarr", mode=mode)
    COMM.Barrier()
    yield zarr.open_group(f"{path}.zarr", mode="r+")
    COMM.Barrier()


WAYS = [
    *([(flaccodec.hdf5, hdf5_by_first), (flaccodec.hdf5, hdf5_by_all)]),
    *([(flaccodec.zarr, zarr_by_first), (flaccodec.zarr, zarr_by_all)]),
]
WRITING = [(d, w) for d, w in WAYS if PARALLEL or w is not hdf5_by_all]


def new_path():
    return FOLDER / f"{next(names)}"


def datasets(group):
    """Return all that a group holds."""
    held = {name: (d.dtype, d.chunks, d[...], dict(d.attrs)) for name, d in group.items()}
    return held, dict(group.attrs)


def arrays_of(group):
    return datasets(ZarrMembers(group)) if isinstance(group, zarr.Group) else datasets(group)


class ZarrMembers:
    """A Zarr group with what h5py's has."""

    def __init__(self, group):
        self.attrs = group.attrs
        self.items = group.members


def assert_same(one, other):
    (held, attributes), (others, other_attributes) = one, other
    assert attributes == other_attributes
    assert set(held) == set(others)
    for name, (dtype, chunks, values, attrs) in held.items():
        assert (dtype, chunks, attrs) == (others[name][0], others[name][1], others[name][3]), name
        np.testing.assert_array_equal(values, others[name][2])


def files_of(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def assert_as_one_process(write_whole, path, way):
    """Rank 0 compares what the ranks wrote with what it writes by itself."""
    if RANK == 0:
        alone = Path(f"{path}-alone")
        if way in (zarr_by_first, zarr_by_all):
            write_whole(zarr.open_group(f"{alone}.zarr", mode="w"))
            assert files_of(Path(f"{path}.zarr")) == files_of(Path(f"{alone}.zarr"))
        else:
            with h5py.File(f"{alone}.h5", "w") as file, h5py.File(f"{path}.h5") as other:
                write_whole(file)
                assert_same(datasets(file), datasets(other))
    COMM.Barrier()


# -- checks ------------------------------------------------------------------------------


def check_arrays():
    for rows, array, options in cases():
        for door, way in WRITING:
            path = new_path()
            with way(path, "w") as group:
                door.write_array(part(array, rows), group, mpi_comm=COMM, **options)
            assert_as_one_process(
                lambda g, d=door, a=array, o=options: d.write_array(a, g, **o), path, way
            )
            read_ways = [w for d, w in WAYS if d is door]
            for read_way in read_ways:
                read_back(door, path, read_way, array)


def read_back(door, path, way, array):
    """Read as ranks do and, on rank 0, as one process does."""
    rows = array.shape[0]
    reverse = [(0, 0)] * (SIZE - 1) + [(0, rows)]
    keep = np.arange(np.prod(array.shape[:-1])).reshape(array.shape[:-1]) % 3 > 0
    with way(path, "r") as group:
        whole = door.read_array(group) if RANK == 0 else None
    whole = COMM.bcast(whole)
    for dist in (None, reverse):
        with way(path, "r") as group:
            got = door.read_array(group, mpi_comm=COMM, mpi_dist=dist)
            kept, indices = door.read_array(
                group,
                keep=keep,
                keep_indices=True,
                stream_slice=slice(10, 40),
                mpi_comm=COMM,
                mpi_dist=dist,
            )
        used = dist or flaccodec.mpi.distribute_and_verify(COMM, rows)
        first, stop = used[RANK]
        np.testing.assert_array_equal(got, whole[first:stop])
        assert got.dtype == array.dtype
        own = np.zeros_like(keep)
        own[first:stop] = keep[first:stop]
        np.testing.assert_array_equal(kept, whole[own][:, 10:40])
        assert indices == [tuple(i) for i in np.argwhere(own).tolist()]


def check_flacarrays():
    for rows, array, options in cases(ROWS[-2:]):
        for door, way in WRITING:
            kind = "hdf5" if door is flaccodec.hdf5 else "zarr"
            fa = FlacArray.from_array(part(array, rows), mpi_comm=COMM, **options)
            path = new_path()
            with way(path, "w") as group:
                getattr(fa, f"write_{kind}")(group)
            alone = FlacArray.from_array(array, **options)
            assert_as_one_process(lambda g, k=kind, a=alone: getattr(a, f"write_{k}")(g), path, way)
            with way(path, "r") as group:
                read = getattr(FlacArray, f"read_{kind}")
                other = read(group, mpi_comm=COMM, mpi_dist=ranges(rows))
                single = COMM.bcast(read(group).to_array() if RANK == 0 else None)
                keep = np.zeros(array.shape[:-1], dtype=bool)
                keep[0] = True
                kept = read(group, keep=keep, mpi_comm=COMM)
            assert other.mpi_dist == ranges(rows)
            assert other.global_shape == array.shape
            np.testing.assert_array_equal(other.to_array(), part(single, rows))
            assert kept.global_shape == (keep.sum(), array.shape[-1])
            assert kept.shape == (keep.sum() if RANK == 0 else 0, array.shape[-1])


def check_one_stream():
    """Of which one rank gets all, with the axes that it was written with."""
    array = waves((500,), "int64")
    for door, way in WRITING:
        path = new_path()
        if RANK == 0:
            if door is flaccodec.zarr:
                door.write_array(array, zarr.open_group(f"{path}.zarr", mode="w"))
            else:
                with h5py.File(f"{path}.h5", "w") as alone:
                    door.write_array(array, alone)
        COMM.Barrier()
        with way(path, "r") as group:
            got = door.read_array(group, mpi_comm=COMM)
            unflattened = door.read_array(group, mpi_comm=COMM, no_flatten=True)
        assert got.shape == ((500,) if RANK == 0 else (0, 500))
        assert unflattened.shape == (1 if RANK == 0 else 0, 500)
        if RANK == 0:
            np.testing.assert_array_equal(got, array)


def check_chunks_of_many_ranks():
    """Arrays whose bytes are several Zarr chunks, with borders that are not the ranks'."""
    rng = np.random.default_rng(5)
    rows = ROWS[1 % len(ROWS)]
    array = rng.integers(-(2**30), 2**30, (sum(rows), 400_000), dtype="int32")
    path = new_path()
    with zarr_by_all(path, "w") as group:
        flaccodec.zarr.write_array(part(array, rows), group, mpi_comm=COMM)
        assert group["compressed"].cdata_shape[0] > 2
        np.testing.assert_array_equal(flaccodec.zarr.read_array(group), array)
    assert_as_one_process(lambda g: flaccodec.zarr.write_array(array, g), path, zarr_by_all)


def check_small_pieces():
    """What goes in pieces where it is large, with pieces of some bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mpi_messages, "MESSAGE_BYTES", 13)
        patch.setattr(groups_door, "PIECE_BYTES", 50)
        patch.setattr(mpi_group_read, "PIECE_BYTES", 71)
        patch.setattr(hdf5_rows, "TRANSFER_BYTES", 90)
        rows = ROWS[-1]
        array = waves((sum(rows), 2, 60), "float64")
        for door, way in WRITING:
            path = new_path()
            with way(path, "w") as group:
                door.write_array(part(array, rows), group, quanta=4.0, mpi_comm=COMM)
            assert_as_one_process(lambda g, d=door: d.write_array(array, g, quanta=4.0), path, way)
            for read_way in [w for d, w in WAYS if d is door]:
                read_back(door, path, read_way, array)


def check_beside_flacarray():
    """flacarray 0.4.1 reads what ranks write, with MPI and without, and the other way round."""
    pairs = {flaccodec.hdf5: flacarray.hdf5, flaccodec.zarr: flacarray.zarr}
    for rows, array, options in cases([[2] * SIZE, [1] * SIZE]):
        for door, way in WRITING:
            theirs = pairs[door]
            path, their_path = new_path(), new_path()
            with way(path, "w") as group:
                door.write_array(part(array, rows), group, mpi_comm=COMM, **options)
            with way(path, "r") as group:
                ours = door.read_array(group, mpi_comm=COMM)
                got = theirs.read_array(group, mpi_comm=COMM)
                # One row on a rank has no axis there.
                np.testing.assert_array_equal(got.reshape(ours.shape), ours)
                if RANK == 0:
                    whole = door.read_array(group)
                    got = theirs.read_array(group).reshape(whole.shape)  # it drops an axis of 1
                    np.testing.assert_array_equal(got, whole)
            if way is zarr_by_all:
                continue  # where 0.4.1 writes by rank 0 alone
            if way is hdf5_by_all and SIZE > 1:
                with way(their_path, "w") as group, pytest.raises(TypeError, match="getset"):
                    theirs.write_array(part(array, rows), group, mpi_comm=COMM, **options)
                continue  # 0.4.1 does not write to parallel HDF5
            with way(their_path, "w") as group:
                theirs.write_array(part(array, rows), group, mpi_comm=COMM, **options)
            with way(their_path, "r") as group:
                ours = door.read_array(group, mpi_comm=COMM)
                got = theirs.read_array(group, mpi_comm=COMM)
                # One row on a rank has no axis there.
                np.testing.assert_array_equal(got.reshape(ours.shape), ours)


def check_rank_0_says_so_once():
    group_door._said.clear()
    array = np.arange(12, dtype="int32").reshape(2, 6)
    for time in range(2):
        with warnings.catch_warnings(record=True) as caught, hdf5_by_first(new_path(), "w") as g:
            warnings.simplefilter("always")
            flaccodec.hdf5.write_array(array, g, mpi_comm=COMM)
        texts = [str(w.message) for w in caught]
        said = SIZE > 1 and RANK == 0 and time == 0
        assert len(texts) == said
        if said:
            assert "rank 0 writes the HDF5 file alone" in texts[0]
            assert ("built without MPI" in texts[0]) != PARALLEL


def check_what_is_refused():
    array = np.arange(12, dtype="int32").reshape(2, 6)
    for door, way in WRITING:
        path = new_path()
        with way(path, "w") as group:
            with pytest.raises(NoGroupError, match="no flacarray"):
                door.read_array(group, mpi_comm=COMM)
            door.write_array(array, group, mpi_comm=COMM)
            with pytest.raises(GroupExistsError, match="already has"):
                door.write_array(array, group, mpi_comm=COMM)
            with pytest.raises(ConfigurationError, match="mpi_dist must be"):
                door.read_array(group, mpi_comm=COMM, mpi_dist=[(0, 1)] * SIZE)
            with pytest.raises(ConfigurationError, match="keep must be"):
                door.read_array(group, keep=[True], mpi_comm=COMM)
            read = FlacArray.read_zarr if door is flaccodec.zarr else FlacArray.read_hdf5
            with pytest.raises(EmptyArrayError, match="Got a keep without any"):
                read(group, keep=np.zeros(2 * SIZE, dtype=bool), mpi_comm=COMM)
            if SIZE > 1:
                with pytest.raises(ConfigurationError, match="keep must be the same on all ranks"):
                    door.read_array(group, keep=np.arange(2 * SIZE) == RANK, mpi_comm=COMM)
            got = door.read_array(group, mpi_comm=COMM)  # nothing was harmed
            assert sum(COMM.allgather(len(got))) == 2 * SIZE
        if SIZE > 1:
            with pytest.raises(ConfigurationError, match="rank 0 must have the group"):
                door.write_array(array, None, mpi_comm=COMM)
            with pytest.raises(ConfigurationError, match="rank 0 must have the group"):
                door.read_array(None, mpi_comm=COMM)
    if SIZE > 1:
        group = zarr.open_group(FOLDER / f"own-{RANK}", mode="w")
        with pytest.raises(ValueError, match=r"rank \d: .*all ranks must open one store"):
            flaccodec.zarr.write_array(np.ones((1, 10**6), "i4"), group, mpi_comm=COMM)
        assert list(group) == []
        memory = zarr.create_group({})
        flaccodec.zarr.write_array(array, memory, mpi_comm=COMM)
        assert ("compressed" in memory) == (RANK == 0)


def check_a_path_that_is_another_store_on_a_rank():
    """As of disks of machines' own, of which one has what an earlier run has left."""
    if SIZE == 1:
        return
    array = np.random.default_rng(RANK).integers(-(2**30), 2**30, (2, 300_000), dtype="int32")
    path = FOLDER / f"disk-{RANK == SIZE - 1}" / "x.zarr"
    if RANK == 0:
        zarr.create_group(path)
    if RANK == SIZE - 1:
        whole = np.zeros((2 * SIZE, 300_000), dtype="int32")
        flaccodec.zarr.write_array(whole, zarr.create_group(path))
        before = files_of(path)
    COMM.Barrier()
    group = zarr.open_group(path, mode="r+")
    with pytest.raises(GroupError, match=rf"rank {SIZE - 1}: .*all ranks must open one store"):
        flaccodec.zarr.write_array(array, group, mpi_comm=COMM)
    if RANK == SIZE - 1:
        assert files_of(path) == before
    else:
        assert list(group) == []
        assert [p.name for p in path.iterdir()] == ["zarr.json"]


def check_a_parallel_file_that_some_ranks_have_none_of():
    if not PARALLEL or SIZE == 1:
        return
    array = np.arange(12, dtype="int32").reshape(2, 6)
    fa = FlacArray.from_array(array, mpi_comm=COMM)
    with hdf5_by_all(new_path(), "w") as file:
        for rank in (0, SIZE - 1):  # one that has none, and all but one
            for group in (None if rank == RANK else file, file if rank == RANK else None):
                for write in (
                    lambda g: flaccodec.hdf5.write_array(array, g, mpi_comm=COMM),
                    fa.write_hdf5,
                ):
                    with pytest.raises(ConfigurationError, match="all ranks must have the group"):
                        write(group)
        flaccodec.hdf5.write_array(array, file, mpi_comm=COMM)
        got = flaccodec.hdf5.read_array(file if RANK == 0 else None, mpi_comm=COMM)
        assert sum(COMM.allgather(len(got))) == 2 * SIZE


def check_consolidated_metadata():
    array = np.arange(12, dtype="int32").reshape(2, 6) + RANK
    whole = np.concatenate([np.arange(12, dtype="int32").reshape(2, 6) + r for r in range(SIZE)])
    for everyone in (False, True):
        path = new_path()
        if RANK == 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                zarr.create_group(path).create_group("det")
                zarr.consolidate_metadata(path)
        COMM.Barrier()
        group = zarr.open_group(path, mode="r+")["det"] if RANK == 0 or everyone else None
        flaccodec.zarr.write_array(array, group, mpi_comm=COMM)
        for reader in (group, zarr.open_group(path)["det"]):
            got = flaccodec.zarr.read_array(reader, mpi_comm=COMM)
            np.testing.assert_array_equal(got, array)
        np.testing.assert_array_equal(flaccodec.zarr.read_array(reader), whole)


def check_advice_on_what_groups_cannot_hold():
    """It is of something that ranks can do."""
    array = np.where(np.arange(20.0) == 3, np.nan, 1.0).reshape(2, 10)
    fa = FlacArray.from_array(array, quanta=0.5, mpi_comm=COMM)
    with (
        zarr_by_all(new_path(), "w") as group,
        pytest.raises(UnsupportedDtypeError, match=r"not finite: .*zarr\.create_distributed"),
    ):
        fa.write_zarr(group)


if __name__ == "__main__":
    flaccodec.set_num_threads(1)
    if SIZE > 1:
        group_door._said.add("")
    run(
        check_arrays,
        check_flacarrays,
        check_one_stream,
        check_chunks_of_many_ranks,
        check_small_pieces,
        check_beside_flacarray,
        check_rank_0_says_so_once,
        check_what_is_refused,
        check_consolidated_metadata,
        check_advice_on_what_groups_cannot_hold,
        check_a_path_that_is_another_store_on_a_rank,
        check_a_parallel_file_that_some_ranks_have_none_of,
    )
