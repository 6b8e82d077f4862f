"""FlacArray against numpy: every kind of index, and to_array."""

import itertools

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from flaccodec import FlacArray
from flaccodec.exceptions import (
    ConfigurationError,
    FrameError,
)
from support.strategies import INTEGERS, same_bits
from test_array.arrays import WALK

RNG = np.random.default_rng(2)

# -- indexing -----------------------------------------------------------------------------


def check_index(fa, data, key):
    try:
        expected = data[key]
    except IndexError:
        with pytest.raises(IndexError):
            fa[key]
        return
    result = fa[key]
    assert isinstance(result, np.ndarray) == isinstance(expected, np.ndarray)
    assert result.dtype == expected.dtype
    assert np.shape(result) == expected.shape
    np.testing.assert_array_equal(result, expected)


def selectors(n, leading):
    basic = [0, n - 1, -1, -n, n, -n - 1, np.int64(0), slice(None), slice(1, 3), slice(0, n, 2)]
    basic += [slice(None, None, -1), slice(5, 1, -2), slice(0, 0), slice(-100, 1000), slice(3, -9)]
    arrays = [np.array([0, -1, 0]), [0], np.arange(n) % 2 == 0, np.zeros((2, 1), int), [], [n]]
    return basic + arrays if leading else basic


@pytest.mark.parametrize("shape", [(500,), (1, 500), (7, 500), (4, 3, 500)])
def test_every_combination_of_selectors_is_numpys(shape):
    data = WALK.ravel()[: np.prod(shape)].reshape(shape)
    fa = FlacArray.from_array(data)
    axes = [selectors(n, i < len(shape) - 1) for i, n in enumerate(shape)]
    for length in range(len(shape) + 1):
        for key in itertools.product(*axes[:length]):
            check_index(fa, data, key)
    for selector in axes[-1]:
        check_index(fa, data, (..., selector))
    for selector in axes[0]:
        check_index(fa, data, selector)
        check_index(fa, data, (selector, ...))


@given(st.data())
def test_basic_indices_drawn_by_hypothesis(data):
    fa = FlacArray.from_array(WALK)
    check_index(fa, WALK, data.draw(npst.basic_indices(WALK.shape)))


@given(st.data())
def test_masks_of_the_leading_axes(data):
    fa = FlacArray.from_array(WALK)
    mask = data.draw(npst.arrays(bool, WALK.shape[:2]))
    for key in (mask, (mask, slice(3, 90, 7)), (mask, -4), mask[:, 0], (slice(None), mask[0])):
        check_index(fa, WALK, key)


@given(st.data())
def test_masks_of_any_shape(data):
    """Most do not fit, each of which is an IndexError of numpy's."""
    fa = FlacArray.from_array(WALK)
    sides = st.sampled_from([0, 1, 2, 3, 4, 5, 6])
    shape = data.draw(st.lists(sides, min_size=1, max_size=2))
    mask = np.random.default_rng(data.draw(st.integers(0, 99))).random(shape) < 0.5
    keys = [mask, (mask, ...), (mask, 3), (..., mask, slice(7))]
    if mask.ndim == 1:
        keys += [(slice(None), mask), (0, mask), (mask, mask), (mask, slice(2), 7)]
    check_index(fa, WALK, data.draw(st.sampled_from(keys)))


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), [0, 1], ..., 1),
        (slice(None), [0, 1], ..., slice(5)),
        (slice(None), [True, False, True], ..., 1),
        ([0, 1], 2, ..., 3),
        (..., [0, 1], 2, 3),
        (slice(None), [0, 1], 2, ...),
        (np.eye(4, 3, dtype=bool), ..., 3),
    ],
    ids=str,
)
def test_an_ellipsis_without_axes_sets_arrays_apart(key):
    check_index(FlacArray.from_array(WALK), WALK, key)
    five = WALK.reshape(2, 2, 3, 5, 100)
    for long in ((slice(None), 0, ..., [0, 1], slice(7)), (0, [0, 1], ..., slice(2), [2, 0], 4)):
        check_index(FlacArray.from_array(five), five, long)


@st.composite
def parts_of_a_key(draw, shape):
    """Give each axis an integer, a slice or an array, or two of them a mask."""
    parts, axis = [], 0
    while axis < len(shape):
        n = shape[axis]
        kinds = [st.integers(-n, n - 1), st.slices(n)]
        if axis < len(shape) - 1:
            kinds.append(npst.arrays(np.int64, (2,), elements=st.integers(-n, n - 1)))
            kinds.append(npst.arrays(bool, (n,)))
        if axis < len(shape) - 2:
            kinds.append(npst.arrays(bool, shape[axis : axis + 2]))
        parts.append(draw(st.one_of(kinds)))
        is_mask = isinstance(parts[-1], np.ndarray) and parts[-1].dtype == bool
        axis += parts[-1].ndim if is_mask else 1
    return parts


@given(st.data())
def test_an_ellipsis_in_place_of_any_axes_or_none(data):
    array = np.arange(2 * 2 * 3 * 20).reshape(2, 2, 3, 20)
    fa = FlacArray.from_array(array)
    parts = data.draw(parts_of_a_key(array.shape))
    for first, stop in itertools.combinations_with_replacement(range(len(parts) + 1), 2):
        check_index(fa, array, (*parts[:first], ..., *parts[stop:]))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (np.array([True, False]), r"axis 0 on .* \(4,\), in .* \(4, 3, 500\)\. Got .* \(2,\)"),
        (np.ones((3, 3), bool), r"axis 0 on .* \(4, 3\), .* Got .* \(3, 3\)"),
        ([True] * 4 + [False], r"axis 0 on .* Got .* \(5,\)"),
        ((slice(None), np.array([True, False])), r"axis 1 on .* \(3,\), .* Got .* \(2,\)"),
        ((..., np.ones(4, bool), 0), r"axis 1 on .* \(3,\), .* Got .* \(4,\)"),
        (np.zeros((5, 0), bool), r"axis 0 on .* Got .* \(5, 0\)"),
    ],
)
def test_masks_that_do_not_fit_are_refused(key, message):
    check_index(FlacArray.from_array(WALK), WALK, key)
    with pytest.raises(IndexError, match=message):
        FlacArray.from_array(WALK)[key]


@pytest.mark.parametrize("step", [2**63, -(2**63), 2**63 - 1, -(2**63) - 1, 10**30])
def test_steps_of_any_size(step):
    fa = FlacArray.from_array(WALK)
    keys = [slice(None, None, step), slice(3, None, step), slice(2**70, -(2**70), step)]
    for key in keys:
        check_index(fa, WALK, key)
        check_index(fa, WALK, (..., key))


@given(st.data())
def test_samples_far_apart_in_several_frames(data):
    long = np.cumsum(np.random.default_rng(1).integers(-9, 9, (3, 30_000)), axis=-1)
    fa = FlacArray.from_array(long)
    bound = st.none() | st.integers(-31_000, 31_000)
    step = data.draw(st.integers(-9000, 9000).filter(bool))
    check_index(fa, long, (data.draw(st.integers(-3, 2)), slice(data.draw(bound), None, step)))
    check_index(fa, long, (..., slice(data.draw(bound), data.draw(bound), abs(step))))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "newaxis"),
        ((0, None), "newaxis"),
        ((..., [1, 2]), "last axis"),
        ((..., np.zeros(500, bool)), "last axis"),
        (True, "mask"),
        (np.True_, "mask"),
        (np.array(True), "mask"),
        ("a", "integers, slices"),
        (1.5, "integers, slices"),
        ((0, 0, 0, 0), "too many indices"),
        ((..., ...), "an index can only|too many|integers, slices"),
    ],
)
def test_what_cannot_be_indexed_says_what_to_do(key, message):
    with pytest.raises(IndexError, match=message):
        FlacArray.from_array(WALK)[key]


def test_numpy_takes_it_in():
    fa = FlacArray.from_array(WALK)
    np.testing.assert_array_equal(np.asarray(fa), WALK)
    assert np.asarray(fa, dtype="float32").dtype == np.float32
    assert (np.add(fa, 1) == WALK + 1).all()
    np.testing.assert_array_equal(np.stack(list(fa)), WALK)
    with pytest.raises(ValueError, match="without decompressing"):
        np.array(fa, copy=False)
    with pytest.raises(TypeError, match="without axes"):
        len(FlacArray.from_array(np.int32(5)))
    assert FlacArray.from_array(np.int32(5))[()] == 5


@pytest.mark.parametrize("shape", [(), (1,), (12,), (3, 4), (2, 2, 3)])
def test_what_is_in_it_is_what_numpy_finds(shape):
    array = np.arange(np.prod(shape), dtype="float64").reshape(shape)
    fa = FlacArray.from_array(array, lossless=True)
    for value in (0, 7.0, 11, 12, -1, np.nan, array, array + 1):
        assert (value in fa) == (value in array)


def test_only_what_is_needed_is_decoded():
    """A frame that is damaged is not noticed by those who do not ask for it."""
    long = np.cumsum(RNG.integers(-9, 9, (3, 20_000)), axis=-1)
    chunk = bytearray(FlacArray.from_array(long).to_chunk())
    fa = FlacArray.from_chunk(bytes(chunk))
    chunk[fa._packed.index.positions[1, 2] + 50] ^= 1
    damaged = FlacArray.from_chunk(bytes(chunk))
    for key in (0, (slice(None, None, 2),), (1, slice(0, 8192)), (..., slice(12_288, None))):
        np.testing.assert_array_equal(damaged[key], long[key])
    np.testing.assert_array_equal(damaged[1, ::19_999], long[1, ::19_999])
    with pytest.raises(FrameError, match="stream 1, frame 2"):
        damaged[1, 9000]


# -- to_array ---------------------------------------------------------------------------------


def test_keep_and_stream_slice():
    fa = FlacArray.from_array(WALK)
    keep = RNG.random((4, 3)) < 0.5
    np.testing.assert_array_equal(fa.to_array(keep=keep), WALK[keep])
    array, indices = fa.to_array(keep=keep, stream_slice=slice(10, 20), keep_indices=True)
    np.testing.assert_array_equal(array, WALK[keep][:, 10:20])
    assert indices == [tuple(i) for i in np.argwhere(keep)]
    np.testing.assert_array_equal(fa.to_array(stream_slice=slice(-5, None)), WALK[..., -5:])
    np.testing.assert_array_equal(fa.to_array(keep_indices=True), WALK)
    assert fa.to_array(keep=np.zeros((4, 3), bool)).shape == (0, 500)
    one = FlacArray.from_array(WALK[0, 0])
    np.testing.assert_array_equal(one.to_array(keep=[True]), WALK[0, :1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": np.ones((3, 4), bool)}, r"shape of the leading axes, \(4, 3\)"),
        ({"keep": np.ones((4, 3), int)}, r"boolean .* Got int64 .*: use keep.astype\(bool\)"),
        ({"stream_slice": slice(0, 10, 2)}, "no step"),
        ({"stream_slice": 5}, "must be a slice, .* Got 5"),
        ({"stream_slice": (3, 5)}, r"must be a slice, .* Got \(3, 5\)"),
    ],
)
def test_selections_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        FlacArray.from_array(WALK).to_array(**options)


@pytest.mark.parametrize("use_threads", [None, True, False])
def test_threads_do_not_matter(use_threads):
    data = RNG.normal(size=(3, 100_000))
    fa = FlacArray.from_array(data, quanta=1e-3, use_threads=use_threads)
    assert fa == FlacArray.from_array(data, quanta=1e-3)
    assert same_bits(fa.to_array(use_threads=use_threads), fa.to_array())


@pytest.mark.parametrize("dtype", INTEGERS)
def test_all_dtypes_of_integers(dtype):
    info = np.iinfo(dtype)
    data = np.array([[info.min, info.max, 0, 7]] * 2, dtype)
    fa = FlacArray.from_array(data)
    assert fa.dtype == dtype
    np.testing.assert_array_equal(fa[:, ::-1], data[:, ::-1])
