"""FlacArray against numpy: how one is made, its copies, levels and properties."""

import copy
import mmap
import pickle
from array import array as array_of_bytes

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given

import flaccodec
from flaccodec import FlacArray, FlacCodec
from flaccodec.compress import array_compress
from flaccodec.exceptions import (
    ChunkMismatchError,
    ConfigurationError,
    CorruptChunkError,
    EmptyArrayError,
    FrameError,
    QuantaError,
    UnsupportedDtypeError,
)
from support.strategies import FLOATS, float_arrays, integer_arrays, layouts, same_bits
from test_array.arrays import WALK

RNG = np.random.default_rng(1)

# -- making ---------------------------------------------------------------------


@given(layouts(integer_arrays()))
def test_integers(array):
    fa = FlacArray.from_array(array)
    assert (fa.shape, fa.dtype, fa.ndim, fa.size) == (
        array.shape,
        array.dtype.newbyteorder("="),
        array.ndim,
        array.size,
    )
    np.testing.assert_array_equal(fa.to_array(), array)


@given(layouts(float_arrays()))
def test_floats_without_loss(array):
    assert same_bits(FlacArray.from_array(array, lossless=True).to_array(), array)


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_by_default_span_two_to_the_thirty(dtype):
    data = RNG.normal(50, 3, (2, 5000)).astype(dtype)
    fa = FlacArray.from_array(data)
    quanta = np.ptp(data.astype(float), axis=-1) / 2**30
    np.testing.assert_allclose(1 / fa.stream_gains, quanta, rtol=1e-6)
    bound = quanta[:, None] / 2 + np.spacing(np.abs(data))
    assert (np.abs(fa.to_array().astype(float) - data) <= bound).all()


def test_the_default_takes_data_with_a_range_below_their_resolution():
    data = 1.7e9 + np.arange(20) * 1e-6
    assert np.abs(FlacArray.from_array(data).to_array() - data).max() <= np.spacing(1.7e9)


@pytest.mark.parametrize("name", ["quanta", "precision"])
@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3)])
def test_one_parameter_or_one_for_each_stream(name, leading):
    data = RNG.normal(size=(*leading, 300))
    one = {"quanta": 0.01, "precision": 2}[name]
    uniform = FlacArray.from_array(data, **{name: one}).to_array()
    each = FlacArray.from_array(data, **{name: np.full(leading, one)}).to_array()
    np.testing.assert_array_equal(uniform, each)
    with pytest.raises(ConfigurationError, match=rf"{name} must be one number or have the shape"):
        FlacArray.from_array(data, **{name: np.full((7, *leading), one)})


def test_quanta_of_each_stream_bound_its_error():
    data = RNG.normal(size=(3, 1000))
    quanta = np.array([1e-3, 1e-2, 1e-1])
    fa = FlacArray.from_array(data, quanta=quanta)
    np.testing.assert_allclose(fa.stream_gains, 1 / quanta)
    assert (np.abs(fa.to_array() - data).max(axis=-1) <= quanta / 2 + 1e-15).all()


@pytest.mark.parametrize(
    ("array", "options", "error", "message"),
    [
        (np.zeros(3), {"quanta": 1, "precision": 1}, ConfigurationError, "one of"),
        (np.zeros(3), {"quanta": 1, "lossless": True}, ConfigurationError, "one of"),
        (np.zeros(3, int), {"quanta": 1}, ConfigurationError, "stored exactly"),
        (np.zeros(3, int), {"precision": 1}, ConfigurationError, "stored exactly"),
        (np.zeros((2, 3)), {"quanta": [1, 0]}, QuantaError, "stream 1"),
        (np.zeros(3), {"quanta": np.nan}, QuantaError, "positive"),
        (np.zeros(3), {"precision": np.inf}, ConfigurationError, "precision must .* Got inf"),
        (np.zeros(3), {"precision": 400}, ConfigurationError, "precision must .* 308"),
        (np.ones((2, 3)), {"precision": [1, -400]}, ConfigurationError, "precision .* stream 1"),
        (np.zeros(3), {"precision": np.nan}, ConfigurationError, "precision must"),
        (np.zeros(3), {"level": 9}, ConfigurationError, "from 0 to 8"),
        (np.zeros(3), {"mpi_comm": object()}, ConfigurationError, "mpi_comm"),
        (np.zeros(3, "float16"), {}, UnsupportedDtypeError, "float32"),
        (np.zeros((0, 3)), {}, EmptyArrayError, "no samples"),
        (np.zeros((3, 0)), {}, EmptyArrayError, "no samples"),
        (np.ma.masked_array(np.zeros(3), [0, 1, 0]), {}, ConfigurationError, "filled"),
    ],
)
def test_what_cannot_be_is_refused(array, options, error, message):
    with pytest.raises(error, match=message):
        FlacArray.from_array(array, **options)


# -- copies -------------------------------------------------------------------------


def test_copies_are_equal_and_independent():
    fa = FlacArray.from_array(WALK)
    for other in (
        FlacArray(fa),
        copy.copy(fa),
        copy.deepcopy(fa),
        pickle.loads(pickle.dumps(fa)),
        FlacArray.from_chunk(fa.to_chunk(), shape=fa.shape),
    ):
        assert other == fa
        assert other is not fa
        np.testing.assert_array_equal(other.to_array(), WALK)
    assert fa != FlacArray.from_array(WALK + 1)
    assert fa != FlacArray.from_array(WALK.reshape(12, 500))
    assert fa != FlacArray.from_array(WALK.astype("int32"))
    assert fa != "fa"
    with pytest.raises(TypeError, match="unhashable"):
        hash(fa)
    with pytest.raises(ConfigurationError, match="from_array"):
        FlacArray(WALK)


class Named(FlacArray):
    def __init__(self, name):
        raise AssertionError("made by other means")


def test_copies_keep_their_class():
    fa = Named.from_array(WALK)
    for other in (fa, copy.copy(fa), copy.deepcopy(fa), pickle.loads(pickle.dumps(fa))):
        assert type(other) is Named
        assert other == fa


def mapped(path, raw, mode):
    path.write_bytes(raw)
    return np.memmap(path, dtype=np.uint8, mode=mode)


def anonymous(raw):
    memory = mmap.mmap(-1, len(raw))
    memory[:] = raw
    return memory


def test_a_chunk_in_memory_that_may_change_is_copied(tmp_path):
    chunk = FlacArray.from_array(WALK).to_chunk()
    below = bytearray(chunk)
    for raw in (
        bytearray(chunk),
        memoryview(bytearray(chunk)),
        np.frombuffer(chunk, np.uint8).copy(),
        mapped(tmp_path / "chunk", chunk, "r+"),
        array_of_bytes("B", chunk),
        anonymous(chunk),
    ):
        fa = FlacArray.from_chunk(raw, shape=WALK.shape)
        memoryview(raw)[:] = bytes(len(chunk))
        np.testing.assert_array_equal(fa.to_array(), WALK)
    fa = FlacArray.from_chunk(memoryview(below).toreadonly(), shape=WALK.shape)
    below[:] = bytes(len(chunk))
    np.testing.assert_array_equal(fa.to_array(), WALK)


def read_only(array):
    array.flags.writeable = False
    return array


class Shown:
    """Lets numpy look at an array that can be written to, as one that cannot."""

    def __init__(self, array):
        start, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (start, True)}


VIEWS = {
    "array": lambda below: read_only(below[:]),
    "view of a view": lambda below: read_only(read_only(below[:])[:]),
    "memoryview": lambda below: memoryview(read_only(below[:])),
    "array of a memoryview": lambda below: np.asarray(memoryview(below).toreadonly()),
    "shown": lambda below: np.asarray(Shown(below)),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_read_only_view_of_memory_that_may_change_is_copied(view):
    below = np.frombuffer(FlacArray.from_array(WALK).to_chunk(), np.uint8).copy()
    fa = FlacArray.from_chunk(view(below), shape=WALK.shape)
    below[:] = 0
    np.testing.assert_array_equal(fa.to_array(), WALK)


def test_a_chunk_that_is_read_only_is_kept(tmp_path):
    chunk = FlacArray.from_array(WALK).to_chunk()
    array = np.frombuffer(chunk, np.uint8)
    kept = chunk, array, array[:], memoryview(chunk), read_only(array.copy())
    for raw in (*kept, mapped(tmp_path / "chunk", chunk, "r")):
        assert np.shares_memory(
            FlacArray.from_chunk(raw)._packed.chunk, np.frombuffer(raw, np.uint8)
        )


# -- levels ----------------------------------------------------------------------


def test_the_level_is_remembered():
    fa = FlacArray.from_array(WALK, level=8)
    for other in (fa, FlacArray(fa), copy.copy(fa), copy.deepcopy(fa)):
        assert other.level == 8
    assert pickle.loads(pickle.dumps(fa)).level == 8
    assert FlacArray.from_chunk(fa.to_chunk()).level == 5
    assert FlacArray.from_array(WALK).level == 5
    assert fa == FlacArray.from_chunk(fa.to_chunk(), fa.shape)


WAVES = np.rint(3e4 * np.sin(np.arange(12 * 500) / 3.3) + RNG.normal(0, 5, 6000)).astype("int64")
WAVES = WAVES.reshape(4, 3, 500)


@pytest.mark.parametrize("level", [0, 8])
@pytest.mark.parametrize(
    ("array", "quanta"),
    [(WAVES, None), ((WAVES + 2**21).astype("int32"), None), (WAVES / 3, 0.25)],
    ids=["int64", "narrowed", "float64"],
)
def test_streams_that_are_written_anew_have_the_level(level, array, quanta, tmp_path):
    fa = FlacArray.from_array(array, level=level, quanta=quanta)
    expected, by_default = (
        array_compress(fa.to_array(), level=n, quanta=quanta)[0] for n in (level, 5)
    )
    assert not np.array_equal(expected, by_default)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        fa.write_hdf5(file)
        np.testing.assert_array_equal(file["compressed"][...], expected)
    group = zarr.open_group(tmp_path / "x.zarr", mode="w")
    fa.write_zarr(group)
    np.testing.assert_array_equal(group["compressed"][...], expected)


def test_a_zarr_chunk_is_a_flacarray():
    store = {}
    flaccodec.create_array(store, data=WALK, chunks=WALK.shape, codecs=[FlacCodec()])
    fa = FlacArray.from_chunk(store["c/0/0/0"].to_bytes(), shape=WALK.shape)
    assert fa == FlacArray.from_array(WALK)
    array = zarr.create_array(
        {}, shape=WALK.shape, chunks=WALK.shape, dtype=WALK.dtype, serializer=FlacCodec(),
        compressors=None,
    )  # fmt: skip
    array[...] = fa
    np.testing.assert_array_equal(array[...], WALK)


def test_chunks_are_checked():
    chunk = FlacArray.from_array(WALK).to_chunk()
    assert FlacArray.from_chunk(chunk).shape == (12, 500)
    with pytest.raises(ChunkMismatchError, match="12 streams of 500"):
        FlacArray.from_chunk(chunk, shape=(500, 12))
    for shape in ((-4, -3, 500), (-2, 3, -2, 500)):  # two negative sizes make a positive product
        with pytest.raises(ChunkMismatchError, match=r"of shape \(-"):
            FlacArray.from_chunk(chunk, shape=shape)
    with pytest.raises(CorruptChunkError, match="expected"):
        FlacArray.from_chunk(chunk[:-1])
    with pytest.raises(CorruptChunkError, match="expected"):
        FlacArray.from_chunk(chunk + b"x")
    damaged = bytearray(chunk)
    damaged[-5] ^= 1
    fa = FlacArray.from_chunk(bytes(damaged), shape=WALK.shape)
    np.testing.assert_array_equal(fa[:3], WALK[:3])
    with pytest.raises(FrameError, match="stream 11, frame 0"):
        fa.to_array()


# -- properties ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(600,), (1, 600), (4, 600), (2, 3, 600)])
@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "float32", "float64"])
def test_properties(shape, dtype):
    data = (RNG.normal(1000, 30, shape)).astype(dtype)
    options = {"quanta": 0.5} if dtype.startswith("f") else {}
    fa = FlacArray.from_array(data, **options)
    leading = shape[:-1] or (1,)
    assert (fa.shape, fa.ndim, fa.size, len(fa)) == (shape, data.ndim, data.size, len(data))
    assert (fa.dtype, fa.typestr) == (data.dtype, dtype)
    assert (fa.stream_size, fa.nstreams, fa.leading_shape) == (600, np.prod(leading), leading)
    assert fa.nbytes == fa.compressed.nbytes == fa.stream_nbytes.sum()
    assert fa.stream_starts.shape == fa.stream_nbytes.shape == leading
    np.testing.assert_array_equal(
        fa.stream_starts.ravel(), np.cumsum(fa.stream_nbytes) - fa.stream_nbytes.ravel()
    )
    for start in fa.stream_starts.ravel():
        assert fa.compressed[start : start + 4].tobytes() == b"fLaC"
    assert repr(fa) == f"<FlacArray {dtype} shape={shape} bytes={fa.nbytes}>"
    assert fa.global_shape == shape
    assert fa.global_leading_shape == leading
    assert (fa.global_nbytes, fa.global_nstreams) == (fa.nbytes, fa.nstreams)
    assert fa.global_process_nbytes == [fa.nbytes]
    np.testing.assert_array_equal(fa.global_stream_starts, fa.stream_starts)
    np.testing.assert_array_equal(fa.global_stream_nbytes, fa.stream_nbytes)
    assert fa.mpi_comm is None
    assert fa.mpi_dist == [(0, leading[0])]
    if dtype.startswith("f"):
        assert fa.stream_offsets.shape == fa.stream_gains.shape == leading
        assert fa.stream_offsets.dtype == fa.stream_gains.dtype == data.dtype
        np.testing.assert_array_equal(fa.stream_gains, np.full(leading, 2, dtype))
    else:
        assert fa.stream_gains is None


def test_offsets_and_gains_tell_what_integers_mean():
    """Streams cut out, decoded by our reader of foreign streams, and restored by hand."""
    data = RNG.normal(1e6, 30, (3, 600))
    fa = FlacArray.from_array(data, quanta=0.5)
    integers = flaccodec.core.decode_streams(
        fa.compressed, fa.stream_starts, fa.stream_nbytes, 600, 0, 600, wide=False
    )
    restored = integers / fa.stream_gains[:, None] + fa.stream_offsets[:, None]
    np.testing.assert_array_equal(restored, fa.to_array())


@pytest.mark.parametrize(("dtype", "quanta"), [("float32", 1e-40), ("float64", 1e-310)])
@pytest.mark.filterwarnings("error")
def test_gains_of_quanta_that_cannot_be_inverted_are_infinite(dtype, quanta):
    fa = FlacArray.from_array(np.array([0, 3 * quanta], dtype), quanta=quanta)
    np.testing.assert_array_equal(fa.stream_gains, [np.inf])


def test_integers_that_are_stored_less_an_offset_say_so():
    data = np.arange(100) + 2**40
    fa = FlacArray.from_array(data)
    integers = flaccodec.core.decode_streams(
        fa.compressed, fa.stream_starts, fa.stream_nbytes, 100, 0, 100, wide=False
    )
    np.testing.assert_array_equal(integers + fa.stream_offsets[:, None], data[None])
    assert FlacArray.from_array(np.arange(100)).stream_offsets is None


def test_arrays_do_not_change():
    fa = FlacArray.from_array(WALK)
    with pytest.raises(TypeError, match="does not change"):
        fa[0] = 1
    with pytest.raises(TypeError, match="does not change"):
        del fa[0]
    with pytest.raises(ValueError, match="read-only"):
        fa.compressed[0] = 1
