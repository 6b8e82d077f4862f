"""Builds what is compiled: flaccodec._native, and flaccodec/hdf5_plugin/libh5flaccodec.so.

HDF5 loads the latter by itself. It is a plain shared library, linked to neither Python nor HDF5.
Both hold the library of csrc/, which is compiled once, by all processors.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Extension
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent))  # builds run without it

from build_flags import (
    IS_MAC,
    check_compiler,
    check_version,
    compile_args,
    core_sources,
    hdf5_sources,
    headers,
    link_args,
)

PLUGIN = "flaccodec.hdf5_plugin.libh5flaccodec"


def make_plugin() -> Extension:
    """Return the plugin. Its sources are compiled before it, as those of the library are."""
    return Extension(
        PLUGIN,
        sources=[],
        depends=[*hdf5_sources(), *headers()],
        # HDF5 unloads its plugins when it is closed; the threads of this one stay.
        extra_link_args=["-ldl", *([] if IS_MAC else ["-Wl,-z,nodelete"])],
    )


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class BuildExtensions(build_ext):
    """Compiles each source once, and links what both extensions need."""

    compiler: Any  # setuptools knows what it is once the command runs

    def build_extensions(self) -> None:
        check_compiler(self.compiler.compiler_so)
        check_version()
        arguments, libraries = compile_args(), link_args()
        core, hdf5 = core_sources(), hdf5_sources()
        objects = self.compile([*core, *hdf5], arguments)
        for ext in self.extensions:
            ext.depends += [*core, *headers()]
            ext.extra_compile_args += arguments
            ext.extra_link_args += libraries
            ext.extra_objects += objects[: len(core)]
            if ext.name == PLUGIN:
                ext.extra_objects += objects[len(core) :]
        super().build_extensions()

    def compile(self, sources: list[str], arguments: list[str]) -> list[str]:
        """Compile sources side by side; return their objects."""

        def compile_one(source: str) -> str:
            (made,) = self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                include_dirs=["csrc"],
                extra_postargs=arguments,
            )
            return str(made)

        with ThreadPoolExecutor(processors()) as pool:
            return list(pool.map(compile_one, sources))

    def get_ext_filename(self, fullname: str) -> str:
        """Name the plugin as HDF5 looks for it, without Python's version in it."""
        # setuptools asks with the package's name and without.
        if PLUGIN.endswith(fullname):
            return str(Path(*fullname.split("."))) + ".so"
        return str(super().get_ext_filename(fullname))  # type: ignore[no-untyped-call]

    def copy_extensions_to_source(self) -> None:
        """Make the folder first, which holds nothing that git would keep."""
        build_py: Any = self.get_finalized_command("build_py")
        package = Path(build_py.get_package_dir("flaccodec"))
        (package / "hdf5_plugin").mkdir(exist_ok=True)
        super().copy_extensions_to_source()
