"""A second reader of packed chunks, written from docs/format.md alone.

It shares nothing with the C library. FLAC itself it leaves to the command line
tool ``flac``: each stream is cut out of the chunk and decoded to AIFF, whose
samples are signed and left-justified for every number of bits. Slow, and
meant to be read beside the specification; names are the specification's.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DTYPES = {
    1: np.dtype("<i1"),
    2: np.dtype("<i2"),
    3: np.dtype("<i4"),
    4: np.dtype("<i8"),
    5: np.dtype("<u1"),
    6: np.dtype("<u2"),
    7: np.dtype("<u4"),
    8: np.dtype("<u8"),
    9: np.dtype("<f4"),
    10: np.dtype("<f8"),
}
INTEGER, QUANTIZED, LOSSLESS = 0, 1, 2
OFFSETS, QUANTA, BIG_ENDIAN = 1, 2, 4
HEADER_SIZE = 64
STREAM_HEADER_SIZE = 42
EXCEPTION_SIZE = 24


class BadChunk(ValueError):  # noqa: N818 - it is the name for what is refused
    """A chunk that a reader must refuse."""


def require(condition: object, message: str) -> None:
    if not condition:
        raise BadChunk(message)


# -- checksums ----------------------------------------------------------------------


def _reflected_table(polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
        table.append(crc)
    return table


_CRC32C = _reflected_table(0x82F63B78)


def crc32c(*parts: bytes) -> int:
    crc = 0xFFFFFFFF
    for part in parts:
        for byte in part:
            crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def flac_crc(data: bytes, polynomial: int, bits: int) -> int:
    """RFC 9639's CRC-8 (0x07) and CRC-16 (0x8005): not reflected, initial value 0."""
    crc = 0
    for byte in data:
        crc ^= byte << (bits - 8)
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> (bits - 1) else 0)
            crc &= (1 << bits) - 1
    return crc


# -- header and index ---------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    dtype: np.dtype
    mode: int
    flags: int
    n_streams: int
    frame_size: int
    stream_size: int
    quanta: float
    streams_size: int
    exceptions_size: int
    streams_crc: int
    exceptions_crc: int
    head_crc: int
    n_frames: int
    offset_width: int
    quanta_width: int
    head_size: int
    chunk_size: int
    offsets: list[int]
    stream_quanta: list[float]
    sizes: list[list[int]]
    crcs: list[list[int]]

    def stream_nbytes(self, s: int) -> int:
        return STREAM_HEADER_SIZE + sum(self.sizes[s])

    def stream_start(self, s: int) -> int:
        return self.head_size + sum(self.stream_nbytes(i) for i in range(s))

    def frame_start(self, s: int, f: int) -> int:
        return self.stream_start(s) + STREAM_HEADER_SIZE + sum(self.sizes[s][:f])

    def frame_samples(self, f: int) -> int:
        return min(self.frame_size, self.stream_size - f * self.frame_size)

    @property
    def exceptions_start(self) -> int:
        return self.head_size + self.streams_size


def is_quanta(value: float) -> bool:
    return bool(np.isfinite(value)) and value > 0


def offset_width(dtype: np.dtype, mode: int, flags: int) -> int:
    if not flags & OFFSETS:
        return 0
    return 8 if dtype.itemsize == 8 or mode == QUANTIZED else 4


def parse_header(data: bytes) -> dict:
    """Checks 1 to 6 of the specification."""
    require(len(data) >= HEADER_SIZE, "shorter than a header")
    magic, version, code, mode, flags, n_streams, frame_size = struct.unpack_from("<4s4B2I", data)
    stream_size, quanta, streams_size, exceptions_size = struct.unpack_from("<QdQQ", data, 16)
    streams_crc, exceptions_crc, reserved, head_crc = struct.unpack_from("<4I", data, 48)
    require(magic == b"FPCK", "magic")
    require(version == 1, "version")
    require(reserved == 0 and flags & ~(OFFSETS | QUANTA | BIG_ENDIAN) == 0, "reserved bits")
    require(code in DTYPES, "dtype")
    require(mode in (INTEGER, QUANTIZED, LOSSLESS), "mode")
    dtype = DTYPES[code]
    require(n_streams >= 1, "n_streams")
    require(16 <= frame_size <= 65535, "frame_size")
    require(1 <= stream_size < 2**36, "stream_size")
    require(streams_size < 2**60, "streams_size")
    require(exceptions_size < 2**60 and exceptions_size % EXCEPTION_SIZE == 0, "exceptions_size")
    require((dtype.kind == "f") == (mode != INTEGER), "mode and dtype")
    require(mode == QUANTIZED or not (flags & QUANTA or exceptions_size), "only when quantized")
    in_header = mode == QUANTIZED and not flags & QUANTA
    require(is_quanta(quanta) if in_header else not any(data[24:32]), "quanta of the header")
    n_frames = -(-stream_size // frame_size)
    require(n_frames <= 2**31 and n_streams * n_frames <= 2**40, "number of frames")
    offsets_take = offset_width(dtype, mode, flags)
    quanta_take = 8 if flags & QUANTA else 0
    head_size = HEADER_SIZE + n_streams * (offsets_take + quanta_take + 4 * n_frames)
    return {
        "dtype": dtype,
        "mode": mode,
        "flags": flags,
        "n_streams": n_streams,
        "frame_size": frame_size,
        "stream_size": stream_size,
        "quanta": quanta,
        "streams_size": streams_size,
        "exceptions_size": exceptions_size,
        "streams_crc": streams_crc,
        "exceptions_crc": exceptions_crc,
        "head_crc": head_crc,
        "n_frames": n_frames,
        "offset_width": offsets_take,
        "quanta_width": quanta_take,
        "head_size": head_size,
        "chunk_size": head_size + streams_size + exceptions_size,
    }


def _rows(values: tuple[int, ...], width: int) -> list[list[int]]:
    return [list(values[i : i + width]) for i in range(0, len(values), width)]


def parse_head(data: bytes) -> Head:
    """Checks 1 to 6 and 9 to 11; `data` may go on after the index."""
    h = parse_header(data)
    n, head_size = h["n_streams"], h["head_size"]
    require(len(data) >= head_size, "cut short within the index")
    require(crc32c(data[:60], data[64:head_size]) == h["head_crc"], "head_crc")
    at = HEADER_SIZE
    offsets = [0] * n
    if h["offset_width"]:
        offsets = list(struct.unpack_from(f"<{n}{'IQ'[h['offset_width'] == 8]}", data, at))
        at += n * h["offset_width"]
    quanta = [h["quanta"]] * n
    if h["quanta_width"]:
        quanta = list(struct.unpack_from(f"<{n}d", data, at))
        at += n * 8
    entries = struct.unpack_from(f"<{n * h['n_frames']}I", data, at)
    sizes, crcs = [e & 0xFFFFF for e in entries], [e >> 20 for e in entries]
    require(STREAM_HEADER_SIZE * n + sum(sizes) == h["streams_size"], "sizes of the frames")
    require(h["mode"] != QUANTIZED or all(map(is_quanta, quanta)), "quanta of the index")
    return Head(
        **h,
        offsets=offsets,
        stream_quanta=quanta,
        sizes=_rows(sizes, h["n_frames"]),
        crcs=_rows(crcs, h["n_frames"]),
    )


# -- exceptions ---------------------------------------------------------------------


def parse_exceptions(head: Head, table: bytes) -> list[tuple[int, int, int, int]]:
    """Check 12. Returns (stream, length, start, bits) of each run."""
    require(len(table) == head.exceptions_size, "exceptions cut short")
    require(not table or crc32c(table) == head.exceptions_crc, "exceptions_crc")
    runs = list(struct.iter_unpack("<IIQQ", table))
    free = (0, 0)
    for stream, length, start, _ in runs:
        require(stream < head.n_streams, "stream of an exception")
        require(length >= 1 and start + length <= head.stream_size, "samples of an exception")
        require((stream, start) >= free, "order of the exceptions")
        free = (stream, start + length)
    return runs


# -- FLAC streams -------------------------------------------------------------------


def read_number(data: bytes) -> tuple[int, int]:
    """The coded number at the start of `data`, and how many bytes it takes."""
    if data[0] < 0x80:
        return data[0], 1
    length = 8 - (data[0] ^ 0xFF).bit_length()  # leading ones
    require(2 <= length <= 6, "coded number")
    number = data[0] & (0x7F >> length)
    for byte in data[1:length]:
        require(byte & 0xC0 == 0x80, "coded number")
        number = number << 6 | byte & 0x3F
    return number, length


def block_size(code: int, extra: bytes) -> tuple[int, int]:
    """Samples of a block by the code in its frame's header; bytes of `extra` it takes."""
    if code == 6:
        return extra[0] + 1, 1
    if code == 7:
        return int.from_bytes(extra[:2], "big") + 1, 2
    if code == 1:
        return 192, 0
    return (144 << code if code < 6 else 1 << code), 0


def check_frame(head: Head, frame: bytes, number: int) -> tuple[int, int]:
    """What check 13 says of a frame without decoding it. Returns (channels, bits)."""
    require(len(frame) >= 10 and frame[:2] == b"\xff\xf8", "sync code")
    block_code, rate_code = frame[2] >> 4, frame[2] & 15
    require(block_code != 0 and rate_code != 15 and frame[3] & 1 == 0, "frame header")
    found, length = read_number(frame[4:10])
    at = 4 + length
    samples, taken = block_size(block_code, frame[at : at + 2])
    at += taken
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    require(flac_crc(frame[:at], 0x07, 8) == frame[at], "CRC-8")
    require(found == number, "frame number")
    require(samples == head.frame_samples(number), "block size")
    require(flac_crc(frame, 0x8005, 16) == 0, "CRC-16")
    channels = (frame[3] >> 4) + 1
    wide = head.mode == QUANTIZED or head.dtype.itemsize == 8
    require(channels <= 1 + wide, "channels")
    bits = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}.get(frame[3] >> 1 & 7)
    require(bits is not None, "bits per sample")
    require(channels == 1 or bits == 32, "bits per sample of two channels")
    return channels, bits


def check_stream_header(head: Head, stream: bytes, s: int, kind: tuple[int, int]) -> None:
    """Stricter than a reader must be: "fLaC" and STREAMINFO as a writer must write them."""
    channels, bits = kind
    block = max(16, head.frame_size if head.n_frames > 1 else head.stream_size)
    smallest, largest = min(head.sizes[s]), max(head.sizes[s])
    expected = b"fLaC\x80\x00\x00\x22" + struct.pack(">HH", block, block)
    expected += smallest.to_bytes(3, "big") + largest.to_bytes(3, "big")
    packed = 44100 << 44 | (channels - 1) << 41 | (bits - 1) << 36 | head.stream_size
    expected += packed.to_bytes(8, "big")
    require(stream[:26] == expected, "STREAMINFO")


def cut_streams(head: Head, chunk: bytes) -> list[bytes]:
    """Every FLAC stream by itself, its frames checked as far as that goes undecoded."""
    streams = []
    for s in range(head.n_streams):
        start = head.stream_start(s)
        stream = chunk[start : start + head.stream_nbytes(s)]
        kinds = set()
        for f in range(head.n_frames):
            at = head.frame_start(s, f)
            frame = chunk[at : at + head.sizes[s][f]]
            crc = int.from_bytes(frame[-2:], "big") & 0xFFF
            require(crc == head.crcs[s][f], "CRC of a frame in the index")
            kinds.add(check_frame(head, frame, f))
        require(len(kinds) == 1, "channels and bits differ between the frames of a stream")
        check_stream_header(head, stream, s, kinds.pop())
        streams.append(stream)
    return streams


def flac_tool() -> str:
    tool = shutil.which("flac")
    if tool is None:
        raise RuntimeError(
            "the command line tool flac is not installed. These tests need version 1.4 or later "
            "of it: package flac of Debian, Ubuntu, Fedora, Arch, Homebrew and conda-forge."
        )
    return tool


def run_flac(streams: list[bytes], *options: str) -> list[bytes]:
    """Runs the tool on all streams at once; returns the files that it wrote, if any."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{i:06}" for i in range(len(streams))]
        for name, stream in zip(names, streams, strict=True):
            (Path(folder) / f"{name}.flac").write_bytes(stream)
        command = [flac_tool(), "--silent", *options, *(f"{name}.flac" for name in names)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        require(done.returncode == 0, f"flac {' '.join(options)}: {done.stderr}")
        return [p.read_bytes() for p in sorted(Path(folder).glob("*.aiff"))]


def parse_aiff(data: bytes) -> np.ndarray:
    """Samples of an AIFF file, shape (channels, samples), as int64."""
    require(data[:4] == b"FORM" and data[8:12] == b"AIFF", "AIFF")
    at, parts = 12, {}
    while at + 8 <= len(data):
        name, size = struct.unpack_from(">4sI", data, at)
        parts[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    channels, samples, bits = struct.unpack_from(">HIH", parts[b"COMM"])
    width = (bits + 7) // 8
    raw = np.frombuffer(parts[b"SSND"], np.uint8, channels * samples * width, offset=8)
    padded = np.zeros((samples, channels, 8), np.uint8)
    padded[:, :, :width] = raw.reshape(samples, channels, width)
    return (padded.view(">i8")[:, :, 0].astype(np.int64) >> (64 - bits)).T


def decode_streams(streams: list[bytes]) -> list[np.ndarray]:
    files = run_flac(streams, "-d", "--force-aiff-format")
    require(len(files) == len(streams), "flac decoded fewer streams than it was given")
    return [parse_aiff(f) for f in files]


# -- from channels to samples -------------------------------------------------------


def to_samples(head: Head, channels: np.ndarray, offset: int, quanta: float) -> np.ndarray:
    words = channels.astype(np.int64).view(np.uint64)
    if len(words) == 1:
        n = words[0]
    else:
        n = words[1] << np.uint64(32) | words[0] & np.uint64(2**32 - 1)
    n = n + np.uint64(offset)
    if head.mode == QUANTIZED:
        k = n.view(np.int64)
        with np.errstate(over="ignore"):
            return (k.astype(np.float64) * quanta).astype(head.dtype)
    size = head.dtype.itemsize
    x = n.astype(f"<u{size}")
    if head.mode == LOSSLESS:
        i = x.view(f"<i{size}")
        x = np.where(i < 0, i ^ np.iinfo(i.dtype).max, i)
    return x.view(head.dtype)


def apply_exceptions(head: Head, runs: list[tuple[int, int, int, int]], out: np.ndarray) -> None:
    bits = out.view(f"<u{head.dtype.itemsize}")
    for stream, length, start, value in runs:
        bits[stream, start : start + length] = value & np.iinfo(bits.dtype).max


def read_chunk(chunk: bytes) -> np.ndarray:
    """Decode a whole chunk to an array of shape (n_streams, stream_size)."""
    chunk = bytes(chunk)
    header = parse_header(chunk)
    require(len(chunk) >= header["chunk_size"], "the chunk is cut short")
    require(len(chunk) <= header["chunk_size"], "bytes follow the end")
    head = parse_head(chunk)
    runs = parse_exceptions(head, chunk[head.exceptions_start :])
    streams = cut_streams(head, chunk)
    require(crc32c(*streams) == head.streams_crc, "streams_crc")
    out = np.empty((head.n_streams, head.stream_size), head.dtype)
    for s, channels in enumerate(decode_streams(streams)):
        require(channels.shape[1] == head.stream_size, "samples of a stream")
        out[s] = to_samples(head, channels, head.offsets[s], head.stream_quanta[s])
    apply_exceptions(head, runs, out)
    return out
