"""The checksum that HDF5's filter fletcher32 puts behind a chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py.h5z
import numpy as np

from flaccodec.exceptions import ChecksumError

if TYPE_CHECKING:
    import numpy.typing as npt

    from flaccodec import core

FILTER = h5py.h5z.FILTER_FLETCHER32

NBYTES = 4
"""Bytes of the checksum."""

_BLOCK = 2**15
"""Words that are summed at once; their sum, weighted with up to 2**15, has less than 48 bits."""


def take_off(chunk: core.Buffer) -> npt.NDArray[np.uint8]:
    """Return what the checksum stands behind.

    Raises
    ------
    ChecksumError
        It is not that of the chunk.
    """
    stored = np.frombuffer(chunk, dtype=np.uint8)
    data, found = stored[:-NBYTES], int.from_bytes(stored[-NBYTES:].tobytes(), "little")
    expected = checksum(data)
    if found != expected:
        raise ChecksumError(
            f"expected {expected:#010x} as the Fletcher-32 checksum behind the chunk. "
            f"Got {found:#010x}: the chunk is damaged."
        )
    return data


def checksum(data: npt.NDArray[np.uint8]) -> int:
    """Return HDF5's Fletcher-32 checksum of bytes.

    That is of big-endian words of 16 bits, the last filled up with 0: their sum, and above it the
    sum of their sums so far.
    """
    whole = data[: len(data) // 2 * 2].view(">u2")
    sums = _add(whole, 0, 0)
    if len(data) % 2:
        sums = _add(np.array([data[-1]], dtype="u8") << 8, *sums)
    return _fold(sums[1]) << 16 | _fold(sums[0])


def _add(words: npt.NDArray[Any], first: int, second: int) -> tuple[int, int]:
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK].astype(np.uint64)
        weights = np.arange(len(block), 0, -1, dtype=np.uint64)
        second += first * len(block) + int(weights @ block)
        first += int(block.sum())
    return first, second


def _fold(total: int) -> int:
    """Return a sum as HDF5 carries it round: modulo 65535, but 0 only for 0."""
    return (total - 1) % 65535 + 1 if total else 0
