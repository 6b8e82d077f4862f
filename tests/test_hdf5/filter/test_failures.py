"""What HDF5 does to files when the filter fails, or gives it less room than it takes for granted.

The plugin that fails is made here, of the same sources: its memory runs out at will.
"""

from __future__ import annotations

import os
import sys

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray
import zarr

from flaccodec import FlacArray, hdf5
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import FILTER_ID, Flac
from flaccodec.hdf5.chunks import fletcher32 as hdf5_fletcher32
from support import sanitized
from support.environments.parallel_h5py import parallel_h5py
from support.mpirun import mpirun
from support.paths import ROOT
from support.sources import CSRC, core_sources, hdf5_sources
from support.strategies import same_bits
from test_hdf5.running import VALGRIND, pkg_config, python, run

WRAPPED = ["malloc", "calloc", "realloc", "fc_h5_of"]


@pytest.fixture(scope="session")
def failing(tmp_path_factory):
    """Make the plugin, once for all workers; return the folder for HDF5_PLUGIN_PATH."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if folder.name.startswith("popen-") else folder) / "failing"
    folder.mkdir(exist_ok=True)
    plugin = folder / "libh5flaccodec.so"
    with sanitized.locked(folder / "lock"):
        if not plugin.exists():
            run(
                *("cc", "-std=gnu11", "-O0", "-ffp-contract=off", "-fPIC", "-shared"),
                *("-fvisibility=hidden", "-Wl,-z,nodelete", f"-I{CSRC}"),
                *(f"-Wl,--wrap={name}" for name in WRAPPED),
                *("-o", folder / "made", ROOT / "tests/test_c/c/hdf5/failing.c"),
                *core_sources(),
                *hdf5_sources(),
                *(*pkg_config("flac"), "-lm", "-ldl", "-pthread"),
            )
            (folder / "made").rename(plugin)
    return folder


def environment(plugin, **variables):
    return os.environ | {
        "HDF5_PLUGIN_PATH": str(plugin),
        "FLACCODEC_NUM_THREADS": "1",
        **variables,
    }


# -- memory runs out -----------------------------------------------------------------------

H5PY = """
import ctypes, os, sys
import h5py, numpy as np

fail_at = ctypes.CDLL(os.environ["HDF5_PLUGIN_PATH"] + "/libh5flaccodec.so").flaccodec_fail_at
fail_at.restype = ctypes.c_long
rng, path = np.random.default_rng(0), sys.argv[1]
x, y = rng.normal(0, 1000, (2, 4, 5000))
x, y[1, 7], plain = x.astype("i4"), np.nan, np.arange(1000)
raw = {name: 0 for name in "xyz"}

def attempt(call, *arguments):
    try:
        call(*arguments)
    except (OSError, RuntimeError) as error:  # it decodes what is there before it writes
        assert "flaccodec: out of memory" in str(error), error

def write(file):
    file["before"] = plain
    a = file.create_dataset("x", x.shape, x.dtype, chunks=(2, 1000), compression=61868)
    b = file.create_dataset("y", y.shape, y.dtype, chunks=y.shape, compression=61868,
                            compression_opts=(1, 5, 3, 1, 2), fletcher32=True)
    c = file.create_dataset("z", x.shape, x.dtype, chunks=x.shape, compression=61868,
                            maxshape=(None, None))
    c[...] = x
    file.flush()
    fail_at(at)
    a[...] = x
    file.flush()
    b[...] = y  # is flushed as the file is closed
    for i in range(4):
        attempt(c.__setitem__, (i, slice(100)), 7)
    attempt(c.resize, (3, 4000))
    file["after"] = plain

def check(file):
    assert (file["before"][...] == plain).all() and (file["after"][...] == plain).all()
    assert (file["x"][...] == x).all()
    got = file["y"][...]
    assert ((np.abs(got - y) <= 0.005 + 1e-9) | np.isnan(y) & np.isnan(got)).all()
    got = file["z"][...]
    assert ((got == x[:got.shape[0], :got.shape[1]]) | (got == 7)).all()
    for name in raw:
        id = file[name].id
        raw[name] += sum(id.get_chunk_info(i).filter_mask for i in range(id.get_num_chunks()))

at = failures = 0
while not at or failures:
    cache = 0 if at % 2 else 2**20
    libver = "latest" if at // 2 % 2 else "earliest"
    with h5py.File(path, "w", rdcc_nbytes=cache, libver=libver) as file:
        write(file)
    failures = fail_at(-1)
    with h5py.File(path) as file:
        check(file)
    at += 1
assert at > 10 and all(raw.values()), (at, raw)
print(f"{h5py.version.hdf5_version}, {at} allocations")
"""


def test_memory_runs_out_in_flush_and_close(tmp_path, failing):
    """At each allocation in turn: chunks are stored as samples then, and all else is there."""
    python(H5PY, tmp_path / "x.h5", environment=environment(failing))


def test_memory_runs_out_with_the_systems_hdf5(tmp_path, failing):
    built = {"PYTHONPATH": str(parallel_h5py())}
    python(H5PY, tmp_path / "x.h5", environment=environment(failing, **built))


NETCDF = """
import ctypes, os, sys
import netCDF4, numpy as np

fail_at = ctypes.CDLL(os.environ["HDF5_PLUGIN_PATH"] + "/libh5flaccodec.so").flaccodec_fail_at
fail_at.restype = ctypes.c_long
failures, at = 1, 0
while failures:
    with netCDF4.Dataset(sys.argv[1], "r+") as file:
        fail_at(at)
        file["x"][...] = at
        file["plain"][...] = at
    failures = fail_at(-1)
    with netCDF4.Dataset(sys.argv[1]) as file:
        assert (file["x"][...] == at).all() and (file["plain"][...] == at).all()
    at += 1
assert at > 10
"""


def test_memory_runs_out_in_netcdf(tmp_path, failing):
    with h5netcdf.File(tmp_path / "x.nc", "w") as file:
        file.dimensions = {"stream": 4, "time": 3000}
        options = {"chunks": (2, 3000), "compression": Flac()}
        file.create_variable("x", ("stream", "time"), "i4", **options)
        file.create_variable("plain", ("stream", "time"), "i4")
    run(sys.executable, "-c", NETCDF, tmp_path / "x.nc", environment=environment(failing))


def test_memory_that_ran_out_does_not_tell_in_the_command_line_tools(tmp_path, failing):
    plain, packed = tmp_path / "plain.h5", tmp_path / "packed.h5"
    array = np.random.default_rng(0).normal(0, 1000, (4, 5000)).astype("i4")
    with h5py.File(plain, "w") as file:
        file.create_dataset("x", data=array, chunks=(2, 1000))
    for at in range(0, 12, 3):
        packed.unlink(missing_ok=True)
        variables = environment(failing, FLACCODEC_TEST_FAILS_AT=str(at))
        assert (
            run("h5repack", "-f", f"UD={FILTER_ID},0,0", plain, packed, environment=variables) == ""
        )
        assert run("h5diff", plain, packed) == ""
        with h5py.File(packed) as file:
            assert same_bits(hdf5.read(file["x"]), array)
            assert {file["x"].id.get_chunk_info(i).filter_mask for i in range(10)} == {1}


def test_memory_runs_out_on_one_rank(tmp_path, failing):
    """The others do not wait for it."""
    mpirun(2, "check_filter_memory.py", failing, tmp_path, h5py=parallel_h5py(), timeout=60)


# -- samples that quanta cannot hold -----------------------------------------------------------


def with_one_far_off():
    x = np.random.default_rng(0).normal(0, 10, (4, 20_000))
    x[2, 7777] = 1e20
    return x


def check_all_is_there(got, x):
    assert got[2, 7777] == 1e20
    assert np.abs(got - x).max() <= 0.005 + 1e-9


@pytest.mark.parametrize("many", [False, True])
def test_xarray_through_h5netcdf_keeps_all_samples(tmp_path, many):
    path, x = tmp_path / "x.nc", with_one_far_off()
    if many:
        x[:, ::3] *= 1e20
    data = xarray.Dataset({"x": (("a", "b"), x)})
    encoding = {"x": {"compression": Flac(quanta=0.01), "chunksizes": (1, 5000)}}
    data.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    with xarray.open_dataset(path, engine="h5netcdf") as again:
        got = again.x.values
    assert np.abs(got - x).max() <= 0.005 + 1e-9
    assert same_bits(got[np.abs(x) > 1e18], x[np.abs(x) > 1e18])
    with h5py.File(path) as file:
        assert {file["x"].id.get_chunk_info(i).filter_mask for i in range(16)} == {0}


@pytest.mark.parametrize("cache", [0, 2**20])
@pytest.mark.parametrize("options", [{"quanta": 0.01}, {"quanta": 1e-300}, {"precision": 300}])
def test_chunks_that_are_flushed_at_close_do_not_fail(tmp_path, options, cache):
    x = with_one_far_off()
    with h5py.File(tmp_path / "x.h5", "w", rdcc_nbytes=cache) as file:
        file["before"] = x
        y = file.create_dataset("x", x.shape, "f8", chunks=(4, 1000), compression=Flac(**options))
        file["after"] = x
        y[...] = x
    with h5py.File(tmp_path / "x.h5") as file:
        assert same_bits(file["before"][...], x)
        assert same_bits(file["after"][...], x)
        check_all_is_there(file["x"][...], x)
        check_all_is_there(hdf5.read(file["x"]), x)


# -- chunks that are stored as samples -------------------------------------------------------


@pytest.fixture(params=[{}, {"fletcher32": True}], ids=["alone", "fletcher32"])
def partly_raw(tmp_path, request):
    """A file with a dataset of which one chunk of two went past the filter, and its samples."""
    array = np.random.default_rng(0).normal(0, 9, (4, 500)).round(2)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset(
            "x", data=array, chunks=(2, 500), compression=Flac(quanta=0.01), **request.param
        )
        x.id.flush()
        chunk = array[2:].tobytes()
        if request.param:
            sum_behind = hdf5_fletcher32.checksum(np.frombuffer(chunk, "u1"))
            chunk += sum_behind.to_bytes(4, "little")
        x.id.write_direct_chunk((2, 0), chunk, 1)
    return tmp_path / "x.h5", array


def test_readers_of_our_own_know_which_chunks_they_are(partly_raw):
    path, array = partly_raw
    with h5py.File(path) as file:
        x = file["x"]
        for at in ((), 3, np.s_[1:3, 7:90], np.s_[::3, ::100]):
            np.testing.assert_allclose(hdf5.read(x, at), array[at], atol=0.0051)
            assert same_bits(np.asarray(hdf5.read(x, at)), np.asarray(x[at]))
        assert same_bits(x[2:], array[2:])
        copy = hdf5.to_zarr(x, {})
        np.testing.assert_allclose(copy[...], array, atol=0.0051)
        np.testing.assert_allclose(FlacArray.read_hdf5(x).to_array(), array, atol=0.0051)
    with pytest.raises(ConfigurationError, match=r"chunk at \(2, 0\).*Got filter mask 1"):
        hdf5.virtual_zarr(path)


def test_writers_of_our_own_change_them_in_part(partly_raw):
    path, array = partly_raw
    with h5py.File(path, "r+") as file:
        hdf5.write(file["x"], array[3, :50] + 1, np.s_[3, :50])
        array[3, :50] += 1
    with h5py.File(path) as file:
        np.testing.assert_allclose(file["x"][...], array, atol=0.0051)
        if file["x"].fletcher32:
            return
        assert file["x"].id.get_chunk_info(1).filter_mask == 0
    group = zarr.open_group(hdf5.virtual_zarr(path), mode="r")
    np.testing.assert_allclose(group["x"][...], array, atol=0.0051)


# -- a dataset that shrank is copied -----------------------------------------------------------

SHRUNK = """
import sys, h5py, numpy as np
x = np.tile(np.arange(20, dtype="i4"), (40, 50))
for change in ("none", "written", "resized", "grown"):
    with h5py.File(sys.argv[1], "w") as file:
        d = file.create_dataset("x", x.shape, "i4", chunks=(10, 100), maxshape=(None, None),
                                compression=61868)
        d[...] = x
        file.flush()
        if change == "written":
            d[...] = x
        if change == "resized":
            d[...] = x
            d.resize((35, 950))
        if change == "grown":
            d.resize((35, 950))
            d.resize((60, 1300))
        expected = d[...]
        file.copy("x", "copy")
        assert (file["copy"][...] == expected).all()
    with h5py.File(sys.argv[1]) as file:
        assert (file["copy"][...] == expected).all()
"""


def test_a_dataset_that_shrank_is_copied(tmp_path):
    """HDF5 does not look at how large the buffer is that the filter gave it."""
    python(SHRUNK, tmp_path / "x.h5")


def test_a_dataset_that_shrank_is_copied_under_valgrind(tmp_path):
    binary, source = tmp_path / "copy_shrunk", ROOT / "tests/test_c/c/hdf5/copy_shrunk.c"
    run("cc", "-g", "-Wall", "-Wextra", "-Werror", source, "-o", binary, *pkg_config("hdf5-serial"))
    variables = environment(hdf5.PLUGIN_PATH)
    assert run(*VALGRIND, binary, tmp_path / "x.h5", environment=variables) == "right\n"
