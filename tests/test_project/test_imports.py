"""What needs what: numpy alone for the package, one extra for each door."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(f"no module named {{name}}")
sys.meta_path.insert(0, Block())
"""
DOORS = ["zarr", "numcodecs", "h5py", "mpi4py", "matplotlib"]


def run(program, blocked=()):
    code = BLOCKED.format(blocked=set(blocked)) + program
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_package_needs_numpy_alone():
    program = """
import numpy as np, flaccodec, flaccodec.core, flaccodec.chunks.options, flaccodec.chunks.selection
import flaccodec.demo, flaccodec.groups.read
chunk = flaccodec.core.encode_chunk(np.arange(9))
assert (flaccodec.core.decode_chunk(chunk) == np.arange(9)).all()
assert "FlacCodec" in dir(flaccodec)
"""
    result = run(program, DOORS)
    assert result.returncode == 0, result.stderr


def test_importing_the_package_imports_no_door():
    program = f"""
import flaccodec
loaded = set({DOORS!r}) & set(sys.modules)
assert not loaded, loaded
"""
    result = run(program)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("use", "blocked", "extra"),
    [
        ("flaccodec.FlacCodec", "zarr", "flaccodec[zarr]"),
        ("flaccodec.create_array", "zarr", "flaccodec[zarr]"),
        ("flaccodec.encoding()", "zarr", "flaccodec[zarr]"),
        ("flaccodec.encoding(engine='h5netcdf')", "h5py", "flaccodec[hdf5]"),
        ("__import__('flaccodec.numcodecs')", "numcodecs", "flaccodec[numcodecs]"),
        ("__import__('flaccodec.hdf5')", "h5py", "flaccodec[hdf5]"),
        ("__import__('flaccodec.hdf5').hdf5.to_zarr", "zarr", "flaccodec[zarr]"),
        ("__import__('flaccodec.hdf5').hdf5.virtual_zarr", "virtualizarr", "flaccodec[virtual]"),
        ("__import__('flaccodec.hdf5').hdf5.virtual_zarr", "obstore", "flaccodec[virtual]"),
        ("__import__('flaccodec.zarr.groups.arrays')", "zarr", "flaccodec[zarr]"),
        (
            "__import__('flaccodec.demo').demo.plot_residual([1], [1], file='x')",
            "matplotlib",
            "flaccodec[plot]",
        ),
    ],
)
def test_a_missing_library_names_its_extra(use, blocked, extra):
    result = run(f"import flaccodec\n{use}", [blocked])
    assert result.returncode == 1
    assert "ImportError" in result.stderr
    assert extra in result.stderr.splitlines()[-1]


def test_hdf5_needs_h5py_alone():
    program = """
import numpy as np, h5py, flaccodec
from flaccodec import FlacArray, hdf5
assert "to_zarr" in dir(hdf5)
with h5py.File("x", "w", driver="core", backing_store=False) as file:
    FlacArray.from_array(np.arange(9)).write_hdf5(file, name="x", layout="chunks")
    hdf5.write(file["x"], 3, slice(2))
    assert hdf5.read(file["x"])[:3].tolist() == [3, 3, 2]
"""
    result = run(program, {*DOORS, "xarray", "virtualizarr"} - {"h5py"})
    assert result.returncode == 0, result.stderr


def test_unknown_names_are_attribute_errors():
    import flaccodec
    import flaccodec.hdf5

    with pytest.raises(AttributeError, match=r"module 'flaccodec\.hdf5' has no attribute 'flac'"):
        _ = flaccodec.hdf5.flac

    with pytest.raises(AttributeError, match="no attribute 'Flac'"):
        _ = flaccodec.Flac
