"""What flacarray's functions of compressed bytes and tables take and give."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.chunks.packed import Packed
from flaccodec.exceptions import ConfigurationError
from flaccodec.groups.grid import fit_quanta
from flaccodec.groups.layout import GroupStreams, check_dtype, flac_channels, table_shape
from flaccodec.groups.ranks import no_streams_of, read_layout, write_streams
from flaccodec.mpi.distribution import Layout, check_dist_of_one, is_comm
from flaccodec.mpi.packed import spread
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.grid import largest_of, restore
from flaccodec.utils import compressed_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flaccodec.groups.door import Door
    from flaccodec.mpi.distribution import Distribution
    from flaccodec.samples.keep import Indices

_CHANNELS_AT = 20
"""The byte of a FLAC stream that has its number of channels less 1, in bits 1 to 3."""


def channels_of(compressed: Any, starts: Any) -> int:
    """Return the FLAC channels of the first stream; 1 where there is none."""
    data, at = np.asarray(compressed), np.asarray(starts, dtype=np.int64).ravel()
    if not at.size or not 0 <= at[0] < len(data) - _CHANNELS_AT:
        return 1
    return (int(data[at[0] + _CHANNELS_AT]) >> 1 & 7) + 1


def packed_of(
    parts: Mapping[str, Any], mpi_comm: Any, mpi_dist: Any
) -> tuple[Packed, Distribution | None]:
    """Encode what streams and their tables stand for; `FlacArray` names the parts.

    Raises
    ------
    ConfigurationError
        A part is missing.
    CorruptStreamError, GroupError, UnsupportedDtypeError
        The parts contradict each other, or streams are damaged.
    """
    needed = ("shape", "compressed", "dtype", "stream_starts", "stream_nbytes")
    missing = [name for name in needed if parts[name] is None]
    if not is_comm(mpi_comm):
        if missing:
            raise ConfigurationError(
                "FlacArray(None, ...) makes an array of its parts, and needs "
                f"{', '.join(needed)}. Got no {', '.join(missing)}."
            )
        return _encode(parts), None
    layout = Layout(tuple(map(int, parts["global_shape"])), np.dtype(parts["dtype"]), mpi_dist)
    if len(layout.shape) == 1:
        layout = Layout((1, *layout.shape), layout.dtype, mpi_dist)
    has_streams = parts["shape"] is not None and 0 not in parts["shape"][:1]
    return spread(mpi_comm, layout, lambda: _encode(parts) if has_streams else None)


def _encode(parts: Mapping[str, Any]) -> Packed:
    shape, dtype = tuple(map(int, parts["shape"])), np.dtype(parts["dtype"])
    check_dtype(dtype)
    starts, nbytes = (
        np.asarray(parts[name], dtype=np.int64).ravel()
        for name in ("stream_starts", "stream_nbytes")
    )
    offsets, gains = (
        None if parts[name] is None else np.asarray(parts[name], dtype=dtype).ravel()
        for name in ("stream_offsets", "stream_gains")
    )
    count = math.prod(shape[:-1])
    for name, table in (
        ("stream_starts", starts), ("stream_nbytes", nbytes),
        ("stream_offsets", offsets), ("stream_gains", gains),
    ):  # fmt: skip
        if table is not None and len(table) != count:
            raise ConfigurationError(
                f"{name} must have one number for each of {count:,} streams. Got {len(table):,}."
            )
    if dtype.kind == "f" and (offsets is None or gains is None):
        raise ConfigurationError("floats need stream_offsets and stream_gains. Got not both.")
    wide = channels_of(parts["compressed"], starts) == 2
    samples = core.decode_streams(
        parts["compressed"], starts, nbytes, shape[-1], 0, shape[-1],
        wide=wide, num_threads=choose_threads(None),
    )  # fmt: skip
    if offsets is None or gains is None:
        values = samples.astype(dtype)
        if offsets is not None:
            values += offsets[:, np.newaxis]
        return Packed.encode(values.reshape(shape))
    values = restore(samples, offsets, gains)
    steps = (dtype.type(1) / gains).astype(np.float64)
    quanta = fit_quanta(offsets.astype(np.float64), steps, largest_of(values), dtype)
    uniform = (quanta == quanta[0]).all()
    tables = quanta[0] if uniform else quanta.reshape(shape[:-1])
    return Packed.encode(values.reshape(shape), quanta=tables)


def write_parts(
    door: Door,
    group: Any,
    write: Callable[[Any, GroupStreams], None],
    parts: Mapping[str, Any],
    mpi_comm: Any,
    mpi_dist: Any,
) -> None:
    """Write streams and tables to a group, as flacarray's ``write_compressed``.

    Raises
    ------
    ConfigurationError
        `n_channels` is not that of the streams.
    GroupError
        The parts contradict each other, or the group has datasets of these names.
    """
    wide, gains = parts["n_channels"] == 2, parts["stream_gains"]
    dtype = compressed_dtype(parts["n_channels"], parts["stream_offsets"], gains)
    size = int(parts["stream_size"])

    def streams() -> GroupStreams:
        leading = tuple(map(int, parts["leading_shape"]))
        if 0 in leading:
            return no_streams_of((*leading, size), dtype)
        found = channels_of(parts["compressed"], parts["stream_starts"])
        if found != flac_channels(dtype) or wide != (found == 2):
            raise ConfigurationError(
                f"streams must have n_channels, {parts['n_channels']}, each. Got {found}: "
                "FlacArray.write_hdf5 and write_zarr encode those of a FlacArray as is needed."
            )
        shape = (*leading, size)
        tables = table_shape(shape)
        starts, nbytes, offsets, steps = (
            None if table is None else np.asarray(table).reshape(tables)
            for table in (
                parts["stream_starts"], parts["stream_nbytes"], parts["stream_offsets"], gains,
            )
        )  # fmt: skip
        assert starts is not None
        assert nbytes is not None
        data = np.frombuffer(parts["compressed"], dtype=np.uint8)
        return GroupStreams(shape, dtype, data, starts, nbytes, offsets, steps)

    if is_comm(mpi_comm) and mpi_comm.size > 1:
        whole = (*map(int, parts["global_leading_shape"]), size)
        layout = Layout(whole if len(whole) > 1 else (1, *whole), dtype, list(mpi_dist))
        write_streams(door, group, mpi_comm, layout, streams)
    else:
        write(group, streams())


def read_parts(
    door: Door,
    group: Any,
    read_streams: Callable[..., tuple[GroupStreams, Indices | None]],
    keep: Any,
    mpi_comm: Any,
    mpi_dist: Any,
) -> tuple[Any, ...]:
    """Read streams and tables of a group, as flacarray's ``read_compressed`` gives them.

    Returns
    -------
    local_shape, global_shape : tuple of int
    compressed : ndarray of uint8
    n_channels : int
    stream_starts, stream_nbytes : ndarray of int64
    stream_offsets, stream_gains : ndarray or None
    mpi_dist : list of (int, int)
    keep_indices : list of tuple of int, or None
    """
    if is_comm(mpi_comm):
        layout, streams, indices = read_layout(door, group, mpi_comm, keep, mpi_dist)
        shape, ranges = layout.shape, list(layout.ranges)
    else:
        streams, indices = read_streams(group, keep)
        check_dist_of_one(mpi_dist, streams.table_shape if keep is None else np.shape(keep))
        shape = (*streams.table_shape, streams.stream_size)
        ranges = [(0, shape[0])]
    local = (*streams.table_shape, streams.stream_size)
    return (
        local, shape, streams.compressed, streams.n_channels, streams.stream_starts,
        streams.stream_nbytes, streams.stream_offsets, streams.stream_gains, ranges, indices,
    )  # fmt: skip
