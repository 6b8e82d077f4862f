"""Zarr arrays come to be when all of their chunks are there.

An array opens once it has its metadata, and gives its fill value where chunks are missing. So
metadata are written last: what was interrupted, by whatever, does not open. What could not be
filled is removed, and of an array that is replaced the metadata go first.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.errors import ContainsArrayError
from zarr.storage import MemoryStore, StorePath
from zarr.storage._common import ensure_no_existing_node, make_store_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zarr.abc.store import Store
    from zarr.storage import StoreLike

_METADATA = "zarr.json"
_ANY_METADATA = (_METADATA, ".zmetadata", ".zarray", ".zgroup", ".zattrs")
"""Names of what makes an array or a group, of either format."""


@dataclass(frozen=True)
class Place:
    """Where an array is to be made, and what of it will be new.

    Attributes
    ----------
    store_path : StorePath
    overwrite : bool
        Whether what is there goes.
    all_is_new : bool
        Whether all that will be there is the array's, since there is nothing yet, or it goes.
    new_groups : list of str
        Paths of the groups above that are not there yet, and that Zarr makes; the root first.
    """

    store_path: StorePath
    overwrite: bool
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
        return cls(store_path, overwrite, all_is_new, groups)

    def make(
        self,
        create: Callable[[StoreLike], zarr.Array[Any]],
        fill: Callable[[zarr.Array[Any]], None],
    ) -> zarr.Array[Any]:
        """Make an array that opens when all of it is there, and not before.

        Parameters
        ----------
        create : callable
            Creates it, without chunks, where it is told to: in memory, of which the metadata
            are taken. What it refuses leaves the place as it is.
        fill : callable
            Writes its chunks.

        Raises
        ------
        ContainsArrayError, ContainsGroupError
            Something is there, and not to be overwritten.
        """
        memory = MemoryStore()
        draft = create(StorePath(memory, self.store_path.path))
        sync(self._make_room())
        metadata: Any = draft.metadata
        array = zarr.Array(zarr.AsyncArray(metadata, self.store_path, draft.async_array.config))
        with self._filling():
            if _is_transaction(self.store_path.store):
                sync(self._publish(memory))
                fill(array)
            else:
                fill(array)
                sync(self._publish(memory))
        return array

    async def _make_room(self) -> None:
        store, path = self.store_path.store, self.store_path.path
        for group in _above(path):
            try:
                await ensure_no_existing_node(StorePath(store, group), 3, node_type="array")
            except ContainsArrayError as error:
                raise ValueError(
                    f"A parent of {self.store_path} is an array - only groups may have child nodes."
                ) from error
        if not (self.overwrite and store.supports_deletes):
            await ensure_no_existing_node(self.store_path, zarr_format=3)
            return
        is_array = await self._is_array()
        for name in _ANY_METADATA:
            await (self.store_path / name).delete()
        if not is_array:
            await self._forget_members()
        await self.store_path.delete_dir()

    async def _is_array(self) -> bool:
        try:
            for zarr_format in (2, 3):
                await ensure_no_existing_node(self.store_path, zarr_format, node_type="array")
        except ContainsArrayError:
            return True
        return False

    async def _forget_members(self) -> None:
        """Delete the metadata of what is in a group that goes."""
        store, path = self.store_path.store, self.store_path.path
        keys = [key async for key in store.list_prefix(f"{path}/" if path else "")]
        for key in keys:
            if key.rpartition("/")[2] in _ANY_METADATA:
                await store.delete(key)

    async def _publish(self, made: Store) -> None:
        """Write the metadata, those of new groups above before the array's own."""
        store, prototype = self.store_path.store, default_buffer_prototype()
        for path in (*_above(self.store_path.path), self.store_path.path):
            metadata = await made.get(_key(path), prototype)
            assert metadata is not None
            if path == self.store_path.path:
                await store.set(_key(path), metadata)
            else:
                await store.set_if_not_exists(_key(path), metadata)

    @contextlib.contextmanager
    def _filling(self) -> Iterator[None]:
        """Remove what there is of the array, where anything is raised inside."""
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


def _is_transaction(store: Store) -> bool:
    """Whether nothing is seen of what is written before it is committed, as with Icechunk.

    Its stores take no chunks of an array that is not there.
    """
    return hasattr(store, "session")


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
