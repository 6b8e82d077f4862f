"""Zarr groups and arrays over MPI ranks, of which no two write one chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.zarr", "zarr"):
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync
    from zarr.storage import MemoryStore, ZipStore

from flaccodec.exceptions import GroupError
from flaccodec.groups import io as group_io
from flaccodec.groups.layout import COMPRESSED
from flaccodec.mpi.agreement import attempt, direct, share
from flaccodec.mpi.grid import distributed_chunks, rows_of
from flaccodec.mpi.messages import receive, start_sending, wait
from flaccodec.zarr.groups.consolidated import past_consolidated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from zarr.storage import StoreLike, StorePath

    from flaccodec.groups.layout import GroupStreams
    from flaccodec.groups.ranks import SpreadStreams, SpreadTable

_OF_ONE_PROCESS = (MemoryStore, ZipStore)


class ZarrDoor:
    """How ranks write to Zarr groups."""

    def place(self, group: Any) -> str:
        """Return what to call a group in messages."""
        from flaccodec.zarr.groups.arrays import _place

        return _place(group)

    def to_write(self, group: zarr.Group) -> zarr.Group:
        """Return the group past consolidated metadata."""
        return past_consolidated(group)

    def to_read(self, group: zarr.Group) -> zarr.Group:
        """Return the group past consolidated metadata that do not tell of its streams."""
        from flaccodec.zarr.groups.arrays import readable

        return readable(group)

    def all_can_write(self, group: zarr.Group) -> bool:
        """Whether the store can be that of all ranks."""
        return not isinstance(group.store, _OF_ONE_PROCESS)

    def is_of_all(self, group: zarr.Group) -> bool:
        """Return False: rank 0 can write alone."""
        return False

    def create(self, group: zarr.Group, name: str, table: SpreadTable) -> zarr.Array[Any]:
        """Create an array without data, as `group_zarr.write_streams` does with."""
        if name == COMPRESSED:
            from flaccodec.zarr.groups.arrays import CHUNK_BYTES

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

            group_io.write_group(group, place, cast("GroupStreams", streams), create)

        def follow(order: tuple[str, int]) -> None:
            try:
                fill(*order)
            except Exception:
                return  # raised on rank 0, too, which tells all when it has cleared up

        check_one_store(comm, group.store_path)
        direct(comm, lead, follow)
        # What the other ranks opened before has the attributes of then.
        attributes = group_io.attributes_of(cast("GroupStreams", streams))
        group.metadata.attributes.update(attributes)

    def first_writes_alone(self) -> None:
        """Say nothing: who gives the group to rank 0 alone knows."""


def check_one_store(comm: Any, place: StorePath) -> None:
    """Check that a place in a store is the same on all ranks: what rank 0 puts there, all see.

    A path may be that of a disk of each machine's own, where what an earlier run has left passes
    for what rank 0 made.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    place : StorePath
        This rank's.

    Raises
    ------
    GroupError
        On all ranks: it is another on one.
    """
    if comm.size == 1:
        return
    mark = place / f".flaccodec-{comm.bcast(uuid4().hex if comm.rank == 0 else None, root=0)}"

    def put() -> None:
        if comm.rank == 0:
            sync(mark.set(default_buffer_prototype().buffer.from_bytes(b"flaccodec")))

    def look() -> None:
        if not sync(mark.exists()):
            raise GroupError(
                f"{place} is not that of rank 0: all ranks must open one store, on a disk that "
                "they share, or for a group give None on all but rank 0."
            )

    def remove() -> None:
        if comm.rank == 0:
            sync(mark.delete())

    share(comm, put)
    try:
        share(comm, look)
    finally:
        share(comm, remove)


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


def create_distributed(
    store: StoreLike,
    comm: Any,
    *,
    local_shape: Sequence[int],
    dtype: npt.DTypeLike,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    **kwargs: Any,
) -> tuple[zarr.Array[Any], slice]:
    """Create a Zarr array of FLAC chunks to which MPI ranks write at once.

    All ranks call this, each with the shape of its part of the array; the parts' rows, along
    the leading axis, are joined in the order of the ranks. No chunk (or shard, where there are
    shards) has rows of two ranks, so that each writes its rows without waiting for others.

    Parameters
    ----------
    store : str, Path or zarr store
        As `zarr.create_array` takes it; one that all ranks reach.
    comm : mpi4py.MPI.Comm
    local_shape : tuple of int
        Of this rank's part. Leading sizes may differ, and be 0; the others are the same on all.
    dtype : dtype
        The same on all ranks.
    chunks, shards : tuple of int, optional
        By default chunks hold whole streams, about a million samples, and there are no shards.
    **kwargs
        What `flaccodec.create_array` takes: ``codecs``, ``name``, ``fill_value``,
        ``attributes``, ``dimension_names``, ``overwrite`` and so on.

    Returns
    -------
    array : zarr.Array
    rows : slice
        This rank's rows: it may write ``array[rows]``, and nothing else.

    Raises
    ------
    ConfigurationError
        On all ranks: chunks or shards would have rows of two ranks (the message has the sizes
        that would do), or the parts do not go together.
    EmptyArrayError
        On all ranks: the array would have no samples.
    GroupError
        On all ranks: `store` is another on one.
    FlacCodecError, RankError
        On all ranks what went wrong on one.
    """
    from flaccodec.zarr import create_array

    layout = rows_of(comm, local_shape, dtype)
    chosen = attempt(comm, lambda: distributed_chunks(layout, chunks, shards))

    def create() -> None:
        if comm.rank == 0:
            create_array(
                store,
                shape=layout.shape,
                dtype=layout.dtype,
                chunks=chosen,
                shards=shards,
                **kwargs,
            )

    share(comm, create)
    array = attempt(comm, lambda: zarr.open_array(store, path=kwargs.get("name") or "", mode="r+"))
    check_one_store(comm, array.store_path)
    return array, slice(*layout.ranges[comm.rank])
