"""Zarr's doors on a Python later than 3.11, which later zarrs ask for.

Where such a Python is at hand, it gets an environment in the folder that the environment variable
FLACCODEC_TEST_ENVS names, by default ``.cache`` of the repository, with what PyPI has newest.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OLDEST = 3, 12
NEWEST = 3, 19
SOURCES = ("csrc", "flaccodec", "tests", "*.py", "*.toml", "MANIFEST.in", "LICENSE", "README.md")
REQUIREMENTS = ("pytest>=8", "pytest-asyncio>=0.24", "hypothesis>=6.100", "tqdm>=4.60")
TESTS = (
    "test_kept_memory",
    "test_numcodecs",
    "test_partial_reads",
    "test_partial_selections",
    "test_zarr",
    "test_zarr_arrays",
    "test_zarr_grid",
    "test_zarr_pipeline",
    "test_zarr_testing",
)

pytestmark = [
    pytest.mark.skipif(sys.version_info >= OLDEST, reason="this is such a Python"),
    pytest.mark.skipif(
        "FLACCODEC_TEST_WHEEL" in os.environ, reason="of the sources, which ./dev test has tested"
    ),
]


def candidates():
    """Pythons on the PATH and of pyenv, the latest first."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        found = shutil.which(name)
        if found is not None:
            yield found
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        yield from map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"), reverse=True))


def works(python):
    """Whether it can make environments and build extensions."""
    check = (
        "import ensurepip, venv, sysconfig, os\n"
        "assert os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h'))"
    )
    return subprocess.run([python, "-c", check], capture_output=True).returncode == 0


def copy_sources(folder):
    without = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for pattern in SOURCES:
        for path in ROOT.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, folder / path.name, ignore=without)
            else:
                shutil.copy(path, folder)


def state_of(folder):
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "tests" not in p.parts):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def environment(python, source):
    """Return the Python of an environment with the sources as they are."""
    cache = Path(os.environ.get("FLACCODEC_TEST_ENVS", ROOT / ".cache"))
    folder = cache / Path(python).name
    done, state = folder / "done", state_of(source)
    inside = folder / "bin" / "python"
    if not done.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    if not done.exists() or done.read_text() != state:
        pip = [inside, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        package = f"{source}[zarr,numcodecs,hdf5]"
        subprocess.run([*pip, "--upgrade", package, *REQUIREMENTS], check=True)
        done.write_text(state)
    return inside


def test_zarr_on_a_newer_python(tmp_path):
    python = next(filter(works, candidates()), None)
    if python is None:
        pytest.skip("no Python later than 3.11 is here")
    copy_sources(tmp_path)
    inside = environment(python, tmp_path)
    shutil.rmtree(tmp_path / "flaccodec")
    command = [inside, "-m", "pytest", "-q", *(f"tests/{name}.py" for name in TESTS)]
    variables = {**os.environ, "FLACCODEC_TEST_WHEEL": "1", "PYTHONPATH": ""}
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST"):
        variables.pop(name, None)
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 500
