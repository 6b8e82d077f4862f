"""Names that are not UTF-8, of files and folders and inside HDF5 files: all doors."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import virtualizarr
import xarray
import zarr
from h5py import h5a, h5s, h5t
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore

import flaccodec
from flaccodec import FlacArray, hdf5
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptStreamError,
    FlacCodecError,
    FrameError,
    TruncatedChunkError,
    add_place,
)
from flaccodec.hdf5 import Flac, VirtualParser, virtual_zarr

LATIN = os.fsdecode(b"station-\xe4")
X = np.arange(20_000, dtype="i4").reshape(2, -1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / LATIN).mkdir()
    monkeypatch.chdir(tmp_path / LATIN)


@pytest.fixture
def path(folder):
    path = Path(f"{LATIN}.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=X, chunks=(1, 10_000), compression=Flac())
    return path


def is_printable(error):
    return str(error).encode().decode() == str(error) and r"station-\xe4" in str(error)


def test_hdf5_reads_and_writes(path):
    with h5py.File(path, "r+") as file:
        x = file["x"]
        np.testing.assert_array_equal(hdf5.read(x), X)
        hdf5.write(x, X[:, :5] + 1, np.s_[:, :5])
        x[:, :5] -= 1
        np.testing.assert_array_equal(FlacArray.read_hdf5(file, name="x").to_array(), X)
        for place in (f"{LATIN}.zarr", Path(f"p-{LATIN}.zarr")):
            for _ in range(2):
                hdf5.to_zarr(x, place, overwrite=True, name="a")
            np.testing.assert_array_equal(zarr.open_array(place, path="a")[...], X)
            again = hdf5.from_zarr(zarr.open_array(place, path="a", mode="r"), file, str(place)[0])
            np.testing.assert_array_equal(again[...], X)
        FlacArray.from_array(X).write_hdf5(file.create_group("fa"))
        np.testing.assert_array_equal(FlacArray.read_hdf5(file["fa"]).to_array(), X)


def test_zarr_reads_and_writes(folder):
    for number, place in enumerate((f"{LATIN}.zarr", Path(f"p-{LATIN}.zarr"))):
        for overwrite in (False, True):
            flaccodec.create_array(place, data=X, overwrite=overwrite)
        np.testing.assert_array_equal(zarr.open_array(place)[...], X)
        np.testing.assert_array_equal(FlacArray.from_zarr(place).to_array(), X)
        made = FlacArray.from_array(X).to_zarr(f"{number}-{LATIN}.zarr")
        np.testing.assert_array_equal(made[...], X)
        group = zarr.open_group(f"g{number}-{LATIN}.zarr", mode="w")
        FlacArray.from_array(X).write_zarr(group)
        np.testing.assert_array_equal(FlacArray.read_zarr(group).to_array(), X)


def test_xarray_writes_and_reads(folder):
    data = xarray.Dataset({"x": (("a", "b"), X)})
    encoding = {"x": {"compression": Flac(), "chunksizes": (1, 10_000)}}
    data.to_netcdf(f"{LATIN}.nc", engine="h5netcdf", encoding=encoding)
    with xarray.open_dataset(f"{LATIN}.nc", engine="h5netcdf") as again:
        np.testing.assert_array_equal(again.x, X)


def test_virtual_stores_refuse_them(path):
    urls = [f"file://{path.resolve()}", path.resolve().as_uri()]
    Path("a link.h5").symlink_to(path)
    for given in (path, str(path), *urls, "a link.h5"):
        with pytest.raises(ConfigurationError, match=r"^path must be in UTF-8.*rename") as raised:
            virtual_zarr(given)
        assert is_printable(raised.value)
    registry = ObjectStoreRegistry({"file://": LocalStore()})
    with pytest.raises(ConfigurationError, match=r"^path must be in UTF-8"):
        virtualizarr.open_virtual_dataset(urls[0], registry, VirtualParser())


def test_errors_that_name_them_can_be_printed(path):
    raised = []
    with h5py.File(path, "r+") as file:
        plain = file.create_dataset("plain", data=X)
        with pytest.raises(ConfigurationError, match="must have the flaccodec filter") as error:
            hdf5.to_zarr(plain, {})
        raised.append(error)
        with pytest.raises(FlacCodecError) as error:
            FlacArray.read_hdf5(file)
        raised.append(error)
        file["x"].id.write_direct_chunk((0, 0), b"junk")
        for way in (hdf5.read, lambda x: hdf5.to_zarr(x, {})):
            with pytest.raises(TruncatedChunkError) as error:
                way(file["x"])
            raised.append(error)
    array = flaccodec.create_array(f"{LATIN}.zarr", data=X)
    for chunk in Path(f"{LATIN}.zarr", "c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(b"junk")
    with h5py.File("new.h5", "w") as file, pytest.raises(TruncatedChunkError) as error:
        hdf5.from_zarr(array, file, "x")
    raised.append(error)
    assert all(is_printable(error.value) for error in raised)


@pytest.mark.parametrize(
    "error", [FlacCodecError(LATIN), FrameError(LATIN, 1, 2), CorruptStreamError(LATIN, 1)]
)
def test_their_text(error):
    add_place(error, "é")
    for shown in (error, pickle.loads(pickle.dumps(error))):
        assert str(shown) == r"é: station-\xe4"
    assert str(FlacCodecError("\ud800 is no byte")) == r"\ud800 is no byte"


def test_the_plugins_directory_is_printed_as_it_is(tmp_path):
    package = Path(flaccodec.__file__).parent
    copy = tmp_path / LATIN / "flaccodec"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    printed = subprocess.run(
        [sys.executable, "-m", "flaccodec.hdf5"],
        cwd=copy.parent,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=True,
    ).stdout
    assert printed == os.fsencode(copy / "hdf5_plugin") + b"\n"
    assert Path(os.fsdecode(printed.rstrip(b"\n")), "libh5flaccodec.so").exists()


# -- inside a file -------------------------------------------------------------------------


def test_names_of_members(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset(b"\xe4", data=X, compression=Flac())
        file.create_dataset(b"plain-\xe4", data=X, compression="gzip")
        file.create_dataset("good", data=X, compression=Flac())
        np.testing.assert_array_equal(hdf5.read(x), X)
        np.testing.assert_array_equal(hdf5.to_zarr(x, {})[...], X)
    message = r"names must be in UTF-8\. Got b'(plain-)?\\xe4': rename .*\[os\.fsdecode\(b'"
    with pytest.raises(ConfigurationError, match=message):
        virtual_zarr(tmp_path / "x.h5")
    dropped = [os.fsdecode(name) for name in (b"\xe4", b"plain-\xe4")]
    root = zarr.open_group(virtual_zarr(tmp_path / "x.h5", drop_variables=dropped), mode="r")
    assert list(root) == ["good"]
    np.testing.assert_array_equal(root["good"][...], X)


def test_names_of_attributes(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", data=X, compression=Flac())
        h5a.create(x.id, b"\xe4", h5t.NATIVE_INT32, h5s.create(h5s.SCALAR)).write(np.array(1, "i4"))
        with pytest.raises(ConfigurationError, match=r"with a name in UTF-8.*Got b'\\xe4': change"):
            hdf5.to_zarr(x, tmp_path / "x.zarr")
        assert not (tmp_path / "x.zarr").exists()
        assert dict(hdf5.to_zarr(x, {}, attributes={"a": 1}).attrs) == {"a": 1}
    with pytest.raises(ConfigurationError, match="with a name in UTF-8"):
        virtual_zarr(tmp_path / "x.h5")


def test_names_of_dimensions(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", data=X, compression=Flac())
        file.create_dataset(b"kan\xe4le", data=np.arange(2)).make_scale()
        x.dims[0].attach_scale(file[b"kan\xe4le"])
        assert hdf5.to_zarr(x, {}).metadata.dimension_names == (r"kan\xe4le", None)
