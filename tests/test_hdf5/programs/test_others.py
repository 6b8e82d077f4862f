"""What docs/hdf5.md says of programs with an HDF5 of their own, and of HDF5's own troubles."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pandas
import pytest
import zarr

import flaccodec.numcodecs
from flaccodec import hdf5
from flaccodec.hdf5 import Flac
from support.paths import DOCS

WITHOUT = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
WITH_PLUGIN = WITHOUT | {"HDF5_PLUGIN_PATH": hdf5.PLUGIN_PATH}
PAGE = (DOCS / "hdf5.md").read_text()

X = np.arange(160_000, dtype="f4").reshape(16, -1)


def run(*command, environment=WITH_PLUGIN):
    """Return the exit code, and what was printed."""
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment
    )
    return result.returncode, result.stdout + result.stderr


def python(program, *arguments, **options):
    return run(sys.executable, "-c", program, *arguments, **options)


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "x.nc", "w") as file:
        x = file.create_dataset("x", data=X, chunks=(4, 5000), compression=Flac(quanta=1e-2))
        for axis, name in enumerate(("station", "time")):
            file[name] = np.arange(X.shape[axis])
            file[name].make_scale(name)
            x.dims[axis].attach_scale(file[name])
    return tmp_path / "x.nc"


def read(path, name="x"):
    with h5py.File(path) as file:
        return file[name][...]


def filters_of(path, name="x"):
    with h5py.File(path) as file:
        return dict(file[name]._filters)


# -- pandas and PyTables -------------------------------------------------------------------

READ_BY_PANDAS = "import flaccodec.hdf5, sys, pandas; print(pandas.read_hdf(sys.argv[1], 'x')[500])"


def test_pandas_needs_the_environment_variable(tmp_path):
    plain, packed = tmp_path / "plain.h5", tmp_path / "packed.h5"
    pandas.Series(X[0], name="x").to_hdf(plain, key="x")
    assert run("h5repack", "-f", "/x/values:UD=61868,0,2,1,5", plain, packed) == (0, "")
    assert list(filters_of(packed, "x/values")) == ["61868"]
    assert python(READ_BY_PANDAS, packed) == (0, "500.0\n")
    code, said = python(READ_BY_PANDAS, packed, environment=WITHOUT)
    assert code == 1
    (error,) = re.findall(r"HDF5ExtError: .*", said)
    assert error in PAGE
    early = "import os, flaccodec.hdf5 as h; os.environ['HDF5_PLUGIN_PATH'] = h.PLUGIN_PATH\n"
    assert python(early + READ_BY_PANDAS, packed, environment=WITHOUT) == (0, "500.0\n")
    late = f"import tables\n{early}"
    assert python(late + READ_BY_PANDAS, packed, environment=WITHOUT)[0] == 1


def test_tables_of_pandas_are_refused(tmp_path):
    path = tmp_path / "x.h5"
    pandas.DataFrame({"a": X[0]}).to_hdf(path, key="x", format="table")
    with h5py.File(path, "r+") as file, pytest.raises(ValueError, match="dtype must be one of"):
        file.create_dataset("y", data=file["x/table"][...], compression=Flac())


# -- the command line ----------------------------------------------------------------------


def test_h5dump_of_a_part_without_the_plugin_prints_nothing(path):
    part = ("h5dump", "-d", "/x", "-s", "3,500", "-c", "1,2", path)
    assert "(3,500): 30500, 30501" in run(*part)[1]
    code, said = run(*part, environment=WITHOUT)
    assert code == 0
    assert re.search(r"DATA \{\s*\}", said)
    assert "(3,500)" not in said
    assert "error" not in said
    assert "`DATA { }`" in PAGE


def test_ncks_keeps_the_filter_or_takes_it_off(path, tmp_path):
    out = tmp_path / "out.nc"
    code, said = run("ncks", "-O", "-d", "time,0,6999", path, out)
    assert code == 0
    assert "filter ID = 61868 is unknown by NCO" in said
    assert "filter ID = 61868 is unknown by NCO" in PAGE
    assert list(filters_of(out)) == ["61868"]
    np.testing.assert_array_equal(read(out), read(path)[:, :7000])
    assert run("ncks", "-O", "-L", "0", path, out)[0] == 0
    assert filters_of(out) == {}
    np.testing.assert_array_equal(read(out), read(path))


def test_ncks_without_the_plugin(path, tmp_path):
    code, said = run("ncks", "-O", path, tmp_path / "out.nc", environment=WITHOUT)
    assert code == 1
    (words,) = re.findall(
        r"HDF5 filter ID = 61868 was not \w+ as an HDF5 shared library fil\w+", said
    )
    assert words in PAGE
    assert not (tmp_path / "out.nc").exists()


def test_nco_gives_the_filter_to_others(path, tmp_path):
    """NCO 5.1.4, with one value alone, as --cmp does. Once it does not, the page may say so."""
    out = tmp_path / "out.nc"
    with h5py.File(path, "r+") as file:
        file.move("x", "a")  # NCO comes to it before the others
    mean = ("-v", "a", "-a", "station", path, out)
    code, said = run("ncwa", "-O", *mean)
    assert code != 0
    assert "NetCDF: HDF error" in said
    assert "NetCDF: HDF error" in PAGE
    assert run("ncwa", "-O", "-L", "0", *mean)[0] == 0
    np.testing.assert_allclose(read(out, "a"), read(path, "a").mean(axis=0), rtol=1e-6)
    assert run("ncap2", "-O", "-L", "0", "-s", "y=a*2", path, out)[0] == 0
    np.testing.assert_array_equal(read(out, "y"), 2 * read(path, "a"))
    run("ncks", "-O", "-v", "a", "--cmp=61868,1,5,3,1,2", path, out)
    assert filters_of(out, "a").get("61868", (1, 5, 0))[:3] == (1, 5, 0)


def test_zarr_migrate_knows_numcodecs_own_codecs_alone(tmp_path):
    """It changes no file; arrays that it came to before may have got a zarr.json."""
    store = tmp_path / "old.zarr"
    root = zarr.create_group(store, zarr_format=2)
    root.create_array("a", data=X)
    root.create_array("b", data=X, compressors=flaccodec.numcodecs.Flac())
    before = {p: p.read_bytes() for p in store.rglob("*") if p.is_file()}
    code, said = python("import zarr._cli.cli as c; c.app()", "migrate", "v3", store)
    assert code == 1
    said = " ".join(said.split())
    words = "Couldn't find corresponding zarr.codecs.numcodecs codec for flaccodec"
    assert words in said
    assert words in PAGE
    after = {p: p.read_bytes() for p in store.rglob("*") if p.is_file()}
    new = after.keys() - before.keys()
    assert new <= {store / "a" / "zarr.json"}, "folders are listed in any order"
    assert before == {p: after[p] for p in before}


def test_h5py_has_no_name_for_the_filter(path):
    with h5py.File(path) as file, h5py.File("y.h5", "w", driver="core", backing_store=False) as to:
        x = file["x"]
        for make in (
            lambda: to.create_dataset_like("y", x),
            lambda: to.create_dataset("y", data=X, chunks=(4, 5000), compression=x.compression),
        ):
            with pytest.raises(ValueError, match=r'^Compression filter "unknown" is unavailable$'):
                make()
    assert 'ValueError: Compression filter "unknown" is unavailable' in PAGE


# -- a full disk ---------------------------------------------------------------------------

FULL = """
import resource, signal, sys, h5py, numpy as np
from flaccodec import hdf5
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
path, way, kind, cache = sys.argv[1:]
x = np.random.default_rng(0).integers(-2**30, 2**30, (100, 10_000), "i4")
compression = {"flac": hdf5.Flac(), "gzip": "gzip", "none": None}[kind]
try:
    with h5py.File(path, "w", **({"rdcc_nbytes": 0} if cache == "no cache" else {})) as file:
        file["flushed"] = np.arange(1000)
        file.flush()
        file["y"] = 1
        d = file.create_dataset("x", x.shape, "i4", chunks=(10, 1000), compression=compression)
        if way == "h5py":
            d[...] = x
        else:
            hdf5.write(d, x)
except (OSError, RuntimeError) as error:
    print("raised", type(error).__name__)
"""


@pytest.mark.parametrize(
    ("way", "kind", "cache"),
    [("h5py", "flac", "no cache"), ("h5py", "gzip", "no cache"), ("hdf5.write", "flac", "cache")],
)
def test_a_full_disk_without_chunks_in_the_cache_is_an_error(tmp_path, way, kind, cache):
    code, said = python(FULL, tmp_path / "x.h5", way, kind, cache)
    assert code == 0, said
    assert re.fullmatch("raised (RuntimeError|OSError)\n", said)


@pytest.mark.parametrize("kind", ["flac", "gzip", "none"])
def test_a_full_disk_with_them_ends_the_process(tmp_path, kind):
    """With every filter: it is HDF5's. Once this passes, docs/hdf5.md need not warn of it."""
    code, _ = python(FULL, tmp_path / "x.h5", "h5py", kind, "cache")
    assert code < 0
    assert "segmentation fault" in PAGE
