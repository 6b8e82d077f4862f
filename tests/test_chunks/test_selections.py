"""Selections of all kinds, against numpy's, from chunks of several frames."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

import flaccodec
from flaccodec import FlacCodec
from flaccodec.zarr.chunk_reader import StorePath

pytestmark = pytest.mark.usefixtures("pipeline")
FRAME = 16


def integers(dtype, shape, seed=0):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(info.min, info.max, size=shape, dtype=dtype, endpoint=True)


def floats(dtype, shape):
    values = integers("int16", shape).astype(dtype)
    values.flat[::7] = np.nan
    values.flat[3::31] = -0.0
    values.flat[5::37] = np.inf
    return values


def make(data, chunks, holes=(), *, quanta=None, **kwargs):
    array = flaccodec.create_array(
        {},
        data=data,
        chunks=chunks,
        fill_value=3,
        codecs=[FlacCodec(frame_size=FRAME, quanta=quanta)],
        **kwargs,
    )
    for hole in holes:
        key = array.metadata.encode_chunk_key(hole)
        assert array.store._store_dict.pop(key)
        data[tuple(slice(h * c, (h + 1) * c) for h, c in zip(hole, chunks, strict=True))] = 3
    return array


CASES = {
    "one chunk": (integers("int32", (7, 500)), (7, 500), {}),
    "many chunks": (integers("int16", (7, 500)), (3, 150), {}),
    "chunks larger than the array": (integers("uint8", (5, 60)), (9, 100), {}),
    "offsets": (integers("int16", (7, 500)).astype("int32") + 2**30, (3, 150), {}),
    "two channels": (integers("int64", (4, 300)), (2, 200), {}),
    "lossless floats": (floats("float64", (4, 300)), (2, 200), {}),
    # + 0: signs of zeros are not kept with quanta
    "quanta": (floats("float32", (4, 300)) + np.float32(0), (4, 300), {"quanta": 0.25}),
    "big-endian": (integers("int32", (4, 300)).astype(">i4"), (2, 200), {}),
    "Fortran order": (integers("int32", (4, 300)), (2, 200), {"config": {"order": "F"}}),
    "holes": (integers("int32", (6, 500)), (3, 150), {"holes": [(0, 0), (0, 2), (1, 3)]}),
    "streams of less than a frame": (integers("int32", (90, 5)), (40, 5), {}),
    "one sample in each stream": (integers("int32", (200, 1)), (150, 1), {}),
    "one axis": (integers("int32", (1000,)), (300,), {}),
    "three axes": (integers("int32", (4, 3, 333)), (2, 3, 100), {}),
    "four axes": (integers("uint16", (2, 3, 2, 90)), (2, 2, 1, 60), {}),
    "shards": (integers("int32", (8, 600)), (2, 150), {"shards": (4, 300)}),
    "shards of three axes": (integers("int32", (4, 4, 99)), (1, 2, 33), {"shards": (2, 4, 66)}),
    "compressor": (integers("int32", (4, 300)), (2, 200), {"compressors": True}),
}


def build(name):
    data, chunks, options = CASES[name]
    data = data.copy()
    if "compressors" in options:
        array = zarr.create_array(
            {},
            data=data,
            chunks=chunks,
            serializer=FlacCodec(frame_size=FRAME),
            compressors=zarr.codecs.GzipCodec(),
        )
        return data, array
    return data, make(data, chunks, **options)


ARRAYS = {name: build(name) for name in CASES}


def assert_same(got, expected):
    got = np.asarray(got)
    assert got.shape == expected.shape
    # numpy gives single samples of big-endian arrays in the machine's order
    assert got.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(got, expected)
    if expected.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


def orthogonal(data, selection):
    """Select as oindex does: each axis by itself."""
    for axis in reversed(range(data.ndim)):
        data = data[(slice(None),) * axis + (selection[axis],)]
    return data


# -- listed ------------------------------------------------------------------------------

TWO_AXES = [
    name
    for name, (data, _) in ARRAYS.items()
    if data.ndim == 2 and min(data.shape) >= 4 and data.shape[1] >= 300
]

BASIC = [
    np.s_[3],
    np.s_[-1],
    np.s_[2, 7],
    np.s_[-2, -3],
    np.s_[0, 0],
    np.s_[-1, -1],
    np.s_[:, 5],
    np.s_[..., 5],
    np.s_[2, ...],
    np.s_[...],
    np.s_[:],
    np.s_[:, :],
    np.s_[()],
    np.s_[1:4, 20:50],
    np.s_[1, 15:17],
    np.s_[1, 16:32],
    np.s_[-3:-1, -40:-20],
    np.s_[:, 140:160],
    np.s_[::2, ::3],
    np.s_[1::2, 5:290:16],
    np.s_[::3, 5::17],
    np.s_[:, ::40],
    np.s_[1, 10::100],
    np.s_[0, ::299],
    np.s_[0:1000, 0 : 10**6],
    np.s_[2:2],
    np.s_[:, 30:30],
    np.s_[1, 40:30],
    np.s_[:, 1000:2000],
]


@pytest.mark.parametrize("name", TWO_AXES)
def test_basic(name):
    data, array = ARRAYS[name]
    for selection in BASIC:
        assert_same(array[selection], data[selection])
        assert_same(array.get_basic_selection(selection), data[selection])


@pytest.mark.parametrize("name", TWO_AXES)
def test_orthogonal(name):
    data, array = ARRAYS[name]
    rows = np.arange(len(data)) % 2 == 0
    columns = np.arange(data.shape[1]) % 37 == 3
    for selection in (
        ([0], [5]),
        ([3, 0, 0, -1], slice(5, 250, 60)),
        (slice(None), [299, 0, 150, 150, 16, -1]),
        (slice(1, 3), [17]),
        (-1, [40, 41, 200]),
        ([1, 2], -7),
        (rows, columns),
        (rows, slice(10, 20)),
        ([2, 1], columns),
        (np.array([1, 3]), np.arange(15, 200, 3)),
        (slice(None, None, 2), slice(None, None, 45)),
        (2, slice(3, 5)),
        (slice(2, 2), [1, 2]),
        (~rows & rows, slice(None)),
    ):
        assert_same(array.oindex[selection], orthogonal(data, selection))


@pytest.mark.parametrize("name", TWO_AXES)
def test_coordinates_and_masks(name):
    data, array = ARRAYS[name]
    for selection in (
        ([0], [0]),
        ([2, 0, 3, -1, 2], [7, 299, 0, -1, 7]),
        ([1, 1, 1], [100, 5, 290]),
        (1, [3, 200, 17]),
        ([0, 1, 2], 33),
        (np.array([[0, 1], [3, 2]]), np.array([[5, 299], [160, 20]])),
        (np.array([[0], [3]]), np.array([[5, 299, 160]])),
        ([0, 3], [298, 298]),
    ):
        assert_same(array.vindex[selection], data[selection])
        assert_same(array.get_coordinate_selection(selection), data[selection])
        assert_same(array[selection], data[selection])
    for mask in (
        np.arange(data.size).reshape(data.shape) % 113 == 0,
        np.arange(data.size).reshape(data.shape) == 777,
        np.ones(data.shape, dtype=bool),
        np.zeros(data.shape, dtype=bool),
    ):
        assert_same(array.vindex[mask], data[mask])
        assert_same(array.get_mask_selection(mask), data[mask])


@pytest.mark.parametrize("name", TWO_AXES)
def test_blocks(name):
    data, array = ARRAYS[name]
    height, width = array.shards or array.chunks
    assert_same(array.blocks[0], data[:height])
    assert_same(array.blocks[-1, 0], data[(len(data) - 1) // height * height :, :width])
    assert_same(array.blocks[:, -1], data[:, (data.shape[1] - 1) // width * width :])
    assert_same(array.blocks[0:1, 0:2], data[:height, : 2 * width])


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float32"])
def test_array_without_axes(dtype):
    array = make(np.array(42, dtype=dtype), ())
    for selection in ((), ...):
        assert_same(array[selection], np.array(42, dtype=dtype))


@pytest.mark.parametrize("size", [1, 15, 16, 17, 100])
def test_array_of_one_axis(size):
    data = integers("int32", (size,))
    array = make(data, (size,))
    for selection in (0, -1, ..., np.s_[:], np.s_[-1:], np.s_[::7], np.s_[3:3], np.s_[size:]):
        assert_same(array[selection], data[selection])
    indices = np.array([0, size - 1, size // 2, 0])
    assert_same(array.oindex[indices], data[indices])
    assert_same(array.vindex[indices], data[indices])
    assert_same(array[data > 0], data[data > 0])


def test_array_without_samples():
    array = flaccodec.create_array({}, shape=(0, 50), chunks=(2, 20), dtype="int32")
    for selection in (np.s_[:], np.s_[:, 3], np.s_[:, 5:30]):
        assert_same(array[selection], np.empty((0, 50), dtype="int32")[selection])


# -- found by hypothesis ---------------------------------------------------------------------


@st.composite
def slices(draw, size):
    bound = st.none() | st.integers(-size - 2, size + 2)
    return slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, size + 1)))


def indices(size):
    return st.integers(-size, size - 1)


@st.composite
def basic_selections(draw, shape):
    selection = [draw(slices(n) | indices(n)) for n in shape]
    axes = draw(st.integers(0, len(shape)))
    if draw(st.booleans()):
        hidden = draw(st.integers(0, axes))
        return (*selection[: axes - hidden], ..., *selection[len(shape) - hidden :])
    return tuple(selection[:axes])


@st.composite
def orthogonal_selections(draw, shape):
    def one(size):
        lists = st.lists(indices(size), min_size=1, max_size=9)
        masks = st.sets(st.integers(0, size - 1), max_size=9).map(
            lambda chosen: np.isin(np.arange(size), list(chosen))
        )
        return draw(slices(size) | indices(size) | lists.map(np.array) | masks)

    return tuple(one(n) for n in shape)


@st.composite
def coordinate_selections(draw, shape):
    points = draw(st.integers(1, 12))
    return tuple(
        np.array(draw(st.lists(indices(n), min_size=points, max_size=points))) for n in shape
    )


names = st.sampled_from(sorted(ARRAYS))


@settings(max_examples=300, deadline=None)
@given(names, st.data())
def test_any_basic(name, draws):
    data, array = ARRAYS[name]
    selection = draws.draw(basic_selections(data.shape))
    assert_same(array[selection], data[selection])


@settings(max_examples=300, deadline=None)
@given(names, st.data())
def test_any_orthogonal(name, draws):
    data, array = ARRAYS[name]
    selection = draws.draw(orthogonal_selections(data.shape))
    assert_same(array.oindex[selection], orthogonal(data, selection))


@settings(max_examples=200, deadline=None)
@given(names, st.data())
def test_any_coordinates(name, draws):
    data, array = ARRAYS[name]
    selection = draws.draw(coordinate_selections(data.shape))
    assert_same(array.vindex[selection], data[selection])
    mask = np.zeros(data.shape, dtype=bool)
    mask[selection] = True
    assert_same(array.get_mask_selection(mask), data[mask])


# -- of the codec itself -------------------------------------------------------------------

# Selections of numpy's that today's zarr does not send, or not in this form.
DIRECT = [
    *BASIC,
    np.s_[::-1],
    np.s_[:, ::-1],
    np.s_[3:0:-1, 200:10:-3],
    np.s_[:, 290:3:-50],
    np.s_[:, -1::-299],
    np.s_[np.int64(2), np.uint8(7)],
    ([0, 2], [5, 100]),
    ([3, -1, 0], [-1, -300, 16]),
    (np.array([True, False, True, True]), slice(10, 12)),
    np.ix_([3, 1, 1], [200, 5, 5, 299]),
    np.ix_([0, 1, 2, 3], list(range(0, 300, 2))),
    (np.array([[0, 1], [2, 3]]), np.array([[7, 8], [299, 0]])),
    ([1, 2], slice(None)),
    (slice(None), [250, 3]),
    (2, [250, 3]),
    ([0, 3, 2], 17),
    (slice(None, None, -2), np.array([16, 15])),
]


@pytest.mark.parametrize("selection", DIRECT, ids=repr)
async def test_codec(selection):
    data = integers("int32", (4, 300))
    store = MemoryStore()
    array = flaccodec.create_array(
        store, data=data, chunks=data.shape, codecs=[FlacCodec(frame_size=FRAME)]
    )
    chunk_spec = ArraySpec(
        shape=data.shape,
        dtype=array.metadata.dtype,
        fill_value=array.metadata.fill_value,
        config=array.async_array.config,
        prototype=default_buffer_prototype(),
    )
    codec = FlacCodec(frame_size=FRAME)
    (got,) = await codec.decode_partial([(StorePath(store, "c/0/0"), selection, chunk_spec)])
    assert_same(got.as_numpy_array(), data[selection])
