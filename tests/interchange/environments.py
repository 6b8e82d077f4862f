"""Environments in which versions of the flacarray package run.

Each is made once, with its own numpy, h5py and zarr, in the folder that the environment
variable FLACCODEC_TEST_ENVS names, by default ``.cache`` of the repository.
"""

import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent

# flacarray 0.2.2 knows zarr-python 2 alone; zarr 2 needs what numcodecs dropped in 0.16.
REQUIREMENTS = {
    "0.2.2": ["h5py", "zarr<3", "numcodecs<0.16"],
    "0.3.4": ["h5py", "zarr>=3"],
    "0.4.1": ["h5py", "zarr>=3"],
}


@contextmanager
def _locked(path):
    """Let one process at a time in: tests run in several."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment(version):
    """Return the Python of an environment with this flacarray, made if there is none yet."""
    cache = Path(os.environ.get("FLACCODEC_TEST_ENVS", ROOT / ".cache"))
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"flacarray-{version}"
    requirements = [f"flacarray=={version}", *REQUIREMENTS[version]]
    python, done = folder / "bin" / "python", folder / "done"
    with _locked(cache / f"flacarray-{version}.lock"):
        if not done.exists() or done.read_text().splitlines() != requirements:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
            subprocess.run([*pip, "install", *requirements], check=True)
            done.write_text("\n".join(requirements))
    return python


def run_program(version, name, *arguments):
    """Run a program of this folder in the environment of a version; return its output."""
    command = [environment(version), PROGRAMS / name, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} with flacarray {version} failed:\n{done.stderr}")
    return done.stdout
