"""Where everything is in a chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flaccodec import core


@dataclass(frozen=True)
class ChunkIndex:
    """Header and index of a chunk, checked.

    Attributes
    ----------
    head : ndarray of uint8
        Their bytes.
    header : core.ChunkHeader
    positions : ndarray of int64, shape (n_streams, n_frames + 1)
        Where in the chunk each frame begins, and each stream ends.
    """

    head: npt.NDArray[np.uint8]
    header: core.ChunkHeader
    positions: npt.NDArray[np.int64]

    @classmethod
    def from_head(cls, head: npt.NDArray[np.uint8]) -> ChunkIndex:
        """Check and take in the first bytes of a chunk, `head_size` of them or more."""
        header = core.read_header(head)
        core.check_head(head)
        head = head[: header.head_size]
        frames = header.n_streams * header.n_frames
        entries = head[header.sizes_at : header.head_size].view("<u4")[:frames]
        sizes = entries & core.FRAME_SIZE_MASK
        positions = np.empty((header.n_streams, header.n_frames + 1), dtype=np.int64)
        positions[:, 0] = core.STREAM_HEADER_SIZE
        positions[:, 1:] = sizes.reshape(header.n_streams, header.n_frames)
        flat = positions.reshape(-1)
        np.cumsum(flat, out=flat)
        positions += header.head_size
        return cls(head, header, positions)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return int(self.head.nbytes + self.positions.nbytes)

    def streams(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where each stream begins among the streams, and its bytes; shape (n_streams,)."""
        starts = self.positions[:, 0] - core.STREAM_HEADER_SIZE - self.header.head_size
        ends = self.positions[:, -1] - self.header.head_size
        return starts, ends - starts


def empty_index(dtype: np.dtype[Any], stream_size: int, lossless: bool) -> ChunkIndex:
    """Return the index of no streams, which no chunk is made of."""
    n_frames = -(-stream_size // core.DEFAULT_FRAME_SIZE)
    header = core.ChunkHeader(
        dtype=dtype,
        lossless=lossless,
        n_streams=0,
        stream_size=stream_size,
        frame_size=core.DEFAULT_FRAME_SIZE,
        n_frames=n_frames,
        head_size=0,
        streams_size=0,
        exceptions_size=0,
        chunk_size=0,
        sizes_at=0,
    )
    head, positions = np.empty(0, np.uint8), np.empty((0, n_frames + 1), dtype=np.int64)
    return ChunkIndex(head, header, positions)
