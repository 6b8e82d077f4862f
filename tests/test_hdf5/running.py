"""Programs that have the HDF5 filter, or have not, and what they print."""

import os
import subprocess
import sys

from flaccodec import hdf5

WITH_PLUGIN = os.environ | {"HDF5_PLUGIN_PATH": hdf5.PLUGIN_PATH}
WITHOUT = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
VALGRIND = [
    "valgrind",
    "-q",
    "--error-exitcode=99",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite",
]


def run(*command, environment=WITH_PLUGIN, code=0):
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def pkg_config(*names):
    return run("pkg-config", "--cflags", "--libs", *names).split()


def python(program, *arguments, **options):
    return run(sys.executable, "-W", "error", "-c", program, *arguments, **options)
