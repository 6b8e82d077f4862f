"""Arrays and FlacArrays through groups, both ways with the real flacarray 0.4.1."""

import itertools
import json

import flacarray
import flacarray.hdf5
import flacarray.zarr
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import flaccodec.hdf5
import flaccodec.zarr
from flaccodec import FlacArray
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptStreamError,
    EmptyArrayError,
    QuantaError,
    UnsupportedDtypeError,
)
from flaccodec.groups.grid import fit_quanta
from flaccodec.samples.grid import whole_offset
from test_groups.arrays import DTYPES, another, make, modules, options_of, read, write

SHAPES = [(900,), (1, 900), (4, 900), (2, 3, 900)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("writer", [0, 1], ids=["ours", "theirs"])
def test_either_writes_and_either_reads(writer, dtype, shape, kind, group):
    data = make(dtype, shape)
    both = modules(kind)
    both[writer].write_array(data, group, **options_of(dtype))
    ours, theirs = (module.read_array(group) for module in both)
    np.testing.assert_array_equal(ours.reshape(-1), theirs.reshape(-1))
    assert ours.dtype == theirs.dtype == data.dtype
    assert ours.shape == (shape if writer == 0 else theirs.shape)
    assert np.abs(ours.reshape(shape).astype(float) - data).max() <= 0.0055
    keep = np.arange(np.prod(shape[:-1], dtype=int)).reshape(shape[:-1] or (1,)) % 2 == 0
    arguments = {"keep": keep, "stream_slice": slice(100, 200), "keep_indices": True}
    (mine, indices), (other, expected) = (m.read_array(group, **arguments) for m in both)
    assert indices == expected
    np.testing.assert_array_equal(mine.reshape(-1), other.reshape(-1))
    assert mine.shape == (keep.sum(), 100)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_flacarray_there_and_back(dtype, shape, group):
    fa = FlacArray.from_array(make(dtype, shape), **options_of(dtype))
    write(fa, group)
    again = read(FlacArray, group)
    assert again == fa
    theirs = read(flacarray.FlacArray, group)
    assert theirs.dtype == fa.dtype
    np.testing.assert_allclose(
        theirs.to_array().reshape(shape), fa.to_array(), rtol=1e-6 if dtype == "float32" else 1e-14,
        atol=1e-4 if dtype == "float32" else 1e-11,
    )  # fmt: skip


# -- floats come back on a grid ------------------------------------------------------------


def at_level(dtype, level, shape=(3, 5000)):
    return (level + np.random.default_rng(0).normal(size=shape)).astype(dtype)


def assert_near_what_is_read(fa, values):
    """Within 4 eps of the largest value of each stream."""
    largest = np.abs(values).max(axis=-1, keepdims=True).astype("float64")
    off = np.abs(fa.to_array().astype("float64") - values)
    assert (off <= 4 * np.finfo(fa.dtype).eps * largest).all()


def assert_goes_on(fa, group):
    """Written and read again, a FlacArray stays as large, and near its values."""
    write(fa, group)
    again = read(FlacArray, group)
    assert_near_what_is_read(again, fa.to_array())
    assert again.nbytes <= 1.01 * fa.nbytes


@pytest.mark.parametrize("level", [0, 1000, 1e5])
@pytest.mark.parametrize("quanta", [1e-3, 1e-4, 1e-6])
def test_uniform_quanta_give_the_same_samples(level, quanta, group):
    data = at_level("float32", level)
    fa = FlacArray.from_array(data, quanta=quanta)
    write(fa, group)
    again = read(FlacArray, group)
    np.testing.assert_array_equal(again.to_array(), fa.to_array())
    assert again.nbytes <= 1.01 * fa.nbytes
    if level / quanta < 2**23:
        assert again == fa


@pytest.mark.parametrize("quanta", [1e-3, 1e-6])
def test_an_array_written_at_once_keeps_the_promise(quanta, kind, group):
    data = at_level("float32", 1000)
    modules(kind)[0].write_array(data, group, quanta=quanta)
    off = np.abs(read(FlacArray, group).to_array().astype("float64") - data)
    assert (off <= quanta / 2 + np.spacing(data) / 2).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("level", [0, 1000, 1e5])
@pytest.mark.parametrize("options", [{}, {"precision": 4}, {"quanta": [[1e-3], [2e-3], [3e-3]]}])
@pytest.mark.parametrize("theirs", [False, True])
def test_floats_stay_quantized(theirs, options, level, dtype, kind, group):
    data = at_level(dtype, level)
    options = {name: np.array(value).squeeze() for name, value in options.items()}
    if theirs and "quanta" in options:
        options["quanta"] = 1e-3  # flacarray 0.4.1 fails on quanta of each stream
    if theirs and not options:
        options = {"precision": 2}  # it wants one of the two
    module = flacarray if theirs else flaccodec
    write(module.FlacArray.from_array(data, **options), group)
    fa = read(FlacArray, group)
    assert fa.stream_gains is not None
    gains = group["stream_gains"][...] if theirs else 1 / group["stream_quanta"][...]
    np.testing.assert_allclose(fa.stream_gains, gains, rtol=1e-6)
    assert fa.nbytes <= 1.02 * group["compressed"].shape[0]
    values = modules(kind)[0].read_array(group)
    assert_near_what_is_read(fa, values)
    steps = 1 / fa.stream_gains.astype("float64")[:, np.newaxis]
    off = np.abs(fa.to_array().astype("float64") - values)
    assert (off <= steps / 2 + np.spacing(np.abs(values))).all()
    if level >= 1000:
        assert (off == 0).mean() > 0.6
    assert_goes_on(fa, another(group))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_stream_off_its_grid_leaves_the_others_on_theirs(dtype, kind, group):
    data = at_level(dtype, 0)
    ours, theirs = modules(kind)
    theirs.write_array(data, group, quanta=1e-3)
    offsets = group["stream_offsets"]
    offsets[1] = offsets[1] + dtype_of(offsets).type(0.0003)
    fa = read(FlacArray, group)
    gains = group["stream_gains"][...]
    np.testing.assert_allclose(fa.stream_gains[[0, 2]], gains[[0, 2]], rtol=1e-6)
    assert fa.stream_gains[1] > 100 * gains[1]
    assert (fa.stream_nbytes < 1.01 * group["stream_bytes"][...])[[0, 2]].all()
    values = ours.read_array(group)
    assert_near_what_is_read(fa, values)
    assert fa.stream_nbytes[1] < FlacArray.from_array(values, lossless=True).stream_nbytes[1]
    assert_goes_on(fa, another(group))


def dtype_of(dataset):
    return np.dtype(dataset.dtype)


@pytest.mark.parametrize("extras", [2e-3, 0, -1, None, "many", [1e-3], 1e400])
def test_quanta_that_are_not_those_of_the_tables_are_passed_over(extras, kind, group):
    data = at_level("float32", 1000)
    ours, _ = modules(kind)
    ours.write_array(data, group, quanta=1e-3)
    values = ours.read_array(group)
    group.attrs["flaccodec"] = json.dumps({"shape": list(data.shape), "quanta": extras})
    assert_near_what_is_read(read(FlacArray, group), values)


def test_offsets_that_are_not_those_of_the_quanta_are_passed_over(kind, group):
    ours, _ = modules(kind)
    ours.write_array(at_level("float32", 0), group, quanta=1e-3)
    group["stream_offsets"][1] = np.float32(0.00123)
    assert_near_what_is_read(read(FlacArray, group), ours.read_array(group))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_streams_of_one_value_are_read(dtype, kind, group):
    theirs = modules(kind)[1]
    theirs.write_array(np.zeros((3, 90), dtype), group, quanta=10.0)
    offsets = np.array([0, 1e-30, 3.7], dtype)
    group["stream_offsets"][...] = offsets
    fa = read(FlacArray, group)
    np.testing.assert_allclose(fa.to_array(), np.tile(offsets[:, None], 90), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by", ["ours", "theirs", "tables"])
def test_steps_far_below_the_precision_of_the_offset_are_read(by, dtype, kind, group):
    ours, theirs = modules(kind)
    data = np.full((2, 90), 1e12, dtype)
    if by == "ours":
        ours.write_array(data, group, quanta=1e-12)
    else:
        theirs.write_array(data, group, quanta=1e-3)
        gains = group["stream_gains"]
        gains[...] = np.full(2, 1e30 if by == "tables" else 1e10, dtype)
    fa = read(FlacArray, group)
    np.testing.assert_array_equal(fa.to_array(), ours.read_array(group))
    assert_goes_on(fa, another(group))


@settings(max_examples=300)
@given(
    offset=st.floats(-(2.0**50), 2.0**50),
    quanta=st.floats(1e-9, 1e9),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_whole_offsets_are_known_from_their_products(offset, quanta, dtype):
    whole = whole_offset(np.array([offset]), dtype)
    assert np.abs(whole - offset) <= max(0.5, abs(offset) * 2.0**-22)
    rounded = (whole * quanta).astype(dtype).astype("float64")
    assert whole_offset(rounded / quanta, dtype) == whole


@settings(max_examples=300)
@given(
    offset=st.floats(-1e300, 1e300),
    step=st.floats(1e-300, 1e300),
    largest=st.floats(0, 1e300),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_a_grid_passes_any_offset(offset, step, largest, dtype):
    args = (np.array([value]) for value in (offset, step, largest))
    quanta = fit_quanta(*args, np.dtype(dtype))
    scale = max(abs(offset), largest)
    assert 0 < quanta[0] < np.inf
    missed = abs(offset - np.rint(offset / quanta[0]) * quanta[0])
    assert missed <= 2 * float(np.finfo(dtype).eps) * scale + 5e-324
    assert scale / quanta[0] < 2.0**63


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_flacarray_of_theirs(dtype, group):
    data = make(dtype, (3, 900))
    write(flacarray.FlacArray.from_array(data, **options_of(dtype)), group)
    fa = read(FlacArray, group)
    assert fa.shape == data.shape
    assert np.abs(fa.to_array().astype(float) - data).max() <= 0.0055
    kept = read(FlacArray, group, keep=np.array([True, False, True]))
    np.testing.assert_array_equal(kept.to_array(), fa.to_array()[[0, 2]])


def test_quanta_of_each_stream_survive(group):
    data = make("float64", (3, 900))
    fa = FlacArray.from_array(data, precision=4)
    write(fa, group)
    again = read(FlacArray, group)
    np.testing.assert_allclose(again.stream_gains, fa.stream_gains, rtol=1e-15)
    np.testing.assert_allclose(again.to_array(), fa.to_array(), rtol=1e-13, atol=1e-12)


def test_narrow_streams_are_encoded_anew():
    data = np.arange(900) + 2**40
    fa = FlacArray.from_array(data)
    assert fa.stream_offsets is not None
    group = zarr.create_group({})
    fa.write_zarr(group)
    np.testing.assert_array_equal(flacarray.zarr.read_array(group), data)


@pytest.mark.parametrize(
    ("fa", "message"),
    [
        (FlacArray.from_array(np.arange(9, dtype="int16")), "create_array"),
        (FlacArray.from_array(np.ones(9), lossless=True), "without quanta"),
        (FlacArray.from_array(np.array([1, np.nan]), quanta=1), "not finite"),
        (FlacArray.from_array(np.array([0.123, 1e9], "float32"), quanta=1e-3), "this fine"),
    ],
)
def test_what_the_layout_cannot_hold_names_another_door(fa, message, group):
    with pytest.raises(UnsupportedDtypeError, match=message):
        write(fa, group)
    assert not list(group)


def test_one_stream_keeps_its_axes(kind, group):
    ours, _ = modules(kind)
    ours.write_array(make("int32", (1, 900)), group)
    assert ours.read_array(group).shape == (1, 900)
    del group["compressed"], group["stream_starts"], group["stream_bytes"]
    ours.write_array(make("int32", (900,)), group)
    assert ours.read_array(group).shape == (900,)
    assert ours.read_array(group, no_flatten=True).shape == (1, 900)
    assert read(FlacArray, group, no_flatten=True).shape == (1, 900)


def test_a_damaged_group_gives_no_samples(kind, group):
    ours, _ = modules(kind)
    ours.write_array(make("int32", (3, 900)), group)
    compressed = group["compressed"]
    at = int(group["stream_starts"][1]) + 300
    compressed[at] = int(compressed[at]) ^ 255
    reads = (ours.read_array, FlacArray.read_hdf5 if kind == "hdf5" else FlacArray.read_zarr)
    for reader, keep in itertools.product(reads, (None, np.array([False, True, True]))):
        with pytest.raises(CorruptStreamError, match=r"group .*a\.(h5|zarr).*stream 1\b"):
            reader(group, keep=keep)
    keep = np.array([True, False, True])
    np.testing.assert_array_equal(ours.read_array(group, keep=keep), make("int32", (3, 900))[keep])


@pytest.mark.parametrize("name", ["stream_starts", "compressed"])
def test_streams_of_another_size_than_the_group_says_are_refused(name, kind, group):
    ours, _ = modules(kind)
    ours.write_array(make("float64", (3, 900)), group, quanta=0.5)
    if name == "stream_starts":
        group[name].attrs["stream_size"] = 901
        match = "stream 0.*another number of samples|another number of samples.*stream 0"
    else:  # the second stream of one sample less
        short = group.create_group("short")
        ours.write_array(make("float64", (899,)), short, quanta=0.5)
        tables = {n: group[n][...] for n in ("compressed", "stream_starts", "stream_bytes")}
        bytes_of_short = short["compressed"][...]
        tables["stream_starts"][1] = len(tables["compressed"])
        tables["stream_bytes"][1] = len(bytes_of_short)
        tables["compressed"] = np.append(tables["compressed"], bytes_of_short)
        for table, values in tables.items():
            attributes = dict(group[table].attrs)
            del group[table]
            if kind == "hdf5":
                group.create_dataset(table, data=values).attrs.update(attributes)
            else:
                group.create_array(table, data=values).attrs.update(attributes)
        match = "stream 1.*another number of samples|another number of samples.*stream 1"
    for reader in (ours.read_array, FlacArray.read_hdf5 if kind == "hdf5" else FlacArray.read_zarr):
        with pytest.raises(CorruptStreamError, match=match):
            reader(group)


@pytest.mark.parametrize(
    ("shape", "options", "error", "message"),
    [
        ((2, 3, 9), {"quanta": 1, "precision": 2}, ConfigurationError, "not both"),
        ((2, 3, 9), {"quanta": np.ones(6)}, ConfigurationError, r"leading axes, \(2, 3\)"),
        ((2, 3, 9), {"precision": np.ones((3, 2))}, ConfigurationError, r"leading axes, \(2, 3\)"),
        ((2, 3, 9), {"quanta": 0}, QuantaError, "stream 0"),
        ((0, 9), {"quanta": 1}, EmptyArrayError, "no samples"),
        ((3, 0), {"quanta": 1}, EmptyArrayError, "no samples"),
        ((3, 0), {"precision": 1}, EmptyArrayError, "no samples"),
        ((0,), {"quanta": 1}, EmptyArrayError, "no samples"),
        ((3, 9), {"quanta": 1, "level": 9}, ConfigurationError, "level must be from 0 to 8"),
        ((3, 9), {"quanta": 1, "level": -1}, ConfigurationError, "level must be from 0 to 8"),
    ],
)
@pytest.mark.parametrize("progress", [False, True])
def test_arrays_and_options_that_cannot_be_are_refused(
    shape, options, error, message, progress, kind, group
):
    ours, _ = modules(kind)
    with pytest.raises(error, match=message):
        ours.write_array(np.ones(shape), group, **options, progress=progress)
    assert not list(group)


def test_what_does_not_fit_is_refused(kind, group):
    ours, _ = modules(kind)
    with pytest.raises(ConfigurationError, match="mpi_comm must be an MPI communicator"):
        ours.write_array(np.zeros(3, "int32"), group, mpi_comm=object())
    with pytest.raises(ConfigurationError, match="without axes"):
        ours.write_array(np.int32(3), group)
    with pytest.raises(UnsupportedDtypeError, match="create_array"):
        ours.write_array(np.zeros(3, "int16"), group)
    ours.write_array(np.zeros(3, ">i4"), group)
    with pytest.raises(ConfigurationError, match="no step"):
        ours.read_array(group, stream_slice=slice(0, 3, 2))
    with pytest.raises(ConfigurationError, match="mpi_comm must be an MPI communicator"):
        ours.read_array(group, mpi_comm=object())
    with pytest.raises(ConfigurationError, match="mpi_dist must be"):
        ours.read_array(group, mpi_dist=[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_flacarray_of_no_stream_is_refused(dtype, kind, group):
    modules(kind)[0].write_array(make(dtype, (3, 900)), group, **options_of(dtype))
    with pytest.raises(EmptyArrayError, match=r"group .*a\.(h5|zarr).*: a FlacArray must have at"):
        read(FlacArray, group, keep=np.zeros(3, bool))
    assert modules(kind)[0].read_array(group, keep=np.zeros(3, bool)).shape == (0, 900)
