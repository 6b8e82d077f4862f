"""Going through an array by blocks of whole streams, wherever its samples are.

Anything with ``shape``, ``dtype`` and slices will do: ``np.memmap``, datasets of h5py, arrays of
zarr and dask, a `FlacArray`. No more than a block of it is in memory at a time.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.exceptions import (
    ConfigurationError,
    FlacCodecError,
    QuantaTooFineError,
    QuantaWarning,
)
from flaccodec.runtime import progress as bar
from flaccodec.samples import masks, quanta_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

Block = tuple[slice, ...]


def is_elsewhere(array: Any) -> bool:
    """Tell whether an array can be sliced, and is not in memory as a whole."""
    if isinstance(array, np.ndarray | np.generic):
        return isinstance(array, np.memmap)
    return (
        isinstance(getattr(array, "dtype", None), np.dtype)
        and isinstance(getattr(array, "shape", None), tuple)
        and hasattr(array, "__getitem__")
    )


def stream_blocks(shape: Sequence[int], samples: int | None = None) -> list[tuple[slice, Block]]:
    """Divide an array into blocks of whole streams that follow each other.

    Parameters
    ----------
    shape : sequence of int
        One axis or more.
    samples : int, optional
        Of a block, unless one stream has more; by default `progress.BLOCK_SAMPLES`.

    Returns
    -------
    list of (slice, tuple of slice)
        The numbers of the streams, in C order, and the part of the array that they are.
    """
    *leading, stream_size = shape
    most = max(1, (bar.BLOCK_SAMPLES if samples is None else samples) // max(1, stream_size))
    axis = len(leading)
    inner = 1
    while axis > 0 and inner * leading[axis - 1] <= most:
        axis -= 1
        inner *= leading[axis]
    if axis == 0:
        return [(slice(0, inner), (slice(None),) * len(shape))]
    step = most // inner
    outer = itertools.product(*map(range, leading[: axis - 1]), range(0, leading[axis - 1], step))
    blocks, number = [], 0
    for *at, first in outer:
        count = min(step, leading[axis - 1] - first)
        part = (*(slice(i, i + 1) for i in at), slice(first, first + count))
        numbers = slice(number, number + count * inner)
        blocks.append((numbers, part + (slice(None),) * (len(shape) - axis)))
        number = numbers.stop
    return blocks


def read(array: Any, part: Block, keeps_nan: bool = True) -> npt.NDArray[Any]:
    """Read a part of an array, by a plain slice where there is one axis, as pandas wants it.

    Raises
    ------
    ConfigurationError
        Some of it is masked, or it has another dtype than the array, as variables of netCDF4
        that are scaled.
    """
    block = array[part[0] if len(part) == 1 else part]
    if hasattr(block, "__dask_graph__"):
        block = block.compute()  # np.asarray would do so, and drop the mask
    masks.check_unmasked(
        block, "arr", _as_key(part), how=masks.fill_advice(array, "arr", keeps_nan)
    )
    values = np.asarray(block)
    if values.dtype.newbyteorder("=") != array.dtype.newbyteorder("="):
        raise ConfigurationError(
            f"slices must have the array's dtype, {array.dtype}. Got {values.dtype}: give the "
            "samples as they are read, arr[...], or switch off what converts them "
            "(netCDF4's set_auto_maskandscale(False))."
        )
    return values


def _as_key(part: Block) -> str:
    """Write a part as it is written in brackets."""
    ends = [(s.start, s.stop) for s in part]
    texts = [":" if end == (None, None) else f"{end[0] or 0}:{end[1]}" for end in ends]
    return f"[{', '.join(texts)}]"


def read_blocks(
    array: Any, what: str, progress: bool, keeps_nan: bool = True
) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
    """Read block after block.

    Parameters
    ----------
    array : anything that can be sliced, shape (..., n)
    what : str
        What a bar is to be called.
    progress : bool
        Whether there is one.
    keeps_nan : bool
        Whether NaN is kept of what is read, for the advice where some of it is masked.

    Yields
    ------
    numbers : slice
        Of the streams.
    rows : ndarray, shape (streams, n)
        In this machine's byte order.
    """
    blocks = stream_blocks(array.shape)
    for numbers, part in bar.track(blocks, len(blocks), what, progress):
        rows = read(array, part, keeps_nan).reshape(-1, array.shape[-1])
        yield numbers, rows.astype(rows.dtype.newbyteorder("="), copy=False)


def in_block(error: FlacCodecError, numbers: slice) -> FlacCodecError:
    """Make an error say of which streams of an array it counts, from 0."""
    where = _streams(numbers)
    if isinstance(error, QuantaTooFineError):
        number = numbers.start + error.stream
        return QuantaTooFineError(f"{where}: {error}", number, error.sample, error.smallest)
    return type(error)(f"{where}: {error}")


def warn_in_block(numbers: slice) -> Callable[[QuantaWarning], None]:
    """Return what warns of a block, with the number of a stream among all."""

    def warn(warning: QuantaWarning) -> None:
        kept = warning.sample, warning.smallest, warning.is_lossless
        message = f"{_streams(numbers)}: {warning}"
        quanta_warnings.warn(QuantaWarning(message, numbers.start + warning.stream, *kept))

    return warn


def _streams(numbers: slice) -> str:
    return f"in streams {numbers.start:,} to {numbers.stop - 1:,}, counted from the first of these"


def chunk_blocks(
    shape: Sequence[int], chunks: Sequence[int], samples: int | None = None
) -> Iterator[Block]:
    """Divide an array into blocks of whole chunks.

    Parameters
    ----------
    shape, chunks : sequence of int
        Of the array, and of its chunks or shards.
    samples : int, optional
        Of a block, unless one chunk has more; by default `progress.BLOCK_SAMPLES`.

    Yields
    ------
    tuple of slice
    """
    left = max(1, (bar.BLOCK_SAMPLES if samples is None else samples) // math.prod(chunks))
    step: list[int] = []
    for size, chunk in zip(reversed(shape), reversed(chunks), strict=True):
        count = min(left, max(1, -(-size // chunk)))
        step.insert(0, count * chunk)
        left //= count
    starts = (range(0, size, s) for size, s in zip(shape, step, strict=True))
    for firsts in itertools.product(*starts):
        yield tuple(slice(i, i + s) for i, s in zip(firsts, step, strict=True))
