"""Only for cffi_modules, which pyproject.toml has no word for."""

from setuptools import setup

setup(cffi_modules=["build_ffi.py:ffibuilder"])
