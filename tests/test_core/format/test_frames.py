"""Frames that RFC 9639 forbids or leaves open, and the reading of a part."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from flaccodec import core
from flaccodec.exceptions import FrameError
from support import flac_writer
from support import reference_reader as reference
from support.other_process import OtherProcess
from test_core.format.vectors import CURRENT, encode, seal

# -- frames that RFC 9639 forbids, or leaves open ------------------------------------


@pytest.fixture(scope="module")
def libflac():
    other = OtherProcess(FLACCODEC_DECODER="libflac")
    yield other
    other.close()


def chunk_of(array: np.ndarray, frame: bytes) -> bytes:
    """A chunk of one frame, which is another than ours."""
    chunk = bytearray(encode(array, {"rule": "NONE"}))
    head = reference.parse_head(bytes(chunk))
    chunk[head.frame_start(0, 0) :] = frame
    streams_size = len(chunk) - head.head_size
    struct.pack_into("<Q", chunk, 32, streams_size)
    entry = len(frame) | (int.from_bytes(frame[-2:], "big") & 0xFFF) << 20
    struct.pack_into("<I", chunk, head.head_size - 4, entry)
    struct.pack_into("6s", chunk, head.head_size + 12, 2 * len(frame).to_bytes(3, "big"))
    return seal(chunk, head.head_size, streams_size)


@pytest.mark.parametrize("number", ["c080", "e08080", "fc8080808080"])
def test_a_frame_number_in_more_bytes_than_it_takes(number, libflac):
    array = np.arange(16, dtype="int32")
    short = flac_writer.frame([array], 8, 0, [flac_writer.Subframe("verbatim")])
    header = short[:4] + bytes.fromhex(number) + short[5:6]
    frame = header + bytes([reference.flac_crc(header, 0x07, 8)]) + short[7:-2]
    frame += reference.flac_crc(frame, 0x8005, 16).to_bytes(2, "big")
    chunk = chunk_of(array, frame)
    for decode in (core.decode_chunk, libflac.decode, reference.read_chunk):
        np.testing.assert_array_equal(decode(chunk), array[None])


def test_partitions_and_predictors(libflac):
    """A partition of fewer samples than the predictor's order is refused by all decoders."""
    array = np.arange(16, dtype="int32") ** 2 // 3

    def chunk(order: int, partition_order: int) -> bytes:
        residual = flac_writer.Residual(partition_order)
        subframe = flac_writer.Subframe(order=order, residual=residual)
        return chunk_of(array, flac_writer.frame([array], 8, 0, [subframe]))

    for good in (chunk(3, 2), chunk(1, 3)):
        for decode in (core.decode_chunk, libflac.decode, reference.read_chunk):
            np.testing.assert_array_equal(decode(good), array[None])
    for equal in (chunk(4, 2), chunk(2, 3), chunk(1, 4)):
        with pytest.raises(FrameError):
            core.decode_chunk(equal)
        np.testing.assert_array_equal(libflac.decode(equal), array[None])
    for less in (chunk(3, 3), chunk(4, 3), chunk(2, 4)):
        for decode in (core.decode_chunk, libflac.decode):
            with pytest.raises(FrameError):
                decode(less)


# -- reading a part -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", reference.DTYPES.values(), ids=str)
@pytest.mark.parametrize(("n_streams", "stream_size", "frame_size"), [(1, 1, 16), (7, 1000, 33)])
def test_bound_of_the_head(dtype, n_streams, stream_size, frame_size):
    n_frames = -(-stream_size // frame_size)
    fixed = 16 if dtype.kind == "f" else 8 if dtype.itemsize == 8 else 4
    bound = 64 + n_streams * (fixed + 4 * n_frames)
    assert core.head_bound(dtype, (n_streams, stream_size), frame_size) == bound


@pytest.mark.parametrize("vector", CURRENT, ids=repr)
def test_a_part_is_read_by_the_positions_of_the_document(vector):
    chunk, frame_size = vector.chunk, vector.entry["options"]["frame_size"]
    bound = core.head_bound(vector.expected.dtype, vector.shape, frame_size)
    head = reference.parse_head(chunk[:bound])
    s, f = head.n_streams - 1, head.n_frames - 1
    at = head.frame_start(s, f)
    pieces = [(at, chunk[at : at + head.sizes[s][f]])]
    if head.exceptions_size:
        pieces.append((head.exceptions_start, chunk[head.exceptions_start :]))
    start, count = f * head.frame_size, head.frame_samples(f)
    out = np.empty(count, vector.expected.dtype)
    spans = np.array([(s, start, count, 0)], core.SPAN_DTYPE)
    core.decode_spans(chunk[: head.head_size], pieces, spans, out)
    expected = vector.expected.reshape(head.n_streams, -1)[s, start:]
    assert out.tobytes() == expected.tobytes()
