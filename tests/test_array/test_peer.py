"""flacarray's own unit tests, with flaccodec's modules in place of its own."""

import sys
import types
import unittest
from pathlib import Path

import flacarray
import pytest

import flaccodec.hdf5
import flaccodec.mpi
import flaccodec.zarr  # noqa: F401 - the tests import from it

TESTS = Path(flacarray.__file__).parent / "tests"
RENAMED = (
    ("from ..hdf5_utils", "from flacarray.hdf5_utils"),  # how it opens files
    (
        "from ..zarr import have_zarr, write_array, read_array, ZarrGroup",
        "from flacarray.zarr import have_zarr, ZarrGroup\n"
        "from flaccodec.zarr import write_array, read_array",
    ),
    ("from ..", "from flaccodec."),
)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["array", "utils", "hdf5", "zarr"])
def test_theirs_pass(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = (TESTS / f"{name}.py").read_text()
    for theirs, ours in RENAMED:
        text = text.replace(theirs, ours)
    assert "from flaccodec." in text
    module = types.ModuleType(f"peer_{name}")
    module.__file__ = str(tmp_path / f"{name}.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(text, module.__name__, "exec"), module.__dict__)
    result = unittest.TestResult()
    tests = unittest.defaultTestLoader.loadTestsFromModule(module)
    tests.run(result)
    assert result.testsRun > 0
    assert not result.failures + result.errors
