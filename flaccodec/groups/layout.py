"""The flacarray package's layout of a compressed array in a group of datasets.

An array of shape ``(*leading, stream_size)`` is kept as these datasets of an HDF5 or Zarr
group; the four tables have the leading shape, ``(1,)`` for an array of one axis:

==================  =============================================================
``compressed``      uint8, one axis: a FLAC stream for each stream, end to end
``stream_starts``   int64: the byte of ``compressed`` where each begins; its
                    attribute ``stream_size`` has the samples of a stream
``stream_bytes``    int64: how many bytes each has
``stream_offsets``  of the array's dtype; there for floats, and in format 0 for int64
``stream_gains``    of the array's dtype; there for floats
==================  =============================================================

The group's attribute ``flacarray_format_version`` tells the format:

====== =============== =========================================================
format written by      what it means
====== =============== =========================================================
0      flacarray 0.2   One FLAC channel of 32 bits whatever the dtype. int64 is a
                       sample + the stream's (int64) offset.
1      flacarray 0.3   The attribute ``flac_channels`` is "1" for 32-bit dtypes and
       and later       "2" for 64-bit ones, whose samples are split into channels of
                       their low and high 32-bit words. Integers have no offsets.
====== =============== =========================================================

In both formats a float is ``dtype(sample) * (dtype(1) / gain) + offset``, each step rounded
to the array's dtype, and its gain is 1 / quanta.

The layout does not tell (n,) from (1, n): flacarray reads either as (1, n) in format 0, and as
(n,) in format 1. What flaccodec writes has one more attribute, ``flaccodec``: a JSON object that
flacarray passes over, whose ``shape`` is the array's. It holds as long as
``flacarray_software_version`` names flaccodec, as flacarray replaces that when it writes to a
group whose datasets were deleted.

Floats that flaccodec writes have one more table that flacarray passes over, ``stream_quanta``
(float64): the quanta of a grid, anchored at zero, that the stream's values were rounded from. The
attribute ``flaccodec`` names it as its ``quanta_table``. A FlacArray that is read has the numbers
of the dtype that are nearest to that grid, and so those that were written, bit for bit (see
`flaccodec.samples.grid.read_back`).

This module is the layout as such, `flaccodec.groups.read` what HDF5 and Zarr have in common, and
`flaccodec.hdf5` and `flaccodec.zarr.groups.arrays` are the doors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.exceptions import (
    CorruptGroupError,
    UnknownGroupVersionError,
    UnsupportedDtypeError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from flaccodec.compress import CompressedOnGrid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

COMPRESSED = "compressed"
STREAM_STARTS = "stream_starts"
STREAM_BYTES = "stream_bytes"
STREAM_OFFSETS = "stream_offsets"
STREAM_GAINS = "stream_gains"
STREAM_QUANTA = "stream_quanta"
DATASETS = (
    COMPRESSED,
    STREAM_STARTS,
    STREAM_BYTES,
    STREAM_OFFSETS,
    STREAM_GAINS,
    STREAM_QUANTA,
)

STREAM_SIZE = "stream_size"  # an attribute of STREAM_STARTS; the others are the group's
FORMAT_VERSION = "flacarray_format_version"
SOFTWARE_VERSION = "flacarray_software_version"
FLAC_CHANNELS = "flac_channels"
EXTRAS = "flaccodec"

KNOWN_VERSIONS = (0, 1)
WRITTEN_VERSION = 1
DTYPES = tuple(np.dtype(name) for name in ("int32", "int64", "float32", "float64"))


@dataclass(frozen=True)
class GroupTables:
    """All that a group tells of an array but its compressed bytes.

    The attributes are those of `GroupStreams`, as are the errors.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stream_starts: npt.NDArray[np.int64]
    stream_nbytes: npt.NDArray[np.int64]
    stream_offsets: npt.NDArray[Any] | None = None
    stream_gains: npt.NDArray[Any] | None = None
    format_version: int = WRITTEN_VERSION
    extras: Mapping[str, Any] = field(default_factory=dict)
    stream_quanta: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        check_tables(self)


@dataclass(frozen=True)
class GroupStreams:
    """The compressed streams of an array, as a group holds them.

    Attributes
    ----------
    shape : tuple of int
        Of the array: (..., stream_size), one axis or more. Of streams that were selected:
        (number of them, stream_size).
    dtype : numpy.dtype
        int32, int64, float32 or float64.
    compressed : ndarray of uint8, one axis
        The FLAC streams.
    stream_starts, stream_nbytes : ndarray of int64, of shape `table_shape`
        Where in `compressed` each stream begins, and how many bytes it has.
    stream_offsets : ndarray or None, of shape `table_shape`
        Of dtype `dtype`; for floats, and for int64 in format 0.
    stream_gains : ndarray or None, of shape `table_shape`
        Of dtype `dtype`; for floats.
    format_version : int
        0 or 1, which tells how samples become values (see the module).
    extras : mapping
        What flaccodec's own attribute holds besides the shape: whatever JSON can express,
        under 60,000 bytes. Of streams that were selected, it is still the whole array's.
    numbers : ndarray of int64 or None
        Of streams that were selected, which of the array's they are, in C order from 0.
    place : str
        What to call the group in messages; empty for streams that come from none.
    stream_quanta : ndarray of float64 or None, of shape `table_shape`
        For floats that flaccodec wrote: of the grid that their values were rounded from.

    Raises
    ------
    UnsupportedDtypeError
        `dtype` is none of the four.
    GroupError
        The others contradict each other, or streams lie outside of `compressed`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    compressed: npt.NDArray[np.uint8]
    stream_starts: npt.NDArray[np.int64]
    stream_nbytes: npt.NDArray[np.int64]
    stream_offsets: npt.NDArray[Any] | None = None
    stream_gains: npt.NDArray[Any] | None = None
    format_version: int = WRITTEN_VERSION
    extras: Mapping[str, Any] = field(default_factory=dict)
    numbers: npt.NDArray[np.int64] | None = None
    place: str = ""
    stream_quanta: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        check_dtype(self.dtype)
        if self.compressed.ndim != 1 or self.compressed.dtype != np.uint8:
            raise CorruptGroupError(
                f"compressed must be uint8 and have one axis. Got {kind_of(self.compressed)}."
            )
        check_tables(self)
        check_ranges(self.stream_starts, self.stream_nbytes, len(self.compressed))

    @property
    def table_shape(self) -> tuple[int, ...]:
        """The shape of starts, nbytes, offsets and gains: the leading shape, or (1,)."""
        return table_shape(self.shape)

    @property
    def stream_size(self) -> int:
        """Samples of a stream."""
        return self.shape[-1]

    @property
    def n_streams(self) -> int:
        """How many streams there are."""
        return math.prod(self.shape[:-1])

    @property
    def n_channels(self) -> int:
        """FLAC channels of each stream; 2 where they are the words of 64-bit integers."""
        return flac_channels(self.dtype, self.format_version)


# -- rules ------------------------------------------------------------------------


def table_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the tables of an array: its leading shape, (1,) for one axis."""
    return shape[:-1] or (1,)


def layout_shape(tables: tuple[int, ...], stream_size: int, format_version: int) -> tuple[int, ...]:
    """Return the shape that flacarray gives to an array; its format 0 has no single axis."""
    if tables == (1,) and format_version > 0:
        return (stream_size,)
    return (*tables, stream_size)


def flac_channels(dtype: npt.DTypeLike, format_version: int = WRITTEN_VERSION) -> int:
    """Return how many FLAC channels a format uses for a dtype."""
    return 2 if format_version > 0 and np.dtype(dtype).itemsize == 8 else 1


def check_dtype(dtype: npt.DTypeLike) -> None:
    """Check that the layout can hold a dtype, in this machine's byte order.

    Raises
    ------
    UnsupportedDtypeError
        Where it cannot; the message says what can.
    """
    dtype = np.dtype(dtype)
    if dtype in DTYPES:
        return
    core.check_dtype(dtype)
    names = ", ".join(map(str, DTYPES))
    if not dtype.isnative:
        advice = f"convert it with astype({dtype.name!r})"
    else:
        advice = (
            "a Zarr array of FlacCodec can (flaccodec.create_array), or convert it with "
            f"astype({_wider(dtype)!r})"
        )
    raise UnsupportedDtypeError(
        f"flacarray's group layout cannot hold {dtype}, only {names}: {advice}."
    )


def _wider(dtype: np.dtype[Any]) -> str:
    return "int32" if np.can_cast(dtype, np.int32) else "int64"


def kind_of(array: Any) -> str:
    """Return dtype and shape of an array or dataset, for messages."""
    return f"{array.dtype} of shape {tuple(array.shape)}"


def unknown_version(version: Any) -> str:
    """Return the message on a format version that is not known."""
    known = " and ".join(map(str, KNOWN_VERSIONS))
    return (
        f"flacarray's formats {known} are known. Got {FORMAT_VERSION} {version!r}; "
        "a later flaccodec may read it."
    )


def check_tables(streams: GroupStreams | GroupTables) -> None:
    """Check that shape, dtype, format version and tables go together.

    Raises
    ------
    GroupError
        Where they do not.
    """
    if not streams.shape or streams.shape[-1] < 1:
        raise CorruptGroupError(
            f"streams must have at least 1 sample. Got an array of shape {streams.shape}."
        )
    if streams.format_version not in KNOWN_VERSIONS:
        raise UnknownGroupVersionError(unknown_version(streams.format_version))
    wants: dict[str, np.dtype[Any]] = dict.fromkeys(
        (STREAM_STARTS, STREAM_BYTES), np.dtype(np.int64)
    )
    has_offsets = streams.dtype.kind == "f" or (
        streams.format_version == 0 and streams.dtype.itemsize == 8
    )
    if has_offsets:
        wants[STREAM_OFFSETS] = streams.dtype
    if streams.dtype.kind == "f":
        wants[STREAM_GAINS] = streams.dtype
        if streams.stream_quanta is not None:
            wants[STREAM_QUANTA] = np.dtype(np.float64)
    for name, table in tables_of(streams).items():
        _check_table(name, table, wants.get(name), streams)
    if streams.stream_gains is not None and streams.stream_offsets is not None:
        _check_values(streams)


def _check_values(streams: GroupStreams | GroupTables) -> None:
    """Check that floats can be restored with their tables."""
    offsets, gains, quanta = streams.stream_offsets, streams.stream_gains, streams.stream_quanta
    assert offsets is not None
    assert gains is not None
    with np.errstate(all="ignore"):
        steps = gains.dtype.type(1) / gains
        cannot = ~((gains > 0) & np.isfinite(gains) & np.isfinite(steps))
    checks = [
        (STREAM_GAINS, gains, cannot, "positive and finite, as must be 1 / gain"),
        (STREAM_OFFSETS, offsets, ~np.isfinite(offsets), "finite"),
    ]
    if quanta is not None:
        with np.errstate(invalid="ignore"):
            cannot = ~((quanta > 0) & np.isfinite(quanta))
        checks.append((STREAM_QUANTA, quanta, cannot, "positive and finite"))
    for name, table, bad, wanted in checks:
        if bad.any():
            index = _first(bad)
            raise CorruptGroupError(
                f"{name} must be {wanted}. Got {table[index]} for stream {index}."
            )


def _first(marked: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first that is marked."""
    at = np.unravel_index(int(np.argmax(marked)), marked.shape)
    return tuple(int(i) for i in at)


def tables_of(streams: GroupStreams | GroupTables) -> dict[str, npt.NDArray[Any] | None]:
    """Return the tables by the names of their datasets; None for those that are not there."""
    return {
        STREAM_STARTS: streams.stream_starts,
        STREAM_BYTES: streams.stream_nbytes,
        STREAM_OFFSETS: streams.stream_offsets,
        STREAM_GAINS: streams.stream_gains,
        STREAM_QUANTA: streams.stream_quanta,
    }


def stack_tables(parts: Iterable[tuple[Any, ...]], shape: tuple[int, ...]) -> list[Any]:
    """Join the tables of streams that follow each other; None where they are None."""

    def stack(tables: tuple[Any, ...]) -> Any:
        return None if tables[0] is None else np.concatenate(list(map(np.ravel, tables)))

    stacked = [stack(tables) for tables in zip(*parts, strict=True)]
    return [None if table is None else table.reshape(shape) for table in stacked]


def _check_table(
    name: str,
    table: npt.NDArray[Any] | None,
    dtype: np.dtype[Any] | None,
    streams: GroupStreams | GroupTables,
) -> None:
    purpose = f"an array of {streams.dtype} in format {streams.format_version}"
    if dtype is None and table is not None:
        raise CorruptGroupError(f"{purpose} has no {name}. Got {kind_of(table)}.")
    if dtype is None:
        return
    if table is None:
        raise CorruptGroupError(f"{purpose} needs {name}. Got none.")
    if table.dtype != dtype or table.shape != table_shape(streams.shape):
        raise CorruptGroupError(
            f"{name} of an array of shape {streams.shape} must be {dtype} of shape "
            f"{table_shape(streams.shape)}. Got {kind_of(table)}."
        )


def check_ranges(starts: npt.NDArray[np.int64], nbytes: npt.NDArray[np.int64], size: int) -> None:
    """Check that every stream lies within the compressed bytes, and all of them beside each other.

    Raises
    ------
    CorruptGroupError
        Where one does not, the message names the first; or they have more bytes than there are.
    """
    outside = (starts < 0) | (nbytes < 1) | (starts > size) | (nbytes > size - starts)
    if not outside.any():
        total = nbytes.sum(dtype=np.float64)  # which is exact as far as it matters
        if total > size:
            raise CorruptGroupError(
                f"streams must not share bytes. Got {total:,.0f} bytes of {nbytes.size:,} streams, "
                f"and {size:,} bytes of {COMPRESSED}."
            )
        return
    index = _first(outside)
    raise CorruptGroupError(
        f"stream {index} must lie within the {size:,} bytes of {COMPRESSED}. "
        f"Got start {int(starts[index]):,} and {int(nbytes[index]):,} bytes."
    )


@dataclass(frozen=True)
class ArrayParts:
    """An array on its way to a group: what is known at once, and its streams as they come.

    Attributes
    ----------
    shape, dtype
        The array's; the dtype in this machine's byte order.
    extras : dict
        For flaccodec's own attribute.
    parts : iterable of CompressedOnGrid
        Some streams after the other.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    extras: dict[str, Any]
    parts: Iterable[CompressedOnGrid]


ON_GRID = "on_grid"
"""The key, in flaccodec's own attribute, that marks the floats of a FlacArray."""


def streams_of_tables(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    tables: CompressedOnGrid,
    extras: dict[str, Any],
) -> GroupStreams:
    """Return an array's streams, of what `join_streams` gives."""
    return GroupStreams(shape, dtype, *tables[:5], stream_quanta=tables[5], extras=extras)


def join_streams(parts: list[CompressedOnGrid], tables: tuple[int, ...]) -> CompressedOnGrid:
    """Lay compressed streams end to end."""
    compressed = [part[0] for part in parts]
    shifts = np.cumsum([0, *map(len, compressed)])
    rows = [(part[1] + shift, *part[2:]) for part, shift in zip(parts, shifts[:-1], strict=True)]
    together = compressed[0] if len(parts) == 1 else np.concatenate(compressed)
    starts, nbytes, offsets, gains, quanta = stack_tables(rows, tables)
    return together, starts, nbytes, offsets, gains, quanta


WRITER = "flaccodec"


QUANTA = "quanta_table"
"""The key, in flaccodec's own attribute, of the name of the table that has them."""
