"""What readers refuse, by docs/format.md: the C library and the reference reader."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from flaccodec import core
from flaccodec.exceptions import (
    ChecksumError,
    CorruptChunkError,
    FlacCodecError,
    FrameError,
    TruncatedChunkError,
    UnknownVersionError,
)
from support import reference_reader as reference
from test_core.format.vectors import named, seal


def changed(name: str, at: int, layout: str, *values) -> bytes:
    chunk = bytearray(named(name).chunk)
    head = reference.parse_head(bytes(chunk))
    struct.pack_into(layout, chunk, at, *values)
    return seal(chunk, head.head_size, head.streams_size)


INTEGERS, FLOATS, EXCEPTIONS = "int32-offset", "float32-quanta-each", "float32-quanta-exceptions"
UNIFORM, LOSSLESS = "float64-quanta-uniform", "float64-lossless"
# What is changed: the vector, the reference reader's reason to refuse it, then what
# struct.pack_into takes.
HEADER_CHANGES = {
    "magic": (INTEGERS, "magic", 3, "B", 0x4C),
    "version 0": (INTEGERS, "version", 4, "B", 0),
    "version 2": (INTEGERS, "version", 4, "B", 2),
    "dtype 0": (INTEGERS, "dtype", 5, "B", 0),
    "dtype 11": (INTEGERS, "dtype", 5, "B", 11),
    "mode 3": (LOSSLESS, "mode", 6, "B", 3),
    "mode of integers, dtype of floats": (LOSSLESS, "mode and dtype", 6, "B", 0),
    "mode of floats, dtype of integers": (INTEGERS, "mode and dtype", 6, "B", 2),
    **{f"flag bit {i}": (INTEGERS, "reserved bits", 7, "B", 1 | 1 << i) for i in range(3, 8)},
    "quanta in the index of integers": (INTEGERS, "only when quantized", 7, "B", 3),
    "quanta in the index, lossless": (LOSSLESS, "only when quantized", 7, "B", 2),
    "no streams": (INTEGERS, "n_streams", 8, "<I", 0),
    "frame_size 15": (INTEGERS, "frame_size", 12, "<I", 15),
    "frame_size 65536": (INTEGERS, "frame_size", 12, "<I", 65536),
    "stream_size 0": (INTEGERS, "stream_size", 16, "<Q", 0),
    "stream_size 2**36": (INTEGERS, "stream_size", 16, "<Q", 2**36),
    "stream_size 2**63": (INTEGERS, "stream_size", 16, "<Q", 2**63),
    "more than 2**31 frames a stream": (INTEGERS, "number of frames", 16, "<Q", 2**35 + 1),
    "more than 2**40 frames": (INTEGERS, "number of frames", 8, "<IIQ", 2**31, 16, 2**14),
    "quanta 0": (UNIFORM, "quanta of the header", 24, "<d", 0.0),
    "quanta negative": (UNIFORM, "quanta of the header", 24, "<d", -1.0),
    "quanta infinite": (UNIFORM, "quanta of the header", 24, "<d", np.inf),
    "quanta NaN": (UNIFORM, "quanta of the header", 24, "<d", np.nan),
    "quanta of integers": (INTEGERS, "quanta of the header", 24, "<d", 1.0),
    "quanta -0.0 of integers": (INTEGERS, "quanta of the header", 24, "<d", -0.0),
    "quanta -0.0 beside an index": (FLOATS, "quanta of the header", 24, "<d", -0.0),
    "quanta in header and index": (FLOATS, "quanta of the header", 24, "<d", 1.0),
    "streams_size 2**60": (INTEGERS, "streams_size", 32, "<Q", 2**60),
    "exceptions_size 24 * 2**56": (EXCEPTIONS, "exceptions_size", 40, "<Q", 24 * 2**56),
    "exceptions_size 25": (EXCEPTIONS, "exceptions_size", 40, "<Q", 25),
    "exceptions of integers": (INTEGERS, "only when quantized", 40, "<Q", 24),
    "exceptions, lossless": (LOSSLESS, "only when quantized", 40, "<Q", 24),
    **{f"reserved byte {i}": (INTEGERS, "reserved bits", i, "B", 1) for i in range(56, 60)},
}


@pytest.mark.parametrize("change", HEADER_CHANGES)
def test_header_that_must_be_refused(change):
    name, reason, *values = HEADER_CHANGES[change]
    chunk = changed(name, *values)
    with pytest.raises(reference.BadChunk, match=f"^{reason}$"):
        reference.parse_header(chunk)
    unknown = reason in ("version", "reserved bits")
    with pytest.raises(UnknownVersionError if unknown else FlacCodecError):
        core.read_header(chunk)


# Below: the damaged chunk, the reference reader's reason, and flaccodec's exception.
Damage = dict[str, tuple[bytes, str, type[CorruptChunkError]]]


def flipped(chunk: bytes, at: int) -> bytes:
    return chunk[:at] + bytes([chunk[at] ^ 1]) + chunk[at + 1 :]


def head_changes() -> Damage:
    good = named(FLOATS).chunk
    head = reference.parse_head(good)
    sizes_at = head.head_size - 4 * head.n_streams * head.n_frames
    longer = changed(FLOATS, sizes_at, "<I", head.crcs[0][0] << 20 | head.sizes[0][0] + 1)
    nan, zero = changed(FLOATS, 64, "<d", np.nan), changed(FLOATS, 72, "<d", 0.0)
    md5 = head.head_size + 30  # in no frame, so that only streams_crc can tell
    return {
        "nothing": (b"", "shorter than a header", TruncatedChunkError),
        "63 bytes": (good[:63], "shorter than a header", TruncatedChunkError),
        "a header only": (good[:64], "cut short", TruncatedChunkError),
        "one byte short": (good[:-1], "cut short", TruncatedChunkError),
        "one byte more": (good + b"\0", "bytes follow the end", CorruptChunkError),
        "head_crc": (flipped(good, 60), "head_crc", ChecksumError),
        "quanta that head_crc does not know": (flipped(good, 64), "head_crc", ChecksumError),
        "a frame one byte longer": (longer, "sizes of the frames", CorruptChunkError),
        "quanta NaN in the index": (nan, "quanta of the index", CorruptChunkError),
        "quanta 0 in the index": (zero, "quanta of the index", CorruptChunkError),
        "streams_crc": (flipped(good, md5), "streams_crc", ChecksumError),
    }


def exception_changes() -> Damage:
    good = named(EXCEPTIONS).chunk
    head = reference.parse_head(good)
    at = head.exceptions_start
    last = at + 6 * 24
    runs = [good[i : i + 24] for i in range(at, len(good), 24)]

    def table(*order: int) -> bytes:
        chunk = bytearray(good[:at] + b"".join(runs[i] for i in order))
        return seal(chunk, head.head_size, head.streams_size)

    order, stream, samples = (
        "order of the exceptions",
        "stream of an exception",
        "samples of an exception",
    )
    changes = {
        "two runs in the wrong order": (table(1, 0, 2, 3, 4, 5, 6), order),
        "two streams in the wrong order": (table(0, 1, 2, 3, 6, 4, 5), order),
        "a run twice": (table(0, 0, 1, 2, 3, 4, 5), order),
        "length into the next run": (changed(EXCEPTIONS, at + 4, "<I", 13), order),
        "stream beyond the last": (changed(EXCEPTIONS, last, "<I", head.n_streams), stream),
        "length 0": (changed(EXCEPTIONS, at + 4, "<I", 0), samples),
        "length beyond the stream": (changed(EXCEPTIONS, last + 4, "<I", 54), samples),
        "start beyond the stream": (changed(EXCEPTIONS, last + 4, "<IQ", 1, 53), samples),
        "start of 2**64 - 1": (changed(EXCEPTIONS, last + 4, "<IQ", 2, 2**64 - 1), samples),
        "exceptions_crc": (flipped(good, len(good) - 1), "exceptions_crc"),
    }
    return {what: (*change, CorruptChunkError) for what, change in changes.items()}


def frame_changes() -> Damage:
    vector = named("frames-all-full")
    head = reference.parse_head(vector.chunk)
    starts = [head.frame_start(0, f) for f in range(head.n_frames)]
    frames = [vector.chunk[a : a + n] for a, n in zip(starts, head.sizes[0], strict=True)]
    sizes_at = head.head_size - 4 * head.n_streams * head.n_frames

    def with_frames(*new: bytes) -> bytes:
        """Other frames of as many bytes in all."""
        chunk = bytearray(vector.chunk)
        chunk[starts[0] : starts[0] + sum(head.sizes[0])] = b"".join(new)
        assert len(chunk) == len(vector.chunk)
        entries = [len(f) | (int.from_bytes(f[-2:], "big") & 0xFFF) << 20 for f in new]
        struct.pack_into(f"<{len(new)}I", chunk, sizes_at, *entries)
        return seal(chunk, head.head_size, head.streams_size)

    def with_crc(frame: bytes) -> bytes:
        return frame[:-2] + reference.flac_crc(frame[:-2], 0x8005, 16).to_bytes(2, "big")

    def with_header(at: int, byte: int) -> bytes:
        """Frame 0 with another header byte and right CRCs."""
        header = bytearray(frames[0][:6])
        header[at] = byte
        crc = reference.flac_crc(bytes(header), 0x07, 8)
        return with_frames(with_crc(bytes([*header, crc]) + frames[0][7:]), *frames[1:])

    assert frames[0][:6] == bytes.fromhex("ff f8 69 08 00 2f")  # 48 samples, 1 channel, 16 bits
    bad_crc8 = with_frames(with_crc(flipped(frames[0], 6)), *frames[1:])
    bad_residual = with_frames(frames[0], flipped(frames[1], 40), frames[2])
    changes = {
        "frames in the wrong order": (with_frames(frames[1], frames[0], frames[2]), "frame number"),
        "two frames for one": (with_frames(frames[0] + frames[1], b"", frames[2]), "sync code"),
        "a wrong CRC-8": (bad_crc8, "CRC-8"),
        "a bit of a residual": (bad_residual, "CRC-16"),
        "variable block size": (with_header(1, 0xF9), "sync code"),
        "reserved block size": (with_header(2, 0x09), "frame header"),
        "forbidden sample rate": (with_header(2, 0x6F), "frame header"),
        "two channels of a 16-bit dtype": (with_header(3, 0x18), "channels"),
        "mid/side": (with_header(3, 0xA8), "channels"),
        "bits per sample from STREAMINFO": (with_header(3, 0x00), "bits per sample"),
        "reserved bits per sample": (with_header(3, 0x06), "bits per sample"),
        "reserved bit": (with_header(3, 0x09), "frame header"),
        "another frame number": (with_header(4, 3), "frame number"),
        "another block size": (with_header(5, 0x2E), "block size"),
    }
    return {what: (*change, FrameError) for what, change in changes.items()}


DAMAGED = {**head_changes(), **exception_changes(), **frame_changes()}


@pytest.mark.parametrize("damage", DAMAGED)
def test_chunk_that_must_be_refused(damage):
    chunk, reason, error = DAMAGED[damage]
    with pytest.raises(reference.BadChunk, match=reason):
        reference.read_chunk(chunk)
    with pytest.raises(error):
        core.decode_chunk(chunk)


def test_what_a_reader_ignores():
    vector = named(EXCEPTIONS)
    head = reference.parse_head(vector.chunk)
    upper_half = changed(EXCEPTIONS, head.exceptions_start + 20, "<I", 0xFFFFFFFF)
    md5 = changed(EXCEPTIONS, head.head_size + 26, "16s", b"no MD5 of this..")
    no_flac = changed(EXCEPTIONS, head.head_size, "42s", b"")
    for chunk in (upper_half, md5, no_flac):
        assert chunk != vector.chunk
        assert core.decode_chunk(chunk).tobytes() == vector.expected.tobytes()
