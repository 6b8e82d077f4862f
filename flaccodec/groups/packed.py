"""Packed arrays <-> the streams of flacarray's group layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.chunks.packed import Packed
from flaccodec.compress import compress_integers
from flaccodec.exceptions import (
    ConfigurationError,
    EmptyArrayError,
    QuantaError,
    UnsupportedDtypeError,
)
from flaccodec.groups.decode import decode_samples
from flaccodec.groups.grid import grid_values
from flaccodec.groups.layout import GroupStreams, check_dtype, table_shape
from flaccodec.runtime.progress import stream_blocks
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.grid import (
    Fit,
    fit_by_parts,
    fit_grid,
    smallest_quanta,
    snap,
    sufficient_quanta,
    whole_offset,
)
from flaccodec.samples.quanta import gains_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from flaccodec.compress import CompressedOnGrid
from flaccodec.groups.grid import restored
from flaccodec.groups.layout import ON_GRID, join_streams, streams_of_tables


def streams_of(packed: Packed, what: str, progress: bool) -> GroupStreams:
    """Give a FlacArray's streams as format 1 has them.

    Streams of int32 that are stored without offsets are taken as they are; others are encoded
    anew, since the format has no offsets for integers and two channels for 64 bits.

    Raises
    ------
    UnsupportedDtypeError
        The layout cannot express the dtype, lossless floats, or samples that are not finite.
    """
    check_dtype(packed.dtype)
    if packed.ndim == 0:
        raise ConfigurationError("an array without axes has no streams: reshape it to (1,).")
    if can_take(packed):
        packed.checked_chunk()
        tables = packed.compressed, packed.stream_starts, packed.stream_nbytes
        return GroupStreams(packed.shape, packed.dtype, *tables)
    return encode_anew(packed, what, progress)


def can_take(packed: Packed) -> bool:
    """Whether the streams of a FlacArray are format 1's as they are."""
    return packed.dtype == np.int32 and packed.stream_offsets is None


def encode_anew(packed: Packed, what: str, progress: bool) -> GroupStreams:
    """Encode the streams of a FlacArray as format 1 has them; raises as `streams_of`."""
    _, quanta = packed.tables()
    if packed.dtype.kind == "f" and quanta is None:
        raise UnsupportedDtypeError(
            "flacarray's group layout cannot hold floats without quanta, which the FlacArray was "
            "not given, or which were too fine for it: make it with coarser ones, such as "
            f"{_sufficient_quanta(packed)!r}. Or {ADVICE}"
        )
    if quanta is not None:
        _check_gains(quanta, packed.dtype)
    parts = [
        encode_on_grid(packed, block)
        for block in stream_blocks(packed.nstreams, packed.stream_size, what, progress)
    ]
    extras = {} if quanta is None else {ON_GRID: True}
    return streams_of_tables(
        packed.shape, packed.dtype, join_streams(parts, table_shape(packed.shape)), extras
    )


def _sufficient_quanta(packed: Packed) -> float:
    """Return quanta with which a FlacArray is quantized, and the layout can hold it."""
    most = 0.0
    for block in stream_blocks(packed.nstreams, packed.stream_size, "write", False):
        rows = np.arange(packed.nstreams)[block]
        values = packed.decode(rows, slice(None), choose_threads(None))
        most = max(most, sufficient_quanta(np.where(np.isfinite(values), values, 0)))
    return most


ADVICE = (
    "write it to a Zarr array with to_zarr or, over MPI ranks, have each write its part to one of "
    "flaccodec.zarr.create_distributed."
)


def encode_on_grid(packed: Packed, block: slice) -> CompressedOnGrid:
    """Encode some streams, floats by their integers on the grid."""
    threads = choose_threads(None)
    values = packed.decode(np.arange(block.start, block.stop), slice(None), threads)
    _, quanta = packed.tables()
    if quanta is None:
        return (*compress_integers(values, packed.level, threads), None, None, None)
    fit = _fit(values, quanta[block], block.start)
    streams = compress_integers(fit.integers, packed.level, threads)
    return (*streams, fit.offsets, fit.gains, fit.quanta)


def _check_gains(quanta: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> None:
    try:
        gains_of(quanta, dtype)
    except QuantaError as error:
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold the array: {error} Or {ADVICE}"
        ) from error


def _fit(values: npt.NDArray[Any], quanta: npt.NDArray[np.float64], first: int) -> Fit:
    """Return what gives values back; `first` is the number of the first stream."""
    if not np.isfinite(values).all():
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold samples that are not finite: {ADVICE}"
        )
    ends = [np.rint(end(axis=-1).astype(np.float64) / quanta) for end in (values.min, values.max)]
    middle = whole_offset(ends[0] / 2 + ends[1] / 2, values.dtype)
    fit, fits = fit_by_parts(values, lambda i: fit_grid(values[i], quanta[i], middle[i]))
    if fits.all():
        return fit
    stream = int(np.argmin(fits))
    row, step = values[stream], quanta[stream]
    beside = snap(row[np.newaxis], step[np.newaxis])[0] != row
    if beside.any():
        sample = int(np.argmax(beside))
        raise UnsupportedDtypeError(
            "flacarray's group layout cannot hold samples that are no whole quanta, as exact fill "
            "values may be, and those that quanta cannot hold. "
            f"Got {row[sample]} at stream {first + stream:,}, sample {sample:,}, with quanta "
            f"{step!s}: {ADVICE}"
        )
    raise UnsupportedDtypeError(
        f"flacarray's group layout cannot hold {values.dtype} with quanta this fine at stream "
        f"{first + stream:,}. Got {step!s}: with quanta {smallest_quanta(row, 8)!r} it could. "
        f"Or {ADVICE}"
    )


def packed_of(streams: GroupStreams, no_flatten: bool, what: str, progress: bool) -> Packed:
    """Make a FlacArray of a group's streams; floats as `grid_values` puts them on a grid.

    Raises
    ------
    EmptyArrayError
        There are none.
    """
    if not streams.n_streams:
        raise no_streams(streams.place)
    return encode_streams(streams, no_flatten, what, progress)


def no_streams(place: str) -> EmptyArrayError:
    """Return the error of a FlacArray of a group of which no stream is kept."""
    return EmptyArrayError(
        f"group {place}: a FlacArray must have at least 1 stream. Got a keep without any: "
        "flaccodec's read_array returns an empty array for it."
    )


def encode_streams(streams: GroupStreams, no_flatten: bool, what: str, progress: bool) -> Packed:
    """Make a FlacArray of a group's streams, of which there is one at least."""
    chunks: list[core.Buffer] = []
    picks: list[tuple[int, int]] = []
    sizes = streams.n_streams, streams.stream_size
    for block in stream_blocks(*sizes, what, progress):
        chunk = _encode_block(streams, block)
        picks += [(len(chunks), i) for i in range(len(range(streams.n_streams)[block]))]
        chunks.append(chunk)
    chunk = chunks[0] if len(chunks) == 1 else core.gather_streams(chunks, np.array(picks))
    shape = (*streams.table_shape, streams.stream_size) if no_flatten else streams.shape
    return Packed.own(np.frombuffer(chunk, dtype=np.uint8), shape)


def _encode_block(streams: GroupStreams, block: slice) -> core.Buffer:
    samples = decode_samples(streams, block)
    if streams.dtype.kind != "f":
        return Packed.encode(restored(streams, block, samples)).chunk
    values, quanta = grid_values(streams, block, samples)
    uniform = (quanta == quanta[0]).all()
    return Packed.encode(values, quanta=quanta[0] if uniform else quanta).chunk
