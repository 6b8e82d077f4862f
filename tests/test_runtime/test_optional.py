"""What is said when an optional library is missing, too old, or broken."""

import importlib.metadata
import subprocess
import sys

import pytest

from flaccodec.runtime.optional import check_version, needed, oldest

DOORS = [
    ("zarr", "flaccodec.FlacCodec", "zarr"),
    ("zarr", "flaccodec.create_array", "zarr"),
    ("zarr", "flaccodec.encoding()", "zarr"),
    ("zarr", "import flaccodec.zarr.pipeline.pipeline", "zarr"),
    ("zarr", "import flaccodec.zarr", "zarr"),
    ("zarr", "flaccodec.FlacArray.from_zarr('x')", "zarr"),
    ("zarr", "flaccodec.FlacArray.from_array([1]).to_zarr('x')", "zarr"),
    ("zarr", "flaccodec.FlacArray.read_zarr('x')", "zarr"),
    ("h5py", "import flaccodec.hdf5", "hdf5"),
    ("h5py", "flaccodec.encoding(engine='h5netcdf')", "hdf5"),
    ("h5py", "flaccodec.FlacArray.read_hdf5('x', 'x')", "hdf5"),
    ("numcodecs", "import flaccodec.numcodecs", "numcodecs"),
    ("mpi4py", "from flaccodec.mpi import _import; _import()", "mpi"),
    (
        "matplotlib",
        "import flaccodec.demo; flaccodec.demo.plot_residual([1], [1], file='x')",
        "plot",
    ),
    (
        "tqdm",
        "from flaccodec.runtime.progress import check_progress; check_progress(True)",
        "progress",
    ),
    ("xarray", "flaccodec.encoding()", "xarray"),
    ("h5netcdf", "flaccodec.encoding(engine='h5netcdf')", "xarray"),
]


def run_beside(tmp_path, library, source, use):
    """Run a use of flaccodec where a library is what it is not."""
    (tmp_path / library).mkdir()
    (tmp_path / library / "__init__.py").write_text(source)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport flaccodec\n{use}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]


def write_metadata(folder, name, version):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.mark.parametrize(("library", "use", "extra"), DOORS, ids=lambda value: value)
def test_a_library_that_is_too_old(tmp_path, library, use, extra):
    write_metadata(tmp_path, library, "0.9.1")
    message = run_beside(tmp_path, library, "__version__ = '0.9.1'\n", use)
    least = oldest()[library]
    assert f" needs {library} {least} or later, and 0.9.1 is installed: pip install" in message
    assert f"'flaccodec[{extra}]'" in message


def test_an_old_library_that_has_all_that_is_imported_is_refused_too(monkeypatch):
    numcodecs = pytest.importorskip("numcodecs")
    monkeypatch.setattr(numcodecs, "__version__", "0.14.9")
    with (
        pytest.raises(ImportError, match=r"a test needs numcodecs \S+ or later, and 0\.14\.9 is"),
        needed("a test", "numcodecs"),
    ):
        import numcodecs.abc


@pytest.mark.parametrize(
    "version", ["{}", "{}.0", "{}rc1", "{}.post1", "{}+local", "999", "999.dev0"]
)
def test_versions_that_will_do(monkeypatch, version):
    numcodecs = pytest.importorskip("numcodecs")
    monkeypatch.setattr(numcodecs, "__version__", version.format(oldest()["numcodecs"]))
    check_version("numcodecs", "a test", "numcodecs")


def test_a_library_that_is_missing(monkeypatch):
    monkeypatch.delitem(sys.modules, "zarr", raising=False)

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    said = r"needs zarr \S+ or later, which is not installed"
    with pytest.raises(ImportError, match=said) as caught, needed("a test", "zarr"):
        raise ModuleNotFoundError("No module named 'zarr'")
    assert "numcodecs" not in str(caught.value)
    assert caught.value.name == "zarr"
    check_version("zarr", "a test", "zarr")


def test_a_library_that_cannot_be_imported(tmp_path):
    source = "__version__ = '999.0'\nraise ImportError('libhdf5.so: no such file')\n"
    write_metadata(tmp_path, "h5py", "999.0")
    message = run_beside(tmp_path, "h5py", source, "import flaccodec.hdf5")
    assert "and 999.0, which is installed, cannot be imported (libhdf5.so: no such file)" in message
    assert "pip install 'flaccodec[hdf5]'" in message


def test_each_library_of_an_extra_has_a_lower_bound():
    lines = importlib.metadata.requires("flaccodec")
    assert oldest().keys() >= {"numpy", "cffi", *(library for library, _, _ in DOORS)}
    for line in lines:
        assert ">=" in line or line.startswith("flaccodec["), line
