"""Arrays to FLAC streams end to end, with the names and the meaning of the flacarray package."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flaccodec import core
from flaccodec.chunks.index import ChunkIndex
from flaccodec.chunks.options import check_level
from flaccodec.exceptions import ConfigurationError, UnsupportedDtypeError
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.masks import unmasked
from flaccodec.samples.quanta import check_one_given
from flaccodec.utils import chosen_quanta, fit_floats

__all__ = ["array_compress"]

_DTYPES = {np.dtype(name) for name in ("int32", "int64", "float32", "float64")}

Compressed = tuple[
    npt.NDArray[np.uint8],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[Any] | None,
    npt.NDArray[Any] | None,
]

CompressedOnGrid = tuple[
    npt.NDArray[np.uint8],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[Any] | None,
    npt.NDArray[Any] | None,
    npt.NDArray[np.float64] | None,
]
"""`Compressed` of some streams, and the quanta of floats."""


def compress_integers(
    data: npt.NDArray[Any], level: int, num_threads: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Encode int32 or int64 streams as flacarray has them: no offsets, int64 in two channels."""
    chunk = core.encode_chunk(data, level=level, plain=True, num_threads=num_threads)
    index = ChunkIndex.from_head(chunk)
    header = index.header
    streams = chunk[header.head_size : header.head_size + header.streams_size]
    shape = data.shape[:-1] or (1,)
    starts, nbytes = index.streams()
    return streams, starts.reshape(shape), nbytes.reshape(shape)


def array_compress(
    arr: npt.ArrayLike,
    level: int = core.DEFAULT_LEVEL,
    quanta: npt.ArrayLike | None = None,
    precision: npt.ArrayLike | None = None,
    use_threads: bool | None = False,
) -> Compressed:
    """Compress an array to FLAC streams.

    Parameters
    ----------
    arr : array_like of int32, int64, float32 or float64, shape (..., n)
    level : int
        FLAC's level, 0 (fast) to 8 (small).
    quanta, precision : float or array_like, optional
        For floats one of the two, as for `flaccodec.utils.float_to_int`. Integers are stored
        exactly whichever is given, as flacarray does.
    use_threads : bool
        Whether to encode on several threads.

    Returns
    -------
    compressed : ndarray of uint8, shape (nbytes,)
        The streams, end to end. int64 and float64 have two channels, the low word first.
    starts, nbytes : ndarray of int64, shape of the leading axes, (1,) for one stream
        Where each stream begins, and its size in bytes.
    offsets, gains : ndarray of the dtype of `arr`, or None for integers
        What integers become floats with.

    Raises
    ------
    UnsupportedDtypeError, ConfigurationError, EmptyArrayError, QuantaError, QuantaTooFineError
        As their names say.
    """
    return compress_streams(arr, level, quanta, precision, use_threads)[:5]


def compress_streams(
    arr: npt.ArrayLike,
    level: int,
    quanta: npt.ArrayLike | None,
    precision: npt.ArrayLike | None,
    use_threads: bool | None,
) -> CompressedOnGrid:
    """Do as `array_compress`, and tell the quanta of the grid that floats are on."""
    array = unmasked(arr, keeps_nan=False)
    if array.dtype not in _DTYPES:
        raise UnsupportedDtypeError(
            "flacarray's streams are of int32, int64, float32 and float64. "
            f"Got {array.dtype}: use a FlacArray or FlacCodec."
        )
    if not array.ndim:
        raise ConfigurationError("an array without axes has no streams: reshape it to (1,).")
    check_one_given(quanta, precision)
    threads, level = choose_threads(use_threads), check_level(level)
    if array.dtype.kind == "i":
        return (*compress_integers(array, level, threads), None, None, None)
    if quanta is None and precision is None:
        raise ConfigurationError("floats need quanta or precision. Got neither.")
    fit = fit_floats(array, chosen_quanta(array, quanta, precision))
    shape = array.shape[:-1] or (1,)
    offsets, gains, steps = (t.reshape(shape) for t in (fit.offsets, fit.gains, fit.quanta))
    integers = fit.integers.reshape(array.shape)
    return (*compress_integers(integers, level, threads), offsets, gains, steps)
