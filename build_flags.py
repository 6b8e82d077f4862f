"""How the C sources are compiled, for the cffi module and for the HDF5 plugin alike.

Nothing here is looked for before something is compiled, so that metadata and source
distributions are made without libFLAC.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
IS_MAC = sys.platform == "darwin"
IS_DEBUG = bool(os.environ.get("FLACCODEC_DEBUG"))
"""Whether what is installed keeps symbols, for profilers and debuggers."""

MINIMUM = (1, 4, 0)
HOW = (
    "Install it with your system's package manager: libflac-dev and pkg-config (Debian, Ubuntu), "
    "flac-devel and pkgconf (Fedora), flac and pkgconf (Homebrew, Arch)."
)
HOW_TO_COMPILE = (
    "Install one with your system's package manager: build-essential (Debian, Ubuntu), "
    "gcc (Fedora), base-devel (Arch); on macOS by xcode-select --install."
)


def check_compiler(command: list[str]) -> None:
    """Refuse a build whose compiler, the first word of a command, is not there."""
    if shutil.which(command[0]) is None:
        raise SystemExit(
            f"flaccodec: a C compiler is needed, and {command[0]} is not installed. "
            f"{HOW_TO_COMPILE}"
        )


def pkg_config(*arguments: str) -> str:
    program = os.environ.get("PKG_CONFIG") or shutil.which("pkg-config") or shutil.which("pkgconf")
    if program is None:
        raise SystemExit(f"flaccodec: pkg-config, which finds libFLAC, is not installed. {HOW}")
    result = subprocess.run(
        [program, *arguments, "flac"], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(
            f"flaccodec: libFLAC's development files were not found. {HOW}\n{result.stderr}"
        )
    return result.stdout.strip()


def check_version() -> None:
    found = pkg_config("--modversion")
    numbers = tuple(int(n) for n in re.findall(r"\d+", found)[:3])
    if numbers < MINIMUM:
        wanted = ".".join(map(str, MINIMUM))
        raise SystemExit(f"flaccodec: libFLAC {wanted} or later is needed, found {found}. {HOW}")


def find(pattern: str) -> list[str]:
    """Return files of the sources, as setuptools wants them: sorted, relative to here."""
    return sorted(str(path.relative_to(HERE)) for path in HERE.glob(pattern))


def hdf5_sources() -> list[str]:
    return find("csrc/hdf5/*.c")


def core_sources() -> list[str]:
    """Return the sources of the library, which knows nothing of HDF5."""
    return sorted(set(find("csrc/**/*.c")) - set(hdf5_sources()))


def headers() -> list[str]:
    return find("csrc/**/*.h")


def compile_args() -> list[str]:
    return [
        "-O3",
        "-g" if IS_DEBUG else "-g0",  # Python's own flags may say -g
        "-std=gnu11",
        "-pthread",
        "-fvisibility=hidden",
        # Samples are the same on every machine: no contraction to fused
        # operations where the code does not ask for one.
        "-ffp-contract=off",
        # Neither errno nor traps are looked at; loops vectorize without.
        "-fno-math-errno",
        "-fno-trapping-math",
        # A dtype that is new is seen wherever something must be done for it.
        "-Werror=switch",
        *pkg_config("--cflags").split(),
    ]


def link_args() -> list[str]:
    # macOS's linker has no such option.
    strip = [] if IS_MAC or IS_DEBUG else ["-Wl,-s"]
    return [*pkg_config("--libs").split(), "-lm", "-pthread", *strip]
