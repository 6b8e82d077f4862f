"""FlacArrays over ranks, beside flacarray's."""

import copy
import pickle

import dask.array as da
import flacarray
import flacarray.demo
import numpy as np
import pytest
from mpi4py import MPI
from ranks import COMM, RANK, ROWS, SIZE, part, ranges, run, waves

import flaccodec
from flaccodec import FlacArray
from flaccodec.demo import create_fake_data
from flaccodec.exceptions import (
    ConfigurationError,
    EmptyArrayError,
    QuantaError,
    QuantaTooFineError,
    QuantaWarning,
)

SHAPES = {2: (700,), 3: (2, 300), 4: (2, 3, 100)}
OPTIONS = {"int32": {}, "int64": {}, "float32": {"quanta": 0.25}, "float64": {"precision": 6}}


def cases():
    for rows in ROWS:
        for rest in SHAPES.values():
            for dtype, options in OPTIONS.items():
                yield rows, waves((sum(rows), *rest), dtype), options


def check_properties():
    for rows, array, options in cases():
        local = part(array, rows)
        fa = FlacArray.from_array(local, mpi_comm=COMM, **options)
        whole = FlacArray.from_array(array, **options)
        first, stop = ranges(rows)[RANK]
        assert fa.shape == local.shape
        assert fa.leading_shape == local.shape[:-1]
        assert fa.nstreams == np.prod(local.shape[:-1])
        assert fa.mpi_comm is COMM
        assert fa.mpi_dist == ranges(rows)
        assert fa.global_shape == array.shape
        assert fa.global_leading_shape == array.shape[:-1]
        assert fa.global_nstreams == whole.nstreams
        assert fa.global_nbytes == whole.nbytes == sum(fa.global_process_nbytes)
        assert fa.global_process_nbytes[RANK] == fa.nbytes == fa.compressed.size
        np.testing.assert_array_equal(fa.global_stream_nbytes, whole.stream_nbytes)
        np.testing.assert_array_equal(fa.global_stream_starts, whole.stream_starts[first:stop])
        np.testing.assert_array_equal(fa.to_array(), whole[first:stop])
        for name in ("stream_offsets", "stream_gains"):
            mine, all_of_it = getattr(fa, name), getattr(whole, name)
            if array.dtype.kind == "f":
                np.testing.assert_array_equal(mine, all_of_it[first:stop])
                assert mine.dtype == array.dtype


def check_beside_flacarray():
    """What 0.4.1 gives is given here, but for bytes, whose encoder is another."""
    same = ["shape", "global_shape", "leading_shape", "global_leading_shape"]
    same += ["stream_size", "mpi_dist", "dtype", "typestr"]
    alike = ["stream_starts", "stream_nbytes", "global_stream_starts", "compressed"]
    for rows, array, options in cases():
        local = part(array, rows)
        ours = FlacArray.from_array(local, mpi_comm=COMM, **options)
        theirs = flacarray.FlacArray.from_array(local, mpi_comm=COMM, **options)
        for name in same:
            assert getattr(ours, name) == getattr(theirs, name), name
        for name in alike:
            mine, other = getattr(ours, name), getattr(theirs, name)
            assert (mine.dtype, mine.ndim) == (other.dtype, other.ndim), name
            assert name == "compressed" or mine.shape == other.shape, name
        # 0.4.1 sets no attribute for these.
        for name in ("global_process_nbytes", "global_nstreams", "global_stream_nbytes"):
            with pytest.raises(AttributeError):
                getattr(theirs, name)
        if rows[RANK]:
            sizes = [repr(fa).partition("bytes=")[0] for fa in (ours, theirs)]
            assert sizes[0] == sizes[1]


def check_parts_of_one_axis():
    row = waves((500,), "int32", RANK)
    fa = FlacArray.from_array(row, mpi_comm=COMM)
    assert fa.shape == (500,)
    assert fa.global_shape == (SIZE, 500)
    assert fa.mpi_dist == [(i, i + 1) for i in range(SIZE)]
    np.testing.assert_array_equal(fa.to_array(), row)
    theirs = flacarray.FlacArray.from_array(row, mpi_comm=COMM)
    assert (theirs.shape, theirs.global_shape) == (fa.shape, fa.global_shape)
    assert theirs.mpi_dist == fa.mpi_dist


def check_none_is_no_rows():
    if SIZE == 1:
        return
    local = None if RANK == 0 else waves((2, 100), "float32")
    fa = FlacArray.from_array(local, mpi_comm=COMM, quanta=0.5)
    assert fa.shape == ((0, 100) if RANK == 0 else (2, 100))
    assert fa.dtype == np.float32
    # The dtype of nothing does not matter.
    local = np.zeros((0, 3)) if RANK == 0 else waves((2, 100), ">i2")
    fa = FlacArray.from_array(local, mpi_comm=COMM)
    assert fa.dtype == np.int16
    assert fa.global_shape == (2 * SIZE - 2, 100)


def check_rank_without_rows_as_an_array():
    rows = ROWS[-1]
    fa = FlacArray.from_array(part(waves((sum(rows), 2, 90), "float64"), rows), mpi_comm=COMM)
    if rows[RANK]:
        return
    assert fa.to_array().shape == fa.shape == (0, 2, 90)
    assert np.asarray(fa).dtype == np.float64
    assert repr(fa).startswith(f"<FlacArray | Rank {RANK:04d} no rows | float64")
    assert len(fa) == fa.size == fa.nbytes == 0
    assert list(fa) == []
    assert fa[:, 1, 5:8].shape == (0, 3)
    assert fa[..., 4].shape == (0, 2)
    kept = fa.to_array(keep=np.zeros((0, 2), dtype=bool), stream_slice=slice(3, 9))
    assert kept.shape == (0, 6)
    with pytest.raises(IndexError):
        fa[0]
    with pytest.raises(EmptyArrayError, match="this rank has no streams"):
        fa.to_chunk()


def check_fake_data():
    """One array, however its rows are spread; 0.4.1 gives parts of the same shapes."""
    for rows in ROWS:
        for rest in SHAPES.values():
            local_shape = (rows[RANK], *rest)
            local, dist = create_fake_data(local_shape, dtype=np.float32, comm=COMM)
            whole, _ = create_fake_data((sum(rows), *rest), dtype=np.float32)
            assert dist == ranges(rows)
            assert local.dtype == np.float32
            assert local.shape == local_shape
            np.testing.assert_array_equal(local, part(whole, rows))
            theirs, their_dist = flacarray.demo.create_fake_data(local_shape, comm=COMM)
            assert dist == their_dist
            assert theirs.shape == (rest if local_shape == (1, *rest[-1:]) else local_shape)
    row, dist = create_fake_data((500,), comm=COMM)
    theirs, their_dist = flacarray.demo.create_fake_data((500,), comm=COMM)
    assert (row.shape, dist) == (theirs.shape, their_dist)
    np.testing.assert_array_equal(row, create_fake_data((SIZE, 500))[0][RANK])
    with pytest.raises(ConfigurationError, match=r"^comm must be an MPI communicator"):
        create_fake_data((500,), comm="world")
    if SIZE > 1:
        with pytest.raises(ConfigurationError, match="must have one dtype, and one shape"):
            create_fake_data((2, 500 + RANK), comm=COMM)


def check_copies():
    rows = ROWS[-1]
    array = waves((sum(rows), 90), "int32")
    fa = FlacArray.from_array(part(array, rows), mpi_comm=COMM)
    for other in (FlacArray(fa), copy.copy(fa), copy.deepcopy(fa)):
        assert other == fa
        assert other.mpi_comm is COMM
        assert other.mpi_dist == fa.mpi_dist
    if SIZE > 1:
        with pytest.raises(TypeError, match="over several MPI ranks does not pickle"):
            pickle.dumps(fa)
    else:  # all of it is here
        assert pickle.loads(pickle.dumps(fa)) == fa
    if rows[RANK]:
        alone = FlacArray.from_chunk(fa.to_chunk(), fa.shape)
        assert pickle.loads(pickle.dumps(alone)) == alone
        assert alone.mpi_comm is None
        if SIZE > 1 and sum(rows) > rows[RANK]:
            assert alone != fa  # a part is not the whole
    if SIZE > 1:
        with pytest.raises(ConfigurationError, match="write_zarr"):
            fa.to_zarr({})
    else:
        np.testing.assert_array_equal(fa.to_zarr({})[...], array)


def check_what_is_refused():
    with pytest.raises(EmptyArrayError, match="no rows on any rank"):
        FlacArray.from_array(None, mpi_comm=COMM)
    last = RANK == SIZE - 1
    with pytest.raises(QuantaError, match=f"rank {SIZE - 1}: quanta must be positive"):
        FlacArray.from_array(np.ones((1, 9)), mpi_comm=COMM, quanta=-1.0 if last else 1.0)
    if SIZE == 1:
        return
    local = np.ones((1, 10 if last else 9), dtype="int32")
    with pytest.raises(ConfigurationError, match=rf"on rank 0, and int32 .*on rank {SIZE - 1}"):
        FlacArray.from_array(local, mpi_comm=COMM)
    with pytest.raises(ConfigurationError, match="must have one dtype"):
        FlacArray.from_array(np.ones((1, 9), dtype="f4" if last else "f8"), mpi_comm=COMM)
    with pytest.raises(ConfigurationError, match="either all ranks have quanta, or none"):
        FlacArray.from_array(np.ones((1, 9)), mpi_comm=COMM, lossless=last)
    fa = FlacArray.from_array(np.ones((1, 9), dtype="int32"), mpi_comm=COMM)
    with pytest.raises(ConfigurationError, match="create_distributed"):
        fa.write_hdf5(None, name="x", layout="chunks")
    with pytest.raises(ConfigurationError, match="create_distributed"):
        fa.to_zarr({})


def check_masks():
    last = RANK == SIZE - 1
    local = np.ma.masked_array(np.ones((1, 9), "f4"), last)
    for array in (local, da.from_array(local, chunks=(1, 5))):
        with pytest.raises(ConfigurationError, match=f"rank {SIZE - 1}: arr must not be masked"):
            FlacArray.from_array(array, mpi_comm=COMM, lossless=True)
    assert FlacArray.from_array(local.data, mpi_comm=COMM, lossless=True).nstreams == 1


def check_samples_that_quanta_cannot_hold_on_one_rank():
    """Then no rank has quanta: the streams of one array are all quantized, or none is."""
    local = np.full((1, 9000), 1.0) + RANK
    if RANK == SIZE - 1:
        local[0] = 1e30 * np.random.default_rng(0).normal(size=9000)
        with pytest.warns(QuantaWarning):
            fa = FlacArray.from_array(local, mpi_comm=COMM, quanta=0.01)
    else:
        fa = FlacArray.from_array(local, mpi_comm=COMM, quanta=0.01)
    np.testing.assert_array_equal(fa.to_array(), local)
    assert fa.stream_gains is None
    with pytest.raises(QuantaTooFineError, match=f"rank {SIZE - 1}: quanta are too fine"):
        FlacArray.from_array(local, mpi_comm=COMM, quanta=0.01, strict=True)
    marked = np.array([[0.5, -9999.3, 1.25]])
    fa = FlacArray.from_array(marked, mpi_comm=COMM, quanta=0.25, missing_value=-9999.3)
    np.testing.assert_array_equal(fa.to_array(), marked)


def check_communicators_that_are_refused():
    if SIZE == 1:
        return
    part = np.ones((2, 9), dtype="int32")
    some = COMM.Split(0 if RANK else MPI.UNDEFINED)
    if RANK == 0:
        with pytest.raises(ConfigurationError, match="Got COMM_NULL"):
            FlacArray.from_array(part, mpi_comm=some)
    else:
        assert FlacArray.from_array(part, mpi_comm=some).global_shape == (2 * SIZE - 2, 9)
    between = COMM.Split(RANK % 2).Create_intercomm(0, COMM, 1 - RANK % 2)
    with pytest.raises(ConfigurationError, match="an inter-communicator"):
        FlacArray.from_array(part, mpi_comm=between)
    both = between.Merge()
    assert FlacArray.from_array(part, mpi_comm=both).global_shape == (2 * SIZE, 9)


if __name__ == "__main__":
    flaccodec.set_num_threads(1)
    run(
        check_properties,
        check_beside_flacarray,
        check_parts_of_one_axis,
        check_none_is_no_rows,
        check_rank_without_rows_as_an_array,
        check_fake_data,
        check_copies,
        check_what_is_refused,
        check_masks,
        check_samples_that_quanta_cannot_hold_on_one_rank,
        check_communicators_that_are_refused,
    )
