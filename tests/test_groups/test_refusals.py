"""Arrays, quanta and slices that groups of flacarray's layout do not take."""

import flacarray
import flacarray.hdf5
import flacarray.zarr
import numpy as np
import pytest

from flaccodec import FlacArray
from flaccodec.compress import array_compress
from flaccodec.decompress import array_decompress
from flaccodec.exceptions import (
    ConfigurationError,
    QuantaError,
    QuantaTooFineError,
    UnsupportedDtypeError,
)
from test_groups.arrays import DTYPES, another, make, modules, options_of, read, write

TINY = (np.random.default_rng(0).normal(size=(2, 5)) * 1e-36).astype("float32")


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (TINY, {"precision": 4}),
        (TINY, {"quanta": [1e-30, 1e-40]}),
        (np.float64(1e-290) * TINY, {"quanta": [5e-308, 1e-310]}),
    ],
)
@pytest.mark.parametrize("progress", [False, True])
def test_quanta_whose_gains_are_infinite_are_refused(data, options, progress, kind, group):
    ours, _ = modules(kind)
    stream = 0 if "precision" in options else 1
    match = f"too fine for gains of {data.dtype} .at stream {stream}.*smallest quanta that would"
    with pytest.raises(QuantaTooFineError, match=match) as caught:
        ours.write_array(data, group, **options, progress=progress)
    assert caught.value.stream == stream
    assert not list(group)
    ours.write_array(data, group, quanta=caught.value.smallest)
    off = np.abs(ours.read_array(group).astype("float64") - data)
    assert off.max() <= 0.51 * caught.value.smallest
    with pytest.raises(UnsupportedDtypeError, match=f"(?s){match}.*to_zarr"):
        write(FlacArray.from_array(data, **options), another(group))


def test_a_flacarray_whose_gains_are_infinite_is_refused(group):
    fa = FlacArray.from_array(np.array([[1, 2], [0, 1e-30]], "float32"))
    with pytest.raises(UnsupportedDtypeError, match=r"at stream 1\).*to_zarr"):
        write(fa, group)
    assert not list(group)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quanta_whose_gains_are_too_small_are_refused(dtype, kind, group):
    largest = float(np.finfo(dtype).max)
    data = np.array([[0, largest / 2]], dtype)
    ours, _ = modules(kind)
    with pytest.raises(QuantaError, match=r"too coarse.*\(at stream 0\).* largest"):
        ours.write_array(data, group, quanta=largest)
    ours.write_array(data, group, quanta=largest / 2)
    np.testing.assert_allclose(ours.read_array(group), data, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_arrays_are_refused(dtype, kind, group):
    data = np.ma.masked_array(make(dtype, (3, 900)), mask=np.ones((3, 900)))
    for options in ({}, {"progress": True}):
        with pytest.raises(ConfigurationError, match=r"must not be masked.*filled"):
            modules(kind)[0].write_array(data, group, **options_of(dtype), **options)
    with pytest.raises(ConfigurationError, match=r"must not be masked.*filled"):
        array_compress(data, **options_of(dtype))


def test_both_quanta_and_precision_are_refused_of_integers_too(kind, group):
    data = make("int32", (3, 900))
    for write_integers in (
        array_compress,
        lambda data, **options: modules(kind)[0].write_array(data, group, **options),
    ):
        with pytest.raises(ConfigurationError, match="quanta or precision, not both"):
            write_integers(data, quanta=1, precision=1)
        write_integers(data, quanta=1)
    assert "quanta" not in group.attrs["flaccodec"]
    np.testing.assert_array_equal(modules(kind)[0].read_array(group), data)


@pytest.mark.parametrize("samples", [5, (1, 2), "all", slice(0, 9, 3)])
def test_what_is_no_slice_is_refused(samples, kind, group):
    ours, _ = modules(kind)
    ours.write_array(make("int32", (3, 900)), group)
    match = "stream_slice must (be a slice|have no step).* Got"
    for options in ({}, {"keep": np.zeros(3, bool)}, {"progress": True}):
        with pytest.raises(ConfigurationError, match=match):
            ours.read_array(group, stream_slice=samples, **options)


def test_indices_are_none_of_all_streams_as_in_flacarray(kind, group):
    ours, theirs = modules(kind)
    data = make("int32", (3, 900))
    ours.write_array(data, group)
    for module in (ours, theirs):
        values, indices = module.read_array(group, keep_indices=True)
        np.testing.assert_array_equal(values, data)
        assert indices is None
    for cls in (FlacArray, flacarray.FlacArray):
        values = read(cls, group).to_array(keep_indices=True)
        np.testing.assert_array_equal(values, data)


def test_lists_are_compressed():
    compressed, starts, nbytes, *_ = array_compress([[1, 2, 3], [4, 5, 6]])
    restored = array_decompress(compressed, 3, starts, nbytes, is_int64=True)
    np.testing.assert_array_equal(restored, [[1, 2, 3], [4, 5, 6]])
    with pytest.raises(ConfigurationError, match="without axes"):
        array_compress(3)
    with pytest.raises(UnsupportedDtypeError, match="int16"):
        array_compress(np.zeros(3, "int16"))


@pytest.mark.parametrize("name", ["stream_offsets", "stream_gains"])
@pytest.mark.parametrize("table", [np.zeros(6), np.zeros((3, 2)), 1.0, np.full((2, 3), "no")])
def test_tables_of_another_shape_are_refused(name, table):
    compressed, starts, nbytes, offsets, gains = array_compress(
        make("float32", (2, 3, 90)), quanta=1
    )
    tables = {"stream_offsets": offsets, "stream_gains": gains, name: table}
    match = rf"{name} must be numbers of the shape of stream_starts, \(2, 3\)\. Got"
    with pytest.raises(ConfigurationError, match=match):
        array_decompress(compressed, 90, starts, nbytes, **tables)
