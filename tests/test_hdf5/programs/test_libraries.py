"""The HDF5 filter in other libraries, and in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys

import h5netcdf
import h5py
import hdf5plugin
import numpy as np
import pytest
import xarray

from flaccodec import hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.hdf5 import Flac
from support.strategies import same_bits
from test_hdf5.programs.files import options_in, read, walk, write
from test_hdf5.running import WITH_PLUGIN, python, run

FRESH = """
import sys, numpy as np, h5py
with h5py.File(sys.argv[1], "r+") as file:
    x = file["x"]
    np.save(sys.argv[2], x[...])
    x[2:5, 100:900] = -7
    file.create_dataset("y", data=x[...], chunks=(2, 500), compression=61868)
assert not any(name.startswith("flaccodec") for name in sys.modules)
"""


@pytest.mark.parametrize("dtype", ["i4", ">i2", "f4", ">f8"])
def test_a_fresh_process_with_the_environment_variable_alone(tmp_path, dtype):
    path, array = tmp_path / "x.h5", walk(dtype)
    write(path, array, chunks=(4, 500), compression=Flac())
    python(FRESH, path, tmp_path / "x.npy")
    assert same_bits(np.load(tmp_path / "x.npy"), array)
    array[2:5, 100:900] = -7
    assert same_bits(read(path), array)
    assert same_bits(read(path, "y"), array)
    assert options_in(path, "y") == CodecOptions()


WRITING = """
import sys, h5py, numpy as np
how = sys.argv[2]
if how == "asks":
    h5py.h5z.filter_avail(61868)
with h5py.File(sys.argv[1], "r+") as file:
    if how == "in part":
        file["x"][:, 1:] = -7
        file["x"][:, :1] = -7
    else:
        file["x"][...] = np.full((16, 2000), -7, "i4")
"""


@pytest.mark.parametrize("how", ["asks", "in part", "whole"])
def test_writing_in_a_fresh_process(tmp_path, how):
    """HDF5 looks for the filter only if it has to read, as it is optional: see docs/hdf5.md."""
    path = tmp_path / "x.h5"
    write(path, walk("i4"), chunks=(4, 500), compression=Flac())
    python(WRITING, path, how)
    assert (read(path) == -7).all()
    with h5py.File(path) as file:
        masks = {file["x"].id.get_chunk_info(i).filter_mask for i in range(16)}
        assert masks == ({1} if how == "whole" else {0})
        assert (hdf5.read(file["x"]) == -7).all()


NETCDF = """
import sys, numpy as np, netCDF4
with netCDF4.Dataset(sys.argv[1], "r+") as file:
    x = file["x"]
    x.set_auto_mask(False)
    np.save(sys.argv[2], x[...])
    x[2:5, 100:900] = -7
assert not any(name.split(".")[0] in ("flaccodec", "h5py") for name in sys.modules)
"""


@pytest.mark.parametrize("dtype", ["i2", "f4", "f8"])
def test_netcdf4(tmp_path, dtype):
    path, array = tmp_path / "x.nc", walk(dtype)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"stream": 16, "time": 2000}
        file.create_variable(
            "x", ("stream", "time"), data=array, chunks=(4, 500), compression=Flac()
        )
    run(sys.executable, "-c", NETCDF, path, tmp_path / "x.npy")
    assert same_bits(np.load(tmp_path / "x.npy"), array)
    array[2:5, 100:900] = -7
    assert same_bits(read(path), array)


NETCDF_FILTER = """
import ctypes, pathlib, re, sys
import netCDF4
maps = pathlib.Path("/proc/self/maps").read_text()
libraries = set(re.findall(r"/\\S*libnetcdf[-.\\w]*", maps))
if len(libraries) != 1:
    sys.exit("skip: netCDF4 has no libnetcdf of its own")
library = ctypes.CDLL(libraries.pop())
names = ["nc_create", "nc_def_dim", "nc_def_var", "nc_def_var_chunking", "nc_def_var_filter"]
if not all(hasattr(library, name) for name in [*names, "nc_put_var_float", "nc_close"]):
    sys.exit("skip: libnetcdf has no filters")

def call(name, *arguments):
    assert getattr(library, name)(*arguments) == 0, name

NETCDF4, FLOAT, CHUNKED = 0x1000, 5, 0
file, dims, x = ctypes.c_int(), (ctypes.c_int * 2)(), ctypes.c_int()
call("nc_create", sys.argv[1].encode(), NETCDF4, ctypes.byref(file))
for i, size in enumerate((16, 1800)):
    at = ctypes.byref(dims, 4 * i)
    call("nc_def_dim", file, b"ab"[i : i + 1], ctypes.c_size_t(size), at)
call("nc_def_var", file, b"x", FLOAT, 2, dims, ctypes.byref(x))
call("nc_def_var_chunking", file, x, CHUNKED, (ctypes.c_size_t * 2)(4, 500))
values = (ctypes.c_uint * 5)(1, 5, *map(int, sys.argv[2:]))
call("nc_def_var_filter", file, x, 61868, ctypes.c_size_t(5), values)
samples = (ctypes.c_float * 28800)(*[i % 777 / 7 for i in range(28800)])
call("nc_put_var_float", file, x, samples)
call("nc_close", file)
"""
NETCDF_FILL = np.float32(9.969209968386869e36)
"""What netCDF fills the rest of a chunk up with."""


@pytest.mark.parametrize(
    ("rule", "options"), [("3 1 2", {"quanta": 0.01}), ("4 3 0", {"precision": 3})]
)
def test_netcdf_in_c_gives_quanta_or_precision_alone(tmp_path, rule, options):
    path = tmp_path / "x.nc"
    command = [sys.executable, "-c", NETCDF_FILTER, path, *rule.split()]
    result = subprocess.run(command, capture_output=True, text=True, env=WITH_PLUGIN)
    if result.stderr.startswith("skip: "):
        pytest.skip(result.stderr)
    assert result.returncode == 0, result.stderr
    assert options_in(path) == CodecOptions(**options)
    want = (np.arange(28_800) % 777 / 7).reshape(16, 1800).astype("f4")
    largest = 0.005 + 1e-5 if "quanta" in options else want.max() / 2 / 10**3 / 2
    assert 0 < np.abs(read(path) - want).max() <= largest
    edge = np.full((4, 500), NETCDF_FILL)
    edge[:, :300] = want[4:8, 1500:]
    with h5py.File(path) as file:
        for at, samples in ((500, want[4:8, 500:1000]), (1500, edge)):
            _, chunk = file["x"].id.read_direct_chunk((4, at))
            encoded = CodecOptions(**options).encode(samples, fill_value=NETCDF_FILL)
            assert chunk == encoded.tobytes()


def test_xarray_through_h5netcdf(tmp_path):
    path = tmp_path / "x.nc"
    data = xarray.Dataset(
        {"x": (("stream", "time"), walk("f8"), {"units": "mV"})}, {"time": np.arange(2000) / 100}
    )
    encoding = {"x": {"compression": Flac(quanta=1e-3), "chunksizes": (4, 1000)}}
    data.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    assert options_in(path) == CodecOptions(quanta=1e-3)
    with xarray.open_dataset(path, engine="h5netcdf") as got:
        assert got["x"].attrs == {"units": "mV"}
        assert np.abs(got["x"] - data["x"]).max() <= 0.5e-3 + 1e-9
        assert got["x"].sel(time=slice(3, 4)).shape == (16, 101)


SEVERAL = """
import sys
import netCDF4, h5py
first, second = sys.argv[1:]
for path in (first, second):
    with netCDF4.Dataset(path) as file:
        assert file["x"][3, 5] == 5
    with h5py.File(path) as file:
        assert file["x"][3, 5] == 5
        try:
            file["damaged"][...]
        except OSError as error:
            assert "flaccodec: the chunk is cut short" in str(error), error
        else:
            raise AssertionError
    with netCDF4.Dataset(path) as file:
        try:
            file["damaged"][...]
        except RuntimeError as error:
            assert "Filter error" in str(error) or "HDF error" in str(error), error
        else:
            raise AssertionError
with h5py.File(first, "a") as file:
    file.create_dataset("new", data=[1, 2, 3], compression=61868)
    try:
        file.create_dataset("bad", data=[1, 2, 3], dtype="f2", compression=61868)
    except ValueError as error:
        assert "flaccodec: the dtype must be" in str(error), error
    else:
        raise AssertionError
with netCDF4.Dataset(first) as file:
    assert list(file["new"][...]) == [1, 2, 3]
"""


def test_two_hdf5_in_one_process(tmp_path):
    paths = tmp_path / "a.h5", tmp_path / "b.h5"
    for path in paths:
        with h5py.File(path, "w") as file:
            x = np.tile(np.arange(20, dtype="i4"), (4, 1))
            file.create_dataset("x", data=x, chunks=(2, 10), compression=Flac())
            damaged = file.create_dataset("damaged", (9,), "i4", chunks=(9,), compression=Flac())
            damaged.id.write_direct_chunk((0,), b"damaged")
    run(sys.executable, "-c", SEVERAL, *paths)


@pytest.mark.parametrize("other", [hdf5plugin.Blosc2(), hdf5plugin.Bitshuffle(), hdf5plugin.Zstd()])
def test_beside_the_filters_of_hdf5plugin(tmp_path, other):
    path, array = tmp_path / "x.h5", walk("i4")
    with h5py.File(path, "w") as file:
        file.create_dataset("theirs", data=array, chunks=(4, 500), **other)
        file.create_dataset("ours", data=array, chunks=(4, 500), compression=Flac())
    assert same_bits(read(path, "ours"), array)
    assert same_bits(read(path, "theirs"), array)
    program = "import sys, h5py, hdf5plugin\nf = h5py.File(sys.argv[1])\n"
    check = "assert (f['ours'][...] == f['theirs'][...]).all()"
    both = os.pathsep.join([hdf5.PLUGIN_PATH, hdf5plugin.PLUGIN_PATH])
    python(program + check, path, environment=os.environ | {"HDF5_PLUGIN_PATH": both})
