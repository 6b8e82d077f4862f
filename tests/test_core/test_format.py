"""docs/format.md, the C library and tests/support/reference_reader.py say the same.

The vectors in tests/data/ are what each released format version wrote. A file
that is missing or changed fails a test; nothing here writes any.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flaccodec import FlacCodec, core
from flaccodec.core import QuantaRule
from flaccodec.exceptions import (
    ChecksumError,
    CorruptChunkError,
    FlacCodecError,
    FrameError,
    QuantaWarning,
    TruncatedChunkError,
    UnknownVersionError,
)
from support import flac_writer
from support import reference_reader as reference
from support.other_process import OtherProcess
from support.paths import DATA, DOCS

DOCUMENT = DOCS / "format.md"

# Every format version that a release wrote, and the SHA-256 of its manifest.
MANIFESTS = {1: "a53b229ae58e34ae4a9a3bb9cde42cd3ddcdaf5d8c4697db83ec7b41f6ad885a"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest(version: int) -> dict:
    return json.loads((DATA / f"v{version}" / "manifest.json").read_text())


class Vector:
    def __init__(self, version: int, entry: dict) -> None:
        self.version = version
        self.folder = DATA / f"v{version}"
        self.entry = entry
        self.name: str = entry["name"]
        self.shape = tuple(entry["shape"])

    def __repr__(self) -> str:
        return f"v{self.version}-{self.name}"

    @property
    def chunk(self) -> bytes:
        return (self.folder / f"{self.name}.bin").read_bytes()

    @property
    def expected(self) -> np.ndarray:
        return np.load(self.folder / f"{self.name}.npy")

    @property
    def written(self) -> np.ndarray:
        """What was encoded, in the byte order in which it was."""
        name = f"{self.name}.input.npy" if self.entry["lossy"] else f"{self.name}.npy"
        array = np.load(self.folder / name)
        order = ">" if self.entry["byte_order"] == "big" else "<"
        return array.astype(array.dtype.newbyteorder(order))

    def files(self) -> set[str]:
        names = {f"{self.name}.bin", f"{self.name}.npy"}
        return names | ({f"{self.name}.input.npy"} if self.entry["lossy"] else set())


VECTORS = [Vector(v, entry) for v in MANIFESTS for entry in manifest(v)["vectors"]]
CURRENT = [v for v in VECTORS if v.version == core.FORMAT_VERSION]


def named(name: str) -> Vector:
    return next(v for v in CURRENT if v.name == name)


def little_endian(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def encode(array: np.ndarray, options: dict) -> bytes:
    rule = QuantaRule[options["rule"]]
    return bytes(core.encode_chunk(array, **{**options, "rule": rule}))


# -- the vectors are there ----------------------------------------------------------


@pytest.mark.parametrize("version", MANIFESTS)
def test_vectors_are_those_released(version):
    folder = DATA / f"v{version}"
    assert sha256((folder / "manifest.json").read_bytes()) == MANIFESTS[version]
    listed = set().union(*(v.files() for v in VECTORS if v.version == version))
    assert {p.name for p in folder.iterdir()} == listed | {"manifest.json"}


def test_every_version_has_vectors():
    assert list(MANIFESTS) == list(range(1, core.FORMAT_VERSION + 1))


def test_vectors_are_never_written_anew():
    script = DATA / "make_vectors.py"
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "never written anew" in done.stderr


@pytest.mark.parametrize("vector", VECTORS, ids=repr)
def test_vector_is_as_released(vector):
    assert sha256(vector.chunk) == vector.entry["chunk_sha256"]
    assert sha256(vector.expected.tobytes()) == vector.entry["decoded_sha256"]
    assert vector.expected.dtype == np.dtype(vector.entry["dtype"]).newbyteorder("<")
    assert vector.expected.shape == vector.shape


def test_vectors_cover_the_format():
    heads = [(v, reference.parse_head(v.chunk)) for v in CURRENT]
    kinds = {(h.dtype.name, h.mode) for _, h in heads}
    integers = {(f"{u}int{bits}", 0) for u in ("", "u") for bits in (8, 16, 32, 64)}
    assert kinds == integers | {(f"float{bits}", mode) for bits in (32, 64) for mode in (1, 2)}
    assert {h.flags for _, h in heads} == {0, 1, 2, 3, 4}
    assert {(h.offset_width, h.mode) for _, h in heads} >= {(4, 0), (8, 0), (8, 1), (4, 2), (8, 2)}
    frames = [
        (reference.check_frame(h, v.chunk[at : at + h.sizes[s][0]], 0), h.mode)
        for v, h in heads
        for s in range(h.n_streams)
        for at in [h.frame_start(s, 0)]
    ]
    assert {kind for kind, _ in frames} == {*((1, b) for b in (8, 12, 16, 20, 24, 32)), (2, 32)}
    assert {mode for (channels, _), mode in frames if channels == 2} == {0, 1, 2}


# -- readers ------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=repr)
def test_reader_reads(vector):
    decoded = core.decode_chunk(vector.chunk)
    assert little_endian(decoded) == vector.expected.tobytes()
    order = ">" if vector.entry["byte_order"] == "big" else "<"
    assert decoded.dtype == vector.expected.dtype.newbyteorder(order)
    for order in "<>":
        out = np.zeros(vector.shape, vector.expected.dtype.newbyteorder(order))
        core.decode_chunk(vector.chunk, out)
        assert little_endian(out) == vector.expected.tobytes()


@pytest.mark.parametrize("vector", VECTORS, ids=repr)
def test_reference_reader_reads(vector):
    assert reference.read_chunk(vector.chunk).tobytes() == vector.expected.tobytes()


@pytest.mark.parametrize("vector", VECTORS, ids=repr)
def test_flac_tool_accepts_each_stream(vector):
    head = reference.parse_head(vector.chunk)
    reference.run_flac(reference.cut_streams(head, vector.chunk), "--test")


def test_flac_tool_is_asked():
    vector = named("int16-full")
    head = reference.parse_head(vector.chunk)
    stream = bytearray(reference.cut_streams(head, vector.chunk)[0])
    stream[-5] ^= 1
    with pytest.raises(reference.BadChunk, match="flac --test"):
        reference.run_flac([bytes(stream)], "--test")


def test_a_missing_flac_tool_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="package flac of Debian"):
        reference.flac_tool()


@st.composite
def arrays_and_options(draw):
    dtype = draw(st.sampled_from([*reference.DTYPES.values()]))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 60)))
    options = {"frame_size": draw(st.integers(16, 40)), "level": draw(st.sampled_from([0, 5, 8]))}
    if dtype.kind != "f":
        info = np.iinfo(dtype)
        bounds = sorted(draw(st.tuples(*[st.integers(int(info.min), int(info.max))] * 2)))
        elements = st.integers(*bounds)
        return draw(hnp.arrays(dtype, shape, elements=elements)), options
    rule = draw(st.sampled_from(QuantaRule))
    if rule == QuantaRule.NONE:
        bits = hnp.arrays(f"u{dtype.itemsize}", shape)
        return draw(bits).view(dtype), {**options, "rule": rule}
    width = 8 * dtype.itemsize
    others = st.sampled_from([np.nan, np.inf, -np.inf])
    numbers = st.floats(-1000, 1000, width=width)
    parameters = {QuantaRule.GIVEN: st.sampled_from([1.0, 0.1, 1e-6, 1e-12])}
    parameters[QuantaRule.PRECISION] = st.sampled_from([0.0, 1.5, 3.0])
    parameter = draw(parameters.get(rule, st.none()))
    array = draw(hnp.arrays(dtype, shape, elements=numbers | others))
    return array, {**options, "rule": rule, "parameters": parameter}


@settings(max_examples=60, deadline=None)
@given(arrays_and_options())
def test_the_two_readers_agree(case):
    array, options = case
    try:
        chunk = core.encode_chunk(array, **options).tobytes()
    except FlacCodecError:
        # Quanta from a stream's own range or spread, where those are next to nothing.
        assert options["rule"] in (QuantaRule.PRECISION, QuantaRule.RANGE)
        return
    decoded = core.decode_chunk(chunk)
    assert reference.read_chunk(chunk).tobytes() == little_endian(decoded)
    if options.get("rule", QuantaRule.NONE) == QuantaRule.NONE:
        assert little_endian(decoded) == little_endian(array)


# -- the writer ---------------------------------------------------------------------

# How small FLAC makes a frame is libFLAC's matter, and may change with it.
FREE = {"sizes", "crcs", "streams_size", "streams_crc", "head_crc", "chunk_size"}


@pytest.mark.parametrize("vector", CURRENT, ids=repr)
def test_writer_writes_the_same_meaning(vector):
    chunk = encode(vector.written, vector.entry["options"])
    assert little_endian(core.decode_chunk(chunk)) == vector.expected.tobytes()
    ours, theirs = reference.parse_head(chunk), reference.parse_head(vector.chunk)
    for field in fields(reference.Head):
        if field.name not in FREE:
            assert getattr(ours, field.name) == getattr(theirs, field.name), field.name
    assert chunk[ours.exceptions_start :] == vector.chunk[theirs.exceptions_start :]


@pytest.mark.parametrize("vector", [v for v in CURRENT if v.entry["lossy"]], ids=repr)
def test_quantized_vectors_keep_the_promises(vector):
    head = reference.parse_head(vector.chunk)
    x = vector.written.reshape(head.n_streams, -1)
    y = vector.expected.reshape(x.shape)
    finite = np.isfinite(x)
    np.testing.assert_array_equal(np.isfinite(y), finite)
    unsigned = f"u{y.itemsize}"
    others = x.astype(y.dtype).view(unsigned)[~finite]
    np.testing.assert_array_equal(y.view(unsigned)[~finite], others)
    quanta = np.array(head.stream_quanta)[:, None]
    below = np.abs(y) - np.nextafter(np.abs(y), y.dtype.type(0))
    with np.errstate(invalid="ignore"):
        apart = np.abs(x.astype(np.float64) - y.astype(np.float64))
    # Half a step away from zero is never more than `below`, a step towards it.
    assert np.all((apart <= quanta / 2 + below.astype(np.float64))[finite])
    options = {**vector.entry["options"], "rule": "GIVEN", "parameters": head.stream_quanta}
    again = core.decode_chunk(encode(y, options))
    assert little_endian(again) == y.tobytes()


# -- what readers refuse ------------------------------------------------------------


def seal(chunk: bytearray, head_size: int, streams_size: int) -> bytes:
    """Make the checksums right, so that only what was changed is wrong."""
    end = head_size + streams_size
    crc = reference.crc32c(bytes(chunk[head_size:end])), reference.crc32c(bytes(chunk[end:]))
    struct.pack_into("<2I", chunk, 48, *crc)
    covered = bytes(chunk[:60]), bytes(chunk[64:head_size])
    struct.pack_into("<I", chunk, 60, reference.crc32c(*covered))
    return bytes(chunk)


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


# -- what the document says of writers ------------------------------------------------


def stored_integers(chunk: np.ndarray) -> list[int]:
    """The integers k of a chunk of one stream."""
    head = reference.parse_head(bytes(chunk))
    nbytes = np.array([head.stream_nbytes(0)])
    stored = core.decode_streams(
        chunk[head.head_size :], np.array([0]), nbytes, head.stream_size, 0, head.stream_size,
        wide=False,
    )  # fmt: skip
    return (stored[0].astype(np.int64) + head.offsets[0]).tolist()


def test_the_integers_of_exceptions():
    largest = np.finfo("float32").max
    fill = np.float32(1e30)
    frame = [np.nan, np.inf, largest, np.nan, fill, *10 * [largest / 2], -np.inf]
    chunk = core.encode_chunk(
        np.array(frame + 4 * [fill], "float32"), rule=QuantaRule.GIVEN,
        parameters=float(largest) / 130.6, fill_value=fill, frame_size=16,
    )  # fmt: skip
    head = reference.parse_head(bytes(chunk))
    runs = reference.parse_exceptions(head, bytes(chunk[head.exceptions_start :]))
    assert [(start, length) for _, length, start, _ in runs] == [
        *[(i, 1) for i in range(5)], (15, 1), (16, 4)
    ]  # fmt: skip
    assert head.offsets == [98]
    assert stored_integers(chunk) == 5 * [131] + 11 * [65] + 4 * [98]


@pytest.mark.parametrize("value", [2.0**63, -(2.0**63)])
def test_quanta_that_are_just_too_fine(value):
    with pytest.warns(QuantaWarning):
        chunk = core.encode_chunk(np.array([value]), rule=QuantaRule.GIVEN, parameters=1)
    assert core.decode_chunk(chunk)[0, 0] == value
    assert core.read_header(chunk).exceptions_size == 24
    nearest = np.array([np.nextafter(value, 0)])
    np.testing.assert_array_equal(
        core.decode_chunk(core.encode_chunk(nearest, rule=QuantaRule.GIVEN, parameters=1))[0],
        nearest,
    )


def test_the_least_quanta_of_a_range():
    tiny = np.array([[1e-320, 3e-320], [1e-300, 2e-300]])
    head = reference.parse_head(bytes(core.encode_chunk(tiny, rule=QuantaRule.RANGE)))
    assert head.stream_quanta == [2.0**-1074, 1e-300 * 2.0**-30]


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


# -- the document -------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)


def parse_hex(block: str) -> bytes:
    chunk = b""
    for line in block.splitlines():
        match = re.fullmatch(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} )*[0-9a-f]{2}) +\S.*", line)
        assert match, f"not a position, bytes and what they are: {line}"
        assert int(match[1], 16) == len(chunk), f"not at its position: {line}"
        chunk += bytes.fromhex(match[2])
    return chunk


def examples() -> list[tuple[bytes, np.ndarray]]:
    described = [d for d in map(json.loads, blocks("json")) if "values" in d]
    arrays = [np.array(d["values"], dtype=d["dtype"]) for d in described]
    return list(zip(map(parse_hex, blocks("hex")), arrays, strict=True))


def test_document_has_its_examples():
    assert [array.dtype.name for _, array in examples()] == ["int32", "float32"]


def test_configuration_of_the_document():
    (codec,) = [d for d in map(json.loads, blocks("json")) if "configuration" in d]
    assert FlacCodec.from_dict(codec).to_dict()["configuration"] == codec["configuration"]


@pytest.mark.parametrize("i", [0, 1])
def test_example_of_the_document(i):
    chunk, expected = examples()[i]
    assert little_endian(core.decode_chunk(chunk)) == little_endian(expected)
    assert reference.read_chunk(chunk).tobytes() == little_endian(expected)


def rows(heading: str) -> list[list[str]]:
    section = DOCUMENT.read_text().split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_document_lists_the_versions():
    assert [int(row[0]) for row in rows("## Versions")] == list(MANIFESTS)


def test_document_lists_the_dtypes():
    table = {int(code): (name.split(",")[0], int(size)) for code, name, size in rows("### Dtypes")}
    assert table == {c: (d.name, d.itemsize) for c, d in reference.DTYPES.items()}
    for dtype in reference.DTYPES.values():
        chunk = core.encode_chunk(np.zeros(1, dtype))
        assert table[int(chunk[5])][0] == dtype.name


def test_document_lists_every_byte_of_the_header():
    position = 0
    for at, width, kind, *_ in rows("## Header"):
        assert int(at) == position
        assert kind == "bytes" or int(kind[1:]) == 8 * int(width)
        position += int(width)
    assert position == core.HEADER_SIZE
