"""How a Zarr array is divided into chunks, or shards: evenly, or not (zarr 3.3 and later)."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from flaccodec.runtime.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable

    import zarr

    from flaccodec.samples.blocks import Block


def written_shape(array: zarr.Array[Any]) -> tuple[int, ...] | None:
    """Return the shape of what is written at once, a chunk or a shard; None if it is not one."""
    try:
        return array.shards or array.chunks
    except NotImplementedError:  # zarr's answer for rectilinear grids
        return None


def written_blocks(array: zarr.Array[Any], what: str, progress: bool) -> Iterable[Block]:
    """Give the part of an array that each chunk, or shard, holds, under a bar."""
    step = written_shape(array)
    if step is None:
        sizes: tuple[tuple[int, ...], ...] = array.write_chunk_sizes  # type: ignore[attr-defined]
    else:
        sizes = tuple(
            tuple(min(c, n - start) for start in range(0, n, c))
            for n, c in zip(array.shape, step, strict=True)
        )
    axes = [
        [
            slice(stop - size, stop)
            for size, stop in zip(axis, itertools.accumulate(axis), strict=True)
        ]
        for axis in sizes
    ]
    return track(itertools.product(*axes), math.prod(map(len, axes)), what, progress)
