"""Arrays that are read by slices, and whose slices are not what their dtype says."""

import dask.array as da
import h5py
import netCDF4
import numpy as np
import pytest
import xarray
import zarr

import flaccodec
from flaccodec import FlacArray
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import write_array as write_hdf5

SAMPLES = np.arange(4000, dtype="int32").reshape(4, 1000)

WAYS = {
    "FlacArray": lambda array, _: FlacArray.from_array(array),
    "create_array": lambda array, _: flaccodec.create_array({}, data=array),
    "HDF5 group": lambda array, folder: write_hdf5(array, h5py.File(folder / "group.h5", "w")),
}


@pytest.fixture(params=WAYS)
def store(request, tmp_path):
    return lambda array: WAYS[request.param](array, tmp_path)


@pytest.fixture
def variable(tmp_path):
    with netCDF4.Dataset(tmp_path / "variable.nc", "w") as file:
        for name, size in zip("yx", SAMPLES.shape, strict=True):
            file.createDimension(name, size)
        variable = file.createVariable("samples", "i4", ("y", "x"), fill_value=-999)
        variable[:] = SAMPLES
        yield variable


def test_masked_blocks_of_dask_are_refused(store):
    array = da.ma.masked_equal(da.from_array(SAMPLES, chunks=(2, 500)), 3210)
    with pytest.raises(ConfigurationError, match="must not have masked values"):
        store(array)


def test_missing_values_of_netcdf_are_refused(store, variable):
    variable[3, 7] = -999
    with pytest.raises(ConfigurationError, match=r"masked values.*\[.*:.*\]"):
        store(variable)


def test_scaled_variables_of_netcdf_are_refused(store, variable):
    variable.scale_factor = 0.5
    with pytest.raises(ConfigurationError, match=r"int32.*float64.*set_auto_maskandscale"):
        store(variable)


def test_masks_of_nothing_are_no_masks(variable):
    np.testing.assert_array_equal(FlacArray.from_array(variable), SAMPLES)
    array = da.ma.masked_equal(da.from_array(SAMPLES, chunks=(2, 500)), -1)
    np.testing.assert_array_equal(FlacArray.from_array(array), SAMPLES)
    stored = flaccodec.create_array({}, data=array)
    assert isinstance(stored, zarr.Array)
    np.testing.assert_array_equal(stored[...], SAMPLES)


WITHOUT_AXES = {
    "zarr": lambda value: zarr.create_array({}, data=value),
    "dask": da.from_array,
    "xarray": xarray.DataArray,
    "numpy": np.asarray,
}


@pytest.mark.parametrize("make", WITHOUT_AXES.values(), ids=WITHOUT_AXES)
def test_arrays_without_axes(make):
    array = flaccodec.create_array({}, data=make(np.array(42, dtype="int16")))
    assert array.shape == ()
    assert array.dtype == np.int16
    assert array[()] == 42
