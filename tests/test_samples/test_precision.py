"""Quanta by precision are the RMS about the mean / 10**precision: compared with exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from flaccodec import FlacArray, FlacCodec, core, hdf5
from flaccodec.numcodecs import Flac
from flaccodec.utils import chosen_quanta, float_to_int

PRECISION = 1


def rms_about_mean(samples):
    """Return it rounded once, at the end; a float of the stream's own scale."""
    ratios = [float(x).as_integer_ratio() for x in samples]
    unit = max(below for _, below in ratios)  # all are powers of two
    whole = [above * (unit // below) for above, below in ratios]
    n = len(whole)
    square = Fraction(n * sum(x * x for x in whole) - sum(whole) ** 2, n * n)
    scale = 2**1300
    return Fraction(math.isqrt(int(square * scale * scale)), scale * unit)


def noise(dtype, mean, spread, size, seed=0):
    return (mean + spread * np.random.default_rng(seed).normal(size=size)).astype(dtype)


def quanta_of(samples, precision=PRECISION):
    chunk = core.encode_chunk(samples, rule=core.QuantaRule.PRECISION, parameters=precision)
    _, quanta = core.stream_tables(chunk)
    return quanta


def check_quanta(samples, rtol=1e-12):
    """Compare with the rule. Few samples may lie on a grid nearby: then they come back exactly."""
    chunk = core.encode_chunk(
        samples[np.newaxis], rule=core.QuantaRule.PRECISION, parameters=PRECISION
    )
    _, quanta = core.stream_tables(chunk)
    want = float(rms_about_mean(samples) / 10**PRECISION)
    if not (core.decode_chunk(chunk).reshape(-1) == samples).all():
        assert_allclose(quanta, want, rtol=rtol)
        return
    step = np.spacing(np.abs(samples).max()) / want
    assert_allclose(quanta, want, rtol=(0.5 + step) / 10**PRECISION / 0.9)


@pytest.mark.parametrize("size", [2, 17, 30_000, 70_000])
@pytest.mark.parametrize(
    ("dtype", "mean", "spread"),
    [
        ("float64", 1.7e9, 1e-4),  # seconds since 1970, with jitter
        ("float64", 1e15, 10),
        ("float64", -1e15, 10),
        ("float64", 1e300, 1e290),
        ("float64", 1e-310, 1e-312),
        ("float64", 0, 1),
        ("float32", 1e5, 0.1),
        ("float32", -3e38, 1e33),
    ],
)
def test_a_large_mean_costs_no_digits(dtype, mean, spread, size):
    check_quanta(noise(dtype, mean, spread, size))


def test_outliers_cost_no_digits():
    samples = noise("float64", 0, 1, 50_000)
    samples[[7, 40_000]] = 1e9, -3e8
    want = float(rms_about_mean(samples) / 10)
    assert_allclose(quanta_of(samples[np.newaxis]), want, rtol=1e-12)


@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=40),
    st.floats(-1e15, 1e15),
    st.sampled_from([1, 3, 1000]),
)
def test_any_samples(values, mean, repeats):
    samples = np.tile(np.array(values), repeats) + mean
    assume(samples.min() < samples.max())
    want = float(rms_about_mean(samples) / 10)
    assume(want > np.abs(samples).max() * 2**-50)  # else many would break the promised error
    check_quanta(samples)


@pytest.mark.parametrize("factor", [1, 1e-153, 1e-171])
def test_grids_far_from_the_quanta_do_not_count(factor):
    """The nearest multiple gives none of these back in floating point; one beyond the reach did."""
    check_quanta(np.array([0.0, 0.0, 1.6523509738632955]) * factor)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_threads_and_neighbours_change_nothing(num_threads):
    streams = np.stack([noise("float64", 1e12 * i, 1 + i, 40_000, i) for i in range(4)])
    chunk = core.encode_chunk(
        streams, rule=core.QuantaRule.PRECISION, parameters=2, num_threads=num_threads
    )
    alone = [quanta_of(stream[np.newaxis], 2)[0] for stream in streams]
    assert core.stream_tables(chunk)[1].tolist() == alone


def test_fill_values_and_nan_have_no_part():
    samples = noise("float64", 1.7e9, 1e-4, 20_000)
    gaps = samples.copy()
    gaps[::3], gaps[1::3] = np.nan, -9999.0
    chunk = core.encode_chunk(
        gaps[np.newaxis], rule=core.QuantaRule.PRECISION, parameters=1, fill_value=-9999.0
    )
    want = float(rms_about_mean(samples[2::3]) / 10)
    assert_allclose(core.stream_tables(chunk)[1], want, rtol=1e-12)


def through_zarr(samples):
    array = zarr.create_array(
        {}, data=samples, chunks=samples.shape, serializer=FlacCodec(precision=1), compressors=None
    )
    return array[:]


def through_hdf5(samples):
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "x", data=samples, chunks=samples.shape, compression=hdf5.Flac(precision=1)
        )
        file.flush()
        return hdf5.read(dataset)


def through_numcodecs(samples):
    codec = Flac(precision=1)
    return codec.decode(codec.encode(samples)).view(samples.dtype).reshape(samples.shape)


DOORS = {
    "FlacArray": lambda samples: FlacArray.from_array(samples, precision=1).to_array(),
    "zarr": through_zarr,
    "hdf5": through_hdf5,
    "numcodecs": through_numcodecs,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("mean", "spread"), [(1.7e9, 1e-4), (1e15, 1)])
def test_every_door_keeps_the_promise(door, mean, spread):
    samples = noise("float64", mean, spread, (2, 30_000))
    quanta = [float(rms_about_mean(stream) / 10) for stream in samples]
    came = DOORS[door](samples)
    bound = np.array(quanta)[:, np.newaxis] / 2 * (1 + 1e-12) + np.spacing(np.abs(came)) / 2
    assert (np.abs(came - samples) <= bound).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gains_of_flacarray_streams(dtype):
    samples = noise(dtype, 1e6, 10, (2, 5_000))
    _, _, gains = float_to_int(samples, precision=1)
    want = [10 / float(rms_about_mean(stream)) for stream in samples]
    assert_allclose(gains, want, rtol=1e-12 if dtype == "float64" else 1e-7)


@pytest.mark.parametrize(("mean", "spread"), [(1.7e9, 1e-4), (1e15, 1)])
def test_quanta_of_flacarray_streams_with_a_large_mean(mean, spread):
    samples = noise("float64", mean, spread, (2, 30_000))
    want = [float(rms_about_mean(stream)) / 10 for stream in samples]
    assert_allclose(chosen_quanta(samples, None, 1), want, rtol=1e-12)
