"""Which bytes of a chunk a read needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flaccodec.exceptions import ChunkMismatchError

if TYPE_CHECKING:
    import numpy.typing as npt

    from flaccodec.chunks.index import ChunkIndex
    from flaccodec.chunks.selection import ReadPlan

MERGE_GAP = 1024
"""Bytes not asked for that are fetched to save a request; one costs about as many itself."""

MAX_REQUESTS = 128
"""Ranges that are fetched for one read; further ones are merged over larger gaps."""

Ranges = list[tuple[int, int]]


def needed_ranges(index: ChunkIndex, plan: ReadPlan) -> Ranges:
    """Return the byte ranges of a chunk that a plan needs, merged, in order.

    Raises
    ------
    ChunkMismatchError
        The chunk is smaller than the one that was planned for.
    """
    first, last = plan.frames(index.header.frame_size)
    streams = plan.spans["stream"]
    _check_size(index, plan)
    starts, stops = index.positions[streams, first], index.positions[streams, last + 1]
    if index.header.exceptions_size:
        end = index.header.chunk_size
        starts = np.append(starts, end - index.header.exceptions_size)
        stops = np.append(stops, end)
    return merge_ranges(starts, stops)


def _check_size(index: ChunkIndex, plan: ReadPlan) -> None:
    header, spans = index.header, plan.spans
    n_streams = int(spans["stream"].max(initial=-1)) + 1
    stream_size = int((spans["start"] + spans["count"]).max(initial=0))
    if n_streams > header.n_streams or stream_size > header.stream_size:
        raise ChunkMismatchError(
            f"expected a chunk of {n_streams:,} streams or more, of {stream_size:,} samples or "
            f"more. Got one of {header.n_streams:,} streams of {header.stream_size:,} samples."
        )


def merge_ranges(starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> Ranges:
    """Merge ranges that overlap or have small gaps between, down to MAX_REQUESTS."""
    order = np.argsort(starts, kind="stable")
    starts, stops = starts[order], np.maximum.accumulate(stops[order])
    gaps = starts[1:] - stops[:-1]
    cuts = np.flatnonzero(gaps > MERGE_GAP) + 1
    if len(cuts) >= MAX_REQUESTS:
        widest = np.argsort(gaps[cuts - 1], kind="stable")[-(MAX_REQUESTS - 1) :]
        cuts = np.sort(cuts[widest])
    begins, ends = np.append(0, cuts), np.append(cuts, len(starts)) - 1
    return [(int(starts[b]), int(stops[e])) for b, e in zip(begins, ends, strict=True)]
