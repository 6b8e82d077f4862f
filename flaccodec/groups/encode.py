"""Arrays -> the streams of flacarray's group layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.chunks.packed import Packed
from flaccodec.compress import compress_streams
from flaccodec.exceptions import (
    ConfigurationError,
    FlacCodecError,
)
from flaccodec.groups.layout import (
    ON_GRID,
    ArrayParts,
    GroupStreams,
    check_dtype,
    join_streams,
    streams_of_tables,
    table_shape,
)
from flaccodec.groups.packed import encode_on_grid
from flaccodec.samples.blocks import in_block, is_elsewhere, read_blocks
from flaccodec.samples.masks import unmasked
from flaccodec.samples.quanta import check_one_given, per_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from flaccodec.compress import CompressedOnGrid


# -- arrays ------------------------------------------------------------------------


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
    return encode_on_grid(packed, slice(0, packed.nstreams))


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
    tables = join_streams(list(array.parts), table_shape(array.shape))
    return streams_of_tables(array.shape, array.dtype, tables, array.extras)


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


# -- FlacArrays ----------------------------------------------------------------------
