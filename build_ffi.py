"""Builds flaccodec._native, the cffi binding of csrc/ over the system's libFLAC."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
MINIMUM = (1, 4, 0)
HOW = (
    "Install it with your system's package manager: libflac-dev and pkg-config (Debian, Ubuntu), "
    "flac-devel and pkgconf (Fedora), flac and pkgconf (Homebrew, Arch)."
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


def declarations() -> str:
    """Return the interface between the marks of the header, which cffi can read."""
    header = (HERE / "csrc" / "flaccodec.h").read_text()
    begin = header.index("*/", header.index("cffi: begin")) + 2
    text = header[begin : header.index("/* cffi: end */")]
    return re.sub(r"(#define \w+ \d+).*?/\*.*?\*/", r"\1", text)


def make_builder() -> cffi.FFI:
    check_version()
    builder = cffi.FFI()
    builder.cdef(declarations())
    sources = sorted(str(p.relative_to(HERE)) for p in (HERE / "csrc").glob("*.c"))
    builder.set_source(
        "flaccodec._native",
        '#include "flaccodec.h"',
        sources=sources,
        include_dirs=["csrc"],
        depends=sorted(str(p.relative_to(HERE)) for p in (HERE / "csrc").glob("*.h")),
        extra_compile_args=[
            "-O3",
            "-std=gnu11",
            "-fopenmp",
            "-fvisibility=hidden",
            # Samples are the same on every machine: no contraction to fused
            # operations where the code does not ask for one.
            "-ffp-contract=off",
            # Neither errno nor traps are looked at; loops vectorize without.
            "-fno-math-errno",
            "-fno-trapping-math",
            *pkg_config("--cflags").split(),
        ],
        extra_link_args=["-fopenmp", *pkg_config("--libs").split(), "-lm"],
    )
    return builder


ffibuilder = make_builder()

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
