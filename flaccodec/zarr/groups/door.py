"""`ZarrDoor`: what groups of the flacarray package's layout are in Zarr."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.core.common import concurrent_map
from zarr.core.config import config

from flaccodec.runtime.optional import needed
from flaccodec.zarr.groups.ranges import has_plain_chunks, read_ranges

with needed("flaccodec.zarr", "zarr"):
    import zarr
from typing import cast

from flaccodec.groups.layout import COMPRESSED, FORMAT_VERSION, STREAM_BYTES, STREAM_STARTS
from flaccodec.groups.write import write_group
from flaccodec.zarr.groups.consolidated import past_consolidated, with_members

with needed("flaccodec.zarr", "zarr"):
    import zarr
    from zarr.core.sync import sync
    from zarr.storage import MemoryStore, ZipStore
from flaccodec.groups.write import attributes_of
from flaccodec.mpi.agreement import direct, share
from flaccodec.mpi.messages import receive, start_sending, wait

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from flaccodec.groups.door import Read, SpreadStreams, SpreadTable
    from flaccodec.groups.layout import GroupStreams
from flaccodec.zarr.distributed import check_one_store

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from flaccodec.groups.layout import GroupStreams


CHUNK_BYTES = 2**21
"""Of the compressed bytes. Readers that fetch no ranges, such as flacarray, read whole chunks."""


def place_of(zgrp: zarr.Group) -> str:
    """Return what to call a group in messages."""
    if not isinstance(zgrp, zarr.Group):
        raise TypeError(f"zgrp must be a zarr.Group. Got {type(zgrp).__name__}.")
    return str(zgrp.store_path)


def readable(zgrp: zarr.Group) -> zarr.Group:
    """Return a group to read from, past consolidated metadata that do not tell of its streams."""
    place_of(zgrp)
    return with_members(zgrp, FORMAT_VERSION, (COMPRESSED, STREAM_STARTS, STREAM_BYTES))


LOOKED_FOR = 32
"""Chunks of an array, spread over it, that are looked for: all of FLAC's bytes are stored."""

_OF_ONE_PROCESS = (MemoryStore, ZipStore)


class ZarrDoor:
    """How ranks write to Zarr groups."""

    def place(self, group: Any) -> str:
        """Return what to call a group in messages."""
        return place_of(group)

    def to_write(self, group: zarr.Group) -> zarr.Group:
        """Return the group past consolidated metadata."""
        return past_consolidated(group)

    def to_read(self, group: zarr.Group) -> zarr.Group:
        """Return the group past consolidated metadata that do not tell of its streams."""
        return readable(group)

    def ranges(self, dataset: zarr.Array[Any]) -> Read | None:
        """Return what reads ranges of chunks that are stored as they are."""
        return partial(read_ranges, dataset) if has_plain_chunks(dataset) else None

    def stored_bytes(self, dataset: zarr.Array[Any]) -> int:
        """Return how many bytes are in chunks that exist, as far as some of them tell."""
        declared = int(dataset.shape[0]) * int(dataset.dtype.itemsize)
        return math.ceil(declared * _share_of_chunks(dataset))

    def all_can_write(self, group: zarr.Group) -> bool:
        """Whether the store can be that of all ranks."""
        return not isinstance(group.store, _OF_ONE_PROCESS)

    def is_of_all(self, group: zarr.Group) -> bool:
        """Return False: rank 0 can write alone."""
        return False

    def create(self, group: zarr.Group, name: str, table: SpreadTable) -> zarr.Array[Any]:
        """Create an array without data, as `group_zarr.write_streams` does with."""
        if name == COMPRESSED:
            chunks = (min(table.shape[0], CHUNK_BYTES),)
            return group.create_array(
                name, shape=table.shape, dtype=table.dtype, chunks=chunks, compressors=None
            )
        return group.create_array(name, shape=table.shape, dtype=table.dtype)

    def rows_together(self, dataset: zarr.Array[Any]) -> int:
        """Return the rows of a chunk, or of a shard."""
        return int((dataset.shards or dataset.chunks)[0])

    def write_by_all(
        self, group: zarr.Group, place: str, comm: Any, streams: SpreadStreams
    ) -> None:
        """Have rank 0 create the arrays, and each rank write the chunks that begin in its rows."""

        def fill(name: str, together: int) -> None:
            table = streams.tables[name]
            tail = _exchange(comm, table, together)
            share(comm, lambda: _write_own(comm.rank, group, name, table, together, tail))

        def lead(tell: Callable[[Any], None]) -> None:
            def create(name: str, array: Any) -> zarr.Array[Any]:
                dataset = self.create(group, name, cast("SpreadTable", array))
                order = name, self.rows_together(dataset)
                tell(order)
                fill(*order)
                return dataset

            write_group(group, place, cast("GroupStreams", streams), create)

        def follow(order: tuple[str, int]) -> None:
            try:
                fill(*order)
            except Exception:
                return  # raised on rank 0, too, which tells all when it has cleared up

        check_one_store(comm, group.store_path)
        direct(comm, lead, follow)
        # What the other ranks opened before has the attributes of then.
        attributes = attributes_of(cast("GroupStreams", streams))
        group.metadata.attributes.update(attributes)

    def first_writes_alone(self) -> None:
        """Say nothing: who gives the group to rank 0 alone knows."""


def _exchange(comm: Any, table: SpreadTable, together: int) -> npt.NDArray[Any]:
    """Send rows of a chunk that begins on an earlier rank there; return those that come here."""
    first, stop = table.ranges[comm.rank]
    requests = []
    begin = -(-first // together) * together
    if first < min(begin, stop):
        owner = table.holders(begin - together, begin - together + 1)[0][0]
        rows = table.rows(comm.rank, first, min(begin, stop))
        requests = start_sending(comm, rows, owner)
    end = min(-(-stop // together) * together, table.shape[0])
    if begin >= stop:
        end = stop  # no chunk begins here
    tail = np.empty((end - stop, *table.shape[1:]), dtype=table.dtype)
    for rank, a, b in table.holders(stop, end):
        receive(comm, tail[a - stop : b - stop], rank)
    wait(requests)
    return tail


def _write_own(
    rank: int,
    group: zarr.Group,
    name: str,
    table: SpreadTable,
    together: int,
    tail: npt.NDArray[Any],
) -> None:
    first, stop = table.ranges[rank]
    begin = -(-first // together) * together
    if begin >= stop:
        return
    dataset = cast("zarr.Array[Any]", group[name])
    whole = stop // together * together if len(tail) else stop  # the last chunk has the tail
    step = table.step(together)
    for a in range(begin, whole, step):
        b = min(a + step, whole)
        dataset[a:b] = table.rows(rank, a, b)
    if len(tail):
        dataset[whole : stop + len(tail)] = np.concatenate([table.rows(rank, whole, stop), tail])


def _share_of_chunks(array: zarr.Array[Any]) -> float:
    """Return the share of some chunks, or shards, that exist."""
    grid = getattr(array, "shards", None) or array.chunks
    count = -(-int(array.shape[0]) // int(grid[0]))
    some = sorted({i * (count - 1) // (LOOKED_FOR - 1) for i in range(LOOKED_FOR)})

    async def exists(number: int) -> bool:
        key = array.metadata.encode_chunk_key((number,))
        return bool(await (array.store_path / key).exists())

    async def find() -> list[bool]:
        limit = config.get("async.concurrency")
        return await concurrent_map([(number,) for number in some], exists, limit)

    return sum(sync(find())) / len(some)
