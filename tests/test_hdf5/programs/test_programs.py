"""The HDF5 filter in programs: C, the command line tools, netCDF, fresh processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import h5netcdf
import h5py
import hdf5plugin
import numpy as np
import pytest
import xarray
import zarr

from flaccodec import hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.hdf5 import FILTER_ID, Flac
from flaccodec.hdf5 import filter as hdf5_filter
from support.paths import ROOT
from support.sources import CSRC, core_sources, hdf5_sources
from support.strategies import same_bits
from test_hdf5.running import VALGRIND, WITH_PLUGIN, WITHOUT, pkg_config, python, run


def walk(dtype="f4", shape=(16, 2000)):
    steps = np.random.default_rng(0).normal(0, 10, shape)
    return np.cumsum(steps, axis=1).astype(dtype)


def write(path, array, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, **options)


def read(path, name="x"):
    with h5py.File(path) as file:
        return file[name][...]


def options_in(path, name="x"):
    with h5py.File(path) as file:
        return hdf5_filter.options_of(file[name])


def test_the_module_prints_the_directory():
    printed = run(sys.executable, "-W", "error", "-m", "flaccodec.hdf5", environment=WITHOUT)
    assert printed == hdf5.PLUGIN_PATH + "\n"
    assert os.listdir(printed.strip()) == ["libh5flaccodec.so"]


def test_the_plugin_needs_neither_python_nor_hdf5_nor_openmp():
    needed = run("ldd", Path(hdf5.PLUGIN_PATH) / "libh5flaccodec.so")
    assert "libFLAC" in needed
    assert not re.search(r"python|hdf5|gomp", needed, re.IGNORECASE)


# -- the filter in C ----------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["hidden"]], ids=["found", "hidden"])
def test_memory_that_runs_out(tmp_path, arguments):
    """Against a stand-in for HDF5, whose functions the filter finds, or cannot."""
    flags = ["-std=gnu11", "-g", "-O1", "-ffp-contract=off", "-fvisibility=hidden", f"-I{CSRC}"]
    wrap = "-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free"
    binary = tmp_path / "test_filter"
    run(
        *("cc", *flags, *([] if arguments else ["-rdynamic"]), wrap, "-o", binary),
        ROOT / "tests/test_c/c/hdf5/test_filter.c",
        *core_sources(),
        *hdf5_sources(),
        *(*pkg_config("flac"), "-lm", "-ldl"),
    )
    assert ", 0 fail" in run(*VALGRIND, binary, *arguments)


@pytest.fixture(scope="module")
def read_all(tmp_path_factory):
    binary = tmp_path_factory.mktemp("c") / "read_all"
    source = ROOT / "tests/test_c/c/hdf5/read_all.c"
    run("cc", "-g", "-Wall", "-Wextra", "-Werror", source, "-o", binary, *pkg_config("hdf5-serial"))
    return binary


def damage(chunk, rng):
    """Return a chunk with flipped bits, cut, longer, or with parts exchanged."""
    kind, changed = rng.integers(5), bytearray(chunk)
    at = int(rng.integers(len(chunk)))
    if kind == 0:
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del changed[max(at, 1) :]
    elif kind == 2:
        changed += bytes(int(rng.integers(1, 99)))
    elif kind == 3:
        changed[at:] = rng.permutation(np.frombuffer(chunk[at:], "u1")).tobytes()
    else:
        for i in rng.integers(len(chunk), size=9):
            changed[i] = int(rng.integers(256))
    return bytes(changed)


def test_damaged_chunks_under_valgrind(tmp_path, read_all):
    """Each chunk is refused with a reason of ours, or is what it was."""
    rng = np.random.default_rng(0)
    kinds = [
        ("i4", {}),
        (">u8", {}),
        ("f4", {}),
        ("f8", {"quanta": 0.5}),
        (">f4", {"precision": 2}),
    ]
    changed = {}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i in range(150):
            dtype, options = kinds[i % len(kinds)]
            array = np.abs(walk(dtype, (3, 50)))
            if "f" in dtype:
                array[1, 7:9] = np.nan
            name = f"{i:03}"
            x = file.create_dataset(
                name, data=array, chunks=(3, 50), compression=Flac(frame_size=16, **options)
            )
            x.id.flush()
            _, chunk = x.id.read_direct_chunk((0, 0))
            damaged = damage(chunk, rng) if i >= 5 else chunk
            changed[name] = damaged != chunk
            x.id.write_direct_chunk((0, 0), damaged)
    lines = dict(
        line.split(": ", 1) for line in run(*VALGRIND, read_all, tmp_path / "x.h5").splitlines()
    )
    assert lines.keys() == changed.keys()
    assert sum(changed.values()) > 130
    for name, text in lines.items():
        assert text.startswith("flaccodec: ") if changed[name] else text == "read", name


def test_the_example_in_c(tmp_path):
    binary, path = tmp_path / "hdf5_from_c", tmp_path / "walk.h5"
    source = ROOT / "examples/hdf5_from_c.c"
    run("cc", "-Wall", "-Wextra", "-Werror", source, "-o", binary, *pkg_config("hdf5-serial"))
    run(*VALGRIND, binary, "write", path)
    assert "largest error 0.000" in run(*VALGRIND, binary, "read", path)
    assert options_in(path, "samples") == CodecOptions(quanta=1e-3)
    array = read(path, "samples")
    with h5py.File(path, "w") as file:
        file.create_dataset("samples", data=array, chunks=(5, 777), compression=Flac(level=8))
    assert "largest error 0.000" in run(binary, "read", path)
    missing = run(binary, "read", path, environment=WITHOUT, code=1)
    assert re.search(r"filter '?(flaccodec|61868)'?", missing)


# -- the command line ---------------------------------------------------------------------


def test_h5repack_writes_what_h5py_reads(tmp_path):
    plain, packed = tmp_path / "plain.h5", tmp_path / "packed.h5"
    array = walk(">f4")
    write(plain, array, chunks=(4, 500))
    run("h5repack", "-f", f"x:UD={FILTER_ID},0,5,1,8,3,1,2", plain, packed)
    assert options_in(packed) == CodecOptions(level=8, quanta=0.01)
    got = read(packed)
    assert got.dtype == ">f4"
    assert 0 < np.abs(got - array).max() <= 0.005 + 1e-5
    with h5py.File(packed) as file:
        assert file["x"].chunks == (4, 500)
        _, chunk = file["x"].id.read_direct_chunk((4, 500))
    want = CodecOptions(level=8, quanta=0.01).encode(array[4:8, 500:1000])
    assert chunk == want.tobytes()


def test_h5repack_reads_what_h5py_writes(tmp_path):
    packed, plain = tmp_path / "packed.h5", tmp_path / "plain.h5"
    array = walk("i8")
    write(packed, array, chunks=(3, 700), compression=Flac())
    run("h5repack", "-f", "NONE", packed, plain)
    assert options_in(plain) is None
    np.testing.assert_array_equal(read(plain), array)
    assert run("h5diff", packed, plain) == ""


def test_h5repack_to_other_chunks(tmp_path):
    """The filter is given the client data of the old chunks."""
    packed, other = tmp_path / "packed.h5", tmp_path / "other.h5"
    array = walk("i2")
    write(packed, array, chunks=(3, 700), compression=Flac(level=2, frame_size=100))
    run("h5repack", "-l", "x:CHUNK=7x130", packed, other)
    assert options_in(other) == CodecOptions(level=2, frame_size=100)
    with h5py.File(other) as file:
        assert file["x"].chunks == (7, 130)
        assert file["x"].id.get_create_plist().get_filter(0)[2][8:] == (7, 130, 0)
    np.testing.assert_array_equal(read(other), array)


def test_h5repack_of_a_file_with_strings(tmp_path):
    """HDF5 does not ask the filter about them, so that their client data stay as given."""
    plain, packed = tmp_path / "plain.h5", tmp_path / "packed.h5"
    array, words = walk("f4"), ["a", "bc"]
    with h5py.File(plain, "w") as file:
        file.create_dataset("x", data=array, chunks=(4, 500))
        file.create_dataset("words", data=words, dtype=h5py.string_dtype(), chunks=(2,))
    run("h5repack", "-f", f"UD={FILTER_ID},1,5,1,8,3,1,2", plain, packed)
    with h5py.File(packed) as file:
        assert file["words"]._filters == {str(FILTER_ID): (1, 8, 3, 1, 2)}
        assert [word.decode() for word in hdf5.read(file["words"])] == words
        assert np.abs(hdf5.read(file["x"]) - array).max() <= 0.005 + 1e-5
    group = zarr.open_group(hdf5.virtual_zarr(packed, drop_variables=["words"]), mode="r")
    assert same_bits(group["x"][...], read(packed))


REFUSED = {
    "quanta of integers": ("1,5,3,1,2", WITH_PLUGIN, "quanta is for float32 and float64; integers"),
    "a level beyond": ("1,9,0,0,0", WITH_PLUGIN, "flaccodec: level must be 0 to 8. Got 9"),
    "no plugin": ("1,5,0,0,0", WITHOUT, f"required filter {FILTER_ID} is not registered"),
}


@pytest.mark.parametrize(("values", "environment", "reason"), REFUSED.values(), ids=REFUSED)
def test_h5repack_keeps_to_itself_that_it_did_not_compress(tmp_path, values, environment, reason):
    """As docs/hdf5.md warns; ``h5ls -v`` shows it."""
    plain, packed = tmp_path / "plain.h5", tmp_path / "packed.h5"
    write(plain, walk("i2"), chunks=(4, 500))
    option = f"x:UD={FILTER_ID},0,5,{values}"
    assert run("h5repack", "-f", option, plain, packed, environment=environment) == ""
    assert options_in(packed) is None
    assert "flaccodec" not in run("h5ls", "-v", packed)
    said = run(
        *("h5repack", "--enable-error-stack", "-f", option, plain, packed), environment=environment
    )
    assert reason in said


def test_h5repack_without_the_plugin_leaves_the_dataset_out(tmp_path):
    """As docs/hdf5.md warns."""
    packed, plain = tmp_path / "packed.h5", tmp_path / "plain.h5"
    write(packed, walk("i2"), chunks=(4, 500), compression=Flac())
    said = run("h5repack", "-f", "NONE", packed, plain, environment=WITHOUT)
    assert "dataset </x> cannot be read, user defined filter is not available" in said
    with h5py.File(plain) as file:
        assert list(file) == []


def test_h5dump_and_h5ls(tmp_path):
    path = tmp_path / "x.h5"
    write(path, np.arange(12, dtype=">i2").reshape(3, 4), compression=Flac())
    shown = run("h5dump", "-p", "-d", "/x", path)
    assert re.search(
        rf"FILTER_ID {FILTER_ID}\s+COMMENT flaccodec\s+PARAMS {{ 1 5 0 0 0 4096 ", shown
    )
    assert "(2,0): 8, 9, 10, 11" in shown
    assert f"flaccodec-{FILTER_ID}" in run("h5ls", "-v", path)


WITHOUT_PLUGIN = {
    "h5dump": (["h5dump", "-d", "/x"], 1, "unable to print data"),
    "h5dump with the stack": (
        ["h5dump", "--enable-error-stack", "-d", "/x"],
        1,
        "required filter 'flaccodec' is not registered",
    ),
    "h5ls": (["h5ls", "-d"], 0, "Unable to print data"),
    "h5py": (
        [sys.executable, "-c", "import h5py, sys; h5py.File(sys.argv[1])['x'][...]"],
        1,
        r"OSError: Can't synchronously read data \((can't open directory|can't find plugin)",
    ),
    "netCDF4": (
        [sys.executable, "-c", "import netCDF4, sys; netCDF4.Dataset(sys.argv[1])['x'][...]"],
        1,
        "RuntimeError: NetCDF: Filter error: undefined filter encountered",
    ),
    "writing": (
        [
            *(sys.executable, "-c"),
            "import h5py, sys\n"
            "h5py.File(sys.argv[1], 'a').create_dataset('y', data=[1], compression=61868)",
        ],
        1,
        "ValueError: Unknown compression filter number: 61868",
    ),
}


@pytest.mark.parametrize(("command", "code", "text"), WITHOUT_PLUGIN.values(), ids=WITHOUT_PLUGIN)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_programs_say_without_the_plugin(tmp_path, command, code, text, elsewhere):
    """Each of these is in docs/hdf5.md."""
    path = tmp_path / "x.h5"
    write(path, walk(), compression=Flac())
    environment = WITHOUT | ({"HDF5_PLUGIN_PATH": str(tmp_path)} if elsewhere else {})
    assert re.search(text, run(*command, path, environment=environment, code=code))
    page = (ROOT / "docs" / "hdf5.md").read_text().lower()
    for words in re.findall(r"can't \w+ \w+|required filter.*|un[dk][^:]+|unable to .*", text):
        assert words.lower() in page


# -- other libraries --------------------------------------------------------------------------

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
