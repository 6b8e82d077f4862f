"""Builds flaccodec/hdf5_plugin/libh5flaccodec.so, which HDF5 loads by itself.

A plain shared library: it is linked to neither Python nor HDF5.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from setuptools import Extension
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent))  # builds run without it

from build_flags import check_version, compile_args, core_sources, hdf5_sources, headers, link_args

IS_MAC = sys.platform == "darwin"
NAME = "flaccodec.hdf5_plugin.libh5flaccodec"


def make_plugin() -> Extension:
    check_version()
    return Extension(
        NAME,
        sources=[*core_sources(), *hdf5_sources()],
        include_dirs=["csrc"],
        depends=headers(),
        extra_compile_args=compile_args(),
        # HDF5 unloads its plugins when it is closed; the threads of this one stay.
        extra_link_args=[*link_args(), "-ldl", *([] if IS_MAC else ["-Wl,-z,nodelete"])],
    )


class BuildExtensions(build_ext):
    """Names the plugin as HDF5 looks for it, without Python's version in it."""

    def get_ext_filename(self, fullname: str) -> str:
        # setuptools asks with the package's name and without.
        if NAME.endswith(fullname):
            return str(Path(*fullname.split("."))) + ".so"
        return str(super().get_ext_filename(fullname))  # type: ignore[no-untyped-call]

    def build_extension(self, ext: Extension) -> None:
        """Keep the objects of the same sources with other flags apart."""
        common = self.build_temp
        if ext.name == NAME:
            self.build_temp = str(Path(common) / "hdf5")
        super().build_extension(ext)
        self.build_temp = common

    def copy_extensions_to_source(self) -> None:
        """Make the folder first, which holds nothing that git would keep."""
        build_py: Any = self.get_finalized_command("build_py")
        package = Path(build_py.get_package_dir("flaccodec"))
        (package / "hdf5_plugin").mkdir(exist_ok=True)
        super().copy_extensions_to_source()
