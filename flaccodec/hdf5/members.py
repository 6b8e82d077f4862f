"""What lies in an HDF5 group, where links may lead anywhere."""

from __future__ import annotations

import contextlib
import os
import posixpath
from typing import TYPE_CHECKING, Any

import h5py
from h5py import h5d

from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5.chunks.edges import has_edges_past_filters
from flaccodec.hdf5.low_level.links import follow, link_out

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

_LAYOUTS_WITHOUT_PLACE = {h5d.COMPACT: "compact", h5d.VIRTUAL: "virtual"}
"""Layouts of HDF5 of whose samples no place in the file is known."""

_OF_ZARR = {"zarr.json", ".zgroup", ".zattrs", ".zmetadata", ".."}
"""Names that mean something else in a Zarr store."""


def check_group(hgrp: Any) -> None:
    """Check that something is a group; a file is its first.

    Raises
    ------
    TypeError
        It is something else.
    """
    if not isinstance(hgrp, h5py.Group):
        raise TypeError(f"hgrp must be an h5py.Group. Got {type(hgrp).__name__}.")


def member_place(group: h5py.Group, name: str | bytes, url: str) -> str:
    """Return what to call a member of a group in messages."""
    if isinstance(name, bytes):
        name = name.decode(errors="backslashreplace")
    return f"{posixpath.join(group.name, name)}, in {url}"


def members_of(group: h5py.Group, url: str, dropped: Container[str]) -> dict[str, Any]:
    """Return the members of a group by their names, but for those that are left out.

    Raises
    ------
    ConfigurationError
        A member or its samples lie in another file, or its link leads nowhere, or it is compact,
        or Zarr cannot have its name; the message names it.
    """
    for name in group:
        _check_is_text(name, member_place(group, name, url), dropped)
    found = {name: follow(group, name) for name in group if isinstance(name, str)}
    for name, member in found.items():
        place = member_place(group, name, url)
        if name not in dropped or member is None:
            _check_stays_in_the_file(group, name, place, can_be_dropped=member is not None)
        if member is None:
            raise ConfigurationError(
                f"{place}: a link must lead to something. This one, to "
                f"{group.get(name, getlink=True).path}, does not: delete it in a copy of the file."
            )
    kept = {name: member for name, member in found.items() if name not in dropped}
    for name, member in kept.items():
        _check_can_be_in_a_path(name, member_place(group, name, url))
        if isinstance(member, h5py.Dataset):
            _check_can_be_referred_to(member, member_place(group, name, url))
    return kept


def _check_is_text(name: str | bytes, place: str, dropped: Container[str]) -> None:
    """Refuse names that h5py has as bytes, since they are not UTF-8."""
    if isinstance(name, bytes) and os.fsdecode(name) not in dropped:
        raise ConfigurationError(
            f"{place}: names must be in UTF-8. Got {name!r}: rename it in a copy of the file, or "
            f"leave it out with drop_variables=[os.fsdecode({name!r})]."
        )


def _check_can_be_in_a_path(name: str, place: str) -> None:
    r"""Refuse names that zarr takes for its own files, or for paths: it has "\" for "/"."""
    if name in _OF_ZARR or "\\" in name:
        own = ", ".join(map(repr, sorted(_OF_ZARR)))
        raise ConfigurationError(
            f"{place}: names must be without backslashes, and none of Zarr's own, {own}. Got "
            f"{name!r}: rename it in a copy of the file, or leave it out with "
            f"drop_variables=[{name!r}]."
        )


def _check_stays_in_the_file(
    group: h5py.Group, name: str, place: str, *, can_be_dropped: bool
) -> None:
    """Refuse a link to another file, or by way of one.

    What leads to nothing cannot be left out: VirtualiZarr stumbles over it even then.
    """
    link = link_out(group, name)
    if link is not None:
        is_last = isinstance(group.get(name, getlink=True), h5py.ExternalLink)
        advice = (
            f"leave the link out with drop_variables=[{name!r}]"
            if can_be_dropped
            else "delete the link in a copy of this one"
        )
        raise ConfigurationError(
            f"{place}: all must lie in this file. Got a {'' if is_last else 'way through a '}link "
            f"to {link.path} of {link.filename}: make a store of that file, and {advice}."
        )


def group_of(file: h5py.File, path: str, url: str) -> h5py.Group:
    """Return the group of a path.

    Raises
    ------
    ConfigurationError
        There is none in this file.
    """
    link = link_out(file, path)
    if link is not None:
        raise ConfigurationError(
            f"group must name a group that lies in {url}. Got {path!r}, which leads to {link.path} "
            f"of {link.filename}: make a store of that file."
        )
    group = follow(file, path)
    if not isinstance(group, h5py.Group):
        raise ConfigurationError(f"group must name a group of {url}. Got {path!r}.")
    return group


def _check_can_be_referred_to(dataset: h5py.Dataset, place: str) -> None:
    """Refuse samples that VirtualiZarr does not find, or takes for what filters made of them."""
    plist = dataset.id.get_create_plist()
    layout = _LAYOUTS_WITHOUT_PLACE.get(plist.get_layout())
    if plist.get_external_count():
        layout = "in external files"
    if layout:
        raise ConfigurationError(
            f"{place}: samples must lie in the file, in chunks or in one piece. Got a dataset that "
            f"is {layout}: copy it to one of its own, or leave it out with "
            f"drop_variables=[{posixpath.basename(dataset.name)!r}]."
        )
    if dataset.chunks and plist.get_nfilters() and has_edges_past_filters(dataset):
        raise ConfigurationError(
            f"{place}: all chunks must have gone through the dataset's filters. Got one whose "
            "chunks at the edges have not, as H5Pset_chunk_opts asks: copy it to one without that "
            "(flaccodec.hdf5.to_zarr copies FLAC), or leave it out with "
            f"drop_variables=[{posixpath.basename(dataset.name)!r}]."
        )


def check_is_no_cycle(member: Any, above: Sequence[h5py.Group], place: str) -> None:
    """Refuse a group that lies in itself.

    Raises
    ------
    ConfigurationError
        It is one of the groups above; the message names it.
    """
    for group in above:
        if member == group:
            name = posixpath.basename(member.name)
            raise ConfigurationError(
                f"{place}: groups must not lie in themselves. Got a link to {group.name}: leave "
                f"it out with drop_variables=[{name!r}]."
            )


@contextlib.contextmanager
def made_whole_or_not(group: h5py.Group, name: str | None) -> Iterator[None]:
    """Delete what came to be at a name in a group, where anything is raised inside.

    That is the groups on the way, too. What has no name is gone without that.
    """
    new = None if name is None else _first_missing(group, name)
    try:
        yield
    except BaseException:
        if new is not None and new in group:
            del group[new]
        raise


def _first_missing(group: h5py.Group, name: str) -> str | None:
    """Return how far a path leads to where nothing is yet; None where something is at its end."""
    parts = name.split("/")
    paths = ("/".join(parts[:n]) for n in range(1, len(parts) + 1))
    return next((path for path in paths if path and group.get(path, getlink=True) is None), None)
