"""Arrays whose chunks have different shapes (rectilinear grids), which zarr 3.3 and later have."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import zarr

import flaccodec
from flaccodec import FlacArray, FlacCodec, hdf5
from flaccodec.exceptions import ConfigurationError

SETTING = "array.rectilinear_chunks"

pytestmark = pytest.mark.skipif(
    zarr.config.get(SETTING, None) is None, reason="this zarr has no rectilinear grids"
)

DATA = np.cumsum(np.random.default_rng(0).integers(-9, 9, (4, 1000)), axis=1).astype("int32")
GRIDS = {
    "parts of streams": {"chunks": [[1, 3], [400, 600]]},
    "whole streams": {"chunks": [[1, 3], [1000]]},
    "shards": {"chunks": (1, 200), "shards": [[1, 3], [400, 600]]},
}


class Elsewhere:
    """An array that can be sliced, and is not in memory."""

    shape, dtype = DATA.shape, DATA.dtype

    def __getitem__(self, part):
        return DATA[part]


MAKES = {
    "create_array": lambda store, **grid: flaccodec.create_array(store, data=DATA, **grid),
    "create_array, by blocks": lambda store, **grid: flaccodec.create_array(
        store, data=Elsewhere(), **grid
    ),
    "to_zarr": lambda store, **grid: FlacArray.from_array(DATA).to_zarr(store, **grid),
}


@pytest.fixture
def _enabled():
    with zarr.config.set({SETTING: True}):
        yield


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("make", MAKES)
@pytest.mark.usefixtures("_enabled")
def test_there_and_back(make, grid):
    array = MAKES[make](store := {}, **GRIDS[grid])
    assert array.write_chunk_sizes[0] == (1, 3)
    for opened in (array, zarr.open_array(store)):
        np.testing.assert_array_equal(opened[...], DATA)
        np.testing.assert_array_equal(opened[1:3, 390:410], DATA[1:3, 390:410])
    np.testing.assert_array_equal(FlacArray.from_zarr(array).to_array(), DATA)
    again = flaccodec.create_array({}, data=array, chunks=(2, 500))
    np.testing.assert_array_equal(again[...], DATA)
    array[2, 350:450] = 7
    np.testing.assert_array_equal(array[2, 349:451], [DATA[2, 349], *100 * [7], DATA[2, 450]])


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.usefixtures("_enabled")
def test_hdf5_has_no_such_chunks(tmp_path, grid):
    array = flaccodec.create_array({}, data=DATA, **GRIDS[grid])
    with h5py.File(tmp_path / "x.h5", "w") as file:
        with pytest.raises(ConfigurationError, match=r"rectilinear.*HDF5 cannot have: decode it"):
            hdf5.from_zarr(array, file, "group/x")
        assert list(file) == []


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("make", MAKES)
def test_where_they_are_not_enabled_nothing_is_made(tmp_path, make, grid):
    with zarr.config.set({SETTING: False}):
        for store in (memory := {}, tmp_path / "x.zarr"):
            with pytest.raises(ValueError, match="disabled by default"):
                MAKES[make](store, **GRIDS[grid])
    assert memory == {}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("_enabled")
def test_what_cannot_be_written_leaves_nothing(tmp_path):
    class Broken(Elsewhere):
        def __getitem__(self, part):
            if part[0].start:
                raise OSError("cannot be read")
            return DATA[part]

    with pytest.raises(OSError, match="cannot be read"):
        flaccodec.create_array(
            tmp_path / "x.zarr", data=Broken(), codecs=[FlacCodec()], chunks=[[1, 3], [400, 600]]
        )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
