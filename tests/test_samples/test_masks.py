"""Masked samples are refused in every door, with advice that can be followed for each dtype."""

import re

import dask
import dask.array as da
import h5py
import netCDF4
import numpy as np
import pytest
import xarray
import zarr

import flaccodec
import flaccodec.numcodecs
from flaccodec import FlacArray, FlacCodec, hdf5
from flaccodec.compress import array_compress
from flaccodec.exceptions import ConfigurationError
from flaccodec.samples.masks import check_unmasked, unmasked
from flaccodec.utils import float_to_int

SHAPE = (3, 40)
DTYPES = ["i4", "i8", "f4", ">f8"]


def in_file(write):
    def run(array, folder):
        with h5py.File(folder / "x.h5", "w") as file:
            return write(file, array)

    return run


def hdf5_write(file, array, **kwargs):
    dataset = file.create_dataset("x", SHAPE, "f8", compression=hdf5.Flac(), **kwargs)
    hdf5.write(dataset, array)
    return dataset[...]


def hdf5_write_through_h5py(file, array):
    dataset = file.create_dataset("x", SHAPE, "f4")
    hdf5.write(dataset, array)
    return dataset[...]


def zarr_assignment(chunks, key=..., **kwargs):
    def run(array, _):
        target = zarr.create_array({}, shape=SHAPE, chunks=chunks, dtype=array.dtype, **kwargs)
        target[key] = array if key is ... else array[key]
        return target[:]

    return run


FORMAT_3 = {"serializer": FlacCodec(), "compressors": None}
FORMAT_2 = {"compressors": flaccodec.numcodecs.Flac(), "zarr_format": 2}

DOORS = {
    "from_array": lambda x, _: FlacArray.from_array(x, lossless=x.dtype.kind == "f"),
    "create_array": lambda x, _: flaccodec.create_array({}, data=x)[:],
    "zarr group": lambda x, _: flaccodec.zarr.write_array(x, zarr.create_group({}), quanta=1),
    "HDF5 group": in_file(lambda file, x: hdf5.write_array(x, file, quanta=1)),
    "hdf5.write": in_file(hdf5_write),
    "hdf5.write of parts": in_file(lambda file, x: hdf5_write(file, x, chunks=(2, 30))),
    "hdf5.write through h5py": in_file(hdf5_write_through_h5py),
    "numcodecs": lambda x, _: flaccodec.numcodecs.Flac().encode(x),
    "array_compress": lambda x, _: array_compress(x.astype(x.dtype.newbyteorder("=")), quanta=1),
    "zarr, one chunk": zarr_assignment(SHAPE, **FORMAT_3),
    "zarr, parts of chunks": zarr_assignment((2, 30), np.s_[1:3], **FORMAT_3),
    "zarr, shards": zarr_assignment((1, 20), shards=(3, 40), **FORMAT_3),
    "zarr, filters": zarr_assignment((2, 30), filters=zarr.codecs.TransposeCodec(order=(1, 0)),
                                     **FORMAT_3),
    "zarr_format=2": zarr_assignment((2, 30), **FORMAT_2),
}  # fmt: skip


@pytest.fixture(params=DOORS)
def store(request, tmp_path):
    return lambda array: DOORS[request.param](array, tmp_path)


def masked(dtype):
    return np.ma.masked_greater(np.arange(120).reshape(SHAPE).astype(dtype), 100)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_door_refuses_a_mask_and_its_advice_helps(store, dtype):
    array = masked(dtype)
    with pytest.raises(ConfigurationError, match=r"must not be masked.*Got 19 masked") as caught:
        store(array)
    store(followed(caught.value, array, fill=np.dtype(dtype).type(-5)))


def followed(error, array, fill):
    """Do what a message says."""
    advice = re.search(r"use (.*?)(, where value|\. Got)", str(error))[1]
    name = re.match(r"\w+", str(error))[0]
    return eval(advice, {name: array, "np": np, "dask": dask, "value": fill})


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mask_of_nothing_loses_nothing(store, dtype):
    store(np.ma.masked_array(np.arange(120).reshape(SHAPE).astype(dtype), mask=False))


# -- arrays of other libraries -------------------------------------------------------------


@pytest.mark.parametrize("door", ["from_array", "create_array", "zarr group", "hdf5.write"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_of_dask(tmp_path, door, dtype):
    array = da.from_array(masked(dtype), chunks=(2, 20))
    with pytest.raises(ConfigurationError, match=r"must not .*dask\.array\.ma\.filled") as caught:
        DOORS[door](array, tmp_path)
    fill = np.dtype(dtype).type(-5)
    DOORS[door](followed(caught.value, array, fill), tmp_path)


def test_what_dask_assigns_to_zarr(tmp_path):
    target = flaccodec.create_array({}, shape=SHAPE, chunks=(2, 30), dtype="f8")
    array = da.from_array(masked("f8"), chunks=(2, 30))
    for assign in (lambda: target.__setitem__(..., array), lambda: da.store(array, target)):
        with pytest.raises(ConfigurationError, match="must not be masked"):
            assign()
    da.store(da.ma.filled(array, np.nan), target)
    assert np.isnan(target[:]).sum() == 19


@pytest.mark.parametrize("door", ["from_array", "create_array", "zarr group", "hdf5.write"])
@pytest.mark.parametrize("dtype", ["i4", "f8"])
def test_of_netcdf(tmp_path, door, dtype):
    with netCDF4.Dataset(tmp_path / "x.nc", "w") as file:
        for name, size in zip("yx", SHAPE, strict=True):
            file.createDimension(name, size)
        variable = file.createVariable("samples", dtype, ("y", "x"), fill_value=-999)
        variable[:] = masked(dtype)
        with pytest.raises(ConfigurationError, match="since masks are not kept") as caught:
            DOORS[door](variable, tmp_path)
        DOORS[door](followed(caught.value, variable, -5), tmp_path)


def test_xarray_makes_them_nan():
    array = xarray.DataArray(da.from_array(masked("f8"), chunks=(2, 20)))
    assert np.isnan(FlacArray.from_array(array, lossless=True).to_array()).sum() == 19


class Masked(np.ndarray):
    """As astropy's: an array that is none of numpy's masked ones, and has a mask."""

    @property
    def mask(self):
        return np.asarray(self) > 100


def test_of_any_library_whose_arrays_have_a_mask(store):
    with pytest.raises(ConfigurationError, match=r"Got 19 masked samples of \d+, the first at"):
        store(np.arange(120.0).reshape(SHAPE).view(Masked))


def test_lists_of_masked_arrays():
    for rows in (list(masked("f8")), [list(masked("f8"))], [1.0, np.ma.masked]):
        for store, fill in (
            (FlacArray.from_array, "np.nan"),
            (array_compress, "value"),
            (flaccodec.numcodecs.Flac().encode, "np.nan"),
        ):
            with pytest.raises(ConfigurationError, match=rf"np\.ma\.filled\(a, {fill}\) for a in"):
                store(rows)
    with pytest.raises(ConfigurationError, match="must not be masked"):
        flaccodec.create_array({}, data=list(masked("f8")))
    assert unmasked([1, (2, 3.0)[1]]).tolist() == [1, 3]


# -- what goes with an array ------------------------------------------------------------------


def test_quanta_and_choices_of_streams():
    data, mask = np.zeros((3, 4)), [False, True, False]
    quanta = np.ma.masked_array([1.0, 2, 3], mask)
    for run in (
        lambda: FlacArray.from_array(data, quanta=quanta),
        lambda: array_compress(data, precision=quanta),
        lambda: float_to_int(data, quanta),
        lambda: FlacArray.from_array(data).to_array(keep=np.ma.masked_array([True] * 3, mask)),
        lambda: float_to_int(np.ma.masked_array(data, data == 0), 1),
    ):
        with pytest.raises(ConfigurationError, match="masked"):
            run()


def test_nothing_is_made_where_a_mask_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="data must not be masked"):
        flaccodec.create_array(tmp_path / "x", data=masked("f4"))
    assert not (tmp_path / "x").exists()


def test_what_is_called_mask_and_is_none():
    pandas = pytest.importorskip("pandas")
    FlacArray.from_array(pandas.Series([1.0, 2.0]))
    check_unmasked(np.ma.zeros(3, dtype=[("a", "f4")]))  # of fields: refused for its dtype
