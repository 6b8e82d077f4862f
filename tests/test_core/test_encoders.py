"""Our encoder of frames, beside libFLAC's and on processors of other kinds."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from flaccodec.chunks.index import ChunkIndex
from flaccodec.core import QuantaRule, decode_chunk, decode_streams, encode_chunk
from support.other_process import OtherProcess
from support.strategies import float_arrays, integer_arrays, same_bits

OUR_LEVELS = range(6)


def process(**environment):
    @pytest.fixture(scope="module")
    def other():
        other = OtherProcess(**environment)
        yield other
        other.close()

    return other


libflac = process(FLACCODEC_ENCODER="libflac", FLACCODEC_DECODER="libflac")
portable = process(FLACCODEC_CPU="portable")
avx2 = process(FLACCODEC_CPU="avx2")


def check_everywhere(array, portable, avx2, **options):
    """The bytes are the same on all processors, and the samples are right there too."""
    chunk = encode_chunk(array, **options)
    for other in (portable, avx2):
        np.testing.assert_array_equal(other.encode(array, **options), chunk)
        assert same_bits(other.decode(chunk), decode_chunk(chunk))
    return chunk


@given(
    st.one_of(integer_arrays(), float_arrays()),
    st.sampled_from([16, 17, 100, 4096]),
    st.sampled_from(OUR_LEVELS),
)
def test_any_arrays_on_any_processor(portable, avx2, array, frame_size, level):
    chunk = check_everywhere(array, portable, avx2, frame_size=frame_size, level=level)
    assert same_bits(decode_chunk(chunk).reshape(array.shape), array)


def coloured(bits, n):
    """Noise that takes so many bits, of all colours from white to red."""
    rng = np.random.default_rng(bits)
    rows = []
    for pole in (0, 0.5, 0.9, -0.8, 0.99, 0.9999):
        row = np.zeros(n)
        noise = rng.normal(size=n)
        for i in range(1, n):
            row[i] = pole * row[i - 1] + noise[i]
        rows.append(np.rint(row / np.abs(row).max() * (2.0 ** (bits - 1) - 1)))
    return np.stack(rows).astype("int32")


@pytest.mark.parametrize("bits", [4, 8, 12, 14, 16, 17, 18, 20, 24, 27, 28, 29, 31, 32])
def test_noise_of_all_widths(bits, portable, avx2):
    array = coloured(bits, 3000)
    for level in OUR_LEVELS:
        chunk = check_everywhere(array, portable, avx2, frame_size=1024, level=level)
        np.testing.assert_array_equal(decode_chunk(chunk), array)


@pytest.mark.parametrize("bits", [4, 8, 12, 16, 17, 20, 24, 32])
@pytest.mark.parametrize("level", OUR_LEVELS)
def test_chunks_are_as_small_as_with_libflac(bits, level, libflac):
    array = coloured(bits, 20_000)
    for frame_size in (256, 1000, 4096):
        ours = encode_chunk(array, level=level, frame_size=frame_size)
        theirs = libflac.encode(array, level=level, frame_size=frame_size)
        assert len(ours) <= 1.001 * len(theirs)
        np.testing.assert_array_equal(libflac.decode(ours), array)


def tones(bits, noise, n=20_000):
    """Sines, alone and several at once, above noise of that deviation."""
    rng = np.random.default_rng(bits)
    t = np.arange(n)
    rows = []
    for frequencies in ([1 / 300], [0.02], [0.3], [0.001, 0.013, 0.05, 0.11], [0.004, 0.0041]):
        row = sum(np.sin(2 * np.pi * t * f + i) for i, f in enumerate(frequencies))
        row = row / np.abs(row).max() * 0.9 * 2 ** (bits - 1) + noise * rng.normal(size=n)
        rows.append(np.rint(row).clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    return np.stack(rows).astype("int32")


@pytest.mark.parametrize("noise", [0, 1, 10, 100])
@pytest.mark.parametrize("bits", [12, 14, 16, 17, 18, 20, 24, 27, 32])
def test_tones_are_as_small_as_with_libflac(bits, noise, libflac, portable, avx2):
    array = tones(bits, noise)
    ours, theirs = [], []
    for level in OUR_LEVELS:
        chunk = check_everywhere(array, portable, avx2, level=level)
        np.testing.assert_array_equal(libflac.decode(chunk), array)
        ours += [len(encode_chunk(row, level=level)) for row in array]
        theirs += [len(libflac.encode(row, level=level)) for row in array]
    # What is left of a pure tone is its rounding, which has patterns: either may be lucky.
    assert (np.array(ours) <= 1.1 * np.array(theirs)).all()
    assert sum(ours) <= 1.01 * sum(theirs)


@pytest.mark.parametrize("level", OUR_LEVELS)
def test_recordings_are_as_small_as_with_libflac(recording, level, libflac):
    _, array = recording
    part = np.ascontiguousarray(array[..., :200_000])
    ours = encode_chunk(part, level=level)
    assert len(ours) <= 1.001 * len(libflac.encode(part, level=level))
    assert same_bits(libflac.decode(ours), part.reshape(-1, part.shape[-1]))


@pytest.mark.parametrize("bits", [8, 12, 17, 24, 32])
@pytest.mark.parametrize("level", [6, 7, 8])
def test_the_thorough_levels_take_the_smaller_frame(level, bits, libflac, portable, avx2):
    array = np.concatenate([coloured(bits, 9000), tones(bits, noise=1, n=9000)])
    chunk = check_everywhere(array, portable, avx2, level=level)
    np.testing.assert_array_equal(libflac.decode(chunk), array)
    ours, theirs = encode_chunk(array, level=5), libflac.encode(array, level=level)
    sizes = [np.diff(ChunkIndex.from_head(one).positions) for one in (chunk, ours, theirs)]
    np.testing.assert_array_equal(sizes[0], np.minimum(sizes[1], sizes[2]))


@pytest.mark.parametrize("level", [6, 7, 8])
def test_the_thorough_levels_write_verbatim_and_constant_frames(level, libflac):
    noise = np.random.default_rng(level).integers(-(2**31), 2**31, (2, 5000), dtype="int32")
    for array in (noise, np.full((2, 5000), 7, dtype="int32"), noise[:, :13]):
        chunk = encode_chunk(array, level=level)
        np.testing.assert_array_equal(decode_chunk(chunk), array)
        assert len(chunk) <= len(encode_chunk(array, level=5))


def test_libflac_encodes_where_it_is_asked_for(libflac):
    array = coloured(17, 5000)
    theirs = libflac.encode(array)
    assert not np.array_equal(theirs, encode_chunk(array))
    np.testing.assert_array_equal(decode_chunk(theirs), array)


@pytest.mark.parametrize("level", OUR_LEVELS)
def test_quantized_samples(level, libflac):
    array = coloured(24, 9000) * np.float32(1e-4)
    chunk = encode_chunk(array, level=level, rule=QuantaRule.GIVEN, parameters=1e-3)
    decoded = decode_chunk(chunk)
    assert (np.abs(decoded - array) <= 0.5e-3 + np.spacing(np.abs(decoded)) / 2).all()
    assert same_bits(libflac.decode(chunk), decode_chunk(chunk))


LARGEST = {"float32": 3.4028235e38, "float64": np.finfo("float64").max}


@pytest.mark.parametrize("level", range(9))
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", LARGEST)
def test_frames_of_exceptions_take_the_offset_where_that_overflows_too(dtype, sign, level, libflac):
    """What no integer of the stream's bits is for would be cut off, or refused by libFLAC."""
    for steps in (1000.6, 100_000.6, 2**20 - 0.4):
        x = np.full((2, 40), np.nan, dtype)
        x[0, 16:20] = sign * LARGEST[dtype]
        x[1, 20:] = sign * LARGEST[dtype]
        quanta = LARGEST[dtype] / steps
        options = {"rule": QuantaRule.GIVEN, "parameters": quanta, "frame_size": 16}
        for encode in (encode_chunk, libflac.encode):
            chunk = encode(x, level=level, **options)
            assert same_bits(decode_chunk(chunk), x)
            index = ChunkIndex.from_head(chunk)
            streams = chunk[index.header.head_size :]
            stored = decode_streams(streams, *index.streams(), 40, 0, 40, wide=False)
            assert (stored[0, :16] == 0).all()
            assert (stored[1, :16] == 0).all()
