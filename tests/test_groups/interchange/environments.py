"""Environments in which versions of the flacarray package run.

Each has its own numpy, h5py and zarr, and is kept between runs (see kept.py of tests/support).
"""

import subprocess
import sys
from pathlib import Path

from support.environments import kept

PROGRAMS = Path(__file__).resolve().parent

# flacarray 0.2.2 knows zarr-python 2 alone; zarr 2 needs what numcodecs dropped in 0.16.
REQUIREMENTS = {
    "0.2.2": ["h5py", "zarr<3", "numcodecs<0.16"],
    "0.3.4": ["h5py", "zarr>=3"],
    "0.4.1": ["h5py", "zarr>=3"],
}


def environment(version):
    """Return the Python of an environment with this flacarray, made if there is none yet."""
    requirements = [f"flacarray=={version}", *REQUIREMENTS[version]]
    return kept.environment(f"flacarray-{version}", sys.executable, *requirements)


def run_program(version, name, *arguments):
    """Run a program of this folder in the environment of a version; return its output."""
    command = [environment(version), PROGRAMS / name, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} with flacarray {version} failed:\n{done.stderr}")
    return done.stdout
