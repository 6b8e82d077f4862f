"""Where the links of an HDF5 file lead: to what lies in it, or out of it."""

from __future__ import annotations

from typing import Any

import h5py

_MOST_LINKS = 16
"""How many soft links HDF5 follows on one path, unless it is told another number."""


def follow(group: h5py.Group, path: str) -> Any:
    """Return what a path leads to; None where that is nothing, or links in a circle."""
    try:
        return group.get(path)
    except RuntimeError:  # "too many links"
        return None


def link_out(group: h5py.Group, path: str) -> h5py.ExternalLink | None:
    """Return the first link to another file on a path; None where the path stays in its own.

    HDF5 follows such a link into the one file that it was given, where h5py reads from a Python
    object: what it finds there says nothing. So each part of the path is looked at, and
    those of soft links on the way.

    Parameters
    ----------
    group : h5py.Group
        Where the path starts, unless it starts with "/".
    path : str
        It may lead nowhere.
    """
    here, parts = _start(group, path)
    followed = 0
    while parts and isinstance(here, h5py.Group):
        name = parts.pop(0)
        link = here.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            return link
        if isinstance(link, h5py.SoftLink) and followed < _MOST_LINKS:
            here, way = _start(here, link.path)
            parts = [*way, *parts]
            followed += 1
        else:
            here = here.get(name) if isinstance(link, h5py.HardLink) else None
    return None


def _start(group: h5py.Group, path: str) -> tuple[h5py.Group, list[str]]:
    """Return the group in which a path starts, and its parts."""
    start = group["/"] if path.startswith("/") else group
    return start, [part for part in path.split("/") if part not in ("", ".")]
