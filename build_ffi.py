"""Builds flaccodec._native, the cffi binding of csrc/ over the system's libFLAC."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import cffi

sys.path.insert(0, str(Path(__file__).resolve().parent))  # builds run without it

from build_flags import HERE, check_version, compile_args, core_sources, headers, link_args


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
    builder.cdef('extern "Python" int flaccodec_ask(void *context);')  # core.py defines it
    builder.set_source(
        "flaccodec._native",
        '#include "flaccodec.h"',
        sources=core_sources(),
        include_dirs=["csrc"],
        depends=headers(),
        extra_compile_args=compile_args(),
        extra_link_args=link_args(),
    )
    return builder


ffibuilder = make_builder()

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
