"""Our decoder of frames against libFLAC's, on chunks: every sample the same."""

import contextlib
import subprocess

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from flaccodec.core import (
    SPAN_DTYPE,
    QuantaRule,
    decode_chunk,
    decode_spans,
    encode_chunk,
    read_header,
)
from flaccodec.exceptions import FrameError
from support.other_process import OtherProcess
from support.paths import DATA, TESTS
from support.strategies import float_arrays, integer_arrays, same_bits

STORED = sorted((DATA / "v1").glob("*.bin"))
LEVELS = range(9)


@pytest.fixture(scope="module")
def libflac():
    other = OtherProcess(FLACCODEC_DECODER="libflac")
    yield other.decode
    other.close()


BROKEN_LIBFLAC = "int FLAC__stream_decoder_process_single(void *d) { return d == 0; }"


def test_libflac_decodes_where_it_is_asked_for(tmp_path):
    """And only there: with a libFLAC that can decode no frame, one process fails."""
    library = tmp_path / "broken.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-"]
    subprocess.run(command, input=BROKEN_LIBFLAC, text=True, check=True)

    def process(decoder):
        return OtherProcess(LD_PRELOAD=str(library), FLACCODEC_DECODER=decoder)

    array = signal("walk", 17, 9000)[None].astype("int32")
    for numbers in (array, array.astype("int64") << 30):  # in one channel, and in two
        chunk = encode_chunk(numbers)
        with contextlib.closing(process("ours")) as ours:
            np.testing.assert_array_equal(ours.decode(chunk), numbers)
        with (
            contextlib.closing(process("libflac")) as libflac,
            pytest.raises(FrameError, match="stream 0, frame 0"),
        ):
            libflac.decode(chunk)


OUTSIDE = sorted((TESTS / "test_c" / "fuzz" / "corpus" / "chunk").glob("outside-*"))
"""Chunks, right but for samples that have more bits than their frames say."""


@pytest.mark.parametrize("name", ["ours", "libflac", "avx2", "portable"])
def test_samples_outside_the_bits_of_their_frame_are_refused(name):
    """What they are would hang on the processor, and on what else is decoded."""
    variable = "FLACCODEC_CPU" if name in ("avx2", "portable") else "FLACCODEC_DECODER"
    assert len(OUTSIDE) == 3
    with contextlib.closing(OtherProcess(**{variable: name})) as process:
        for path in OUTSIDE:
            with pytest.raises(FrameError, match="stream 0, frame 0"):
                process.decode(path.read_bytes())


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: p.name)
def test_samples_outside_the_bits_are_refused_in_slices(path):
    chunk = path.read_bytes()
    out = np.empty((1, 32), dtype=read_header(chunk).dtype)
    spans = np.array([(0, 0, 32, 0)], dtype=SPAN_DTYPE)
    with pytest.raises(FrameError, match="stream 0, frame 0"):
        decode_spans(chunk, [(0, chunk)], spans, out)


def check_same(chunk, libflac):
    ours = decode_chunk(chunk)
    assert same_bits(ours, libflac(chunk))
    return ours


@pytest.mark.parametrize("path", STORED, ids=lambda p: p.stem)
def test_stored_chunks(path, libflac):
    check_same(path.read_bytes(), libflac)


@given(
    st.one_of(integer_arrays(), float_arrays()),
    st.sampled_from([16, 17, 100, 4096, 65535]),
    st.integers(0, 8),
)
def test_any_arrays(libflac, array, frame_size, level):
    chunk = encode_chunk(array, frame_size=frame_size, level=level)
    assert same_bits(check_same(chunk, libflac).reshape(array.shape), array)


@given(
    float_arrays(magnitudes=st.integers(-3, 6)),
    st.sampled_from([QuantaRule.PRECISION, QuantaRule.RANGE]),
    st.integers(0, 8),
)
def test_any_quantized_arrays(libflac, array, rule, level):
    check_same(encode_chunk(array, frame_size=64, rule=rule, parameters=4, level=level), libflac)


def signal(kind, bits, n):
    """Signals that encoders code in different ways, of all of the bits that are given."""
    rng = np.random.default_rng(n + bits)
    full, t = 2.0 ** (bits - 1), np.arange(n)
    values = {
        "noise": rng.uniform(-full, full, n),
        "sine": 0.99 * full * np.sin(t * 0.1),
        "walk": np.cumsum(rng.normal(0, full / 2000, n)),
        "square": np.where(t // 7 % 2, -full, full - 1),
        "alternating": np.where(t % 2, -full, full - 1),
        "sparse": np.where(rng.random(n) < 0.01, rng.uniform(-full, full, n), 0),
        "wasted": rng.normal(0, full / 8, n) // 16 * 16,
    }[kind]
    return values.clip(-full, full - 1).astype(np.int64)


KINDS = ["noise", "sine", "walk", "square", "alternating", "sparse", "wasted"]


@pytest.mark.parametrize("frame_size", [16, 17, 192, 1000, 4096, 16384, 65535])
@pytest.mark.parametrize("level", LEVELS)
def test_levels_and_block_sizes(level, frame_size, libflac):
    n = min(2 * frame_size + 20, 70_000)
    array = np.stack([signal(kind, 17, n) for kind in KINDS]).astype("int32")
    chunk = encode_chunk(array, level=level, frame_size=frame_size)
    np.testing.assert_array_equal(check_same(chunk, libflac), array)


@pytest.mark.parametrize("bits", [*range(2, 33), 40, 64])
def test_bit_depths(bits, libflac):
    """Full-scale signals; with more than 32 bits, of words that have nothing in common."""
    dtype = "int32" if bits <= 32 else "int64"
    array = np.stack([signal(kind, min(bits, 52), 1500) for kind in KINDS])
    if bits == 64:
        array = array << 12 | 0xABC
    for level in (0, 3, 5, 8):
        chunk = encode_chunk(array.astype(dtype), level=level, frame_size=400)
        np.testing.assert_array_equal(check_same(chunk, libflac), array)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_extremes_of_the_dtypes(dtype, libflac):
    """Runs of the least and the greatest number, whose differences overflow the dtype."""
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    runs = [np.repeat(rng.integers(0, 2, 2000), run)[:2000] for run in (1, 2, 3, 50)]
    array = np.where(np.stack(runs), info.max, info.min).astype(dtype)
    for level in LEVELS:
        chunk = encode_chunk(array, level=level, frame_size=300)
        np.testing.assert_array_equal(check_same(chunk, libflac), array)


@pytest.mark.parametrize("level", [0, 5, 8])
def test_recordings(recording, level, libflac):
    _, array = recording
    part = np.ascontiguousarray(array[..., :100_000])
    check_same(encode_chunk(part, level=level), libflac)
