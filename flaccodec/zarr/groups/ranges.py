"""Bytes of a group's streams in Zarr, fetched without the rest of their chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.store import RangeByteRequest
from zarr.codecs import BytesCodec
from zarr.core.buffer import cpu
from zarr.core.common import concurrent_map
from zarr.core.config import config
from zarr.core.sync import sync

from flaccodec.chunks.ranges import merge_ranges

if TYPE_CHECKING:
    import numpy.typing as npt
    import zarr

    Bytes = npt.NDArray[np.uint8]

Part = tuple[int, int, int]
"""A chunk's number, and the first byte and that after the last in it."""


class _NoRangesError(Exception):
    """A store gave something else than the range that it was asked for."""


def has_plain_chunks(array: zarr.Array[Any]) -> bool:
    """Whether the chunks of an array of bytes are stored as they are, each by itself."""
    metadata = array.metadata
    if metadata.zarr_format == 2:
        return not metadata.filters and metadata.compressor is None
    return (
        [type(codec) for codec in metadata.codecs] == [BytesCodec]
        and hasattr(metadata.chunk_grid, "chunk_shape")  # all are of one shape
        and not metadata.storage_transformers
    )


def read_ranges(
    array: zarr.Array[Any], starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
) -> list[tuple[int, Bytes]]:
    """Read ranges of an array of bytes, neighbouring ones together.

    Parameters
    ----------
    array : zarr.Array of uint8, one axis
        One that `has_plain_chunks`.
    starts, stops : ndarray of int64
        Of the ranges, within the array.

    Returns
    -------
    list of (int, ndarray of uint8)
        Where pieces begin, in this order, and the bytes. Each range lies in one of them.
    """
    ranges = merge_ranges(starts, stops)
    size = int(array.chunks[0])
    parts = [_parts(first, stop, size) for first, stop in ranges]
    try:
        fetched = iter(sync(_fetch(array, [part for some in parts for part in some])))
    except (NotImplementedError, _NoRangesError):
        return [(first, np.asarray(array[first:stop])) for first, stop in ranges]
    return [
        (first, np.concatenate([np.empty(0, dtype=np.uint8), *(next(fetched) for _ in some)]))
        for (first, _), some in zip(ranges, parts, strict=True)
    ]


def _parts(first: int, stop: int, size: int) -> list[Part]:
    """Divide a range among chunks of a size."""
    numbers = range(first // size, -(-stop // size)) if first < stop else range(0)
    return [(i, max(first - i * size, 0), min(stop - i * size, size)) for i in numbers]


async def _fetch(array: zarr.Array[Any], parts: list[Part]) -> list[Bytes]:
    """Fetch parts of chunks, as many at once as zarr is configured for."""

    async def fetch(number: int, first: int, stop: int) -> Bytes:
        return await _fetch_part(array, number, first, stop)

    return await concurrent_map(parts, fetch, config.get("async.concurrency"))


async def _fetch_part(array: zarr.Array[Any], number: int, first: int, stop: int) -> Bytes:
    size = int(array.chunks[0])
    whole = (first, stop) == (0, size)
    at = array.store_path / array.metadata.encode_chunk_key((number,))
    request = None if whole else RangeByteRequest(first, stop)
    buffer = await at.get(cpu.buffer_prototype, request)
    if buffer is None:
        return np.full(stop - first, array.fill_value or 0, dtype=np.uint8)
    data = np.frombuffer(buffer.as_numpy_array(), dtype=np.uint8)
    if len(data) != stop - first:
        raise _NoRangesError
    return data
