"""The C sources, for whatever compiles them besides the build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CSRC = ROOT / "csrc"
"""The folder that `#include` lines are written from."""


def hdf5_sources() -> list[Path]:
    """Return the sources of the HDF5 filter alone."""
    return sorted((CSRC / "hdf5").glob("*.c"))


def core_sources() -> list[Path]:
    """Return the sources of the library, which knows nothing of HDF5."""
    return sorted(set(CSRC.glob("**/*.c")) - set(hdf5_sources()))


def headers() -> list[Path]:
    """Return all headers."""
    return sorted(CSRC.glob("**/*.h"))
