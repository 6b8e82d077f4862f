"""Attributes, fill values and names of dimensions, from HDF5 to Zarr and back."""

from __future__ import annotations

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray

from flaccodec import create_array, hdf5
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import Flac
from flaccodec.hdf5.as_zarr import attributes as hdf5_attributes
from support.strategies import same_bits
from test_hdf5.as_zarr.arrays import CHUNKS, make

ATTRIBUTES = {
    "text": "µV",
    "number": 3,
    "float": 2.5,
    "yes": True,
    "numbers": [1, 2, 3],
    "floats": [1.5, 2.0],
    "words": ["a", "bc"],
    "grid": [[1, 2], [3, 4]],
}


def test_attributes(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs.update(ATTRIBUTES)
    x.attrs["bytes"] = np.bytes_(b"abc")
    x.attrs["empty"] = h5py.Empty("S1")
    array = hdf5.to_zarr(x, {})
    more = {"bytes": "abc", "empty": ""}
    assert dict(array.attrs) == {**ATTRIBUTES, **more}
    back = hdf5.from_zarr(array, file, "back")
    assert dict(hdf5.to_zarr(back, {}).attrs)["words"] == ["a", "bc"]
    assert back.attrs["text"] == "µV"
    assert back.attrs["float"].dtype == "f8"


def test_attributes_of_one_are_scalars(file):
    """As readers of netCDF have them, which writes each number as an array of one.

    xarray makes objects of packed data whose ``scale_factor`` is a list.
    """
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs["scale_factor"] = np.array([0.5])
    x.attrs["units"] = np.array(["µV"], dtype=h5py.string_dtype())
    x.attrs["bytes"] = np.array([b"abc"])
    x.attrs["matrix"] = np.array([[4]], dtype="i2")
    array = hdf5.to_zarr(x, {})
    scalars = {"scale_factor": 0.5, "units": "µV", "bytes": "abc"}
    assert dict(array.attrs) == {**scalars, "matrix": [[4]]}
    assert hdf5.from_zarr(array, file, "back").attrs["scale_factor"] == 0.5


OF_PYTABLES = {"CLASS": "EARRAY", "NAME": "voltage", "TITLE": "a recording"}


@pytest.mark.parametrize("kind", [str, np.bytes_])
def test_attributes_like_those_of_scales_are_kept(file, kind):
    x = file.create_dataset("x", data=np.arange(90), **Flac())
    x.attrs.update({name: kind(value) for name, value in OF_PYTABLES.items()})
    array = hdf5.to_zarr(x, {}, dimension_names=("back",))
    assert dict(array.attrs) == OF_PYTABLES
    again = hdf5.to_zarr(hdf5.from_zarr(array, file, "back"), {})
    assert dict(again.attrs) == OF_PYTABLES
    assert again.metadata.dimension_names == ("back",)
    assert h5py.h5f.get_obj_count(file.id, h5py.h5f.OBJ_ATTR) == 0


@pytest.mark.parametrize("name", ["x", "time", "bare"])
@pytest.mark.parametrize("value", ["EARRAY", "DIMENSION_SCALE", 3, [1, 2]])
@pytest.mark.parametrize("attribute", ["CLASS", "NAME"])
def test_dimensions_have_names_beside_attributes_like_those_of_scales(file, attribute, value, name):
    """As labels, where HDF5 would fail, or overwrite them."""
    file["time"] = np.arange(90)
    file["time"].attrs["NAME"] = "seconds"
    source = create_array(
        {}, data=np.arange(90), dimension_names=(name,), attributes={attribute: value}
    )
    x = hdf5.to_zarr(hdf5.from_zarr(source, file, "x"), {})
    assert x.metadata.dimension_names == (name,)
    assert dict(x.attrs) == {attribute: value}
    assert file["time"].attrs["NAME"] == "seconds"
    assert h5py.h5f.get_obj_count(file.id, h5py.h5f.OBJ_ATTR) == 0


ARRAYS = {
    "ids": np.array([1, 2**64 - 1], "u8"),
    "signed": np.array([-1, 2**62]),
    "matrix": np.eye(2),
    "mixed": np.array([[1, 2.5], [np.nan, -0.0]]),
    "cube": np.arange(8).reshape(2, 2, 2),
    "empty": np.array([]),
    "empties": np.zeros((2, 0)),
    "flags": np.array([[True, False]]),
    "large": np.uint64(2**64 - 1),
    "number": np.int64(-3),
}


def test_attributes_are_arrays_again(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs.update(ARRAYS)
    x.attrs["words"] = np.array([["a", "µ"], ["", "d"]], dtype=h5py.string_dtype())
    back = hdf5.from_zarr(hdf5.to_zarr(x, {}), file, "back").attrs
    for name, value in ARRAYS.items():
        assert (back[name].dtype, back[name].shape) == (value.dtype, value.shape), name
        assert same_bits(np.asarray(back[name]), np.asarray(value)), name
    assert back["words"].tolist() == [["a", "µ"], ["", "d"]]


JSON_TEXTS = {
    "map": ({"a": [1, None]}, '{"a": [1, null]}'),
    "none": (None, "null"),
    "mixed": ([1, "a"], '[1, "a"]'),
    "bools and numbers": ([True, 1], "[true, 1]"),
    "several lengths": ([[1], [2, 3]], "[[1], [2, 3]]"),
    "maps": ([{"a": 1}], '[{"a": 1}]'),
    "huge": (2**64, "18446744073709551616"),
    "too far apart": ([-1, 2**63], "[-1, 9223372036854775808]"),
    "no float": ([0.5, 2**60 + 1], "[0.5, 1152921504606846977]"),
}


def test_attributes_that_hdf5_has_no_form_for_are_json_there(file):
    source = create_array({}, data=make(), chunks=CHUNKS)
    source.attrs.update({name: value for name, (value, _) in JSON_TEXTS.items()})
    x = hdf5.from_zarr(source, file, "x")
    assert dict(x.attrs) == {name: text for name, (_, text) in JSON_TEXTS.items()}


@pytest.mark.parametrize("dimension_names", [None, ("a", "b", "c")])
@pytest.mark.parametrize("value", ["text", [1, 2]])
def test_attributes_of_hdf5s_own_names_are_left_out(file, value, dimension_names):
    """HDF5 and netCDF4 would take them for their notes on dimensions; HDF5 crashed."""
    names = sorted(hdf5_attributes._OF_HDF5)
    source = create_array({}, data=make(), chunks=CHUNKS, dimension_names=dimension_names)
    source.attrs.update({**dict.fromkeys(names, value), "units": "mV"})
    x = hdf5.from_zarr(source, file, "x")
    assert set(x.attrs) <= {"units", "DIMENSION_LIST"}
    again = hdf5.to_zarr(x, {})
    assert dict(again.attrs) == {"units": "mV"}
    assert again.metadata.dimension_names == dimension_names


REFUSED = {
    "odd": "a\0b",
    "long": list(range(20_000)),
    "_FillValue": 2**40,
}


@pytest.mark.parametrize("name", REFUSED)
def test_attributes_that_hdf5_refuses_are_named(file, name):
    source = create_array({}, data=make(), chunks=CHUNKS, attributes={name: REFUSED[name]})
    message = f"^attribute '{name}' cannot be kept in HDF5: .* Change or delete it"
    with pytest.raises(ConfigurationError, match=message):
        hdf5.from_zarr(source, file, "x")
    assert "x" not in file


def test_long_attributes_in_the_latest_format(tmp_path):
    source = create_array({}, data=make(), chunks=CHUNKS, attributes={"long": REFUSED["long"]})
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        assert hdf5.from_zarr(source, file, "x").attrs["long"].tolist() == REFUSED["long"]


@pytest.mark.parametrize(
    "value",
    ["reference", 1 + 2j, np.zeros(1, [("a", "i4")]), np.longdouble(1), np.ones(2, np.longdouble)],
    ids=str,
)
def test_attributes_that_json_has_no_form_for_are_named(file, tmp_path, value):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs["odd"] = x.ref if isinstance(value, str) else value
    with pytest.raises(ConfigurationError, match=r"attribute 'odd' of /x of .* must be numbers"):
        hdf5.to_zarr(x, tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr").exists()
    assert dict(hdf5.to_zarr(x, {}, attributes={}).attrs) == {}


@pytest.mark.parametrize("value", ["x", [1.0, 2.0], h5py.Empty("f4")], ids=str)
def test_fill_values_that_are_not_one_number_are_named(file, value):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    x.attrs["_FillValue"] = value
    message = r"attribute '_FillValue' of /x of .* must be one number, to be .*: change or delete"
    with pytest.raises(ConfigurationError, match=message):
        hdf5.to_zarr(x, {})


LATIN = "µV".encode("latin-1")


@pytest.mark.parametrize("kind", ["fixed", "list", "variable", "variable list"])
def test_text_in_other_encodings_is_named(file, kind):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    value = np.array([LATIN] * (2 if "list" in kind else 1), dtype="S2")
    value = value.astype(h5py.string_dtype()) if "variable" in kind else value
    x.attrs["units"] = value if "list" in kind else value[0]
    message = (
        r"attribute 'units' of /x of .* must be text in UTF-8.*Got b'\\xb5V': change or delete"
    )
    with pytest.raises(ConfigurationError, match=message):
        hdf5.to_zarr(x, {})


def test_names_of_dimensions_are_scales(file):
    source = create_array(
        {}, data=make(), chunks=CHUNKS, dimension_names=("day", None, "time"), attributes={"a": 1}
    )
    file["time"] = np.arange(230) / 10
    x = hdf5.from_zarr(source, file, "x")
    assert [d.label for d in x.dims] == ["", "", ""]
    assert x.dims[2][0] == file["time"]
    assert file["day"].attrs["NAME"].startswith(b"This is a netCDF dimension but not a netCDF var")
    again = hdf5.to_zarr(x, {})
    assert again.metadata.dimension_names == ("day", None, "time")
    assert dict(again.attrs) == {"a": 1}


def test_names_without_fitting_scales_are_labels(file):
    file["time"] = np.arange(9)
    file.create_group("day")
    names = ("day", "with/slash", "time")
    x = hdf5.from_zarr(
        create_array({}, data=make(), chunks=CHUNKS, dimension_names=names), file, "x"
    )
    assert [len(d) for d in x.dims] == [0, 0, 0]
    assert [d.label for d in x.dims] == list(names)
    assert hdf5.to_zarr(x, {}).metadata.dimension_names == names


def test_a_coordinate_is_its_own_scale(file):
    source = create_array({}, data=np.arange(90), dimension_names=("time",))
    time = hdf5.from_zarr(source, file, "time")
    assert h5py.h5ds.is_scale(time.id)
    again = hdf5.to_zarr(time, {})
    assert (again.metadata.dimension_names, dict(again.attrs)) == (("time",), {})


def test_without_names(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    assert hdf5.to_zarr(x, {}).metadata.dimension_names is None
    assert hdf5.to_zarr(x, {}, dimension_names="abc").metadata.dimension_names == ("a", "b", "c")


@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_xarray_reads_what_came_from_netcdf_and_back(tmp_path, dtype):
    values = make(dtype, (4, 300))
    x = xarray.DataArray(values, dims=("stream", "time"), attrs={"units": "mV"})
    x.encoding = {"compression": Flac(), "chunksizes": (2, 300), "_FillValue": values.dtype.type(9)}
    x.to_dataset(name="x").to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "x.nc") as file, h5py.File(tmp_path / "y.nc", "w") as other:
        array = hdf5.to_zarr(file["x"], tmp_path / "x.zarr", name="x")
        hdf5.from_zarr(array, other, "x")
    with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as want:
        wanted = want.x.load()
    for got in (
        xarray.open_dataset(tmp_path / "y.nc", engine="h5netcdf"),
        xarray.open_dataset(tmp_path / "x.zarr", engine="zarr", consolidated=False),
    ):
        with got:
            xarray.testing.assert_identical(got.x.load(), wanted)
            assert got.x.encoding["_FillValue"] == 9
    with h5netcdf.File(tmp_path / "y.nc") as file:
        assert dict(file.dimensions["stream"]._h5ds.attrs)["NAME"].endswith(b"         4")


@pytest.mark.parametrize("packing", [{"scale_factor": 0.5}, {"add_offset": 10.0}], ids=str)
def test_xarray_unpacks_what_came_from_netcdf(tmp_path, packing):
    values = make("f4", (4, 300)).round() / 2
    values[1, 7] = np.nan
    x = xarray.DataArray(values, dims=("stream", "time"))
    x.encoding = {"compression": Flac(), "chunksizes": (2, 300), "dtype": "i2", "_FillValue": -1}
    x.encoding |= packing
    x.to_dataset(name="x").to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "x.nc") as file:
        hdf5.to_zarr(file["x"], tmp_path / "x.zarr", name="x")
    with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as file:
        wanted = file.x.load()
    with xarray.open_zarr(tmp_path / "x.zarr", consolidated=False, chunks=None) as got:
        xarray.testing.assert_identical(got.x.load(), wanted)
        assert got.x.dtype == wanted.dtype


FILLS = {
    "of another kind": ("f4", np.int32(-9)),
    "of another kind, single": ("f8", np.array([[-9]], "i2")),
    "float among integers": ("i4", np.float64(-1)),
    "large": ("u8", np.uint64(2**64 - 1)),
    "longdouble": ("f8", np.longdouble(-9)),
    "no sample": ("i4", np.float64(np.nan)),
    "no sample, fraction": ("i4", np.array([0.5])),
}


@pytest.mark.parametrize("name", FILLS)
def test_xarray_reads_fill_values_of_other_kinds(tmp_path, name):
    dtype, fill = FILLS[name]
    values = make(dtype, (4, 300))
    values[1, 7:8] = np.nan_to_num(fill).reshape(-1)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", data=values, **Flac())
        x.attrs["_FillValue"] = fill
        hdf5.to_zarr(x, tmp_path / "x.zarr", name="x", dimension_names=("stream", "time"))
    with xarray.open_zarr(tmp_path / "x.zarr", consolidated=False, chunks=None) as got:
        assert ("_FillValue" in got.x.encoding) == ("no sample" not in name)
        np.testing.assert_array_equal(got.x, np.where(values == fill, np.nan, values))
