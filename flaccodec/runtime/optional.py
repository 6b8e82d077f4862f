"""Optional libraries: what to say when one is missing or too old."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_version", "needed", "oldest"]

_INSTEAD = {"zarr": " In Zarr arrays of format 2, zarr 2 can use flaccodec.numcodecs.Flac."}
"""What a user who must stay with the older library can do."""

_LOWER_BOUND = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*>=\s*([\d.]+)")


@cache
def oldest() -> dict[str, str]:
    """Return the lower bound of each library, as pyproject.toml states it first."""
    bounds: dict[str, str] = {}
    for found in map(_LOWER_BOUND.match, metadata.requires("flaccodec") or ()):
        if found:
            bounds.setdefault(found[1].lower(), found[2])
    return bounds


@contextmanager
def needed(by: str, extra: str, *libraries: str) -> Iterator[None]:
    """Import libraries inside of this: their absence is then explained.

    Parameters
    ----------
    by : str
        What needs them, as users know it.
    extra : str
        The extra of flaccodec that installs them.
    *libraries : str
        Their names, by default that of the extra.

    Raises
    ------
    ImportError
        A library is missing, older than pyproject.toml asks for, or cannot be imported. The
        message names the version that is needed and the one that is there.
    """
    names = libraries or (extra,)
    try:
        yield
    except (ImportError, AttributeError, RuntimeError) as error:  # RuntimeError: no MPI library
        for name in names:
            check_version(name, by, extra, or_missing=True)
        failed = next((name for name in names if name in str(error)), names[0])
        found = f"and {_version(failed)}, which is installed, cannot be imported ({error})"
        raise _error(failed, by, extra, found) from error
    for name in names:
        check_version(name, by, extra)


def check_version(name: str, by: str, extra: str, *, or_missing: bool = False) -> None:
    """Refuse a library that is older than pyproject.toml asks for.

    Parameters
    ----------
    name : str
        The library's.
    by : str
        What needs it, as users know it.
    extra : str
        The extra of flaccodec that installs it.
    or_missing : bool, default False
        Refuse to do without it, too.

    Raises
    ------
    ImportError
        The message names the version that is needed and the one that is there.
    """
    there = _version(name)
    if there is None:
        if or_missing:
            raise _error(name, by, extra, "which is not installed")
    elif _numbers(there) < _numbers(oldest()[name]):
        raise _error(name, by, extra, f"and {there} is installed", _INSTEAD.get(name, ""))


def _error(name: str, by: str, extra: str, found: str, instead: str = "") -> ImportError:
    needs = f"{by} needs {name} {oldest()[name]} or later, {found}"
    return ImportError(f"{needs}: pip install 'flaccodec[{extra}]'.{instead}", name=name)


def _version(name: str) -> str | None:
    """Return a library's version: of what was imported, else of what is installed."""
    version = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(version, str):
        return version
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers without trailing zeros: 3.1 is 3.1.0."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(n) for n in match[0].split(".")] if match else [0]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
