"""HDF5 files for tests that compare with h5py, and how they compare."""

from __future__ import annotations

import h5py
import numpy as np
from hypothesis import strategies as st

from flaccodec.hdf5 import Flac
from support.strategies import same_bits

SHAPE, CHUNKS = (7, 5, 230), (3, 2, 100)


def make(dtype="i4", shape=SHAPE, seed=0):
    noise = np.random.default_rng(seed).normal(0, 40, shape)
    return np.abs(noise).astype(dtype) if np.dtype(dtype).kind == "u" else noise.astype(dtype)


def write_file(path, array, chunks=CHUNKS, fillvalue=-7, **options):
    options.setdefault("compression", Flac(frame_size=16))
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, chunks=chunks, fillvalue=fillvalue, **options)


def open_file(path, mode="r"):
    if mode == "core":
        return h5py.File(path, "r", driver="core")
    return h5py.File(path, mode)


def outcome(call):
    """Return what a call gives, or the kind and text of what it raises."""
    try:
        return call()
    except (TypeError, ValueError, IndexError, OSError) as error:
        return type(error), str(error)


def same_outcome(got, want):
    if isinstance(want, tuple):
        assert got == want
        return
    assert type(got) is type(want)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    assert same_bits(np.asarray(got), np.asarray(want))


def ints(size, beyond=1):
    return st.integers(-size - beyond, size + beyond)


@st.composite
def slices(draw, size):
    bound = st.none() | st.integers(-size - 3, size + 3)
    return slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, size + 2)))


@st.composite
def lists(draw, size):
    rising = sorted(draw(st.sets(st.integers(0, size - 1), max_size=min(size, 12))))
    kind = draw(st.sampled_from(["list", "tuple", "array", "negative", "mask", "wrong"]))
    if kind == "mask":
        mask = np.zeros(size, dtype=bool)
        mask[rising] = True
        return mask
    if kind == "negative":
        return [i - size for i in rising]
    if kind == "wrong":
        return draw(st.lists(ints(size), max_size=3))
    return {"list": list, "tuple": tuple, "array": np.array}[kind](rising)


@st.composite
def selections(draw, shape=SHAPE):
    """What may stand in the brackets, mostly within what h5py takes."""
    axes = [draw(st.one_of(slices(n), slices(n), ints(n, 0), st.just(slice(None)))) for n in shape]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(shape) - 1))
        axes[at] = draw(lists(shape[at]))
    given_axes = axes[: draw(st.integers(0, len(shape)))]
    if draw(st.booleans()):
        first = draw(st.integers(0, len(given_axes)))
        last = draw(st.integers(first, len(given_axes)))
        given_axes[first:last] = [Ellipsis]
    if len(given_axes) == 1 and draw(st.booleans()):
        return given_axes[0]
    return tuple(given_axes)
