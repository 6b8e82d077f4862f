"""The FLAC decoder test bench's cases: libFLAC, our frame decoder and chunks give one answer."""

import ctypes
import ctypes.util
import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from flaccodec import core
from flaccodec.core import decode_chunk, decode_streams
from flaccodec.exceptions import CorruptStreamError, FrameError
from support import sanitized
from support.flac_writer import Subframe, frame, metadata_block, stream, stream_info
from support.other_process import OtherProcess
from test_c import testbench

RECIPES = testbench.RECIPES
NOT_OURS = -1
all_cases = pytest.mark.parametrize(
    ("recipe", "channels"), RECIPES, ids=[f"{r.name}-{n}ch" for r, n in RECIPES]
)


def test_all_of_the_bench_is_here():
    names = [recipe.name for recipe, _ in RECIPES] + [*ODD, *REFUSED, TOO_LONG]
    names += testbench.LEFT_OUT
    numbers = {}
    for name in names:
        if found := re.match(r"(subset|uncommon|faulty)/(\d\d) - ", name):
            numbers.setdefault(found[1], set()).add(int(found[2]))
    many = {"subset": 64, "uncommon": 11, "faulty": 11}
    assert numbers == {group: set(range(1, n + 1)) for group, n in many.items()}


@pytest.mark.parametrize("bits", [16, 20, 24, 32])
def test_predictor_overflow_checks_overflow_32_bits(bits):
    recipe = next(r for r, _ in RECIPES if r.name.endswith(f"overflow check, {bits}-bit"))
    samples = testbench.make(recipe, 1).samples[0]
    sums = [np.convolve(samples, s.coefficients, "valid") for s in recipe.subframes]
    assert max(np.abs(s).max() for s in sums) >= 2**31


def decode_foreign(data, channels, total, first=0, last=None):
    """Channels of a stream, through libFLAC."""
    last = total if last is None else last
    places = np.array([0]), np.array([len(data)])
    out = decode_streams(data, *places, total, first, last, wide=channels == 2)[0]
    if channels == 1:
        return out[None]
    return out.view("<i4").reshape(-1, 2).T


@all_cases
def test_streams_come_back_whole_and_in_parts(recipe, channels):
    case = testbench.make(recipe, channels)
    total = case.samples.shape[1]
    np.testing.assert_array_equal(decode_foreign(case.stream, channels, total), case.samples)
    first, last = total // 3, total // 3 + 1 + total // 2
    part = decode_foreign(case.stream, channels, total, first, last)
    np.testing.assert_array_equal(part, case.samples[:, first:last])


def raw_bytes(case):
    """The samples as the flac program gives them out."""
    width = {8: 1, 16: 2, 24: 3, 32: 4}[case.bits]
    words = np.ascontiguousarray(case.samples.T.astype("<i4")).view(np.uint8)
    return words.reshape(-1, 4)[:, :width].tobytes()


@all_cases
def test_the_flac_program_agrees(recipe, channels):
    """The writer of the cases is right, as far as another decoder can tell."""
    if recipe.bits % 8:
        pytest.skip("flac gives out no raw samples of such a width")
    case = testbench.make(recipe, channels)
    command = ["flac", "-d", "-s", "-c", "--force-raw-format", "--endian=little", "--sign=signed"]
    result = subprocess.run([*command, "-"], input=case.stream, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == raw_bytes(case)


# -- our frame decoder ------------------------------------------------------------------


@pytest.fixture(scope="module", params=sanitized.CODES)
def decode_frames(request, tmp_path_factory):
    """Decode frames, each with its channels and samples, to (code, channels) each."""
    folder = tmp_path_factory.mktemp("frames")
    library = sanitized.library(request.param, tmp_path_factory)
    source = Path(__file__).parent / "c" / "decode_frames.c"
    sanitized.compile_source(source, folder / "program.o", request.param)
    sanitized.link([folder / "program.o", *library], folder / "decode_frames")

    def decode(frames):
        given = b"".join(struct.pack("<3I", c, n, len(f)) + f for f, c, n in frames)
        command, environment = folder / "decode_frames", sanitized.environment(request.param)
        result = subprocess.run([command], input=given, capture_output=True, env=environment)
        assert result.returncode == 0, result.stderr.decode()
        words, at = np.frombuffer(result.stdout, "<i4"), 0
        for _, channels, samples in frames:
            yield words[at], words[at + 1 : at + 1 + channels * samples].reshape(channels, -1)
            at += 1 + channels * samples
        assert at == len(words)

    return decode


def test_frames_come_back_or_are_left_to_libflac(decode_frames):
    cases = [testbench.make(recipe, channels) for recipe, channels in RECIPES]
    given = [
        (data, len(case.samples), block)
        for case in cases
        for data, block in zip(case.frames, case.blocks, strict=True)
    ]
    decoded = iter(list(decode_frames(given)))
    ours = 0
    for case in cases:
        ends = np.cumsum(case.blocks)
        for begin, end in zip(ends - case.blocks, ends, strict=True):
            code, samples = next(decoded)
            assert code == (0 if case.ours else NOT_OURS), str(case)
            if case.ours:
                np.testing.assert_array_equal(samples, case.samples[:, begin:end], str(case))
                ours += 1
    assert ours > 500


# -- the same frames in chunks ------------------------------------------------------------


def fits_a_chunk(case):
    *equal, last = case.blocks
    regular = set(equal) <= {case.blocks[0]} and last <= case.blocks[0] >= 16
    wide_enough = len(case.samples) == 1 or case.bits == 32
    return case.ours and regular and wide_enough and case.blocks[0] <= 65535


def make_chunk(case):
    """A chunk of one stream, by docs/format.md; two channels are an int64's words."""
    total, wide = case.samples.shape[1], len(case.samples) == 2
    entries = [len(f) | (int.from_bytes(f[-2:], "big") & 0xFFF) << 20 for f in case.frames]
    index = np.array(entries, "<u4").tobytes()
    info = stream_info(channels=len(case.samples), bits=case.bits, total=total)
    streams = stream(info, case.frames)
    head = b"FPCK" + bytes([1, 4 if wide else 3, 0, 0])
    head += struct.pack("<IIQdQQ", 1, case.blocks[0], total, 0, len(streams), 0)
    head += struct.pack("<III", core.crc32c(streams), 0, 0)
    checksum = core.crc32c(index, core.crc32c(head))
    return head + checksum.to_bytes(4, "little") + index + streams


def expected(case):
    if len(case.samples) == 1:
        return case.samples.astype("int32")
    low, high = case.samples
    return (high << 32 | low & 0xFFFFFFFF)[None]


@pytest.fixture(scope="module", params=["ours", "libflac"])
def other(request):
    process = OtherProcess(FLACCODEC_DECODER=request.param)
    yield process
    process.close()


def test_chunks_of_such_frames(other):
    cases = [testbench.make(recipe, channels) for recipe, channels in RECIPES]
    cases = [case for case in cases if fits_a_chunk(case)]
    assert len(cases) > 60
    assert {len(case.samples) for case in cases} == {1, 2}
    for case in cases:
        np.testing.assert_array_equal(other.decode(make_chunk(case)), expected(case), str(case))


# -- frames that do not belong into a chunk --------------------------------------------------


def damaged_chunk(replace):
    """Three streams of frames of 64 samples; frame 2 of the last is replaced."""
    x = testbench.make_signal("music", 16, 256, 0)
    frames = [frame([x[i : i + 64]], 16, i // 64, [Subframe(order=1)]) for i in range(0, 256, 64)]
    case = testbench.Case("", x[None], 16, [64] * 4, frames, b"", True)
    good = make_chunk(case)
    case.frames = [*frames[:2], replace(x[128:192]), frames[3]]
    picks = np.array([(0, 0), (0, 0), (1, 0)])
    return core.gather_streams([good, make_chunk(case)], picks)


def spoilt_crc(x):
    """The CRC-16 that the index knows, of other bytes."""
    data = bytearray(frame([x], 16, 2, [Subframe(order=1)]))
    data[-10] ^= 1
    return bytes(data)


SINGLE = [Subframe(order=1)]


@pytest.mark.parametrize(
    "replace",
    [
        pytest.param(spoilt_crc, id="CRC-16"),
        pytest.param(lambda x: frame([x], 16, 3, SINGLE), id="another number"),
        pytest.param(lambda x: frame([x[:63]], 16, 2, SINGLE), id="fewer samples"),
        pytest.param(lambda x: frame([np.append(x, 0)], 16, 2, SINGLE), id="more samples"),
        pytest.param(lambda x: frame([x, x], 16, 2, SINGLE * 2), id="two channels"),
        pytest.param(lambda x: frame([x, x], 32, 2, SINGLE * 2), id="two channels of 32 bits"),
        pytest.param(lambda x: frame([x, x, x], 16, 2, SINGLE * 3), id="three channels"),
        pytest.param(
            lambda x: frame([x, x], 16, 2, SINGLE * 2, assignment="mid/side"), id="mid/side"
        ),
        pytest.param(lambda x: frame([x], 16, 2, SINGLE, variable=True), id="variable"),
        pytest.param(lambda x: frame([x], 16, 2, SINGLE, state_bits=False), id="bits not stated"),
        pytest.param(lambda x: frame([x], 16, 2, SINGLE)[:-3], id="cut short"),
        pytest.param(lambda x: frame([x], 16, 2, SINGLE) + b"\0", id="a byte more"),
        pytest.param(lambda _: b"", id="nothing"),
    ],
)
def test_frames_that_disagree_with_their_chunk_are_named(replace, other):
    """Index and checksums of the chunk are right; the frame's CRC or its fields are not."""
    chunk = damaged_chunk(replace)
    with pytest.raises(FrameError, match="stream 2, frame 2"):
        other.decode(chunk)
    for threads in (1, 3):
        with pytest.raises(FrameError, match="stream 2, frame 2") as caught:
            decode_chunk(chunk, num_threads=threads)
        assert (caught.value.stream, caught.value.frame) == (2, 2)
    spans = np.array([(2, 130, 5, 0)], core.SPAN_DTYPE)
    with pytest.raises(FrameError, match="stream 2, frame 2"):
        core.decode_spans(chunk, [(0, chunk)], spans, np.empty(5, "int32"))


# -- streams that are odd or faulty --------------------------------------------------------

SIGNAL = testbench.make_signal("music", 16, 1000, 1)
ONE = Subframe(order=2)


def part(number, *, bits=16, channels=1, **how):
    x = SIGNAL[250 * number : 250 * (number + 1)]
    return frame([x] * channels, bits, number, [ONE] * channels, **how)


def info(**fields):
    return stream_info(**{"channels": 1, "bits": 16, "total": 1000, "blocks": (250, 250)} | fields)


PARTS = [part(i) for i in range(4)]
PADDING = metadata_block(1, bytes(10))
ODD = {
    "uncommon/01 - changing samplerate": stream(
        info(), [PARTS[0], part(1, rate=48000), *PARTS[2:]]
    ),
    "uncommon/04 - changing bitdepth": stream(info(), [*PARTS[:2], part(2, bits=24), PARTS[3]]),
    "uncommon/10 - file starting at frame header": b"".join(PARTS),
    "faulty/02 - wrong maximum framesize": stream(info(sizes=(10, 20)), PARTS),
    "faulty/03 - wrong bit depth": stream(info(bits=24), PARTS),
    "faulty/06 - missing streaminfo metadata block": b"fLaC"
    + metadata_block(1, bytes(10), last=True)
    + b"".join(PARTS),
    "faulty/07 - other metadata blocks preceding streaminfo metadata block": b"fLaC"
    + PADDING
    + metadata_block(0, info(), last=True)
    + b"".join(PARTS),
    "faulty/10 - invalid vorbis comment metadata block": stream(info(), PARTS, [(4, b"\xff" * 20)]),
}
ODD["faulty/09 - blocksize 1"] = stream(
    info(blocks=(1, 1)), [frame([[x]], 16, i, [Subframe("verbatim")]) for i, x in enumerate(SIGNAL)]
)
ODD["a frame twice"] = stream(info(), [PARTS[0], *PARTS])
REFUSED = {
    "uncommon/02 - increasing number of channels": stream(
        info(), [*PARTS[:2], part(2, channels=2), part(3, channels=2)]
    ),
    "uncommon/03 - decreasing number of channels": stream(
        info(channels=2), [part(0, channels=2), part(1, channels=2), *PARTS[2:]]
    ),
    "uncommon/11 - file starting with unparsable data": b"\x12\x34" * 50 + stream(info(), PARTS),
    "faulty/01 - wrong max blocksize": stream(info(blocks=(100, 100)), PARTS),
    "faulty/04 - wrong number of channels": stream(info(channels=2), PARTS),
    "faulty/05 - wrong total number of samples": stream(info(total=900), PARTS),
    "faulty/11 - incorrect metadata block length": b"fLaC"
    + metadata_block(0, info())
    + b"\x81\x00\x00\x28"
    + bytes(30)
    + b"".join(PARTS),
    "three channels": stream(info(channels=3), [part(i, channels=3) for i in range(4)]),
    "a frame missing": stream(info(), [PARTS[0], *PARTS[2:]]),
    "bytes after the end": stream(info(), PARTS) + bytes(20),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_streams_that_libflac_takes(name):
    np.testing.assert_array_equal(decode_foreign(ODD[name], 1, 1000)[0], SIGNAL)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", REFUSED)
def test_faulty_streams_are_refused(name, channels):
    with pytest.raises(CorruptStreamError, match="stream 0"):
        decode_foreign(REFUSED[name], channels, 1000)


TOO_LONG = "faulty/08 - blocksize 65536"


def one_block(samples):
    x = np.arange(samples) % 99
    block = min(samples, 65535)
    whole = frame([x], 16, 0, [Subframe(order=0)])
    return x, stream(info(total=samples, blocks=(block, block)), [whole])


@pytest.mark.parametrize("samples", [1, 65535])
def test_streams_of_one_block_of_the_least_and_the_most_samples(samples):
    x, data = one_block(samples)
    np.testing.assert_array_equal(decode_foreign(data, 1, samples)[0], x)


def test_blocks_of_a_sample_too_many_are_refused():
    """TOO_LONG: a frame's header can say so, STREAMINFO cannot."""
    _, data = one_block(65536)
    with pytest.raises(CorruptStreamError, match="stream 0, frame 0"):
        decode_foreign(data, 1, 65536)


# -- streams of libFLAC ---------------------------------------------------------------------


WRITE = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_uint32,
    ctypes.c_uint32,
    ctypes.c_void_p,
)


@pytest.fixture(scope="module")
def libflac():
    library = ctypes.CDLL(ctypes.util.find_library("FLAC"))
    library.FLAC__stream_encoder_new.restype = ctypes.c_void_p
    return library


def encode_by_libflac(libflac, channels, **settings):
    """Return the stream of an array (channels, samples)."""
    parts = []

    def keep(_encoder, data, size, _samples, _frame, _client):
        parts.append(ctypes.string_at(data, size))
        return 0

    write = WRITE(keep)
    encoder = ctypes.c_void_p(libflac.FLAC__stream_encoder_new())
    settings = {"channels": len(channels), "streamable_subset": False} | settings
    for name, value in settings.items():
        assert getattr(libflac, f"FLAC__stream_encoder_set_{name}")(encoder, value)
    assert libflac.FLAC__stream_encoder_init_stream(encoder, write, None, None, None, None) == 0
    samples = np.ascontiguousarray(channels.T, dtype=np.int32)
    pointer = ctypes.c_void_p(samples.ctypes.data)
    assert libflac.FLAC__stream_encoder_process_interleaved(encoder, pointer, len(samples))
    assert libflac.FLAC__stream_encoder_finish(encoder)
    libflac.FLAC__stream_encoder_delete(encoder)
    return b"".join(parts)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("bits", range(4, 33))
def test_streams_of_all_widths(bits, channels, libflac):
    """Those whose frames leave the width to STREAMINFO among them."""
    for kind in ("music", "extremes", "alternating", "ramp", "wasted"):
        signals = [testbench.make_signal(kind, bits, 1500, seed) for seed in range(channels)]
        samples = np.stack(signals)
        for level in (0, 1, 5, 8):
            settings = {"compression_level": level, "blocksize": 400, "bits_per_sample": bits}
            data = encode_by_libflac(libflac, samples, **settings)
            np.testing.assert_array_equal(decode_foreign(data, channels, 1500), samples)
            part = decode_foreign(data, channels, 1500, 700, 1300)
            np.testing.assert_array_equal(part, samples[:, 700:1300])
