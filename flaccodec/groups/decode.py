"""The streams of flacarray's group layout -> arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.exceptions import (
    CorruptStreamError,
)
from flaccodec.groups.grid import grid_values, restored
from flaccodec.groups.layout import (
    ON_GRID,
    GroupStreams,
)
from flaccodec.runtime import memory
from flaccodec.runtime.progress import stream_blocks
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.keep import check_samples

if TYPE_CHECKING:
    import numpy.typing as npt


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
    samples = decode_samples(streams, block, stream_slice, use_threads)
    if streams.extras.get(ON_GRID) and streams.stream_quanta is not None:
        return grid_values(streams, block, samples)[0]
    return restored(streams, block, samples)


def decode_samples(
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
