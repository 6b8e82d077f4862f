"""Only for what pyproject.toml has no word for: the two things that are compiled."""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).resolve().parent))  # builds run without it

from build_commands import BuildExtensions, make_plugin

setup(
    cffi_modules=["build_ffi.py:ffibuilder"],
    ext_modules=[make_plugin()],
    cmdclass={"build_ext": BuildExtensions},
)
