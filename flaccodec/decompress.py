"""FLAC streams to arrays, with the names and the meaning of the flacarray package."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flaccodec import core
from flaccodec.exceptions import ConfigurationError
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.keep import Indices, check_keep, kept_indices
from flaccodec.utils import int_to_float

__all__ = ["array_decompress", "array_decompress_slice"]


def _sample_range(first: int | None, last: int | None, stream_size: int) -> tuple[int, int]:
    """As in flacarray: all samples, unless both ends are given and not negative."""
    if first is None or last is None or first < 0 or last < 0:
        return 0, stream_size
    begin, end = int(first), int(last)
    if begin > end or end > stream_size:
        raise ConfigurationError(
            f"samples must be a range within the {stream_size:,} of a stream. "
            f"Got {begin:,} to {end:,}."
        )
    return begin, end


def _table(name: str, values: npt.ArrayLike, leading: tuple[int, ...]) -> npt.NDArray[Any]:
    """Check that there is one number for each stream."""
    table = np.atleast_1d(np.asarray(values))
    if table.shape != leading or table.dtype.kind not in "iuf":
        raise ConfigurationError(
            f"{name} must be numbers of the shape of stream_starts, {leading}. "
            f"Got {table.dtype} of shape {table.shape}."
        )
    return table


def array_decompress_slice(
    compressed: core.Buffer,
    stream_size: int,
    stream_starts: npt.ArrayLike,
    stream_nbytes: npt.ArrayLike,
    stream_offsets: npt.ArrayLike | None = None,
    stream_gains: npt.ArrayLike | None = None,
    keep: npt.ArrayLike | None = None,
    first_stream_sample: int | None = None,
    last_stream_sample: int | None = None,
    is_int64: bool = False,
    use_threads: bool | None = False,
    no_flatten: bool = False,
) -> tuple[npt.NDArray[Any], Indices | None]:
    """Decompress some samples of some streams.

    Parameters
    ----------
    compressed : bytes-like
        The FLAC streams.
    stream_size : int
        Samples of each stream.
    stream_starts, stream_nbytes : array_like of int
        Where each stream begins in `compressed`, and its size in bytes; of the shape of the
        leading axes.
    stream_offsets, stream_gains : array_like of float, optional
        Both or neither; with them the result is of floats, ``integer / gain + offset``.
    keep : array_like of bool, optional
        Which streams, of the shape of the leading axes.
    first_stream_sample, last_stream_sample : int, optional
        The first sample, and the one after the last. If one of them is None or negative, all
        samples are decompressed, as in flacarray.
    is_int64 : bool
        Whether the streams hold 64-bit integers in two channels.
    use_threads : bool
        Whether to decode on several threads.
    no_flatten : bool
        Whether a single stream keeps a leading axis of 1.

    Returns
    -------
    array : ndarray of int32, int64, float32 or float64
        Shape (..., samples); (number kept, samples) with `keep`.
    indices : list of tuple, or None without `keep`
        The indices of the kept streams.

    Raises
    ------
    CorruptStreamError
        A stream is damaged; no samples are returned.
    ConfigurationError
        Arguments contradict one another.
    """
    starts = np.atleast_1d(np.asarray(stream_starts, dtype=np.int64))
    nbytes = np.atleast_1d(np.asarray(stream_nbytes, dtype=np.int64))
    if starts.shape != nbytes.shape:
        raise ConfigurationError(
            f"stream_starts and stream_nbytes must have one shape. Got {starts.shape} and "
            f"{nbytes.shape}."
        )
    if (stream_offsets is None) != (stream_gains is None):
        raise ConfigurationError("give both stream_offsets and stream_gains, or neither.")
    first, last = _sample_range(first_stream_sample, last_stream_sample, stream_size)
    leading, indices, numbers = starts.shape, None, None
    tables = [starts, nbytes]
    if stream_offsets is not None and stream_gains is not None:
        tables += [
            _table(name, values, leading)
            for name, values in (("stream_offsets", stream_offsets), ("stream_gains", stream_gains))
        ]
    if keep is not None:
        mask = check_keep(keep, leading)
        indices, numbers = kept_indices(mask), np.flatnonzero(mask)
        tables = [table[mask] for table in tables]
        leading = (len(indices),)
    rows = core.decode_streams(
        compressed,
        tables[0].ravel(),
        tables[1].ravel(),
        stream_size,
        first,
        last,
        wide=is_int64,
        num_threads=choose_threads(use_threads),
        numbers=numbers,
    )
    array = rows.reshape(*leading, last - first)
    if len(tables) == 4:
        array = int_to_float(array, tables[2], tables[3])
    if starts.shape == (1,) and not no_flatten:
        array = array.reshape(-1)
    return array, indices


def array_decompress(
    compressed: core.Buffer,
    stream_size: int,
    stream_starts: npt.ArrayLike,
    stream_nbytes: npt.ArrayLike,
    stream_offsets: npt.ArrayLike | None = None,
    stream_gains: npt.ArrayLike | None = None,
    first_stream_sample: int | None = None,
    last_stream_sample: int | None = None,
    is_int64: bool = False,
    use_threads: bool | None = False,
    no_flatten: bool = False,
) -> npt.NDArray[Any]:
    """Decompress some samples of all streams; `array_decompress_slice` explains the rest."""
    array, _ = array_decompress_slice(
        compressed,
        stream_size,
        stream_starts,
        stream_nbytes,
        stream_offsets=stream_offsets,
        stream_gains=stream_gains,
        first_stream_sample=first_stream_sample,
        last_stream_sample=last_stream_sample,
        is_int64=is_int64,
        use_threads=use_threads,
        no_flatten=no_flatten,
    )
    return array
