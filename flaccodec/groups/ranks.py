"""Groups of flacarray's layout, written and read by MPI ranks that each hold some rows.

A `Door` is what differs between HDF5 and Zarr. Where all ranks can reach the group, each
writes or reads its own; else rank 0 does, with pieces that the others send or get.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from flaccodec.exceptions import ConfigurationError
from flaccodec.groups import decode
from flaccodec.groups.decode import sample_range
from flaccodec.groups.door import Door, SpreadStreams, SpreadTable
from flaccodec.groups.encode import compress_array
from flaccodec.groups.layout import (
    COMPRESSED,
    GroupStreams,
    check_dtype,
    table_shape,
    tables_of,
)
from flaccodec.groups.packed import can_take, encode_anew, encode_streams, no_streams, streams_of
from flaccodec.groups.ranks_read import read_by_all, read_by_first
from flaccodec.groups.read import check_keep, read_shape
from flaccodec.groups.write import write_group
from flaccodec.mpi.agreement import attempt, direct, share
from flaccodec.mpi.distribution import (
    Layout,
    check_dist_of_one,
    check_ranges,
    even_ranges,
    is_comm,
    layout_of,
    n_streams,
    ranges_of,
)
from flaccodec.mpi.messages import receive, send
from flaccodec.mpi.packed import spread
from flaccodec.samples.masks import unmasked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from flaccodec.chunks.packed import Packed
    from flaccodec.mpi.distribution import Distribution, Ranges
    from flaccodec.samples.keep import Indices


# -- writing -----------------------------------------------------------------------------


def write_array(door: Door, group: Any, comm: Any, arr: Any, options: Mapping[str, Any]) -> None:
    """Compress each rank's rows of an array, and write them to one group.

    Parameters
    ----------
    door : Door
    group : h5py.Group, zarr.Group or None
        None where a rank does not reach it; rank 0 must.
    comm : mpi4py.MPI.Comm
    arr : array_like or None
        As for `FlacArray.from_array`.
    options : mapping
        The other parameters of `encode.compress_array`.

    Raises
    ------
    Exception
        On all ranks what went wrong on one, as `flaccodec.mpi.agreement.share` says.
    """
    local = attempt(comm, lambda: None if arr is None else unmasked(arr, keeps_nan=False))
    layout = layout_of(comm, local)

    def compress() -> GroupStreams:
        if local is None or len(local) == 0:
            return _no_streams(layout, comm.rank)
        return compress_array(local, **options)

    _write(door, group, comm, layout, compress)


def write_packed(
    door: Door, group: Any, packed: Packed, mpi: Distribution, what: str, progress: bool
) -> None:
    """Write a packed array whose rows are spread over ranks; as `write_array`."""
    comm = mpi.comm
    layout = Layout(mpi.shape, packed.dtype, mpi.ranges)
    as_they_are = all(share(comm, lambda: packed.nstreams == 0 or can_take(packed)))

    def streams() -> GroupStreams:
        if not packed.nstreams:
            return _no_streams(layout, comm.rank)
        check_dtype(packed.dtype)
        if as_they_are:
            return streams_of(packed, what, progress)
        return encode_anew(packed, what, progress)

    _write(door, group, comm, layout, streams)


def _no_streams(layout: Layout, rank: int) -> GroupStreams:
    return no_streams_of(layout.local_shape(rank), layout.dtype, on_grid=True)


def no_streams_of(
    shape: tuple[int, ...], dtype: np.dtype[Any], *, on_grid: bool = False
) -> GroupStreams:
    """Return the part of a rank without streams; `on_grid`: with a table of quanta."""
    check_dtype(dtype)
    positions = np.zeros(shape[:-1], dtype=np.int64)
    values = np.zeros(shape[:-1], dtype=dtype) if dtype.kind == "f" else None
    quanta = np.zeros(shape[:-1]) if dtype.kind == "f" and on_grid else None
    nothing = np.empty(0, dtype=np.uint8)
    return GroupStreams(
        shape, dtype, nothing, positions, positions, values, values, stream_quanta=quanta
    )


class _Reach(NamedTuple):
    """How a rank that has a group reaches it, as `Door` says."""

    can_write: bool
    is_of_all: bool


def _reach(door: Door, group: Any) -> _Reach:
    door.place(group)
    return _Reach(door.all_can_write(group), door.is_of_all(group))


def write_streams(
    door: Door, given: Any, comm: Any, layout: Layout, make: Callable[[], GroupStreams]
) -> None:
    """Write streams that each rank makes; as `write_array`."""
    _write(door, given, comm, layout, make)


def _write(
    door: Door, given: Any, comm: Any, layout: Layout, make: Callable[[], GroupStreams]
) -> None:
    reached = share(comm, lambda: None if given is None else _reach(door, given))
    missing = [rank for rank, reach in enumerate(reached) if reach is None]
    if any(reach is not None and reach.is_of_all for reach in reached) and missing:
        raise ConfigurationError(
            'all ranks must have the group of a file that is open with driver="mpio". '
            f"Got None on rank {missing[0]}."
        )
    if 0 in missing:
        raise ConfigurationError("rank 0 must have the group to write to. Got None there.")
    streams = _spread(comm, layout, attempt(comm, make))
    place = comm.bcast(door.place(given) if comm.rank == 0 else None, root=0)
    group = attempt(comm, lambda: None if given is None else door.to_write(given))
    if all(reach is not None and reach.can_write for reach in reached):
        door.write_by_all(group, place, comm, streams)
    else:
        _write_by_first(door, group, place, comm, streams)


def _spread(comm: Any, layout: Layout, local: GroupStreams) -> SpreadStreams:
    nbytes = comm.allgather(len(local.compressed))
    begins = ranges_of(nbytes)
    # They are alike on all ranks that have streams.
    given = comm.allgather(dict(local.extras) if local.n_streams else None)
    extras: dict[str, Any] = next((one for one in given if one is not None), {})
    leading = layout.local_shape(comm.rank)[:-1]
    tables = {}
    for name, table in tables_of(local).items():
        if table is not None:
            shift = begins[comm.rank][0] if name == "stream_starts" else 0
            rows = np.ascontiguousarray(table.reshape(leading) + table.dtype.type(shift))
            tables[name] = SpreadTable(layout.shape[:-1], table.dtype, layout.ranges, rows)
    size = begins[-1][1]
    tables[COMPRESSED] = SpreadTable((size,), np.dtype(np.uint8), begins, local.compressed)
    return SpreadStreams(layout.shape, layout.dtype, tables, extras)


def _write_by_first(door: Door, group: Any, place: str, comm: Any, streams: SpreadStreams) -> None:
    """Have rank 0 write, with pieces that it asks the others for."""

    def lead(tell: Callable[[Any], None]) -> None:
        def pull(name: str, table: SpreadTable, first: int, stop: int) -> npt.NDArray[Any]:
            rows = np.empty((stop - first, *table.shape[1:]), dtype=table.dtype)
            for rank, begin, end in table.holders(first, stop):
                part = rows[begin - first : end - first]
                if rank == 0:
                    part[...] = table.rows(0, begin, end)
                else:
                    tell((rank, name, begin, end))
                    receive(comm, part, rank)
            return rows

        def create(name: str, array: Any) -> Any:
            table = cast("SpreadTable", array)
            dataset = door.create(group, name, table)
            step = table.step(door.rows_together(dataset))
            for first in range(0, table.shape[0], step):
                stop = min(first + step, table.shape[0])
                dataset[first:stop] = pull(name, table, first, stop)
            return dataset

        if comm.size > 1:
            door.first_writes_alone()
        write_group(group, place, cast("GroupStreams", streams), create)

    def follow(order: tuple[int, str, int, int]) -> None:
        rank, name, first, stop = order
        if rank == comm.rank:
            send(comm, streams.tables[name].rows(rank, first, stop), 0)

    direct(comm, lead, follow)


# -- reading -----------------------------------------------------------------------------


def _read(
    door: Door, given: Any, comm: Any, keep: npt.ArrayLike | None, mpi_dist: Any
) -> tuple[Layout, GroupStreams, Indices | None]:
    """Read each rank's streams; the layout is that of what was read."""

    def check() -> tuple[bool, str, bool]:
        place = "" if given is None else door.place(given)
        return given is not None, place, keep is not None

    reached = share(comm, check)
    if not reached[0][0]:
        raise ConfigurationError("rank 0 must have the group to read. Got None there.")
    if len({kept for _, _, kept in reached}) > 1:
        raise ConfigurationError("keep must be given on all ranks, or on none.")
    place = reached[0][1]
    all_reach = all(has for has, _, _ in reached)
    reads = all_reach or comm.rank == 0
    group = attempt(comm, lambda: door.to_read(given) if reads else None)
    shape = share(comm, lambda: read_shape(group, place) if reads else None)[0]
    if shape is None:
        raise AssertionError
    rows = table_shape(shape)[0]

    def choose() -> tuple[Ranges, npt.NDArray[np.bool_] | None]:
        mask = None if keep is None else check_keep(keep, shape)
        if mpi_dist is None:
            return even_ranges(rows, comm.size), mask
        return check_ranges(mpi_dist, rows, comm.size), mask

    ranges, mask = attempt(comm, choose)
    told = comm.allgather((ranges, _digest(mask)))
    for name, given in zip(("mpi_dist", "keep"), zip(*told, strict=True), strict=True):
        if any(other != given[0] for other in given):
            raise ConfigurationError(f"{name} must be the same on all ranks.")
    read = read_by_all if all_reach else read_by_first
    head, compressed = read(door, group, place, comm, ranges, mask)
    streams = head.streams(compressed)
    whole = shape if len(shape) > 1 else (1, *shape)
    if keep is not None:
        ranges = ranges_of(comm.allgather(streams.n_streams))
        whole = (ranges[-1][1], shape[-1])
    return Layout(whole, streams.dtype, ranges), streams, head.indices


def read_layout(
    door: Door, group: Any, comm: Any, keep: npt.ArrayLike | None, mpi_dist: Any
) -> tuple[Layout, GroupStreams, Indices | None]:
    """Read each rank's streams and how they lie on the ranks; as `read_array`."""
    return _read(door, group, comm, keep, mpi_dist)


def _digest(mask: npt.NDArray[np.bool_] | None) -> bytes:
    """Return what tells masks apart, without sending them."""
    return b"" if mask is None else sha256(np.packbits(mask).tobytes()).digest()


def read_array(
    door: Door,
    group: Any,
    comm: Any,
    keep: npt.ArrayLike | None,
    mpi_dist: Any,
    options: Mapping[str, Any],
) -> tuple[npt.NDArray[Any], Indices | None]:
    """Decompress each rank's rows of an array, or the streams kept in them.

    Parameters
    ----------
    door, group, comm
        As for `write_array`.
    keep : array_like of bool, optional
        Which streams, of the whole array's leading shape.
    mpi_dist : list of (int, int), optional
        The rows of each rank; by default they are spread evenly.
    options : mapping
        The other parameters of `decode.read_array`.

    Returns
    -------
    ndarray
        This rank's.
    list of tuple of int, or None
        With `keep`, where in the whole array's leading shape its streams are.
    """
    _, streams, indices = _read(door, group, comm, keep, mpi_dist)

    def decompress() -> npt.NDArray[Any]:
        if streams.n_streams:
            return decode.read_array(streams, **options)
        first, last = sample_range(streams, options["stream_slice"])
        return np.empty((*streams.shape[:-1], last - first), dtype=streams.dtype)

    return attempt(comm, decompress), indices


def read_array_anywhere(
    door: Door,
    group: Any,
    read_streams: Callable[..., tuple[GroupStreams, Indices | None]],
    mpi_comm: Any,
    keep: npt.ArrayLike | None,
    mpi_dist: Any,
    options: Mapping[str, Any],
) -> tuple[npt.NDArray[Any], Indices | None]:
    """Do what `read_array` does, or the same in one process where there is no communicator.

    `read_streams` is the one of the door's module.
    """
    if is_comm(mpi_comm):
        return read_array(door, group, mpi_comm, keep, mpi_dist, options)
    streams, indices = read_streams(group, keep)
    check_dist_of_one(mpi_dist, streams.table_shape if keep is None else np.shape(keep))
    return decode.read_array(streams, **options), indices


def read_packed(
    door: Door,
    group: Any,
    comm: Any,
    keep: npt.ArrayLike | None,
    mpi_dist: Any,
    options: Mapping[str, Any],
) -> tuple[Packed, Distribution]:
    """Read each rank's streams, and pack them; as `read_array`.

    Raises
    ------
    EmptyArrayError
        On all ranks: `keep` selects no stream on any.
    """
    layout, streams, _ = _read(door, group, comm, keep, mpi_dist)
    if not n_streams(layout.shape):
        raise no_streams(streams.place)

    def encode() -> Packed | None:
        if not streams.n_streams:
            return None
        return encode_streams(streams, **options)

    return spread(comm, layout, encode)
