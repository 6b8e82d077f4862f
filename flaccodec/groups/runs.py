"""Which bytes of a group's streams are read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from flaccodec.groups.door import Door, Read


READ_BYTES = 2**26
"""Where a read of neighbouring streams ends, so that gaps between them take little memory."""


PAGE_BYTES = 4096
"""What files are read in at the least: pages of the system's cache, and blocks of disks."""


def gather_bytes(
    door: Door, compressed: Any, starts: npt.NDArray[np.int64], nbytes: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Read streams into one array, end to end, with one read for neighbours."""
    out = np.empty(int(nbytes.sum()), dtype=np.uint8)
    targets = np.cumsum(nbytes) - nbytes
    order = np.argsort(starts, kind="stable")
    read, chunk, gap = _reader(door, compressed)
    for run in split_runs(starts[order], nbytes[order], chunk, gap):
        members = order[run]
        pieces = read(starts[members], starts[members] + nbytes[members])
        holders = np.searchsorted([first for first, _ in pieces], starts[members], "right") - 1
        for member, holder in zip(members, holders, strict=True):
            first, data = pieces[holder]
            start, size, target = starts[member] - first, nbytes[member], targets[member]
            out[target : target + size] = data[start : start + size]
    return out


def _reader(door: Door, compressed: Any) -> tuple[Read, int, int]:
    """Return what reads ranges of a dataset, and chunk and gap of what it reads at once."""
    ranges = door.ranges(compressed)
    if ranges is not None:
        return ranges, READ_BYTES, 0

    def read(
        starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
    ) -> list[tuple[int, npt.NDArray[np.uint8]]]:
        first = int(starts[0])
        return [(first, np.asarray(compressed[first : int(stops.max())]))]

    if compressed.chunks:
        return read, int(compressed.chunks[0]), 0
    return read, 1, PAGE_BYTES - 1


def split_runs(
    starts: npt.NDArray[np.int64], nbytes: npt.NDArray[np.int64], chunk: int, gap: int = 0
) -> list[slice]:
    """Split streams into runs of neighbours that are read at once.

    Neighbours touch each other or, in a chunked dataset, share a chunk: as chunks are read
    whole, the bytes between cost nothing. Without chunks the same goes for gaps of less than a
    page: every page that they reach into has bytes of a neighbour, and is read for these
    anyway. No run begins before one border of READ_BYTES and goes on after it.

    Parameters
    ----------
    starts, nbytes : ndarray of int64, one axis
        Of streams in the order of their starts.
    chunk : int
        Bytes of the dataset's chunks; 1 for one without chunks.
    gap : int
        Bytes that may be between neighbours.

    Returns
    -------
    list of slice
        Of the streams.
    """
    if len(starts) == 0:
        return []
    stops = np.maximum.accumulate(starts + nbytes)
    border = max(1, READ_BYTES // chunk) * chunk
    apart = (starts[1:] > stops[:-1] + gap) & (starts[1:] // chunk > (stops[:-1] - 1) // chunk)
    beyond = starts[1:] // border > starts[:-1] // border
    cuts = (np.flatnonzero(apart | beyond) + 1).tolist()
    return [slice(a, b) for a, b in zip([0, *cuts], [*cuts, len(starts)], strict=True)]
