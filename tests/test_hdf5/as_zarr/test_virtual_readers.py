"""HDF5 files read in place as Zarr stores: by xarray, over HTTP, by VirtualiZarr."""

from __future__ import annotations

import pickle
import re

import fsspec
import h5py
import icechunk
import numpy as np
import obstore.store
import pytest
import virtualizarr
import xarray
import zarr
from obspec_utils.registry import ObjectStoreRegistry

from flaccodec import core, numcodecs
from flaccodec.hdf5 import Flac, VirtualParser, virtual_zarr
from support.strategies import same_bits
from test_hdf5.as_zarr.files import CHUNKS, make, open_x, write

pytest_plugins = ["support.servers.nginx"]


def netcdf(path, quanta=0.5):
    data = xarray.Dataset(
        {"x": (("stream", "time"), make("f8"), {"units": "mV"})},
        {"time": np.arange(30_000) / 100},
        {"title": "a recording"},
    )
    encoding = {"x": {"compression": Flac(quanta=quanta), "chunksizes": CHUNKS}}
    data.to_netcdf(path, engine="h5netcdf", encoding=encoding)


def test_xarray(tmp_path):
    netcdf(tmp_path / "x.nc")
    with (
        xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as want,
        xarray.open_zarr(virtual_zarr(tmp_path / "x.nc"), consolidated=False, chunks=None) as got,
    ):
        xarray.testing.assert_identical(got.load(), want.load())


@pytest.mark.parametrize("compression", [Flac(), None], ids=str)
def test_xarray_unpacks(tmp_path, compression):
    x = xarray.DataArray(make("i2").astype("f4") / 2, dims=("stream", "time"))
    x.encoding = {"compression": compression, "dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}
    x.to_dataset(name="x").to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with (
        xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as want,
        xarray.open_zarr(virtual_zarr(tmp_path / "x.nc"), consolidated=False, chunks=None) as got,
    ):
        xarray.testing.assert_identical(got.load(), want.load())
        assert got.x.dtype == want.x.dtype


def test_xarray_reads_dimensions_without_names(tmp_path):
    """Each is as long as all of its name, in a group and in the groups above."""
    shapes = {
        "a": (2, 30),
        "b": (30,),
        "c": (3, 2),
        "in/d": (7, 30, 7),
        "in/deep/e": (3, 3),
        "other/f": (5, 30),
    }
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for number, (name, shape) in enumerate(shapes.items()):
            file.create_dataset(name, data=make(shape=shape), **(Flac() if number % 2 else {}))
        file.create_dataset("named", data=make(shape=(4, 30)), **Flac()).dims[0].label = "stream"
    store = virtual_zarr(tmp_path / "x.h5")
    with xarray.open_datatree(store, engine="zarr", consolidated=False, chunks=None) as tree:
        for name, shape in shapes.items():
            np.testing.assert_array_equal(tree[name], make(shape=shape))
        found = {name: tree[name].dims for name in (*shapes, "named")}
    assert found == {
        "a": ("phony_dim_0", "phony_dim_1"),
        "b": ("phony_dim_1",),
        "c": ("phony_dim_2", "phony_dim_0"),
        "named": ("stream", "phony_dim_1"),
        "in/d": ("phony_dim_3", "phony_dim_1", "phony_dim_4"),
        "in/deep/e": ("phony_dim_2", "phony_dim_5"),
        "other/f": ("phony_dim_3", "phony_dim_1"),
    }


def test_names_that_are_made_up_are_not_those_of_others(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["phony_dim_0"] = np.arange(4)
        file["phony_dim_0"].make_scale("phony_dim_0")
        file.create_dataset("a", data=make(shape=(7, 4)), **Flac())
        file["a"].dims[1].attach_scale(file["phony_dim_0"])
        file["b"] = make(shape=(2, 7, 4))
        file["in/b"] = make(shape=(3, 7, 2))
        file["in/b"].dims[0].label = "phony_dim_2"
        file["in/deep/b"] = make(shape=(2, 7))
    store = virtual_zarr(tmp_path / "x.h5")
    with xarray.open_zarr(store, consolidated=False, chunks=None) as got:
        found = {name: got[name].dims for name in ("a", "b")}
        assert got.sizes == {"phony_dim_0": 4, "phony_dim_1": 7, "phony_dim_2": 2, "phony_dim_3": 4}
    for group in ("in", "in/deep"):
        with xarray.open_zarr(store, group=group, consolidated=False, chunks=None) as got:
            found[f"{group}/b"] = got.b.dims
    assert found == {
        "a": ("phony_dim_1", "phony_dim_0"),
        "b": ("phony_dim_2", "phony_dim_1", "phony_dim_3"),
        "in/b": ("phony_dim_2", "phony_dim_1", "phony_dim_4"),
        "in/deep/b": ("phony_dim_4", "phony_dim_1"),
    }


@pytest.mark.parametrize("options", [Flac(), {}], ids=["FLAC", "plain"])
@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_xarray_reads_fill_values_of_other_kinds(tmp_path, dtype, options):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", data=np.array([1, -9, 3], dtype), **options)
        x.attrs["_FillValue"] = np.int32(-9) if dtype == "f4" else np.array([-9.0])
    store = virtual_zarr(tmp_path / "x.h5")
    with xarray.open_zarr(store, consolidated=False, chunks=None) as got:
        np.testing.assert_array_equal(got.x, [1, np.nan, 3])


# -- over HTTP ---------------------------------------------------------------------------


def test_a_slice_over_http_fetches_a_head_and_frames(tmp_path, start_nginx):
    root = tmp_path / "root"
    root.mkdir()
    array = make("i4", (8, 800_000))
    write(root / "x.h5", array, chunks=array.shape)
    with h5py.File(root / "x.h5") as file:
        info = file["x"].id.get_chunk_info(0)
    server = start_nginx(root)
    store = virtual_zarr(f"{server.url}/x.h5")
    x = open_x(store)
    before = len(server.requests())
    np.testing.assert_array_equal(x[3, 400_000:400_200], array[3, 400_000:400_200])
    head, *both = server.requests()[before:]
    header, frames = sorted(both, key=lambda request: request.body_bytes_sent)
    assert [r.status for r in (head, frames, header)] == [206, 206, 206]
    assert header.body_bytes_sent == core.HEADER_SIZE
    bound = core.head_bound("i4", array.shape, core.DEFAULT_FRAME_SIZE)
    assert head.range == (info.byte_offset, info.byte_offset + bound)
    assert info.byte_offset < frames.range[0] < frames.range[1] < info.byte_offset + info.size
    assert frames.body_bytes_sent < 20_000
    np.testing.assert_array_equal(x[4, :100], array[4, :100])
    again = server.requests()[before + 3 :]
    assert [r.status for r in again] == [206, 206]  # frames, and the header alone
    assert sum(r.body_bytes_sent for r in again) < 20_000 + core.HEADER_SIZE
    np.testing.assert_array_equal(x[...], array)
    (whole,) = server.requests()[before + 5 :]
    assert whole.body_bytes_sent == info.size


def test_xarray_over_http(tmp_path, start_nginx):
    root = tmp_path / "root"
    root.mkdir()
    netcdf(root / "x.nc")
    server = start_nginx(root)
    store = virtual_zarr(f"{server.url}/x.nc")
    with xarray.open_zarr(store, consolidated=False, chunks=None) as got:
        values = got.x.sel(time=slice(100, 101)).values
    assert np.abs(values - make("f8")[:, 10_000:10_101]).max() <= 0.25
    assert all(r.status in (200, 206) for r in server.requests())


# -- VirtualiZarr's own functions --------------------------------------------------------


def registry():
    return ObjectStoreRegistry({"file://": obstore.store.LocalStore()})


def test_the_parser_in_virtualizarr_and_icechunk(tmp_path):
    netcdf(tmp_path / "x.nc")
    url = (tmp_path / "x.nc").as_uri()
    with virtualizarr.open_virtual_dataset(url, registry(), VirtualParser()) as virtual:
        config = icechunk.RepositoryConfig.default()
        prefix = f"file://{tmp_path}/"
        container = icechunk.VirtualChunkContainer(prefix, icechunk.local_filesystem_store(prefix))
        config.set_virtual_chunk_container(container)
        # icechunk 2.3 warns of None, which is all that 1.1 takes
        access = getattr(icechunk.credentials, "LocalFileSystemAccess", None)
        repository = icechunk.Repository.create(
            icechunk.local_filesystem_storage(str(tmp_path / "repository")),
            config,
            authorize_virtual_chunk_access={prefix: access},
        )
        session = repository.writable_session("main")
        virtual.vz.to_icechunk(session.store)
        session.commit("references")
    store = repository.readonly_session("main").store
    x = zarr.open_array(store, path="x", mode="r")
    with h5py.File(tmp_path / "x.nc") as file:
        assert same_bits(x[3, 20_000:20_100], file["x"][3, 20_000:20_100])
        assert same_bits(x[...], file["x"][...])


@pytest.mark.parametrize("dtype", [">i2", "u4", "i8", "f4", ">f8"])
def test_kerchunks_references_keep_the_codec(tmp_path, dtype):
    array, path = make(dtype), tmp_path / "x.h5"
    write(path, array, fillvalue=3, compression=Flac(level=3, frame_size=64))
    with virtualizarr.open_virtual_dataset(path.as_uri(), registry(), VirtualParser()) as virtual:
        joined = xarray.concat([virtual, virtual], "phony_dim_0", coords="minimal", compat="equals")
        joined.vz.to_kerchunk(tmp_path / "x.json", format="json")
    x = open_kerchunk(tmp_path / "x.json")["x"]
    assert x.metadata.compressor == numcodecs.Flac(level=3, frame_size=64)
    assert (x.shape, x.fill_value) == ((32, 30_000), None)
    for rows in (x[:16], x[16:]):
        assert same_bits(rows, array.astype(x.dtype))


def test_kerchunks_references_with_quanta_beside_others(tmp_path):
    netcdf(tmp_path / "x.nc")
    url = (tmp_path / "x.nc").as_uri()
    with virtualizarr.open_virtual_dataset(url, registry(), VirtualParser()) as virtual:
        virtual.vz.to_kerchunk(tmp_path / "x.json", format="json")
    group = open_kerchunk(tmp_path / "x.json")
    assert group["x"].metadata.compressor == numcodecs.Flac(quanta=0.5)
    assert group["time"].metadata.compressor is None
    with h5py.File(tmp_path / "x.nc") as file:
        for name in ("x", "time"):
            assert same_bits(group[name][...], file[name][...])


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize("kind", ["FLAC", "gzip", "plain"])
def test_xarray_masks_kerchunks_references_as_hdf5(tmp_path, kind):
    """HDF5's fill value, 0, would be taken for missing samples."""
    options = {"FLAC": {**Flac(), "chunks": (2,)}, "gzip": {"compression": "gzip"}, "plain": {}}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("flac", data=np.arange(3), **Flac())
        for dtype, fill in (("f8", -999.0), ("f4", np.nan), ("f4", -np.inf), ("i2", -999)):
            data = np.array([0, 1, fill, 2], dtype)
            x = file.create_dataset(f"{dtype}{fill}", data=data, **options[kind])
            x.attrs["_FillValue"] = data[2]
        day = file.create_dataset("day", data=np.arange(4), **options[kind])
        day.attrs["units"] = "days since 2000-01-01"
        file["complex"] = np.array([0, 1j, 2])
        file["complex"].attrs["_FillValue"] = 1j
        file["flag"], file["one"] = np.array([True, False]), 0.0
        file["text"] = np.array([b"", b"a"])
    write_kerchunk(tmp_path / "x.h5", loadable_variables=["one"])
    store = virtual_zarr(tmp_path / "x.h5")
    with (
        xarray.open_zarr(store, consolidated=False, chunks=None) as want,
        open_kerchunk_in_xarray(tmp_path / "x.json") as got,
    ):
        assert int(want["f8-999.0"].isnull().sum()) == 1
        for name in want:
            assert got[name].dtype == want[name].dtype
            np.testing.assert_array_equal(got[name], want[name])


@pytest.mark.parametrize(
    "options",
    [{**Flac(), "chunks": (2,)}, {"chunks": (2,)}, {}],
    ids=["FLAC", "chunks", "contiguous"],
)
def test_fill_values_that_kerchunks_chunks_need_are_warned_of(tmp_path, options):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("flac", data=np.arange(3), **Flac())
        for name, fill, mask in (("a", 0, None), ("b", 0, -1), ("c", -1, -1), ("d", np.nan, None)):
            for dtype in ("f4", "i4") if name != "d" else ("f4",):
                x = file.create_dataset(f"{name}_{dtype}", (4,), dtype, fillvalue=fill, **options)
                if options:
                    x[:2] = [0, 1]
                if mask is not None:
                    x.attrs["_FillValue"] = x.dtype.type(mask)
    with pytest.warns(UserWarning, match="for missing samples") as warned:
        write_kerchunk(tmp_path / "x.h5")
    messages = sorted(str(warning.message) for warning in warned)
    assert [message[:5] for message in messages] == ["a_f4:", "a_i4:", "b_f4:", "b_i4:"]
    assert all(re.search(r"It must stay 0(\.0)?, as chunks .* icechunk", text) for text in messages)
    store = virtual_zarr(tmp_path / "x.h5")
    with (
        xarray.open_zarr(store, consolidated=False, chunks=None) as want,
        open_kerchunk_in_xarray(tmp_path / "x.json") as got,
    ):
        for name in ("c_f4", "c_i4", "d_f4"):
            np.testing.assert_array_equal(got[name], want[name])


def test_fill_values_of_references_without_flac_stay(tmp_path):
    """They may be kerchunk's own, where they do mean missing samples."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(3)
    write_kerchunk(tmp_path / "x.h5")
    assert open_kerchunk(tmp_path / "x.json")["x"].fill_value == 0


def write_kerchunk(path, **options):
    url = path.as_uri()
    with virtualizarr.open_virtual_dataset(url, registry(), VirtualParser(), **options) as virtual:
        virtual.vz.to_kerchunk(path.with_suffix(".json"), format="json")


def kerchunk_store(path):
    files = fsspec.filesystem("reference", fo=str(path), remote_protocol="file", asynchronous=True)
    return zarr.storage.FsspecStore(files, path="", read_only=True)


def open_kerchunk(path):
    return zarr.open_group(kerchunk_store(path), mode="r", zarr_format=2)


def open_kerchunk_in_xarray(path):
    return xarray.open_zarr(kerchunk_store(path), consolidated=False, chunks=None, zarr_format=2)


def test_the_parser_can_be_pickled(tmp_path):
    parser = pickle.loads(pickle.dumps(VirtualParser(drop_variables=["y"])))
    store = parser(write(tmp_path / "x.h5", make()).as_uri(), registry())
    np.testing.assert_array_equal(open_x(store)[...], make())
