"""Groups of floats give back what was written, in every door, and flacarray reads them too."""

import re

import flacarray.hdf5
import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import flaccodec.hdf5
import flaccodec.zarr
from flaccodec import FlacArray
from flaccodec.compress import array_compress
from flaccodec.decompress import array_decompress
from flaccodec.exceptions import QuantaWarning, UnsupportedDtypeError
from flaccodec.utils import float_to_int, int_to_float

RNG = np.random.default_rng(0)


def memory_group():
    return h5py.File("group", "w", driver="core", backing_store=False)


def through_hdf5(fa):
    with memory_group() as file:
        fa.write_hdf5(file)
        return FlacArray.read_hdf5(file), flaccodec.hdf5.read_array(file)


def through_zarr(fa):
    group = zarr.create_group({})
    fa.write_zarr(group)
    return FlacArray.read_zarr(group), flaccodec.zarr.read_array(group)


def excess(data, read, quanta):
    """How far samples are beyond half of the quanta and one rounding, in these."""
    bound = quanta / 2 + np.spacing(np.abs(read)).astype("f8") / 2
    return float((np.abs(data.astype("f8") - read) / bound).max())


@st.composite
def floats(draw):
    dtype = draw(st.sampled_from(["float32", "float64"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale, level = 10.0 ** draw(st.floats(-6, 6)), draw(st.sampled_from([0, 1, 1e3, 1e6]))
    data = random.normal(0, 1, (3, 50)) * scale + level * random.normal()
    data = data.astype(dtype)
    bits = draw(st.floats(1, 30 if dtype == "float32" else 50))
    quanta = float(np.abs(data).max()) * 2.0**-bits
    if draw(st.booleans()):
        quanta = max(float(f"{quanta:.1g}"), quanta)
    if draw(st.booleans()):  # halfway between two of the grid, many of them
        data = (np.rint(data / (quanta / 2)) * (quanta / 2)).astype(dtype)
    return data, quanta


OPTIONS = st.sampled_from(["none", "precision", "quanta", "quanta of each"])


@settings(max_examples=150, deadline=None)
@given(floats(), OPTIONS)
def test_a_flacarray_is_the_same_after_any_group(array, kind):
    data, quanta = array
    options = {
        "none": {},
        "precision": {"precision": 4},
        "quanta": {"quanta": quanta},
        "quanta of each": {"quanta": quanta * np.array([1, 3.3, 2])},
    }[kind]
    fa = FlacArray.from_array(data, **options)
    steps = 1 / fa.stream_gains.astype("f8")[:, np.newaxis] if kind == "none" else None
    for again, values in (through_hdf5(fa), through_zarr(fa)):
        assert again == fa
        np.testing.assert_array_equal(values, fa.to_array())
        if "quanta" in options:
            given_quanta = np.broadcast_to(options["quanta"], 3)[:, np.newaxis]
            assert excess(data, again.to_array(), given_quanta) <= 1 + 1e-9
    assert steps is None or (steps > 0).all()


@settings(max_examples=150, deadline=None)
@given(floats())
def test_arrays_keep_the_promise_in_the_layouts_own_arithmetic(array):
    data, quanta = array
    with memory_group() as file:
        flaccodec.hdf5.write_array(data, file, quanta=quanta)
        values = flaccodec.hdf5.read_array(file)
        np.testing.assert_array_equal(flacarray.hdf5.read_array(file), values)
        assert excess(data, values, quanta) <= 1.0005
        assert excess(data, FlacArray.read_hdf5(file).to_array(), quanta) <= 1.0005
    tables = array_compress(data, quanta=quanta)
    wide = data.dtype == np.float64
    values = array_decompress(
        tables[0], 50, *tables[1:3], stream_offsets=tables[3], stream_gains=tables[4], is_int64=wide
    )
    assert excess(data, values, quanta) <= 1.0005


@settings(max_examples=100, deadline=None)
@given(floats(), st.sampled_from([1, 2, 5]))
def test_flacarray_reads_a_flacarray_within_its_own_roundings(array, decimals):
    data, quanta = array
    fa = FlacArray.from_array(data, quanta=quanta)
    with memory_group() as file:
        fa.write_hdf5(file)
        theirs = flacarray.hdf5.read_array(file).reshape(data.shape)
    off = np.abs(theirs.astype("f8") - fa.to_array())
    assert (off <= quanta / 2).all()
    if quanta > 16 * np.spacing(np.abs(data).max()):
        assert (off <= quanta / 8).all()


@pytest.mark.parametrize("quanta", [1e-14, 2e-15, 1e-15, 3e-16])
@pytest.mark.parametrize("through", [through_hdf5, through_zarr])
def test_fine_quanta_lose_nothing(quanta, through):
    data = np.random.default_rng(0).normal(0, 1, (2, 300))
    fa = FlacArray.from_array(data, quanta=quanta)
    again, values = through(fa)
    assert again == fa
    np.testing.assert_array_equal(values, fa.to_array())
    assert excess(data, values, quanta) <= 1 + 1e-9


@pytest.mark.parametrize("make", [RNG.normal, RNG.uniform, lambda *a: np.abs(RNG.normal(*a))])
def test_no_quanta_in_float32(make):
    for _ in range(50):
        fa = FlacArray.from_array(make(0, 1, (3, 300)).astype("float32"))
        assert through_zarr(fa)[0] == fa


def test_a_level_makes_no_difference():
    data = RNG.normal(size=(3, 5000))
    fa = FlacArray.from_array(data, quanta=0.01, level=8)
    again, _ = through_hdf5(fa)
    assert again == fa
    assert fa != FlacArray.from_array(data + 1, quanta=0.01)


def test_what_cannot_be_held_names_quanta_that_work():
    data = np.append(RNG.normal(size=500), 1e9)[np.newaxis].astype("float32")
    with pytest.raises(UnsupportedDtypeError, match=r"with quanta [\d.e-]+ it could") as caught:
        through_hdf5(FlacArray.from_array(data, quanta=1e-3))
    quanta = float(str(caught.value).split("with quanta ")[2].split()[0])
    fa = FlacArray.from_array(data, quanta=quanta)
    assert through_hdf5(fa)[0] == fa


def test_what_was_read_stays_when_it_is_written_again():
    for dtype in ("float32", "float64"):
        for quanta in (0.01, 1e-3, 3e-5):
            data = RNG.normal(10, 1, (3, 400)).astype(dtype)
            read = int_to_float(*float_to_int(data, quanta=quanta))
            np.testing.assert_array_equal(int_to_float(*float_to_int(read, quanta=quanta)), read)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_quanta_arrays_are_written_as_a_flacarray_is(dtype):
    data = RNG.normal(5, 1, (3, 900)).astype(dtype)
    fa = FlacArray.from_array(data)
    with memory_group() as file:
        flaccodec.hdf5.write_array(data, file)
        np.testing.assert_array_equal(flaccodec.hdf5.read_array(file), fa.to_array())
        assert FlacArray.read_hdf5(file) == fa


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_array_without_quanta_is_refused_with_quanta_that_work(dtype, scale):
    data = (RNG.normal(0, 1, (2, 300)) * scale).astype(dtype)
    with pytest.raises(UnsupportedDtypeError, match="coarser") as caught:
        through_hdf5(FlacArray.from_array(data, lossless=True))
    quanta = float(re.search(r"such as (\S+)\. Or", str(caught.value))[1])
    fa = FlacArray.from_array(data, quanta=quanta)
    assert through_hdf5(fa)[0] == fa


@pytest.mark.parametrize("quanta", [1e-16, 1e-17, 1e-18])
def test_quanta_too_fine_for_a_flacarray_are_refused_with_some_that_work(quanta):
    data = np.random.default_rng(0).normal(0, 1, (2, 300))
    with pytest.warns(QuantaWarning):
        fa = FlacArray.from_array(data, quanta=quanta)
    np.testing.assert_array_equal(fa.to_array(), data)
    with pytest.raises(UnsupportedDtypeError, match=r"coarser ones, such as \d\S+e-15\. Or"):
        through_hdf5(fa)
