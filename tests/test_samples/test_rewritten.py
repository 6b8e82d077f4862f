"""Writing what was read changes no sample, although precision chooses quanta by the samples."""

from __future__ import annotations

import itertools

import h5py
import numpy as np
import pytest
import zarr
from numpy.testing import assert_allclose, assert_array_equal

from flaccodec import FlacArray, FlacCodec, core, hdf5
from flaccodec.numcodecs import Flac

MARK = -9999.0
LENGTHS = [2, 3, 17, 1_000, 70_000]
SHAPES = ["noise", "walk", "sine", "uniform", "steps"]


def wave(shape, size, generator):
    noise = generator.normal(size=(2, size))
    if shape == "walk":
        return np.cumsum(noise, axis=1) / np.sqrt(size)
    if shape == "sine":
        return np.sin(np.arange(size) * 0.01) + noise * 0.01
    if shape == "uniform":
        return generator.uniform(-1, 1, noise.shape)
    if shape == "steps":  # one value for long, then another
        return np.round(np.cumsum(noise, axis=1) / np.sqrt(size) * 3) / 3 + 0.01
    return noise


def with_gaps(samples, generator):
    samples = samples.copy()
    samples[generator.random(samples.shape) < 0.1] = np.nan
    samples[generator.random(samples.shape) < 0.1] = MARK
    return samples


def encode(samples, precision, **options):
    return core.encode_chunk(
        samples, rule=core.QuantaRule.PRECISION, parameters=precision, **options
    )


def check(samples, precision, **options):
    first = core.decode_chunk(encode(samples, precision, **options)).reshape(samples.shape)
    chunk = encode(first, precision, **options)
    assert_array_equal(core.decode_chunk(chunk).reshape(samples.shape), first)
    layouts = [np.asfortranarray(first), first.astype(first.dtype.newbyteorder())]
    for layout, num_threads in itertools.product(layouts, [1, 4]):
        same = encode(layout, precision, num_threads=num_threads, **options)
        assert bytes(core.decode_chunk(same)) == bytes(core.decode_chunk(chunk))
        assert_array_equal(core.stream_tables(same)[1], core.stream_tables(chunk)[1])


@pytest.mark.parametrize("precision", range(7))
@pytest.mark.parametrize(
    ("dtype", "mean"),
    [("float32", 0), ("float32", 10), ("float64", 0), ("float64", 10), ("float64", -1e4)],
)
def test_any_samples(dtype, mean, precision):
    if dtype == "float32" and mean and precision > 4:
        pytest.skip("float32 has no digits for that")
    generator = np.random.default_rng(precision)
    for size, shape, scale in itertools.product(LENGTHS, SHAPES, [1e-3, 7.0]):
        samples = ((mean + wave(shape, size, generator)) * scale).astype(dtype)
        check(samples, precision)
        check(with_gaps(samples, generator), precision, fill_value=MARK)


@pytest.mark.parametrize(
    ("dtype", "mean", "precision"),
    [("float32", 1e3, 1), ("float32", 1e4, 0), ("float64", 1e6, 3), ("float64", 1e8, 0)],
)
def test_a_large_mean(dtype, mean, precision):
    generator = np.random.default_rng(0)
    for size in [100, 1_000, 20_000]:
        check((mean + generator.normal(size=(2, size))).astype(dtype), precision)


def test_zeros_behind_the_edge():
    samples = np.random.default_rng(0).normal(size=(2, 40_000))
    samples[:, 33_333:] = 0
    check(samples, 2, fill_value=0.0)


def through_zarr(samples):
    array = zarr.create_array(
        {}, data=samples, chunks=(2, 7_000), serializer=FlacCodec(precision=3), compressors=None
    )
    once = array[:]
    array[1:3, 500:8_000] = array[1:3, 500:8_000]
    return once, array[:]


def through_hdf5(samples):
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "x", data=samples, chunks=(2, 7_000), compression=hdf5.Flac(precision=3)
        )
        file.flush()
        once = hdf5.read(dataset)
        dataset[1:3, 500:8_000] = once[1:3, 500:8_000]
        file.flush()
        return once, hdf5.read(dataset)


def through_numcodecs(samples):
    codec, copies = Flac(precision=3), [samples]
    for _ in range(2):
        read = codec.decode(codec.encode(copies[-1]))
        copies.append(read.view(samples.dtype).reshape(samples.shape))
    return copies[1:]


def through_flacarray(samples):
    once = FlacArray.from_array(samples, precision=3).to_array()
    return once, FlacArray.from_array(once, precision=3).to_array()


@pytest.mark.parametrize(
    "through", [through_zarr, through_hdf5, through_numcodecs, through_flacarray]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_door(through, dtype):
    samples = np.random.default_rng(1).normal(3, 1, (4, 20_000)).astype(dtype)
    once, again = through(samples)
    assert (once != samples).any()
    assert_array_equal(again, once)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_integers_keep_the_quanta_of_the_rule(dtype):
    samples = np.random.default_rng(0).integers(-1_000, 1_000, (1, 5_000)).astype(dtype)
    want = samples.std(dtype="float64") / 10**3  # 0.577; a grid of 1 or 0.5 is another
    _, quanta = core.stream_tables(encode(samples, 3))
    assert_allclose(quanta, want, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_grid_nearby_is_kept(dtype):
    samples = np.random.default_rng(0).integers(-1_000, 1_000, (1, 5_000)).astype(dtype)
    samples *= 0.5
    precision = np.log10(samples.std(dtype="float64") / 0.5003)
    chunk = encode(samples, precision)
    assert_array_equal(core.decode_chunk(chunk).reshape(samples.shape), samples)
    assert_allclose(core.stream_tables(chunk)[1], 0.5, rtol=1e-6)
