"""Zarr groups and arrays over MPI ranks, of which no two write one chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flaccodec.runtime.optional import needed

with needed("flaccodec.zarr", "zarr"):
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

from flaccodec.exceptions import GroupError
from flaccodec.mpi.agreement import attempt, share
from flaccodec.mpi.grid import distributed_chunks, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from zarr.storage import StoreLike, StorePath


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
