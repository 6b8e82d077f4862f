"""The machine that was measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contestants.libflac import bundled_library, version_of
from flaccodec.runtime.threads import available_processors

if TYPE_CHECKING:
    from benchmarks.results import Machine

PACKAGES = ("flaccodec", "numpy", "zarr", "numcodecs", "flacarray", "pcodec", "h5py", "hdf5plugin")


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _libflac_of_system() -> str:
    try:
        command = ["pkg-config", "--modversion", "flac"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _libflac_of_flacarray() -> str:
    library = bundled_library()
    return (library and version_of(library)) or "that of the system"


def describe_machine() -> Machine:
    """Return processor, system and versions, but neither host names nor paths."""
    versions = {name: version(name) for name in PACKAGES}
    versions["libFLAC"] = _libflac_of_system()
    versions["libFLAC in flacarray's wheel"] = _libflac_of_flacarray()
    return {
        "processor": _processor(),
        "processors": available_processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
        "versions": versions,
    }
