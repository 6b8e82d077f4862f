"""What is named as missing comes back exactly, and has no part in quanta, in every door.

CF's ``missing_value``, which may be several numbers, is such a name, and so is ``_FillValue``.
"""

import copy
import json
import pickle

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given

import flaccodec
import flaccodec.numcodecs
from flaccodec import FlacArray, FlacCodec, hdf5
from flaccodec.chunks.missing import marks_named, with_marks
from flaccodec.chunks.options import CodecOptions
from flaccodec.core import QuantaRule, decode_chunk, encode_chunk, stream_tables
from flaccodec.exceptions import ConfigurationError
from support.strategies import float_arrays, same_bits

CASES = [({"quanta": 0.01}, -9999.3, 0.0051), ({"precision": 3}, 1e20, 0.0011)]
DTYPES = ["<f4", ">f4", "<f8", ">f8"]
SHAPE, CHUNKS = (6, 1700), (2, 1000)


def data(dtype, *missing):
    """Noise of 1, with a third of the samples missing."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, SHAPE)
    for i, mark in enumerate(missing):
        x[rng.random(SHAPE) < 0.3] = mark
        x[i] = mark
    return x.astype(dtype)


def check(got, x, *missing, allowed):
    marked = np.isin(x, np.array(missing).astype(x.dtype))
    assert marked.sum() > 2000
    np.testing.assert_array_equal(got[marked], x[marked])
    assert np.abs(got - x)[~marked].max() <= allowed


def made(codec, x, **kwargs):
    chunks = {"shape": SHAPE, "dtype": x.dtype, "chunks": CHUNKS, "compressors": None}
    array = zarr.create_array({}, serializer=codec, **chunks, **kwargs)
    array[...] = x
    return array


def in_hdf5(write, **attributes):
    def run(x, options, missing, folder):
        with h5py.File(folder / "x.h5", "w") as file:
            named = {} if attributes else {"missing_value": missing}
            compression = hdf5.Flac(**options, **named)
            kept = {"shape": SHAPE, "dtype": x.dtype, "chunks": CHUNKS}
            dataset = file.create_dataset("x", **kept, compression=compression)
            for name in attributes:
                dataset.attrs[name] = np.array(missing, x.dtype)
            write(dataset, x)
        with h5py.File(folder / "x.h5") as file:  # HDF5's cache has samples as they were given
            got = file["x"][...]
            np.testing.assert_array_equal(hdf5.to_zarr(file["x"], {})[...], got)
            return got

    return run


def in_xarray(write, read):
    def run(x, options, missing, folder):
        made = xr.Dataset({"x": (("y", "x"), x.astype(x.dtype.newbyteorder("=")))})
        made.x.attrs["missing_value"] = missing
        write(made, options, folder / "x")
        with read(folder / "x") as opened:
            return opened.x.values

    return run


def to_zarr(made, options, path):
    encoding = {"x": {**flaccodec.encoding(made.x, **options), "chunks": CHUNKS}}
    made.to_zarr(path, encoding=encoding, zarr_format=3, consolidated=False)


def to_netcdf(made, options, path):
    encoding = {"x": flaccodec.encoding(made.x, engine="h5netcdf", **options)}
    made.to_netcdf(path, engine="h5netcdf", encoding=encoding)


def format_2(x, options, missing, _):
    array = zarr.create_array(
        {}, shape=SHAPE, dtype=x.dtype, chunks=(2, 1700), zarr_format=2,
        compressors=flaccodec.numcodecs.Flac(**options, missing_value=missing),
    )  # fmt: skip
    array[...] = x
    return array[...]


DOORS = {
    "FlacCodec": lambda x, o, missing, _: made(FlacCodec(**o, missing_value=missing), x)[...],
    "create_array, attributes": lambda x, o, missing, _: flaccodec.create_array(
        {}, data=x, chunks=CHUNKS, codecs=[FlacCodec(**o)], attributes={"missing_value": missing}
    )[...],
    "numcodecs": format_2,
    "FlacArray": lambda x, o, missing, _: FlacArray.from_array(x, **o, missing_value=missing)[...],
    "h5py": in_hdf5(lambda dataset, x: dataset.__setitem__(..., x)),
    "hdf5.write": in_hdf5(hdf5.write),
    "hdf5.write, attribute": in_hdf5(hdf5.write, missing_value=None),
    "xarray and Zarr": in_xarray(
        to_zarr, lambda path: xr.open_zarr(path, consolidated=False, mask_and_scale=False)
    ),
    "xarray and netCDF": in_xarray(
        to_netcdf, lambda path: xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False)
    ),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("options", "mark", "allowed"), CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_door_keeps_what_is_named(tmp_path, door, options, mark, allowed, dtype):
    x = data(dtype, mark)
    check(DOORS[door](x, options, mark, tmp_path), x, mark, allowed=allowed)


@pytest.mark.parametrize("door", DOORS)
def test_several_numbers(tmp_path, door):
    missing = [-9999.3, 1e20, 7.123]
    x = data("f8", *missing)
    got = DOORS[door](x, {"precision": 3}, missing, tmp_path)
    check(got, x, *missing, allowed=0.0011)


@given(
    float_arrays(),
    st.lists(
        st.sampled_from([1e20, -9999.3, 0.1, -1e-30, 9.969209968386869e36, 12345.678, 3.3]),
        min_size=1, max_size=3, unique=True,
    ),
    st.lists(st.integers(0, 10**6), max_size=40),
    st.sampled_from([QuantaRule.GIVEN, QuantaRule.PRECISION, QuantaRule.RANGE]),
    st.booleans(),
)  # fmt: skip
def test_any_marks_of_any_array(array, marks, places, rule, swapped):
    """In no door is anything between the samples and this."""
    if swapped:
        array = array.astype(array.dtype.newbyteorder())
    held = np.array(marks).astype(array.dtype)
    for i, place in enumerate(places):
        array.flat[place % array.size] = held[i % len(held)]
    is_marked = np.isin(array, held)
    finite = array[np.isfinite(array) & ~is_marked].astype("f8")
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    given_parameters = {QuantaRule.GIVEN: largest / 1000 or 1.0, QuantaRule.PRECISION: 3}
    options = {"rule": rule, "parameters": given_parameters.get(rule), "marks": marks}
    chunk = encode_chunk(array, **options)
    got = decode_chunk(chunk).reshape(array.shape)
    np.testing.assert_array_equal(got[is_marked], array[is_marked])
    quanta = stream_tables(chunk)[1]
    if quanta is not None and finite.size:
        near = np.isfinite(array) & ~is_marked
        error = np.abs(got[near].astype("f8") - array[near].astype("f8"))
        assert (error <= quanta.max() / 2 + np.spacing(np.abs(got[near])).astype("f8")).all()
    missing = np.where(is_marked, np.nan, array).astype(array.dtype)
    alone = encode_chunk(missing, rule=rule, parameters=options["parameters"])
    np.testing.assert_array_equal(quanta, stream_tables(alone)[1])


# -- moving between doors -------------------------------------------------------------------


def test_chunks_that_are_moved_take_what_is_named_along(tmp_path):
    """So that what is written later is kept, too."""
    x = data("f8", -9999.3)
    array = made(FlacCodec(quanta=0.01, missing_value=-9999.3), x)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = hdf5.from_zarr(array, file, "x")
        dataset[5, 3:9] = -9999.3
        again = hdf5.to_zarr(dataset, {})
    again[4, 3:9] = -9999.3
    x[4:, 3:9] = np.where(np.arange(4, 6)[:, None] == 4, -9999.3, x[4:, 3:9])
    x[5, 3:9] = -9999.3
    check(again[...], x, -9999.3, allowed=0.0051)
    assert again.serializer.missing_value == -9999.3


def test_flacarrays_remember_what_is_named(tmp_path):
    x = data("f8", -9999.3, 1e20)
    marks = (-9999.3, 1e20)
    fa = FlacArray.from_array(x, quanta=0.01, missing_value=marks)
    for other in (fa, FlacArray(fa), copy.deepcopy(fa), pickle.loads(pickle.dumps(fa))):
        assert other.missing_value == marks
    array = fa.to_zarr({}, chunks=(2, 700))  # decoded and encoded
    check(array[...], x, *marks, allowed=0.0051)
    back = FlacArray.from_zarr(array)
    assert back.missing_value == marks
    with h5py.File(tmp_path / "x.h5", "w") as file:
        back.write_hdf5(file, name="x", layout="chunks", chunks=(1, 300))
        check(file["x"][...], x, *marks, allowed=0.0051)
        assert FlacArray.read_hdf5(file, name="x").missing_value == marks
    assert FlacArray.from_array(x, lossless=True).missing_value is None


@pytest.mark.parametrize("chunks", [CHUNKS, (2, 1700)])
def test_attributes_are_read_where_a_door_sees_them(tmp_path, chunks):
    x = data("f4", -9999.3)
    kept = {"shape": SHAPE, "chunks": chunks, "dtype": "f4", "compressors": None}
    array = zarr.create_array({}, **kept, serializer=FlacCodec())
    array.attrs["missing_value"] = -9999.3
    array[...] = x
    assert FlacArray.from_zarr(array).missing_value is None  # nothing is lost without quanta
    rounded = zarr.create_array({}, **kept, serializer=FlacCodec(quanta=0.01))
    rounded.attrs["missing_value"] = -9999.3
    assert FlacArray.from_zarr(rounded).missing_value == -9999.3
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = hdf5.from_zarr(rounded, file, "x")
        dataset[...] = x
        file.flush()
        check(hdf5.to_zarr(dataset, {})[...], x, -9999.3, allowed=0.0051)
        plain = file.create_dataset(
            "y", SHAPE, "f4", chunks=chunks, compression=hdf5.Flac(quanta=1)
        )
        plain.attrs["missing_value"] = np.float32(-9999.3)
        assert hdf5.to_zarr(plain, {}).serializer.missing_value == np.float32(-9999.3)
        assert FlacArray.read_hdf5(plain).missing_value == np.float32(-9999.3)
    fa = FlacArray.from_array(x, quanta=0.01, missing_value=-9999.3)
    made = FlacArray.from_chunk(fa.to_chunk(), SHAPE).to_zarr(
        {}, chunks=(2, 700), attributes={"missing_value": -9999.3}
    )
    check(made[...], x, -9999.3, allowed=0.0051)


# -- the option ---------------------------------------------------------------------------------


def test_it_is_stored_only_if_it_was_given():
    assert "missing_value" not in FlacCodec(quanta=1).to_dict()["configuration"]
    assert "missing_value" not in repr(FlacCodec(quanta=1))
    assert "missing_value" not in flaccodec.numcodecs.Flac().get_config()
    for given_value, stored in (
        (-1, -1.0),
        ([5, 5.0], 5.0),
        ([1, 2.5], [1.0, 2.5]),
        (np.nan, None),
    ):
        codec = FlacCodec(quanta=1, missing_value=given_value)
        configuration = json.loads(json.dumps(codec.to_dict()))["configuration"]
        assert configuration.get("missing_value") == stored
        assert FlacCodec.from_dict({"name": "flaccodec", "configuration": configuration}) == codec
        old = flaccodec.numcodecs.Flac(quanta=1, missing_value=given_value)
        assert old.get_config().get("missing_value") == stored
        names = {"FlacCodec": FlacCodec, "Flac": flaccodec.numcodecs.Flac}
        assert eval(repr(codec), names) == codec
        assert eval(repr(old), names) == old
        filter_ = hdf5.Flac(quanta=1, missing_value=given_value)
        assert pickle.loads(pickle.dumps(filter_)).options == filter_.options == codec.options
        assert hash(codec) == hash(FlacCodec(quanta=1, missing_value=given_value))


@pytest.mark.parametrize("value", ["x", ["x"], True, [[1.0]], {"a": 1}, 1j, list(range(8))])
def test_what_it_cannot_be(value):
    for make in (FlacCodec, flaccodec.numcodecs.Flac, hdf5.Flac, flaccodec.encoding):
        with pytest.raises(ConfigurationError, match=r"missing_value must be .* Got "):
            make(quanta=1, missing_value=value)


@pytest.mark.parametrize("dtype", ["i4", "f8"])
def test_it_changes_nothing_where_nothing_is_rounded(tmp_path, dtype):
    x = data("f8", -9999).astype(dtype)
    for serializer in (FlacCodec(missing_value=-9999), FlacCodec()):
        assert same_bits(made(serializer, x)[...], x)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        filter_ = hdf5.Flac(missing_value=-9999)
        dataset = file.create_dataset("x", data=x, chunks=CHUNKS, compression=filter_)
        assert same_bits(dataset[...], x)


def test_names_in_attributes():
    cases = {
        "missing_value": [
            (-9999, (-9999.0,)), ([1, 2.5, 1], (1.0, 2.5)), (np.float32([0.5]), (0.5,)),
            ("-999", ()), (None, ()), (np.nan, ()), ([True, "x", None, 3], (3.0,)), (b"x", ()),
            (10**400, ()), (h5py.Empty("f8"), ()),
        ],
        "_FillValue": [
            (-5.5, (-5.5,)), ("AAAAAAAA8D8=", (1.0,)), ("AAAAAAAA+H8=", ()), ("none", ()),
        ],
        "valid_min": [(3, ())], "valid_max": [(3, ())], "valid_range": [([1, 3], ())],
    }  # fmt: skip
    for name, values in cases.items():
        for value, marks in values:
            assert marks_named({name: value}) == marks, (name, value)
    assert marks_named(None) == ()
    options = CodecOptions(quanta=1, missing_value=4)
    both = {"missing_value": 3, "_FillValue": 5}
    assert with_marks(options, both).marks == (4.0, 3.0, 5.0)
    assert with_marks(options, both, fill_value=5).marks == (4.0, 3.0)
    assert with_marks(CodecOptions(), both) == CodecOptions()


def test_what_xarray_names(tmp_path):
    """In the attributes as it has them in memory, and in the encoding of what it opened."""
    x = data("f8", -9999.3)
    opened = xr.Dataset({"x": (("y", "x"), np.where(x == -9999.3, np.nan, x))})
    opened.x.encoding["missing_value"] = -9999.3  # what it is written with
    codec = flaccodec.encoding(opened.x, quanta=0.01)["serializer"]
    assert codec.missing_value == -9999.3
    encoding = {"x": {**flaccodec.encoding(opened.x, quanta=0.01), "missing_value": -9999.3}}
    opened.to_zarr(tmp_path / "x", encoding=encoding, zarr_format=3, consolidated=False)
    read = xr.open_zarr(tmp_path / "x", consolidated=False).x
    assert np.isnan(read.values).sum() == (x == -9999.3).sum()
    assert flaccodec.encoding(read, quanta=1)["serializer"].missing_value == -9999.3
    stored = zarr.open_array(tmp_path / "x" / "x")
    check(stored[...], x, -9999.3, allowed=0.0051)
    assert FlacArray.from_zarr(stored).missing_value == -9999.3
    named = flaccodec.encoding(quanta=0.01, missing_value=[1, 2])["serializer"]
    assert named.missing_value == (1.0, 2.0)
