"""The cffi binding flaccodec._native of csrc/. build_commands.py adds what it is linked with."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import cffi

sys.path.insert(0, str(Path(__file__).resolve().parent))  # builds run without it

from build_flags import HERE


def declarations() -> str:
    """Return the interface between the marks of the header, which cffi can read."""
    header = (HERE / "csrc" / "flaccodec.h").read_text()
    begin = header.index("*/", header.index("cffi: begin")) + 2
    text = header[begin : header.index("/* cffi: end */")]
    return re.sub(r"(#define \w+ \d+).*?/\*.*?\*/", r"\1", text)


def make_builder() -> cffi.FFI:
    builder = cffi.FFI()
    builder.cdef(declarations())
    builder.cdef('extern "Python" int flaccodec_ask(void *context);')  # core.py defines it
    builder.set_source("flaccodec._native", '#include "flaccodec.h"', include_dirs=["csrc"])
    return builder


ffibuilder = make_builder()
