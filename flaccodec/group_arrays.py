"""Arrays and FlacArrays <-> the streams of flacarray's group layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.array import FlacArray
from flaccodec.compress import array_compress, choose_threads, compress_integers
from flaccodec.decompress import array_decompress
from flaccodec.exceptions import ConfigurationError, UnsupportedDtypeError
from flaccodec.group_layout import GroupStreams, check_dtype, table_shape

if TYPE_CHECKING:
    import numpy.typing as npt

QUANTA = "quanta"
"""The key, in flaccodec's own attribute, of quanta that all streams have."""


def check_no_mpi(mpi_comm: Any, mpi_dist: Any = None) -> None:
    """Refuse what is not there yet.

    Raises
    ------
    ConfigurationError
        A communicator or a distribution is given.
    """
    if mpi_comm is not None or mpi_dist is not None:
        raise ConfigurationError("mpi_comm and mpi_dist must be None: MPI is not used yet.")


# -- arrays ------------------------------------------------------------------------


def compress_array(
    arr: npt.NDArray[Any],
    level: int,
    quanta: npt.ArrayLike | None,
    precision: npt.ArrayLike | None,
    use_threads: bool | None,
) -> GroupStreams:
    """Compress an array to streams of format 1."""
    array = np.asarray(arr)
    check_dtype(array.dtype.newbyteorder("="))
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.ndim == 0:
        raise ConfigurationError("an array without axes has no streams: reshape it to (1,).")
    tables = array_compress(array, level, quanta, precision, use_threads)
    uniform = quanta is not None and np.ndim(quanta) == 0
    extras = {QUANTA: float(np.asarray(quanta))} if uniform else {}
    return GroupStreams(array.shape, array.dtype, *tables, extras=extras)


def decompress_streams(
    streams: GroupStreams,
    stream_slice: slice | None,
    use_threads: bool | None,
) -> npt.NDArray[Any]:
    """Restore the values of streams as the flacarray that wrote them does.

    Returns
    -------
    ndarray, shape (*table_shape, samples)
    """
    if stream_slice is not None and stream_slice.step not in (None, 1):
        raise ConfigurationError(f"stream_slice must have no step. Got {stream_slice}.")
    first, last, _ = (stream_slice or slice(None)).indices(streams.stream_size)
    gains = streams.stream_gains
    values = array_decompress(
        streams.compressed,
        streams.stream_size,
        streams.stream_starts,
        streams.stream_nbytes,
        first_stream_sample=first,
        last_stream_sample=max(first, last),
        is_int64=streams.n_channels == 2,
        use_threads=use_threads,
        no_flatten=True,
    )
    if streams.stream_offsets is None:
        return values
    # Format 0 has 32-bit samples for 64-bit dtypes, and int64 with offsets alone.
    restored = values.astype(streams.dtype)
    if gains is not None:
        restored *= (streams.dtype.type(1) / gains)[..., np.newaxis]
    restored += streams.stream_offsets[..., np.newaxis]
    return restored


def read_array(
    streams: GroupStreams,
    kept: bool,
    stream_slice: slice | None,
    use_threads: bool | None,
    no_flatten: bool,
) -> npt.NDArray[Any]:
    """Restore an array in the shape that its reader expects."""
    array = decompress_streams(streams, stream_slice, use_threads)
    shape = array.shape[:-1] if kept or no_flatten else streams.shape[:-1]
    return array.reshape(*shape, array.shape[-1])


# -- FlacArrays ----------------------------------------------------------------------


def streams_of(fa: FlacArray) -> GroupStreams:
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
    if fa.dtype.kind == "i":
        return _integer_streams(fa)
    return _float_streams(fa)


def _integer_streams(fa: FlacArray) -> GroupStreams:
    if fa.dtype == np.int32 and fa.stream_offsets is None:
        compressed, starts, nbytes = fa.compressed, fa.stream_starts, fa.stream_nbytes
    else:
        threads = choose_threads(None)
        compressed, starts, nbytes = compress_integers(fa.to_array(), core.DEFAULT_LEVEL, threads)
    return GroupStreams(fa.shape, fa.dtype, compressed, starts, nbytes)


def _float_streams(fa: FlacArray) -> GroupStreams:
    """Take the integers of the grid, each stream less a whole number in its middle."""
    _, quanta = core.stream_tables(fa._chunk)
    advice = "write it to a Zarr array with to_zarr."
    if quanta is None:
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold floats without quanta: {advice}"
        )
    values = fa.to_array().reshape(fa.nstreams, fa.stream_size)
    if not np.isfinite(values).all():
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold samples that are not finite: {advice}"
        )
    grid = np.rint(values / quanta[:, np.newaxis])
    middle = np.rint(grid.min(axis=-1) / 2 + grid.max(axis=-1) / 2)
    grid -= middle[:, np.newaxis]
    integers = np.dtype(f"int{8 * fa.dtype.itemsize}")
    if np.abs(grid).max() >= 2.0 ** (8 * integers.itemsize - 1):
        raise UnsupportedDtypeError(
            f"flacarray's group layout cannot hold {fa.dtype} with quanta this fine: {advice}"
        )
    compressed, starts, nbytes = compress_integers(
        grid.astype(integers), core.DEFAULT_LEVEL, choose_threads(None)
    )
    tables = table_shape(fa.shape)
    return GroupStreams(
        fa.shape,
        fa.dtype,
        compressed,
        starts.reshape(tables),
        nbytes.reshape(tables),
        stream_offsets=(middle * quanta).astype(fa.dtype).reshape(tables),
        stream_gains=(1 / quanta).astype(fa.dtype).reshape(tables),
        extras={QUANTA: float(quanta[0])} if (quanta == quanta[0]).all() else {},
    )


OFF_GRID = 1e-2
"""Quanta that an offset may be off the grid; float32 offsets and gains are rounded."""


def flacarray_of(streams: GroupStreams, no_flatten: bool = False) -> FlacArray:
    """Make a FlacArray of a group's streams.

    Floats are put on the grid of their quanta again; those whose offsets do not lie on it
    (flacarray 0.2's) are kept bit for bit as that version restores them.
    """
    values = decompress_streams(streams, None, None)
    shape = values.shape if no_flatten else streams.shape
    if streams.stream_gains is None or streams.stream_offsets is None:
        return FlacArray.from_array(values.reshape(shape))
    gains = streams.stream_gains.astype(np.float64)
    quanta = np.full(gains.shape, streams.extras.get(QUANTA, np.nan), dtype=np.float64)
    quanta = np.where(np.isnan(quanta), 1 / gains, quanta)
    steps = streams.stream_offsets.astype(np.float64) / quanta
    if streams.format_version == 0 or np.abs(steps - np.rint(steps)).max() > OFF_GRID:
        return FlacArray.from_array(values.reshape(shape), lossless=True)
    on_grid = np.rint(values / quanta[..., np.newaxis]) * quanta[..., np.newaxis]
    uniform = quanta.flat[0] if (quanta == quanta.flat[0]).all() else quanta.reshape(shape[:-1])
    return FlacArray.from_array(on_grid.astype(streams.dtype).reshape(shape), quanta=uniform)
