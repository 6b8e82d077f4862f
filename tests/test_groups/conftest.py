"""Groups of HDF5 and of both formats of Zarr."""

from types import SimpleNamespace

import flacarray.hdf5
import flacarray.zarr
import h5py
import pytest
import zarr

from flaccodec import hdf5
from flaccodec.zarr.groups import arrays as group_zarr


@pytest.fixture(params=["hdf5", "zarr2", "zarr3"])
def kind(request):
    return request.param


@pytest.fixture
def group(kind, tmp_path):
    if kind == "hdf5":
        with h5py.File(tmp_path / "a.h5", "w") as file:
            yield file.create_group("g")
    else:
        yield zarr.create_group(tmp_path / "a.zarr", zarr_format=int(kind[-1]))


@pytest.fixture(params=["hdf5", "zarr2", "zarr3"])
def door(request, tmp_path):
    """Give functions that make empty groups, read and write, of one kind of file."""
    kind = request.param
    if kind == "hdf5":
        with h5py.File(tmp_path / "groups.h5", "w") as file:
            yield SimpleNamespace(
                kind=kind,
                root=file,
                write=hdf5.write_streams,
                read=hdf5.read_streams,
                read_array=flacarray.hdf5.read_array,
                write_array=flacarray.hdf5.write_array,
                put=lambda group, name, data: group.create_dataset(name, data=data),
            )
    else:
        root = zarr.create_group(tmp_path / "groups.zarr", zarr_format=int(kind[-1]))
        yield SimpleNamespace(
            kind=kind,
            root=root,
            write=group_zarr.write_streams,
            read=group_zarr.read_streams,
            read_array=flacarray.zarr.read_array,
            write_array=flacarray.zarr.write_array,
            put=lambda group, name, data: group.create_array(name, data=data),
        )
