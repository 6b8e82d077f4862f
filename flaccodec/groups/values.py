"""Arrays and FlacArrays <-> the streams of flacarray's group layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.chunks.packed import Packed
from flaccodec.compress import compress_integers, compress_streams
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptStreamError,
    EmptyArrayError,
    FlacCodecError,
    QuantaError,
    UnsupportedDtypeError,
)
from flaccodec.groups.layout import GroupStreams, check_dtype, stack_tables, table_shape
from flaccodec.runtime import memory
from flaccodec.runtime.progress import stream_blocks
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.blocks import in_block, is_elsewhere, read_blocks
from flaccodec.samples.grid import (
    Fit,
    are_of,
    fit_by_parts,
    fit_grid,
    largest_of,
    read_back,
    restore,
    smallest_quanta,
    snap,
    sufficient_quanta,
    whole_offset,
)
from flaccodec.samples.keep import check_samples
from flaccodec.samples.masks import unmasked
from flaccodec.samples.quanta import check_one_given, gains_of, per_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from flaccodec.compress import CompressedOnGrid


ON_GRID = "on_grid"
"""The key, in flaccodec's own attribute, that marks the floats of a FlacArray."""


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
    parts : iterable of CompressedOnGrid
        Some streams after the other.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    extras: dict[str, Any]
    parts: Iterable[CompressedOnGrid]


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
    array = arr if is_elsewhere(arr) else unmasked(arr, keeps_nan=False)
    dtype = array.dtype.newbyteorder("=")
    check_dtype(dtype)
    shape = tuple(map(int, array.shape))
    if not shape:
        raise ConfigurationError("an array without axes has no streams: reshape it to (1,).")
    if 0 not in shape and (progress or is_elsewhere(array)):
        parts = _compress_blocks(array, level, quanta, precision, use_threads, progress)
    else:
        whole = np.asarray(array).astype(dtype, copy=False)
        parts = iter([_compress(whole, level, quanta, precision, use_threads)])
    by_range = dtype.kind == "f" and quanta is None and precision is None
    return ArrayParts(shape, dtype, {ON_GRID: True} if by_range else {}, parts)


def _compress(
    array: npt.NDArray[Any],
    level: int,
    quanta: npt.ArrayLike | None = None,
    precision: npt.ArrayLike | None = None,
    use_threads: bool | None = False,
) -> CompressedOnGrid:
    """Compress streams; floats with neither quanta nor precision as a FlacArray does."""
    if array.dtype.kind != "f" or quanta is not None or precision is not None:
        return compress_streams(array, level, quanta, precision, use_threads)
    packed = Packed.encode(array, level, use_threads=use_threads)
    return _encode_anew(packed, slice(0, packed.nstreams))


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
    return _group_streams(array.shape, array.dtype, tables, array.extras)


def _group_streams(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    tables: CompressedOnGrid,
    extras: dict[str, Any],
) -> GroupStreams:
    return GroupStreams(shape, dtype, *tables[:5], stream_quanta=tables[5], extras=extras)


def _compress_blocks(
    array: Any,
    level: int,
    quanta: npt.ArrayLike | None,
    precision: npt.ArrayLike | None,
    use_threads: bool | None,
    progress: bool,
) -> Iterator[CompressedOnGrid]:
    """Do as `_compress` with some streams after the other."""
    options = {
        name: per_stream(name, values, tuple(array.shape[:-1]))
        for name, values in (("quanta", quanta), ("precision", precision))
        if values is not None
    }
    for numbers, rows in read_blocks(array, "write_array", progress, keeps_nan=False):
        chosen = {
            name: values if values.ndim == 0 else values.ravel()[numbers]
            for name, values in options.items()
        }
        try:
            yield _compress(rows, level, use_threads=use_threads, **chosen)
        except FlacCodecError as error:
            if is_elsewhere(array):
                raise in_block(error, numbers) from error
            # Messages number the streams of what was given, which should be all of them.
            _compress(array, level, quanta, precision, use_threads)
            raise


def _join(parts: list[CompressedOnGrid], tables: tuple[int, ...]) -> CompressedOnGrid:
    """Lay compressed streams end to end."""
    compressed = [part[0] for part in parts]
    shifts = np.cumsum([0, *map(len, compressed)])
    rows = [(part[1] + shift, *part[2:]) for part, shift in zip(parts, shifts[:-1], strict=True)]
    together = compressed[0] if len(parts) == 1 else np.concatenate(compressed)
    starts, nbytes, offsets, gains, quanta = stack_tables(rows, tables)
    return together, starts, nbytes, offsets, gains, quanta


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

    Those of a FlacArray's floats are what it held, as `grid_values` says.

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
    if streams.extras.get(ON_GRID) and streams.stream_quanta is not None:
        return grid_values(streams, block, samples)[0]
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
    offsets = streams.stream_offsets.ravel()[block]
    if streams.stream_gains is not None:
        return restore(samples, offsets, streams.stream_gains.ravel()[block])
    # Format 0 has 32-bit samples for int64, with offsets alone.
    restored = samples.astype(streams.dtype)
    restored += offsets[:, np.newaxis]
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
        _encode_anew(packed, block)
        for block in stream_blocks(packed.nstreams, packed.stream_size, what, progress)
    ]
    extras = {} if quanta is None else {ON_GRID: True}
    return _group_streams(
        packed.shape, packed.dtype, _join(parts, table_shape(packed.shape)), extras
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


def _encode_anew(packed: Packed, block: slice) -> CompressedOnGrid:
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


ROUNDINGS = 2
"""In eps of a dtype, what the roundings of offsets, gains and 1 / gain come to, and a bit more."""


MOST_QUANTA = 2.0**62
"""From zero, of a FlacArray's samples, which are 64-bit integers; a group's are from offsets."""


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
    samples = _decode_samples(streams, block)
    if streams.dtype.kind != "f":
        return Packed.encode(_restore(streams, block, samples)).chunk
    values, quanta = grid_values(streams, block, samples)
    uniform = (quanta == quanta[0]).all()
    return Packed.encode(values, quanta=quanta[0] if uniform else quanta).chunk


def grid_values(
    streams: GroupStreams, block: slice, samples: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return the values of a group's floats, and quanta of a grid anchored at zero for each.

    A group has values that are whole steps, 1 / gain, from an offset, and both are rounded to
    the dtype; a FlacArray has whole quanta from zero.

    - Where flaccodec wrote the quanta too, values are those that the group was written with,
      put back on that grid by `group_floats.read_back`.
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
    values = _restore(streams, block, samples)
    if streams.stream_quanta is not None:
        assert streams.stream_offsets is not None
        assert streams.stream_gains is not None
        gains, quanta = (t.ravel()[block] for t in (streams.stream_gains, streams.stream_quanta))
        tables = samples, streams.stream_offsets.ravel()[block], gains, quanta
        if are_of(*tables):
            return read_back(*tables), quanta
        # Something else has changed the other tables since.
    return values, fit_quanta(offsets, steps, largest_of(values), streams.dtype)


def _offsets_and_steps(
    streams: GroupStreams, block: slice
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what streams of floats are restored with, as float64."""
    assert streams.stream_offsets is not None
    assert streams.stream_gains is not None
    steps = streams.dtype.type(1) / streams.stream_gains.ravel()[block]
    return streams.stream_offsets.ravel()[block].astype(np.float64), steps.astype(np.float64)


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
