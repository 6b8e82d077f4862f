"""Hypothesis strategies for arrays as instruments and hypothesis make them."""

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64"]

MAGNITUDES = st.integers(-30, 30)

shapes = st.one_of(
    npst.array_shapes(min_dims=1, max_dims=4, max_side=6),
    st.tuples(st.integers(1, 3), st.integers(1, 300)),
)


@st.composite
def integer_arrays(draw, dtypes=INTEGERS):
    """Noise in a drawn range, with a few of the dtype's extremes."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    info = np.iinfo(dtype)
    low, high = sorted(draw(st.tuples(*[st.integers(int(info.min), int(info.max))] * 2)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    array = rng.integers(low, high, size=draw(shapes), dtype=dtype, endpoint=True)
    for _ in range(draw(st.integers(0, 3))):
        array.flat[draw(st.integers(0, array.size - 1))] = draw(
            st.sampled_from([info.min, info.max, 0, low, high])
        )
    return array


@st.composite
def float_arrays(draw, dtypes=FLOATS, *, finite=False, magnitudes=MAGNITUDES):
    """Noise of a drawn magnitude around a drawn level, with some odd values."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = 10.0 ** draw(magnitudes)
    array = rng.normal(draw(st.sampled_from([0, 3, -1e3, 1e6])), 1, size=draw(shapes))
    array = (array * scale).astype(dtype)
    odd = [0.0, -0.0, scale] if finite else [0.0, -0.0, np.nan, np.inf, -np.inf, -np.nan]
    for _ in range(draw(st.integers(0, 4))):
        array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(odd))
    return array


@st.composite
def layouts(draw, arrays):
    """The same values in another layout or byte order."""
    array = draw(arrays)
    kind = draw(st.sampled_from(["C", "F", "swapped", "steps", "backwards", "moved", "offset"]))
    if kind == "F":
        return np.asfortranarray(array)
    if kind == "swapped":
        return array.astype(array.dtype.newbyteorder())
    if kind == "steps":
        wide = np.zeros([2 * n for n in array.shape], dtype=array.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if kind == "backwards":
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    if kind == "moved":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 0, -1)), -1, 0)
    if kind == "offset":
        raw = np.zeros(array.nbytes + 1, dtype=np.uint8)[1:]
        view = raw.view(array.dtype).reshape(array.shape)
        view[...] = array
        return view
    return array


def same_bits(a, b):
    """Whether two arrays of one dtype are equal bit for bit."""
    little = a.dtype.newbyteorder("<")
    return a.shape == b.shape and a.astype(little).tobytes() == b.astype(little).tobytes()
