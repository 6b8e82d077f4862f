"""Damaged chunks give errors that say where; never a crash, a hang or a wrong sample."""

import struct
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from flaccodec import core
from flaccodec.core import QuantaRule, decode_chunk, decode_spans, encode_chunk
from flaccodec.exceptions import (
    ChecksumError,
    CorruptChunkError,
    FlacCodecError,
    FrameError,
    NotAChunkError,
    TruncatedChunkError,
    UnknownVersionError,
)
from support.strategies import same_bits


def make(kind):
    """A small chunk of each kind: three streams of three frames, the last one short."""
    shape = (3, 40)
    noise = np.random.default_rng(0)
    if kind == "int32":
        array = noise.integers(-1000, 1000, shape).astype("int32")
        return array, encode_chunk(array, frame_size=16)
    if kind == "int64 wide":
        array = noise.integers(-(2**62), 2**62, shape)
        return array, encode_chunk(array, frame_size=16)
    if kind == "float32 lossless":
        array = noise.normal(size=shape).astype("float32")
        return array, encode_chunk(array, frame_size=16)
    array = noise.normal(size=shape)
    array[0, 3:9] = np.nan
    array[2, 39] = -np.inf
    quanta = [0.01, 0.02, 0.03]
    chunk = encode_chunk(array, frame_size=16, rule=QuantaRule.GIVEN, parameters=quanta)
    return decode_chunk(chunk), chunk


@pytest.fixture(params=["int32", "int64 wide", "float32 lossless", "float64 quantized"])
def case(request):
    return make(request.param)


def decode_parts(chunk, array):
    """As a partial reader does: the middle of the streams, from pieces of the chunk."""
    head = chunk[: core.read_header(chunk).head_size]
    spans = np.array([(s, 10, 20, s * 20 * array.itemsize) for s in range(3)], core.SPAN_DTYPE)
    out = np.empty((3, 20), array.dtype)
    decode_spans(head, [(len(head), chunk[len(head) :])], spans, out)
    return out


def test_a_chunk_cut_short_anywhere_is_refused(case):
    array, chunk = case
    for size in range(len(chunk)):
        with pytest.raises(TruncatedChunkError, match=r"expected [\d,]+"):
            decode_chunk(chunk[:size], np.empty_like(array))
        with pytest.raises(CorruptChunkError):
            decode_chunk(chunk[:size])


def test_bytes_after_the_end_are_refused(case):
    array, chunk = case
    with pytest.raises(CorruptChunkError, match="follow the end"):
        decode_chunk(np.append(chunk, np.uint8(0)), np.empty_like(array))


def test_every_flipped_bit_of_header_and_index_is_refused(case):
    array, chunk = case
    for at in range(core.read_header(chunk).head_size):
        for bit in range(8):
            damaged = chunk.copy()
            damaged[at] ^= 1 << bit
            with pytest.raises(FlacCodecError):
                decode_chunk(damaged, np.empty_like(array))
            with pytest.raises(FlacCodecError):
                decode_parts(damaged, array)


def frame_ranges(chunk):
    """(stream, frame, first byte, byte after) of every frame."""
    header = core.read_header(chunk)
    sizes = chunk[header.sizes_at : header.head_size].view("<u4")
    sizes = (sizes & core.FRAME_SIZE_MASK).reshape(header.n_streams, -1)
    at = header.head_size
    for stream, row in enumerate(sizes):
        at += core.STREAM_HEADER_SIZE
        for frame, size in enumerate(row):
            yield stream, frame, at, at + int(size)
            at += int(size)


def test_every_flipped_byte_of_a_frame_is_named_by_stream_and_frame(case):
    array, chunk = case
    for stream, frame, first, end in frame_ranges(chunk):
        for at in range(first, end):
            for flip in (1, 0x80, 0xFF):
                damaged = chunk.copy()
                damaged[at] ^= flip
                with pytest.raises(FrameError, match=f"stream {stream}, frame {frame}") as caught:
                    decode_chunk(damaged, np.empty_like(array))
                assert (caught.value.stream, caught.value.frame) == (stream, frame)


def test_parts_of_a_damaged_chunk_are_right_or_refused(case):
    array, chunk = case
    for stream, frame, first, end in frame_ranges(chunk):
        for at in range(first, end):
            damaged = chunk.copy()
            damaged[at] ^= 0x10
            if frame == 2:  # not among the samples that are read
                assert same_bits(decode_parts(damaged, array), array[:, 10:30])
                continue
            with pytest.raises(FrameError, match=f"stream {stream}, frame {frame}"):
                decode_parts(damaged, array)


def test_every_other_flipped_byte_is_refused(case):
    """FLAC's stream headers, which no frame's CRC covers, and the exceptions."""
    array, chunk = case
    in_frames = {b for *_, first, end in frame_ranges(chunk) for b in range(first, end)}
    for at in set(range(core.read_header(chunk).head_size, len(chunk))) - in_frames:
        damaged = chunk.copy()
        damaged[at] ^= 0x40
        with pytest.raises(ChecksumError):
            decode_chunk(damaged, np.empty_like(array))


def test_the_lowest_damaged_frame_is_reported_whatever_the_threads():
    array = np.random.default_rng(0).integers(-1000, 1000, (40, 50_000)).astype("int32")
    chunk = encode_chunk(array)
    damaged = chunk.copy()
    for stream, frame, first, _ in frame_ranges(chunk):
        if (stream, frame) in {(7, 11), (7, 12), (20, 0), (39, 5)}:
            damaged[first + 100] ^= 1
    for threads in (1, 2, 4):
        with pytest.raises(FrameError, match="stream 7, frame 11"):
            decode_chunk(damaged, num_threads=threads)


def rewrite(chunk, **fields):
    """Change header fields, and make the checksum right again."""
    at = {
        "version": (4, "<B"),
        "dtype": (5, "<B"),
        "mode": (6, "<B"),
        "flags": (7, "<B"),
        "n_streams": (8, "<I"),
        "frame_size": (12, "<I"),
        "stream_size": (16, "<Q"),
        "quanta": (24, "<d"),
        "streams_size": (32, "<Q"),
        "exceptions_size": (40, "<Q"),
        "reserved": (56, "<I"),
    }
    raw = bytearray(chunk.tobytes())
    head_size = core.read_header(chunk).head_size
    for name, value in fields.items():
        offset, code = at[name]
        struct.pack_into(code, raw, offset, value)
    crc = core.crc32c(raw[64:head_size], core.crc32c(raw[:60]))
    struct.pack_into("<I", raw, 60, crc)
    return bytes(raw)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"version": 2}, UnknownVersionError, "expected 1. Got 2"),
        ({"version": 0}, UnknownVersionError, "expected 1. Got 0"),
        ({"flags": 0x80}, UnknownVersionError, "reserved bit"),
        ({"reserved": 1}, UnknownVersionError, "reserved bit"),
        ({"dtype": 0}, UnknownVersionError, "a dtype or mode is unknown"),
        ({"dtype": 11}, UnknownVersionError, "a dtype or mode is unknown"),
        ({"mode": 3}, UnknownVersionError, "a dtype or mode is unknown"),
        ({"mode": 1}, CorruptChunkError, "contradicts"),
        ({"quanta": -0.0}, CorruptChunkError, "contradicts"),
        ({"quanta": 1.0}, CorruptChunkError, "contradicts"),
        ({"frame_size": 15}, CorruptChunkError, "contradicts"),
        ({"frame_size": 65536}, CorruptChunkError, "contradicts"),
        ({"n_streams": 0}, CorruptChunkError, "contradicts"),
        ({"stream_size": 0}, CorruptChunkError, "contradicts"),
        ({"stream_size": 2**63}, CorruptChunkError, "contradicts"),
        ({"stream_size": 2**40}, CorruptChunkError, "contradicts"),
        ({"n_streams": 2**32 - 1, "stream_size": 2**35}, CorruptChunkError, "contradicts"),
        ({"streams_size": 2**62}, CorruptChunkError, "contradicts"),
        ({"exceptions_size": 24}, CorruptChunkError, "contradicts"),
        ({"streams_size": 0}, CorruptChunkError, "follow the end"),
    ],
)
def test_headers_that_lie_are_refused(fields, error, message):
    _, chunk = make("int32")
    lying = rewrite(chunk, **fields)
    with pytest.raises(error, match=message):
        decode_chunk(lying)


def test_sizes_that_no_bytes_back_are_refused_before_memory_is_taken():
    """A terabyte of samples declared by a few hundred bytes."""
    _, chunk = make("int32")
    for fields in ({"n_streams": 2**31}, {"n_streams": 2**20, "stream_size": 2**20}):
        lying = rewrite(chunk, **fields)
        with pytest.raises(TruncatedChunkError):
            decode_chunk(lying)
        with pytest.raises(FlacCodecError):
            decode_chunk(lying, np.empty((3, 40), "int32"))


def test_frame_sizes_that_do_not_add_up_are_refused():
    _, chunk = make("int32")
    header = core.read_header(chunk)
    raw = chunk.copy()
    raw[header.sizes_at] += 1
    with pytest.raises(CorruptChunkError, match="do not add up"):
        decode_chunk(np.frombuffer(rewrite(raw), np.uint8))


def test_frames_in_the_wrong_place_are_refused():
    """Two whole frames of equal size exchanged: every CRC is right, the place is not."""
    array = np.random.default_rng(0).integers(-(2**31), 2**31, (1, 64)).astype("int32")
    chunk = encode_chunk(array, frame_size=16)
    places = list(frame_ranges(chunk))
    (_, _, a, a_end), (_, _, b, b_end) = places[1], places[2]
    assert a_end - a == b_end - b
    swapped = chunk.copy()
    swapped[a:a_end], swapped[b:b_end] = chunk[b:b_end], chunk[a:a_end]
    with pytest.raises(FrameError, match=r"does not belong here \(at stream 0, frame 1"):
        decode_chunk(swapped)
    entries = swapped[core.read_header(chunk).sizes_at :].data.cast("B")
    entries[4:8], entries[8:12] = bytes(entries[8:12]), bytes(entries[4:8])
    with pytest.raises(FrameError, match="does not belong here"):
        decode_chunk(rewrite(swapped))


@pytest.mark.parametrize("data", [b"", b"x", b"fLaC" + bytes(100), bytes(64), bytes(1000)])
def test_other_bytes_are_not_chunks(data):
    with pytest.raises((NotAChunkError, TruncatedChunkError)):
        decode_chunk(data)


@given(st.data())
def test_random_damage_gives_an_error(data):
    kinds = ["int32", "int64 wide", "float32 lossless", "float64 quantized"]
    array, chunk = make(data.draw(st.sampled_from(kinds)))
    damaged = chunk.copy()
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(chunk) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    if (damaged == chunk).all():
        return
    with pytest.raises(FlacCodecError):
        decode_chunk(damaged, np.empty_like(array))


def test_a_piece_that_is_missing_is_an_error():
    array, chunk = make("int32")
    header = core.read_header(chunk)
    spans = np.array([(2, 0, 40, 0)], core.SPAN_DTYPE)
    out = np.empty(40, array.dtype)
    with pytest.raises(TruncatedChunkError, match=r"not given \(at stream 2, frame 0"):
        decode_spans(chunk[: header.head_size], [], spans, out)


def test_exceptions_are_pickled_with_their_place():
    import pickle

    error = pickle.loads(pickle.dumps(FrameError("text", 3, 4)))
    assert (str(error), error.stream, error.frame) == ("text", 3, 4)


COLLECTED = """
import gc

import numpy as np

from flaccodec.core import decode_chunk, decode_spans, encode_chunk, read_header
from flaccodec.core import SPAN_DTYPE, check_head

def head_and_pieces(view):
    decode_spans(view[:100], [(100, view[100:])], np.empty(0, SPAN_DTYPE), np.empty(0, "i4"))

chunk = encode_chunk(np.arange(100, dtype="i4").reshape(4, 25)).tobytes()
for read in (read_header, check_head, decode_chunk, head_and_pieces):
    for n in range(60, 72):
        try:
            read(memoryview(chunk)[:n])
        except Exception as error:
            kept = error  # and its traceback this frame
            kept.itself = kept
            del kept
        gc.collect()
print("still here")
"""


def test_errors_in_cycles_with_memoryviews_are_collected():
    """Python before 3.12.6 crashes there if cffi has hold of the memoryview itself."""
    run = subprocess.run([sys.executable, "-c", COLLECTED], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "still here\n", "")
