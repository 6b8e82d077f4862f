"""Zarr arrays that could not be filled are removed: they would open, with fill values."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zarr.core.sync import sync
from zarr.storage._common import make_store_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zarr.abc.store import Store
    from zarr.storage import StoreLike, StorePath

_METADATA = "zarr.json"


@dataclass(frozen=True)
class Place:
    """Where an array is to be made, and what of it will be new.

    Attributes
    ----------
    store_path : StorePath
    all_is_new : bool
        Whether all that will be there is the array's, since there is nothing yet, or it goes.
    new_groups : list of str
        Paths of the groups above that are not there yet, and that Zarr makes; the root first.
    """

    store_path: StorePath
    all_is_new: bool
    new_groups: list[str]

    @classmethod
    def of(
        cls,
        store: StoreLike,
        name: str | None,
        storage_options: dict[str, Any] | None,
        overwrite: bool,
    ) -> Place:
        """Look at a place, given as for ``zarr.create_array``."""
        return sync(cls._of(store, name, storage_options, overwrite))

    @classmethod
    async def _of(
        cls,
        store_like: StoreLike,
        name: str | None,
        storage_options: dict[str, Any] | None,
        overwrite: bool,
    ) -> Place:
        store_path = await make_store_path(
            store_like, path=name, mode="a", storage_options=storage_options
        )
        store, path = store_path.store, store_path.path
        all_is_new = overwrite or (store.supports_listing and await store.is_empty(path))
        groups = [group for group in _above(path) if not await store.exists(_key(group))]
        return cls(store_path, all_is_new, groups)

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """Remove the array, which by now is made, where anything is raised inside."""
        try:
            yield
        except BaseException as error:
            try:
                sync(self._remove())
            except Exception as failure:
                error.add_note(
                    f"{self.store_path} is incomplete, and could not be removed: {failure!r}. "
                    "Delete it."
                )
            raise

    async def _remove(self) -> None:
        store, path = self.store_path.store, self.store_path.path
        await (self.store_path / _METADATA).delete()  # first: then it no longer opens
        if self.all_is_new:
            await (store.delete_dir(path) if path else store.clear())
        for group in reversed(self.new_groups):
            if await _first_keys(store, group) == [_key(group)]:
                await (store.delete_dir(group) if group else store.delete(_METADATA))


def _above(path: str) -> list[str]:
    """Return the paths of the groups above, the root first."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:n]) for n in range(len(parts))]


def _key(path: str) -> str:
    return f"{path}/{_METADATA}" if path else _METADATA


async def _first_keys(store: Store, path: str) -> list[str]:
    """Return two of the keys at a path, or all where there are fewer."""
    found: list[str] = []
    async for key in store.list_prefix(f"{path}/" if path else ""):
        found.append(key)
        if len(found) == 2:
            break
    return found
