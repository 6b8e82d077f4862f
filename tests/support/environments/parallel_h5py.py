"""An h5py built for parallel HDF5, in a folder of its own.

It is made once, against Debian's libhdf5-openmpi-dev, and kept between runs (see
kept.py). Programs that have the folder in PYTHONPATH import it in place of the h5py from
PyPI, which is built without MPI; all else is what runs the tests.
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.environments import kept

REQUIREMENT = "h5py==3.16.0"
BUILD_REQUIREMENTS = ["cython>=3.1,<4", "pkgconfig", "setuptools>=77"]
VERSION = f"Python {sys.version}"


def _directory(option):
    """Return a directory that pkg-config tells, such as that of ``-I``, the headers'."""
    command = ["pkg-config", f"--{option}", "hdf5-openmpi"]
    flags = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return next(flag[2:] for flag in flags if "hdf5" in flag)


def _install(folder):
    build = folder / "build"
    variables = {
        **os.environ,
        "CC": "mpicc",
        "CFLAGS": "-O1 -g0",  # it takes half the time, and these tests need no speed
        "HDF5_MPI": "ON",
        "HDF5_INCLUDEDIR": _directory("cflags-only-I"),
        "HDF5_LIBDIR": _directory("libs-only-L"),
        "PYTHONPATH": str(build),
    }
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, "--target", build, *BUILD_REQUIREMENTS], check=True)
    # Isolated, the build would compile an mpi4py of its own, which takes longer than h5py.
    # pip's cache would give this h5py to those who want the one without MPI.
    options = ["--no-build-isolation", "--no-cache-dir", "--no-binary=h5py", "--no-deps"]
    command = [*pip, *options, "--target", folder, REQUIREMENT]
    subprocess.run(command, check=True, env=variables)
    subprocess.run(["rm", "-rf", build], check=True)


def parallel_h5py():
    """Return the folder that holds this h5py; build it, in some minutes, if there is none yet."""
    library = f"HDF5 in {_directory('libs-only-L')}"
    return kept.kept("h5py-openmpi", [REQUIREMENT, *BUILD_REQUIREMENTS, VERSION, library], _install)


if __name__ == "__main__":
    print(parallel_h5py())
