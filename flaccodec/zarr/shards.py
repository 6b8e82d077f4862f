"""Shards of Zarr arrays, put together and taken apart without decoding the chunks in them.

A shard is its chunks, end to end, then an index, as the specification of the codec
``sharding_indexed`` has it: offset and size of each chunk in C order, and their CRC-32C.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from zarr.codecs import ShardingCodec

    from flaccodec.chunks.packing import Block

MISSING = 2**64 - 1
"""Offset and size, in the index, of a chunk that is not there."""

CHECKSUM_SIZE = 4

INDEX = {
    "index_location": "end",
    "index_codecs": [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ],
}
"""The part of zarr's configuration that says where a shard's index is, and how it is encoded."""


def has_usual_index(codec: ShardingCodec) -> bool:
    """Whether shards have their index where zarr puts it unless told otherwise."""
    configuration: Any = codec.to_dict()["configuration"]
    return (
        configuration["index_location"] == INDEX["index_location"]
        and list(configuration["index_codecs"]) == INDEX["index_codecs"]
    )


def parts(block: Block, shard: Sequence[int], chunks: Sequence[int]) -> Iterator[Block | None]:
    """Give what the chunks of a shard hold of an array, None for those beyond it.

    Parameters
    ----------
    block : tuple of slice
        What the shard holds of the array.
    shard, chunks : sequence of int
        Shapes of a shard, and of a chunk in it.
    """
    counts = [n // c for n, c in zip(shard, chunks, strict=True)]
    for number in itertools.product(*map(range, counts)):
        starts = [b.start + i * c for b, i, c in zip(block, number, chunks, strict=True)]
        stops = [min(b.stop, s + c) for b, s, c in zip(block, starts, chunks, strict=True)]
        is_there = all(start < stop for start, stop in zip(starts, stops, strict=True))
        yield tuple(map(slice, starts, stops)) if is_there else None


def join_shard(chunks: Sequence[npt.NDArray[np.uint8] | None]) -> npt.NDArray[np.uint8]:
    """Make a shard of its chunks, in C order; None for those that are missing."""
    index = np.full((len(chunks), 2), MISSING, dtype="<u8")
    held = [(i, chunk) for i, chunk in enumerate(chunks) if chunk is not None]
    end = 0
    for i, chunk in held:
        index[i] = end, len(chunk)
        end += len(chunk)
    table = index.tobytes()
    table += core.crc32c(table).to_bytes(CHECKSUM_SIZE, "little")
    return np.concatenate([*(chunk for _, chunk in held), np.frombuffer(table, dtype=np.uint8)])


def split_shard(
    shard: npt.NDArray[np.uint8], n_chunks: int
) -> list[npt.NDArray[np.uint8] | None] | None:
    """Return the chunks of a shard, in C order, None for those that are missing.

    Returns
    -------
    list, or None where the index is damaged
    """
    size = 16 * n_chunks
    table, checksum = shard[-size - CHECKSUM_SIZE : -CHECKSUM_SIZE], shard[-CHECKSUM_SIZE:]
    if len(table) != size or core.crc32c(table) != int.from_bytes(checksum.tobytes(), "little"):
        return None
    spans: list[list[int]] = np.frombuffer(table.tobytes(), dtype="<u8").reshape(-1, 2).tolist()
    return [None if at == MISSING else shard[at : at + n] for at, n in spans]
