"""Groups of flacarray's layout, read alike through h5py and zarr.

Both have groups with ``attrs``, and datasets with ``shape``, ``dtype`` and ``chunks`` whose
slices are read by indexing; only how datasets are created differs.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.exceptions import (
    ConfigurationError,
    CorruptGroupError,
    GroupError,
    NoGroupError,
    UnknownGroupVersionError,
)
from flaccodec.groups.layout import (
    COMPRESSED,
    EXTRAS,
    FLAC_CHANNELS,
    FORMAT_VERSION,
    KNOWN_VERSIONS,
    QUANTA,
    SOFTWARE_VERSION,
    STREAM_BYTES,
    STREAM_GAINS,
    STREAM_OFFSETS,
    STREAM_QUANTA,
    STREAM_SIZE,
    STREAM_STARTS,
    WRITER,
    GroupStreams,
    GroupTables,
    check_ranges,
    flac_channels,
    kind_of,
    layout_shape,
    table_shape,
    unknown_version,
)
from flaccodec.groups.runs import READ_BYTES, gather_bytes
from flaccodec.groups.stored import SMALL, check_number, check_sizes
from flaccodec.samples.masks import unmasked

if TYPE_CHECKING:
    import numpy.typing as npt

    from flaccodec.groups.door import Door
    from flaccodec.samples.keep import Indices


# -- reading ----------------------------------------------------------------------


def read_group(
    door: Door, group: Any, keep: npt.ArrayLike | None = None
) -> tuple[GroupStreams, Indices | None]:
    """Read the streams of a group, or some of them.

    Parameters
    ----------
    door : Door
    group : h5py.Group or zarr.Group
    keep : array_like of bool, optional
        Which streams to read, of the leading shape; for an array of one axis of shape (1,)
        or (). Of Zarr's chunks that are not compressed, ranges of their bytes are read. Of other
        datasets with chunks, none is touched that holds none of their bytes; else no page of
        4 KiB.

    Returns
    -------
    streams : GroupStreams
        With `keep`, of shape (number kept, stream_size), in C order, end to end.
    indices : list of tuple of int, or None
        Without `keep` None, else the place in the tables of each stream kept.

    Raises
    ------
    GroupError
        The group holds no flacarray data, or data that contradict each other.
    ConfigurationError
        `keep` is not of bool, or of another shape.
    """
    place, group = door.place(group), door.to_read(group)
    try:
        table, compressed = _read_tables(door, group)
        if keep is None:
            return _whole(door, table, compressed, place), None
        return _kept(door, table, compressed, place, check_keep(keep, table.shape))
    except GroupError as error:
        raise type(error)(f"group {place}: {error}") from error


def read_shape(group: Any, place: str) -> tuple[int, ...]:
    """Return the shape of a group's array; raises as `read_group`."""
    try:
        version, starts = _read_version(group), _dataset(group, STREAM_STARTS)
        size = _read_stream_size(starts)
        return _shape_and_extras(group, tuple(starts.shape), size, version)[0]
    except GroupError as error:
        raise type(error)(f"group {place}: {error}") from error


@dataclass(frozen=True)
class GroupRows:
    """What a group tells of some streams, but not their bytes.

    Attributes
    ----------
    tables : GroupTables
        Of these streams; the starts are those in all of the group's compressed bytes.
    numbers : ndarray of int64, one axis
        Which of the group's streams they are, in C order from 0.
    indices : list of tuple of int, or None
        Of streams that were selected, their places in the group's tables.
    place : str
    """

    tables: GroupTables
    numbers: npt.NDArray[np.int64]
    indices: Indices | None
    place: str

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each stream begins in the group; one axis."""
        return self.tables.stream_starts.ravel()

    @property
    def nbytes(self) -> npt.NDArray[np.int64]:
        """Bytes of each stream; one axis."""
        return self.tables.stream_nbytes.ravel()

    def streams(self, compressed: npt.NDArray[np.uint8]) -> GroupStreams:
        """Return the streams, whose bytes are given end to end."""
        starts = np.cumsum(self.nbytes) - self.nbytes
        return _streams(
            self.tables,
            compressed=compressed,
            stream_starts=starts.reshape(self.tables.stream_nbytes.shape),
            numbers=self.numbers,
            place=self.place,
        )


def read_rows(
    door: Door, group: Any, place: str, rows: slice, keep: npt.NDArray[np.bool_] | None
) -> GroupRows:
    """Read what a group tells of some rows along the leading axis, or of streams in them.

    Parameters
    ----------
    door : Door
    group : h5py.Group or zarr.Group
        As `Door.to_read` gives it.
    place : str
        What to call the group in messages.
    rows : slice
        Of the tables.
    keep : ndarray of bool, optional
        Which streams, of all rows; of the tables' shape.

    Returns
    -------
    GroupRows
        With `keep` of shape (number kept, stream_size). Without, the shape has the rows' axis,
        but for the one row of an array of one axis.

    Raises
    ------
    GroupError
        As `read_group`.
    """
    try:
        table, _ = _read_tables(door, group, rows)
    except GroupError as error:
        raise type(error)(f"group {place}, rows {rows.start} to {rows.stop}: {error}") from error
    shape = table.stream_starts.shape
    numbers = rows.start * math.prod(shape[1:]) + np.arange(math.prod(shape))
    if keep is None:
        return GroupRows(table, numbers, None, place)
    mask = keep[rows]
    places = np.argwhere(mask) + np.array([rows.start, *[0] * (mask.ndim - 1)])
    kept = replace(
        table,
        shape=(len(places), table.shape[-1]),
        stream_starts=table.stream_starts[mask],
        stream_nbytes=table.stream_nbytes[mask],
        **_pick_values(table, mask),
    )
    return GroupRows(kept, numbers[mask.ravel()], [tuple(i) for i in places.tolist()], place)


def read_bytes(
    door: Door, group: Any, starts: npt.NDArray[np.int64], nbytes: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Read ranges of a group's compressed bytes into one array, end to end."""
    return gather_bytes(door, _dataset(group, COMPRESSED), starts, nbytes)


def _pick_values(table: GroupTables, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return what floats are restored with, of the streams that a mask picks."""
    values = {
        name: getattr(table, name) for name in ("stream_offsets", "stream_gains", "stream_quanta")
    }
    return {name: None if value is None else value[mask] for name, value in values.items()}


def _read_compressed(group: Any) -> Any:
    compressed = _dataset(group, COMPRESSED)
    if compressed.dtype != np.uint8 or len(compressed.shape) != 1:
        raise CorruptGroupError(
            f"{COMPRESSED} must be uint8 and have one axis. Got {kind_of(compressed)}."
        )
    return compressed


def _read_tables(door: Door, group: Any, rows: slice | None = None) -> tuple[GroupTables, Any]:
    """Return tables, or some rows of them, and the dataset of compressed bytes.

    Lengths are compared with the bytes that are stored, tables before they are read.
    """
    version = _read_version(group)
    dataset = _dataset(group, STREAM_STARTS)
    stream_size = _read_stream_size(dataset)
    compressed = _read_compressed(group)
    stored = _stored_bytes(door, compressed)
    check_number(dataset, stored)
    starts, nbytes = _read_positions(group, rows, dataset.shape)
    check_ranges(starts, nbytes, int(compressed.shape[0]))
    check_sizes(nbytes, stream_size, stored)
    offsets = (
        _read_table(group, STREAM_OFFSETS, rows, dataset.shape) if STREAM_OFFSETS in group else None
    )
    gains = _read_table(group, STREAM_GAINS, rows, dataset.shape) if STREAM_GAINS in group else None
    shape, extras = _shape_and_extras(group, tuple(dataset.shape), stream_size, version)
    if rows is not None and (len(shape) > 1 or len(starts) != 1):
        shape = (*starts.shape, stream_size)
    has_quanta = extras.get(QUANTA) == STREAM_QUANTA
    if has_quanta:
        del extras[QUANTA]
    quanta = _read_table(group, STREAM_QUANTA, rows, dataset.shape) if has_quanta else None
    table = GroupTables(
        shape=shape,
        dtype=_array_dtype(group, version, offsets, gains),
        stream_starts=starts,
        stream_nbytes=nbytes,
        stream_offsets=offsets,
        stream_gains=gains,
        format_version=version,
        extras=extras,
        stream_quanta=quanta,
    )
    return table, compressed


def _stored_bytes(door: Door, dataset: Any) -> int:
    """Return how many bytes of a dataset are stored, or may be where that cannot be told."""
    declared = int(dataset.shape[0]) * int(dataset.dtype.itemsize)
    return declared if declared <= SMALL else min(declared, door.stored_bytes(dataset))


def _read_positions(
    group: Any, rows: slice | None, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    starts, nbytes = (
        _read_table(group, name, rows, shape) for name in (STREAM_STARTS, STREAM_BYTES)
    )
    if starts.dtype.kind not in "iu" or nbytes.dtype.kind not in "iu":
        raise CorruptGroupError(
            f"{STREAM_STARTS} and {STREAM_BYTES} must be integers. "
            f"Got {starts.dtype} and {nbytes.dtype}."
        )
    if starts.ndim == 0:
        raise CorruptGroupError(
            f"{STREAM_STARTS} and {STREAM_BYTES} must have one axis or more. Got none."
        )
    return starts.astype(np.int64), nbytes.astype(np.int64)


def _shape_and_extras(
    group: Any, tables: tuple[int, ...], stream_size: int, version: int
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return what our own attribute holds; it goes for datasets of its shape only."""
    extras = _read_extras(group)
    exact = extras.pop("shape", None)
    for shape in ((stream_size,), (*tables, stream_size)):
        if exact == list(shape) and table_shape(shape) == tables:
            return shape, extras
    return layout_shape(tables, stream_size, version), {}


def _dataset(group: Any, name: str) -> Any:
    if name not in group:
        raise CorruptGroupError(f"the dataset {name} is missing.")
    dataset = group[name]
    if not hasattr(dataset, "shape"):
        raise CorruptGroupError(f"{name} must be a dataset. Got a group.")
    return dataset


def _read_table(
    group: Any, name: str, rows: slice | None, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    """Read a table, which has the shape of the streams' starts; none else is read."""
    dataset = _dataset(group, name)
    if tuple(dataset.shape) != tuple(shape):
        raise CorruptGroupError(
            f"{name} must have the shape of {STREAM_STARTS}, {tuple(shape)}. "
            f"Got {tuple(dataset.shape)}."
        )
    table = np.asarray(dataset[... if rows is None else rows])
    return table.astype(table.dtype.newbyteorder("="), copy=False)


def _read_integer(attributes: Any, name: str) -> int | None:
    """Return an attribute that may be a number or its digits; None if it is neither."""
    value = attributes[name]
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _read_version(group: Any) -> int:
    if FORMAT_VERSION not in group.attrs:
        raise NoGroupError(
            f"it holds no flacarray data, as it has no attribute {FORMAT_VERSION}. "
            "Give the very group that an array was written to."
        )
    version = _read_integer(group.attrs, FORMAT_VERSION)
    if version not in KNOWN_VERSIONS:
        raise UnknownGroupVersionError(unknown_version(group.attrs[FORMAT_VERSION]))
    return version


def _read_stream_size(starts: Any) -> int:
    if STREAM_SIZE not in starts.attrs:
        raise CorruptGroupError(f"{STREAM_STARTS} lacks its attribute {STREAM_SIZE}.")
    size = _read_integer(starts.attrs, STREAM_SIZE)
    if size is None or size < 1:
        raise CorruptGroupError(
            f"{STREAM_SIZE} must be at least 1. Got {starts.attrs[STREAM_SIZE]!r}."
        )
    return size


def _read_channels(group: Any) -> int:
    if FLAC_CHANNELS not in group.attrs:
        raise CorruptGroupError(f"the attribute {FLAC_CHANNELS} is missing.")
    channels = _read_integer(group.attrs, FLAC_CHANNELS)
    if channels not in (1, 2):
        raise CorruptGroupError(
            f"{FLAC_CHANNELS} must be 1 or 2. Got {group.attrs[FLAC_CHANNELS]!r}."
        )
    return channels


def _array_dtype(
    group: Any, version: int, offsets: npt.NDArray[Any] | None, gains: npt.NDArray[Any] | None
) -> np.dtype[Any]:
    """Return the dtype of the array from its tables' and, in format 1, its channels."""
    if gains is not None:
        return _float_dtype(group, version, gains)
    if version == 0 and (offsets is None or offsets.dtype.kind == "i"):
        return np.dtype(np.int32 if offsets is None else np.int64)
    if offsets is not None:
        raise CorruptGroupError(
            f"{STREAM_OFFSETS} of {offsets.dtype} need {STREAM_GAINS} in format {version}. "
            "Got none."
        )
    return np.dtype(np.int32 if _read_channels(group) == 1 else np.int64)


def _float_dtype(group: Any, version: int, gains: npt.NDArray[Any]) -> np.dtype[Any]:
    if gains.dtype not in (np.float32, np.float64):
        raise CorruptGroupError(f"{STREAM_GAINS} must be float32 or float64. Got {gains.dtype}.")
    if version > 0 and _read_channels(group) != flac_channels(gains.dtype, version):
        raise CorruptGroupError(
            f"{STREAM_GAINS} of {gains.dtype} need {flac_channels(gains.dtype)} channels. "
            f"Got {FLAC_CHANNELS} {group.attrs[FLAC_CHANNELS]!r}."
        )
    return gains.dtype


def _read_extras(group: Any) -> dict[str, Any]:
    """Return what our own attribute holds, nothing if others wrote the datasets since."""
    writer = group.attrs.get(SOFTWARE_VERSION)
    if EXTRAS not in group.attrs or not str(writer).startswith(WRITER):
        return {}
    try:
        extras = json.loads(group.attrs[EXTRAS])
    except (TypeError, ValueError):
        extras = None
    if not isinstance(extras, dict):
        raise CorruptGroupError(
            f"the attribute {EXTRAS} must be a JSON object. Got {group.attrs[EXTRAS]!r}."
        )
    return extras


def _streams(table: GroupTables, **replaced: Any) -> GroupStreams:
    return GroupStreams(**{**vars(table), **replaced})


def _whole(door: Door, table: GroupTables, compressed: Any, place: str) -> GroupStreams:
    if int(compressed.shape[0]) > 2 * int(table.stream_nbytes.sum()) + READ_BYTES:
        every = np.ones(table.stream_nbytes.shape, dtype=bool)
        streams, _ = _kept(door, table, compressed, place, every)
        starts = streams.stream_starts.reshape(every.shape)
        return _streams(table, compressed=streams.compressed, stream_starts=starts, place=place)
    return _streams(table, compressed=np.asarray(compressed[...]), place=place)


def check_keep(keep: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Check a mask of the streams of an array, and give it the shape of the tables.

    Raises
    ------
    ConfigurationError
        Where it is not of bool, or of another shape.
    """
    mask = unmasked(keep, "keep")
    leading, tables = shape[:-1], table_shape(shape)
    if mask.dtype != np.bool_ or mask.shape not in (leading, tables):
        raise ConfigurationError(
            f"keep must be bool of the leading shape, {leading}. Got {kind_of(mask)}."
        )
    return mask.reshape(tables)


def _kept(
    door: Door, table: GroupTables, compressed: Any, place: str, keep: npt.NDArray[np.bool_]
) -> tuple[GroupStreams, Indices]:
    nbytes = table.stream_nbytes[keep]
    streams = _streams(
        table,
        shape=(len(nbytes), table.shape[-1]),
        compressed=gather_bytes(door, compressed, table.stream_starts[keep], nbytes),
        stream_starts=np.cumsum(nbytes) - nbytes,
        stream_nbytes=nbytes,
        **_pick_values(table, keep),
        numbers=np.flatnonzero(keep),
        place=place,
    )
    return streams, [tuple(index) for index in np.argwhere(keep).tolist()]


# -- writing ----------------------------------------------------------------------
