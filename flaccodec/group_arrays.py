"""Arrays and FlacArrays <-> the streams of flacarray's group layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core, memory
from flaccodec.array import FlacArray
from flaccodec.blocks import in_block, is_elsewhere, read_blocks
from flaccodec.compress import array_compress, choose_threads, compress_integers
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptStreamError,
    EmptyArrayError,
    FlacCodecError,
    QuantaError,
    UnsupportedDtypeError,
)
from flaccodec.group_layout import GroupStreams, check_dtype, stack_tables, table_shape
from flaccodec.progress import stream_blocks
from flaccodec.utils import (
    check_one_given,
    check_samples,
    gains_of,
    per_stream,
    unmasked,
    whole_offset,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from flaccodec.compress import Compressed

QUANTA = "quanta"
"""The key, in flaccodec's own attribute, of quanta that all streams have."""


# -- arrays ------------------------------------------------------------------------


@dataclass(frozen=True)
class ArrayParts:
    """An array on its way to a group: what is known at once, and its streams as they come.

    Attributes
    ----------
    shape, dtype
        The array's; the dtype in this machine's byte order.
    extras : dict
        For flaccodec's own attribute.
    parts : iterable of Compressed
        Some streams after the other.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    extras: dict[str, Any]
    parts: Iterable[Compressed]


def compress_parts(
    arr: Any,
    level: int,
    quanta: npt.ArrayLike | None,
    precision: npt.ArrayLike | None,
    use_threads: bool | None,
    progress: bool,
) -> ArrayParts:
    """Compress an array to streams of format 1, by blocks where it is not in memory."""
    check_one_given(quanta, precision)
    array = arr if is_elsewhere(arr) else unmasked(arr)
    dtype = array.dtype.newbyteorder("=")
    check_dtype(dtype)
    shape = tuple(map(int, array.shape))
    if not shape:
        raise ConfigurationError("an array without axes has no streams: reshape it to (1,).")
    if 0 not in shape and (progress or is_elsewhere(array)):
        parts = _compress_blocks(array, level, quanta, precision, use_threads, progress)
    else:
        whole = np.asarray(array).astype(dtype, copy=False)
        parts = iter([array_compress(whole, level, quanta, precision, use_threads)])
    uniform = dtype.kind == "f" and quanta is not None and np.ndim(quanta) == 0
    extras = {QUANTA: float(np.asarray(quanta))} if uniform else {}
    return ArrayParts(shape, dtype, extras, parts)


def compress_array(
    arr: Any,
    level: int,
    quanta: npt.ArrayLike | None,
    precision: npt.ArrayLike | None,
    use_threads: bool | None,
    progress: bool,
) -> GroupStreams:
    """Compress an array to streams of format 1."""
    array = compress_parts(arr, level, quanta, precision, use_threads, progress)
    tables = _join(list(array.parts), table_shape(array.shape))
    return GroupStreams(array.shape, array.dtype, *tables, extras=array.extras)


def _compress_blocks(
    array: Any,
    level: int,
    quanta: npt.ArrayLike | None,
    precision: npt.ArrayLike | None,
    use_threads: bool | None,
    progress: bool,
) -> Iterator[Compressed]:
    """Do as `array_compress` with some streams after the other."""
    options = {
        name: per_stream(name, values, tuple(array.shape[:-1]))
        for name, values in (("quanta", quanta), ("precision", precision))
        if values is not None
    }
    for numbers, rows in read_blocks(array, "write_array", progress):
        chosen = {
            name: values if values.ndim == 0 else values.ravel()[numbers]
            for name, values in options.items()
        }
        try:
            yield array_compress(rows, level, use_threads=use_threads, **chosen)
        except FlacCodecError as error:
            if is_elsewhere(array):
                raise in_block(error, numbers) from error
            # Messages number the streams of what was given, which should be all of them.
            array_compress(array, level, quanta, precision, use_threads)
            raise


def _join(parts: list[Compressed], tables: tuple[int, ...]) -> Compressed:
    """Lay compressed streams end to end."""
    compressed = [part[0] for part in parts]
    shifts = np.cumsum([0, *map(len, compressed)])
    rows = [(part[1] + shift, *part[2:]) for part, shift in zip(parts, shifts[:-1], strict=True)]
    together = compressed[0] if len(parts) == 1 else np.concatenate(compressed)
    starts, nbytes, offsets, gains = stack_tables(rows, tables)
    return together, starts, nbytes, offsets, gains


def sample_range(streams: GroupStreams, stream_slice: slice | None) -> tuple[int, int]:
    """Return the first sample of a slice, and that after its last.

    Raises
    ------
    ConfigurationError
        It is no slice, or has a step.
    """
    first, last, _ = check_samples(stream_slice).indices(streams.stream_size)
    return first, max(first, last)


def decompress_streams(
    streams: GroupStreams,
    block: slice = slice(None),
    stream_slice: slice | None = None,
    use_threads: bool | None = None,
) -> npt.NDArray[Any]:
    """Restore the values of streams as the flacarray that wrote them does.

    Parameters
    ----------
    streams : GroupStreams
    block : slice
        Which streams, by number.
    stream_slice : slice, optional
        Which samples of each.
    use_threads : bool, optional
        As for `choose_threads`.

    Returns
    -------
    ndarray, shape (streams, samples)

    Raises
    ------
    CorruptStreamError
        A stream is damaged; the message names group and stream.
    """
    samples = _decode_samples(streams, block, stream_slice, use_threads)
    return _restore(streams, block, samples)


def _decode_samples(
    streams: GroupStreams,
    block: slice,
    stream_slice: slice | None = None,
    use_threads: bool | None = None,
) -> npt.NDArray[Any]:
    """Decode the integers of streams; as `decompress_streams`."""
    first, last = sample_range(streams, stream_slice)
    numbers = np.arange(streams.n_streams) if streams.numbers is None else streams.numbers
    try:
        return core.decode_streams(
            streams.compressed,
            streams.stream_starts.ravel()[block],
            streams.stream_nbytes.ravel()[block],
            streams.stream_size,
            first,
            last,
            wide=streams.n_channels == 2,
            num_threads=choose_threads(use_threads),
            numbers=numbers[block],
        )
    except CorruptStreamError as error:
        message = f"group {streams.place}: {error}"
        raise CorruptStreamError(message, error.stream, error.frame) from error


def _restore(streams: GroupStreams, block: slice, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values of integers, as the flacarray that wrote them does."""
    if streams.stream_offsets is None:
        return samples
    # Format 0 has 32-bit samples for 64-bit dtypes, and int64 with offsets alone.
    restored = samples.astype(streams.dtype)
    if streams.stream_gains is not None:
        restored *= (streams.dtype.type(1) / streams.stream_gains.ravel()[block])[:, np.newaxis]
    restored += streams.stream_offsets.ravel()[block, np.newaxis]
    return restored


def _decompress_blocks(
    streams: GroupStreams, stream_slice: slice | None, use_threads: bool | None
) -> npt.NDArray[Any]:
    """Restore some streams after the other, under a bar."""
    first, last = sample_range(streams, stream_slice)
    values = memory.empty((streams.n_streams, last - first), streams.dtype)
    sizes = streams.n_streams, streams.stream_size
    for block in stream_blocks(*sizes, "read_array", progress=True):
        values[block] = decompress_streams(streams, block, stream_slice, use_threads)
    return values


def read_array(
    streams: GroupStreams,
    stream_slice: slice | None,
    use_threads: bool | None,
    no_flatten: bool,
    progress: bool,
) -> npt.NDArray[Any]:
    """Restore an array in the shape that its reader expects."""
    if progress:
        array = _decompress_blocks(streams, stream_slice, use_threads)
    else:
        array = decompress_streams(streams, slice(None), stream_slice, use_threads)
    shape = streams.table_shape if no_flatten else streams.shape[:-1]
    return array.reshape(*shape, array.shape[-1])


# -- FlacArrays ----------------------------------------------------------------------


def streams_of(fa: FlacArray, what: str, progress: bool) -> GroupStreams:
    """Give a FlacArray's streams as format 1 has them.

    Streams of int32 that are stored without offsets are taken as they are; others are encoded
    anew, since the format has no offsets for integers and two channels for 64 bits.

    Raises
    ------
    UnsupportedDtypeError
        The layout cannot express the dtype, lossless floats, or samples that are not finite.
    """
    check_dtype(fa.dtype)
    if fa.ndim == 0:
        raise ConfigurationError("an array without axes has no streams: reshape it to (1,).")
    if can_take(fa):
        fa._checked_chunk()
        tables = fa.compressed, fa.stream_starts, fa.stream_nbytes
        return GroupStreams(fa.shape, fa.dtype, *tables)
    return encode_anew(fa, what, progress)


def can_take(fa: FlacArray) -> bool:
    """Whether the streams of a FlacArray are format 1's as they are."""
    return fa.dtype == np.int32 and fa.stream_offsets is None


def encode_anew(fa: FlacArray, what: str, progress: bool) -> GroupStreams:
    """Encode the streams of a FlacArray as format 1 has them; raises as `streams_of`."""
    _, quanta = fa._tables()
    if fa.dtype.kind == "f" and quanta is None:
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold floats without quanta: {ADVICE}"
        )
    if quanta is not None:
        _check_gains(quanta, fa.dtype)
    parts = [
        _encode_anew(fa, None if quanta is None else quanta[block], block)
        for block in stream_blocks(fa.nstreams, fa.stream_size, what, progress)
    ]
    uniform = quanta is not None and (quanta == quanta[0]).all()
    return GroupStreams(
        fa.shape,
        fa.dtype,
        *_join(parts, table_shape(fa.shape)),
        extras={QUANTA: float(quanta[0])} if quanta is not None and uniform else {},
    )


ADVICE = (
    "write it to a Zarr array with to_zarr or, over MPI ranks, have each write its part to one of "
    "flaccodec.zarr.create_distributed."
)


def _encode_anew(fa: FlacArray, quanta: npt.NDArray[Any] | None, block: slice) -> Compressed:
    """Encode some streams, floats by their integers on the grid."""
    threads = choose_threads(None)
    values = fa._decode(np.arange(block.start, block.stop), slice(None), threads)
    if quanta is None:
        return (*compress_integers(values, fa.level, threads), None, None)
    integers, middle = _grid(values, quanta)
    offsets, gains = (middle * quanta).astype(fa.dtype), gains_of(quanta, fa.dtype)
    return (*compress_integers(integers, fa.level, threads), offsets, gains)


def _check_gains(quanta: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> None:
    try:
        gains_of(quanta, dtype)
    except QuantaError as error:
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold the array: {error} Or {ADVICE}"
        ) from error


def _grid(
    values: npt.NDArray[Any], quanta: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return streams in quanta, each less a whole number in its middle, and these numbers."""
    if not np.isfinite(values).all():
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold samples that are not finite: {ADVICE}"
        )
    grid = np.rint(values / quanta[:, np.newaxis])
    _check_is_on_grid(values, grid, quanta)
    middle = whole_offset(grid.min(axis=-1) / 2 + grid.max(axis=-1) / 2, values.dtype)
    grid -= middle[:, np.newaxis]
    integers = np.dtype(f"int{8 * values.dtype.itemsize}")
    if np.abs(grid).max() >= 2.0 ** (8 * integers.itemsize - 1):
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold {values.dtype} with quanta this fine: {ADVICE}"
        )
    return grid.astype(integers), middle


def _check_is_on_grid(
    values: npt.NDArray[Any], grid: npt.NDArray[Any], quanta: npt.NDArray[Any]
) -> None:
    """Refuse samples that a FlacArray has exactly beside its grid: rounding would change them."""
    with np.errstate(over="ignore"):
        restored = (grid * quanta[:, np.newaxis]).astype(values.dtype)
        off = np.abs(restored - values)
    # With this many quanta their number is itself rounded, as values are.
    is_fine = np.abs(grid) >= FINE_QUANTA
    rounding = ROUNDINGS * np.finfo(values.dtype).eps * np.abs(values)
    wrong = off > np.where(is_fine, rounding, 0)
    if wrong.any():
        raise UnsupportedDtypeError(
            "flacarray's group layout cannot hold samples that are no whole quanta, as exact fill "
            f"values may be. Got {values[wrong][0]}: {ADVICE}"
        )


FINE_QUANTA = 2.0**50
"""From zero, of samples of float64 whose place on the grid float64 cannot tell surely."""


ROUNDINGS = 2
"""In eps of a dtype, what the roundings of offsets, gains and 1 / gain come to, and a bit more."""


MOST_QUANTA = 2.0**62
"""From zero, of a FlacArray's samples, which are 64-bit integers; a group's are from offsets."""


def flacarray_of(streams: GroupStreams, no_flatten: bool, what: str, progress: bool) -> FlacArray:
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


def encode_streams(streams: GroupStreams, no_flatten: bool, what: str, progress: bool) -> FlacArray:
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
    return FlacArray._own(np.frombuffer(chunk, dtype=np.uint8), shape)


def _encode_block(streams: GroupStreams, block: slice) -> core.Buffer:
    samples = _decode_samples(streams, block)
    if streams.dtype.kind != "f":
        return FlacArray.from_array(_restore(streams, block, samples))._chunk
    values, quanta = grid_values(streams, block, samples)
    uniform = (quanta == quanta[0]).all()
    return FlacArray.from_array(values, quanta=quanta[0] if uniform else quanta)._chunk


def grid_values(
    streams: GroupStreams, block: slice, samples: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return the values of a group's floats, and quanta of a grid anchored at zero for each.

    A group has values that are whole steps, 1 / gain, from an offset, and both are rounded to
    the dtype; a FlacArray has whole quanta from zero.

    - Where flaccodec's attribute has the exact quanta, offsets are taken for the whole numbers
      of quanta that they were rounded from. Values are those of the FlacArray that was written,
      bit for bit: what `read_array` returns without its roundings.
    - Else values are those that `read_array` returns, and quanta those of `fit_quanta`: a
      FlacArray keeps them within half of the quanta, and within 4 eps (of the dtype) of the
      stream's largest value or offset, whichever is larger.

    Parameters
    ----------
    streams : GroupStreams
        Of floats.
    block : slice
        Which streams, by number.
    samples : ndarray of int, shape (streams, n)
        What they hold.

    Returns
    -------
    values : ndarray of the streams' dtype, shape (streams, n)
    quanta : ndarray of float64, shape (streams,)
    """
    offsets, steps = _offsets_and_steps(streams, block)
    quanta = _exact_quanta(streams, offsets, steps)
    if quanta is not None:
        values = samples.astype(np.float64)
        values += whole_offset(offsets / quanta, streams.dtype)[:, np.newaxis]
        values *= quanta
        return values.astype(streams.dtype), np.full(len(steps), quanta)
    values = _restore(streams, block, samples)
    largest = np.maximum(values.max(axis=-1), -values.min(axis=-1)).astype(np.float64)
    return values, fit_quanta(offsets, steps, largest, streams.dtype)


def _offsets_and_steps(
    streams: GroupStreams, block: slice
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what streams of floats are restored with, as float64."""
    assert streams.stream_offsets is not None
    assert streams.stream_gains is not None
    steps = streams.dtype.type(1) / streams.stream_gains.ravel()[block]
    return streams.stream_offsets.ravel()[block].astype(np.float64), steps.astype(np.float64)


def _exact_quanta(
    streams: GroupStreams, offsets: npt.NDArray[np.float64], steps: npt.NDArray[np.float64]
) -> float | None:
    """Return the quanta of flaccodec's attribute; None where the tables are not of them."""
    quanta = streams.extras.get(QUANTA)
    if not isinstance(quanta, float | int) or not 0 < quanta < np.inf:
        return None
    if (np.abs(offsets) >= MOST_QUANTA * quanta).any():
        return None
    rounding = ROUNDINGS * float(np.finfo(streams.dtype).eps)
    off_grid = offsets - whole_offset(offsets / quanta, streams.dtype) * quanta
    if (np.abs(steps - quanta) > rounding * quanta).any():
        return None
    return None if (np.abs(off_grid) > rounding * np.abs(offsets)).any() else float(quanta)


def fit_quanta(
    offsets: npt.NDArray[np.float64],
    steps: npt.NDArray[np.float64],
    largest: npt.NDArray[np.float64],
    dtype: np.dtype[Any],
) -> npt.NDArray[np.float64]:
    """Choose quanta of a grid anchored at zero, on which ``offset + whole number * step`` lie.

    Offsets of flacarray 0.3 and later are whole numbers of steps, and miss the grid by roundings
    of the dtype alone; such a grid is stretched, by as little, to pass through the offset, so
    that values near it stay as they are. Those of flacarray 0.2 lie anywhere: there the step
    is halved until the grid passes the offset within a rounding. That is smaller than lossless
    floats are, and such streams can be written to a group again; those beside them keep theirs.
    Steps so fine that a FlacArray could not count them from zero, far below the dtype's precision
    there, become coarser.

    Parameters
    ----------
    offsets, steps : ndarray, shape (streams,)
    largest : ndarray, shape (streams,)
        The largest magnitude of each stream's values.
    dtype : numpy.dtype
        What these were rounded to.

    Returns
    -------
    ndarray, shape (streams,)
    """
    rounding = ROUNDINGS * float(np.finfo(dtype).eps)
    scale = np.maximum(largest, np.abs(offsets))
    tolerance = rounding * scale
    quanta = np.maximum(steps, scale / MOST_QUANTA)
    while True:
        whole = np.rint(offsets / quanta)
        missed = np.abs(offsets - whole * quanta)
        if (missed <= tolerance).all():
            break
        quanta = np.where(missed > tolerance, quanta / 2, quanta)
    stretched = (whole != 0) & (missed <= rounding * np.abs(offsets))
    return np.where(stretched, offsets / np.where(whole == 0, 1, whole), quanta)
