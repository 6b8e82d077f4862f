"""Fill values come back exactly from quantized floats, and have no part in quanta.

Chunks at the edge of an array are filled up with it, and netCDF's is 9.97e36.
"""

import copy
import ctypes
import pickle
import re
from pathlib import Path

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
import zarr
from hypothesis import given

import flaccodec
from flaccodec import FlacArray, FlacCodec, hdf5
from flaccodec.core import QuantaRule, decode_chunk, encode_chunk, stream_tables
from flaccodec.exceptions import QuantaWarning, UnsupportedDtypeError
from flaccodec.hdf5 import Flac
from support.strategies import float_arrays, same_bits

NETCDF = 9.969209968386869e36
FILLS = [NETCDF, -9999.0, 0.1, np.nan]
RULES = [{"quanta": 1e-3}, {"precision": 3}]
SHAPE, CHUNKS = (7, 1500), (2, 1000)


def walk(dtype, fill):
    """A walk with some samples missing."""
    x = np.random.default_rng(0).normal(0, 10, SHAPE).cumsum(axis=1).astype(dtype)
    x[2, 700:710] = x[3, 100] = x[4] = fill
    return x


def check(got, x, fill, allowed=0.2):
    """Missing samples are missing still, others are near; 0.2: three digits of a walk."""
    missing = (x == x.dtype.type(fill)) | np.isnan(x)
    np.testing.assert_array_equal(got[missing], x[missing])
    assert np.abs(got - x)[~missing].max() <= allowed


@pytest.mark.parametrize("options", RULES)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_zarr_and_hdf5_keep_them_and_agree(tmp_path, dtype, fill, options):
    x = walk(dtype, fill)
    kept = {"shape": SHAPE, "chunks": CHUNKS, "dtype": dtype}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        datasets = [
            file.create_dataset(name, **kept, fillvalue=fill, compression=Flac(**options))
            for name in ("x", "direct")
        ]
        datasets[0][...] = x
        hdf5.write(datasets[1], x)
    array = zarr.create_array(
        tmp_path / "x.zarr", **kept, fill_value=fill, serializer=FlacCodec(**options),
        compressors=None,
    )  # fmt: skip
    array[...] = x
    with h5py.File(tmp_path / "x.h5") as file:
        for name in ("x", "direct"):
            check(file[name][...], x, fill)
            check(hdf5.read(file[name]), x, fill)
            for at in np.ndindex(4, 2):
                _, chunk = file[name].id.read_direct_chunk((2 * at[0], 1000 * at[1]))
                stored = tmp_path / "x.zarr" / "c" / str(at[0]) / str(at[1])
                assert chunk == stored.read_bytes()
    check(zarr.open_array(tmp_path / "x.zarr")[...], x, fill)
    check(FlacArray.from_zarr(tmp_path / "x.zarr").to_array(), x, fill)


@pytest.mark.parametrize("fill", [*FILLS, 0, np.inf])
@pytest.mark.parametrize("options", RULES)
def test_an_edge_is_quantized_as_what_it_has_of_the_array(tmp_path, options, fill):
    x = walk("float32", 0)[:2] + 5000
    edge = zarr.create_array(
        tmp_path / "x.zarr", data=x, chunks=CHUNKS, fill_value=fill,
        serializer=FlacCodec(**options), compressors=None,
    )  # fmt: skip
    alone = zarr.create_array(
        tmp_path / "y.zarr", data=x[:, 1000:], chunks=(2, 500), fill_value=fill,
        serializer=FlacCodec(**options), compressors=None,
    )  # fmt: skip
    np.testing.assert_array_equal(edge[:, 1000:], alone[...])


@pytest.mark.parametrize("options", RULES)
def test_a_dataset_remembers_its_fill_value(tmp_path, options):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, fill in (("none", None), ("zero", 0), ("nan", np.nan), ("netcdf", NETCDF)):
            file.create_dataset(
                name, SHAPE, "float32", chunks=CHUNKS, fillvalue=fill, compression=Flac(**options)
            )
        file.create_dataset(
            "lossless", SHAPE, "float32", chunks=CHUNKS, fillvalue=NETCDF, compression=Flac()
        )
        values = {name: x.id.get_create_plist().get_filter(0)[2] for name, x in file.items()}
    counts = {name: (found[0], len(found)) for name, found in values.items()}
    assert counts.pop("netcdf") == counts.pop("nan") == (2, 13)
    assert set(counts.values()) == {(1, 11)}
    assert np.array(values["netcdf"][11:], "<u4").view("<f8") == np.float32(NETCDF)


def test_zeros_count_but_for_those_at_the_end():
    x = np.random.default_rng(2).normal(100, 1, (3, 50_000))
    x[0, 40_000:] = x[1, :10_000] = x[2] = 0
    for n in (3, 1):  # one alone is scanned in blocks by several threads
        chunk = encode_chunk(
            x[:n], rule=QuantaRule.PRECISION, parameters=2, fill_value=0, num_threads=2
        )
        _, quanta = stream_tables(chunk)
        assert quanta[0] == pytest.approx(x[0, :40_000].std() / 100)
        if n == 3:
            assert quanta[1] == pytest.approx(x[1].std() / 100)
        got = decode_chunk(chunk).reshape(n, -1)
        np.testing.assert_array_equal(got[x[:n] == 0], 0)
        assert np.abs(got - x[:n]).max() <= 0.21


@pytest.mark.parametrize("n", [1, 3])
def test_zeros_at_the_end_behind_samples_that_are_not_finite(n):
    x = np.zeros((n, 300))
    x[:, :100] = np.nan
    x[:, 40] = 7
    chunk = encode_chunk(x, rule=QuantaRule.PRECISION, parameters=2, fill_value=0, num_threads=2)
    np.testing.assert_array_equal(decode_chunk(chunk).reshape(x.shape), x)


def test_shards(tmp_path):
    x = walk("float64", NETCDF)
    array = flaccodec.create_array(
        tmp_path / "x.zarr", data=x, chunks=(1, 500), shards=(2, 1000), fill_value=NETCDF,
        codecs=[FlacCodec(quanta=1e-3)],
    )  # fmt: skip
    check(array[...], x, NETCDF, 0.51e-3)


def test_samples_that_are_no_fill_are_told_of():
    x = np.zeros((2, 100))
    x[1, 7] = 1e30
    x[1, 3] = 1e36
    with pytest.warns(QuantaWarning) as caught:
        chunk = encode_chunk(x, rule=QuantaRule.GIVEN, parameters=1e-3, fill_value=1e36)
    assert (caught[0].message.stream, caught[0].message.sample) == (1, 7)
    np.testing.assert_array_equal(decode_chunk(chunk), x)


def test_a_stream_of_nothing_but_fill():
    for rule, parameter in ((QuantaRule.GIVEN, 1e-3), (QuantaRule.PRECISION, 3)):
        x = np.full((2, 1000), -1.5e30, dtype="float32")
        chunk = encode_chunk(x, rule=rule, parameters=parameter, fill_value=-1.5e30)
        np.testing.assert_array_equal(decode_chunk(chunk), x)
        assert len(chunk) < 400


def test_a_fill_value_on_the_grid_costs_no_more_than_other_samples():
    x = np.random.default_rng(1).integers(-5, 6, (1, 10_000)).astype("float32")
    options = {"rule": QuantaRule.GIVEN, "parameters": 0.5}
    assert len(encode_chunk(x, fill_value=2, **options)) == len(encode_chunk(x, **options))


@given(
    float_arrays(),
    st.sampled_from([QuantaRule.GIVEN, QuantaRule.PRECISION, QuantaRule.RANGE]),
    st.sampled_from([1e37, -9999.0, 0.1, 0.0, np.nan, np.inf]),
    st.lists(st.integers(0, 10**6), max_size=40),
    st.integers(0, 200),
    st.sampled_from([16, 4096]),
)
def test_any_fill_value_comes_back(array, rule, fill, places, kept, frame_size):
    fill = array.dtype.type(fill)
    array.flat[[place % array.size for place in places]] = fill
    array[..., kept:] = fill
    finite = array[np.isfinite(array) & (array != fill)]
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    parameters = {"parameters": 3 if rule is QuantaRule.PRECISION else largest / 1000 or 1.0}
    if rule is QuantaRule.RANGE:
        parameters = {}
    options = {"rule": rule, "fill_value": fill, "frame_size": frame_size, **parameters}
    chunk = encode_chunk(array, **options)
    got = decode_chunk(chunk).reshape(array.shape)
    np.testing.assert_array_equal(got[array == fill], fill)
    quanta = stream_tables(chunk)[1]
    if quanta is not None and finite.size:
        near = np.isfinite(array)
        error = np.abs(got[near].astype("f8") - array[near].astype("f8"))
        rounding = np.spacing(np.abs(got[near])).astype("f8")
        assert (error <= quanta.max() / 2 + rounding).all()
    if rule is QuantaRule.GIVEN:
        assert same_bits(decode_chunk(encode_chunk(got, **options)).reshape(array.shape), got)


# -- FlacArrays --------------------------------------------------------------------------

OTHER_CHUNKS = [(7, 1500), (1, 300), (2, 1000)]
OFF_GRID = [-999.3, 1e20, NETCDF, np.nan]


@pytest.fixture(params=OFF_GRID)
def source(request):
    """A Zarr array with a fill value that is no multiple of its quanta, or far too many."""
    array = flaccodec.create_array(
        {}, data=walk("float64", request.param), chunks=(1, 1500), fill_value=request.param,
        codecs=[FlacCodec(quanta=0.25)],
    )  # fmt: skip
    np.testing.assert_array_equal(array[4], request.param)
    return array


@pytest.mark.parametrize("chunks", OTHER_CHUNKS)
def test_a_flacarray_keeps_them_in_zarr_and_hdf5(tmp_path, source, chunks):
    fa = FlacArray.from_zarr(source)
    array = fa.to_zarr({}, chunks=chunks)
    np.testing.assert_equal(array.fill_value, source.fill_value)
    assert same_bits(array[...], source[...])
    again = FlacArray.from_zarr(array)
    assert same_bits(again.to_array(), source[...])
    with h5py.File(tmp_path / "x.h5", "w") as file:
        again.write_hdf5(file, name="x", layout="chunks", chunks=chunks)
        np.testing.assert_equal(file["x"].fillvalue, source.fill_value)
        assert same_bits(file["x"][...], source[...])
        back = FlacArray.read_hdf5(file, name="x").to_zarr({}, chunks=(3, 700))
        assert same_bits(back[...], source[...])
        rows = np.arange(7) > 2
        some = FlacArray.read_hdf5(file, rows, name="x").to_zarr({}, chunks=(1, 700))
        assert same_bits(some[...], source[3:])


def test_copies_remember_them(source):
    fa = FlacArray.from_zarr(source)
    copies = FlacArray(fa), copy.copy(fa), copy.deepcopy(fa), pickle.loads(pickle.dumps(fa))
    for other in copies:
        np.testing.assert_equal(other.fill_value, source.fill_value)
        assert same_bits(other.to_zarr({}, chunks=(2, 700))[...], source[...])


def test_what_they_are_can_be_told(tmp_path, source):
    """A chunk does not tell its fill value, so that the array made of it has to be told."""
    fa = FlacArray.from_chunk(FlacArray.from_zarr(source).to_chunk(), SHAPE)
    assert fa.fill_value is None
    fill = source.fill_value
    array = fa.to_zarr({}, chunks=(2, 700), fill_value=fill)
    assert same_bits(array[...], source[...])
    with h5py.File(tmp_path / "x.h5", "w") as file:
        fa.write_hdf5(file, name="x", layout="chunks", chunks=(2, 700), fillvalue=fill)
        assert same_bits(file["x"][...], source[...])
        other = FlacArray.from_zarr(array)
        other.write_hdf5(file, name="y", layout="chunks", fillvalue=7)
        assert file["y"].fillvalue == 7


def test_integers_remember_them_too(tmp_path):
    array = flaccodec.create_array({}, shape=SHAPE, dtype="int16", chunks=CHUNKS, fill_value=-7)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        FlacArray.from_zarr(array).write_hdf5(file, name="x", layout="chunks")
        assert FlacArray.read_hdf5(file, name="x").fill_value == file["x"].fillvalue == -7


def test_an_undefined_fill_value(tmp_path):
    """Which h5py can neither set nor read."""
    with Path("/proc/self/maps").open() as maps:
        libraries = {line.split()[-1] for line in maps if re.search(r"/libhdf5[-.]", line)}
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, 1500))
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    ids = [ctypes.c_int64(i) for i in (plist.id, h5py.h5t.NATIVE_DOUBLE.id)]
    for library in libraries:  # netCDF4 may have brought another, which does not know the list
        ctypes.CDLL(library).H5Pset_fill_value(*ids, None)
    assert plist.fill_value_defined() == h5py.h5d.FILL_VALUE_UNDEFINED
    with h5py.File(tmp_path / "x.h5", "w") as file:
        space, dtype = h5py.h5s.create_simple(SHAPE), h5py.h5t.NATIVE_DOUBLE
        x = h5py.Dataset(h5py.h5d.create(file.id, b"x", dtype, space, plist))
        x[...] = walk("float64", 0)
        fa = FlacArray.read_hdf5(x)
        assert same_bits(fa.to_array(), x[...])
        assert fa.fill_value == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_flacarrays_layout_refuses_what_it_would_round(dtype):
    x = walk(dtype, -999.3)
    array = flaccodec.create_array(
        {}, data=x, fill_value=-999.3, codecs=[FlacCodec(quanta=0.25)]
    )  # fmt: skip
    fa, group = FlacArray.from_zarr(array), zarr.create_group({})
    with pytest.raises(
        UnsupportedDtypeError,
        match=r"no whole quanta.* Got -999\.\d+ at stream 2, sample 700.*: write it to",
    ):
        fa.write_zarr(group)
    assert list(group) == []


@pytest.mark.parametrize("quanta", [0.1, 1e-9, 1e-12, 1e-14])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_flacarrays_layout_takes_all_that_is_on_the_grid(dtype, quanta):
    """However fine it is, so that samples are beside it by the roundings of float64."""
    x = np.random.default_rng(0).normal(0, quanta * 2.0**27 if dtype == "float32" else 9, (3, 900))
    fa = FlacArray.from_array(x.astype(dtype), quanta=quanta)
    group = zarr.create_group({})
    fa.write_zarr(group)
    again = FlacArray.read_zarr(group).to_array()
    assert np.abs(again - fa.to_array()).max() <= 4 * np.finfo(dtype).eps * np.abs(x).max()
