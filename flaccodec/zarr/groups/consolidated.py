"""Zarr groups past consolidated metadata, which tell of the time when they were made.

What is written to a group later is not in them, and zarr does not bring them up to date: through
such a group an array that was just created is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import zarr

if TYPE_CHECKING:
    from collections.abc import Iterable


def past_consolidated(group: zarr.Group) -> zarr.Group:
    """Return a group as its store has it now; the same where it has no consolidated metadata."""
    if group.metadata.consolidated_metadata is None:
        return group
    return zarr.open_group(
        group.store_path,
        mode="r" if group.read_only else "r+",
        zarr_format=group.metadata.zarr_format,
        use_consolidated=False,
    )


def with_members(group: zarr.Group, attribute: str, names: Iterable[str]) -> zarr.Group:
    """Return a group, past consolidated metadata if these lack an attribute or a member."""
    if group.metadata.consolidated_metadata is None:  # ask the store nothing
        return group
    told = attribute in group.attrs and all(name in group for name in names)
    return group if told else past_consolidated(group)
