"""array_compress and array_decompress, both ways with the real flacarray package."""

import pickle

import numpy as np
import pytest

from flaccodec.compress import array_compress
from flaccodec.core import decode_streams
from flaccodec.decompress import array_decompress, array_decompress_slice
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptStreamError,
    EmptyArrayError,
    QuantaError,
    QuantaTooFineError,
    UnsupportedDtypeError,
)
from flaccodec.hdf5 import read_array, write_array
from flaccodec.utils import float_to_int, int_to_float
from support.flac_writer import Subframe, frame, stream, stream_info

flacarray = pytest.importorskip("flacarray", reason="the real flacarray is not installed")
theirs_compress = pytest.importorskip("flacarray.compress").array_compress
theirs_decompress = pytest.importorskip("flacarray.decompress")

SHAPES = [(9000,), (1, 9000), (3, 9000), (2, 3, 700)]
DTYPES = ["int32", "int64", "float32", "float64"]


def make(dtype, shape):
    rng = np.random.default_rng(0)
    scale = 2.0**45 if dtype == "int64" else 1000
    return (rng.normal(0, scale, shape)).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("writer", ["ours", "theirs"])
def test_either_writer_either_reader(writer, dtype, shape):
    data = make(dtype, shape)
    options = {"quanta": 0.01} if dtype.startswith("f") else {}
    compress = array_compress if writer == "ours" else theirs_compress
    compressed, *tables = compress(data, level=5, **options)
    is_int64 = dtype.endswith("64")
    ours = array_decompress(compressed, shape[-1], *tables, is_int64=is_int64)
    theirs = theirs_decompress.array_decompress(compressed, shape[-1], *tables, is_int64=is_int64)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    if dtype.startswith("i"):
        np.testing.assert_array_equal(ours.reshape(shape), data)
        np.testing.assert_array_equal(theirs, ours)
    else:
        rounding = 4 * np.spacing(np.abs(data).max())  # flacarray quantizes in float32
        assert np.abs(ours.reshape(shape).astype(float) - data).max() <= 0.005 + rounding
        np.testing.assert_array_equal(theirs, ours)
    for table, other in zip(tables, theirs_compress(data, level=5, **options)[1:], strict=True):
        assert (table is None) == (other is None)
        if table is not None:
            assert (table.shape, table.dtype) == (other.shape, other.dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("no_flatten", [True, False])
def test_parts(dtype, shape, no_flatten):
    data = make(dtype, shape)
    options = {"quanta": 0.01} if dtype.startswith("f") else {}
    compressed, *tables = theirs_compress(data, level=3, **options)
    keep = np.random.default_rng(1).random(tables[0].shape) < 0.6
    keep.flat[-1] = True
    arguments = {
        "keep": keep,
        "first_stream_sample": 100,
        "last_stream_sample": 333,
        "is_int64": dtype.endswith("64"),
        "no_flatten": no_flatten,
    }
    ours, indices = array_decompress_slice(compressed, shape[-1], *tables, **arguments)
    theirs, expected = theirs_decompress.array_decompress_slice(
        compressed, shape[-1], *tables, **arguments
    )
    assert indices == expected
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_to_integers_and_back(dtype):
    data = make(dtype, (2, 3, 500))
    quanta = np.geomspace(0.01, 1, 6).reshape(2, 3)
    integers, offsets, gains = float_to_int(data, quanta=quanta)
    assert integers.dtype == {"float32": "int32", "float64": "int64"}[dtype]
    assert offsets.shape == gains.shape == (2, 3)
    restored = int_to_float(integers, offsets, gains)
    assert restored.dtype == dtype
    assert (np.abs(restored - data).max(axis=-1) <= quanta / 2 * 1.01).all()
    np.testing.assert_allclose(offsets * gains, np.rint(offsets * gains), atol=1e-2)


def test_precision_is_flacarrays():
    data = make("float64", (3, 500))
    _, _, gains = float_to_int(data, precision=3)
    _, _, theirs = flacarray.utils.float_to_int(data, precision=3)
    np.testing.assert_allclose(gains, theirs)


@pytest.mark.parametrize("exponent", [-900, -540, -400, 401, 520, 1000])
def test_precision_of_any_magnitude(exponent):
    """Squares of some of these are no float64, or one of few digits."""
    data = make("float64", (3, 500)).astype("float32").astype("float64")
    integers, offsets, gains = float_to_int(data, precision=3)
    got = float_to_int(np.ldexp(data, exponent), precision=3)
    np.testing.assert_array_equal(got[0], integers)
    np.testing.assert_array_equal(got[1], np.ldexp(offsets, exponent))
    np.testing.assert_array_equal(got[2], np.ldexp(gains, -exponent))


def test_the_range_spans_two_to_the_thirty():
    data = make("float64", (3, 500))
    integers, _, _ = float_to_int(data)
    np.testing.assert_allclose(np.ptp(integers, axis=-1), 2**30, rtol=1e-6)
    constant, offsets, gains = float_to_int(np.full((2, 5), 7.5))
    np.testing.assert_array_equal(int_to_float(constant, offsets, gains), np.full((2, 5), 7.5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: array_compress(np.zeros(3, "int16")), UnsupportedDtypeError, "FlacArray"),
        (lambda: array_compress(np.zeros(3)), ConfigurationError, "quanta or precision"),
        (lambda: array_compress(np.zeros((0, 3), "int32")), EmptyArrayError, "no samples"),
        (lambda: float_to_int(np.zeros(3, int)), UnsupportedDtypeError, "float32"),
        (lambda: float_to_int(np.zeros(3), 1, 1), ConfigurationError, "not both"),
        (lambda: float_to_int(np.array([1, np.nan])), ConfigurationError, r"nan at \(1,\)"),
        (lambda: float_to_int(np.ones((2, 3)), [1, -1]), QuantaError, "stream 1"),
        (lambda: float_to_int(np.ones((2, 3)), [1, 1, 1]), ConfigurationError, "shape"),
        (
            lambda: float_to_int(np.array([0.1, 1e9, -1], "float32"), 1e-6),
            QuantaTooFineError,
            "sample",
        ),
        (lambda: int_to_float(np.zeros(3), 0, 1), UnsupportedDtypeError, "int32 or int64"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- damage ---------------------------------------------------------------------


@pytest.fixture
def streams():
    data = np.random.default_rng(2).integers(-9999, 9999, (3, 20_000)).astype("int32")
    compressed, starts, nbytes, _, _ = theirs_compress(data, level=5)
    return data, compressed, starts, nbytes


def test_places_outside_of_the_bytes_are_refused(streams):
    _, compressed, starts, nbytes = streams
    for bad_starts, bad_nbytes in (
        (np.add(starts, [0, 0, 10**9]), nbytes),
        (np.add(starts, [0, 0, 1]), nbytes),
        (np.add(starts, [0, -(10**9), 0]), nbytes),
        (starts, np.add(nbytes, [0, 0, 1])),
        (starts, nbytes * [1, -1, 1]),
        (starts, np.full(3, 2**63 - 1)),
    ):
        with pytest.raises(CorruptStreamError, match="outside of the compressed bytes"):
            array_decompress(compressed, 20_000, bad_starts, bad_nbytes)


def test_streams_of_another_size_are_refused(streams):
    _, compressed, starts, nbytes = streams
    for size in (1, 19_999, 20_001):
        with pytest.raises(CorruptStreamError, match="another number of samples"):
            array_decompress(compressed, size, starts, nbytes)
    with pytest.raises(CorruptStreamError, match="channels"):
        array_decompress(compressed, 20_000, starts, nbytes, is_int64=True)


def test_damaged_streams_give_no_samples(streams):
    """Every part of a stream flipped, or taken away: an error, or the samples as they were."""
    data, compressed, starts, nbytes = streams
    start, size = int(starts[1]), int(nbytes[1])
    for at in range(start, start + size, 97):
        damaged = compressed.copy()
        damaged[at] ^= 0x41
        try:
            array = array_decompress(damaged, 20_000, starts, nbytes)
        except CorruptStreamError as error:
            raised = str(error)
        else:  # in metadata that say nothing of the samples
            assert at < start + 100
            np.testing.assert_array_equal(array, data)
            continue
        assert "stream 1" in raised
    for cut in (0, 1, 40, 200, size // 2, size - 1):
        with pytest.raises(CorruptStreamError, match="stream 1"):
            array_decompress(compressed, 20_000, starts, nbytes - [0, size - cut, 0])


def test_a_damaged_stream_is_named_by_its_place_among_all(streams):
    _, compressed, starts, nbytes = streams
    damaged = compressed.copy()
    damaged[starts[2] + 300] ^= 0x41
    keep = np.array([False, False, True])
    with pytest.raises(CorruptStreamError, match="stream 2, frame 0") as caught:
        array_decompress_slice(damaged, 20_000, starts, nbytes, keep=keep)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert (error.stream, error.frame) == (2, 0)
        assert str(error) == str(caught.value)


BLOCKS = {"equal": [1000] * 4 + [500], "different": [1000, 16, 2000, 984, 500]}
BLOCK = Subframe(order=1)


def write_stream(sizes, *, variable):
    """Return 4500 samples, and the stream's metadata and frames."""
    x = np.random.default_rng(4).integers(-9999, 9999, 4500)
    begins = np.cumsum([0, *sizes[:-1]])
    frames = [
        frame([x[b : b + n]], 16, b if variable else i, [BLOCK], variable=variable)
        for i, (b, n) in enumerate(zip(begins, sizes, strict=True))
    ]
    blocks = (min(sizes), max(sizes)) if variable else (sizes[0],) * 2
    return x, stream(stream_info(channels=1, bits=16, total=4500, blocks=blocks), []), frames


def decode_part(data, first, last):
    places = np.array([0]), np.array([len(data)])
    return decode_streams(data, *places, 4500, first, last, wide=False)[0]


@pytest.mark.parametrize("damaged_byte", [1, 2, 4, 30, -1])
@pytest.mark.parametrize("blocks", BLOCKS)
def test_a_damaged_frame_is_named(blocks, damaged_byte):
    """Every frame in turn, damaged in its header, its samples or its CRC-16."""
    x, head, frames = write_stream(BLOCKS[blocks], variable=blocks == "different")
    np.testing.assert_array_equal(decode_part(head + b"".join(frames), 0, 4500), x)
    for number, whole in enumerate(frames):
        bad = bytearray(whole)
        bad[damaged_byte] ^= 0x11
        data = head + b"".join([*frames[:number], bytes(bad), *frames[number + 1 :]])
        with pytest.raises(CorruptStreamError, match=f"stream 0, frame {number}") as caught:
            decode_part(data, 0, 4500)
        assert (caught.value.stream, caught.value.frame) == (0, number)


@pytest.mark.parametrize("damaged_byte", [1, 2, 4, 30, -1])
def test_a_damaged_frame_is_named_to_those_alone_who_want_it(damaged_byte):
    x, head, frames = write_stream(BLOCKS["equal"], variable=False)
    bad = bytearray(frames[2])
    bad[damaged_byte] ^= 0x11
    data = head + b"".join([*frames[:2], bytes(bad), *frames[3:]])
    for first in range(0, 4500, 130):
        last = min(first + 300, 4500)
        if last <= 2000 or first >= 3000:
            np.testing.assert_array_equal(decode_part(data, first, last), x[first:last])
            continue
        with pytest.raises(CorruptStreamError, match="stream 0, frame 2"):
            decode_part(data, first, last)


def test_after_a_seek_among_blocks_that_differ_no_frame_is_named():
    _, head, frames = write_stream(BLOCKS["different"], variable=True)
    bad = frames[2][:-1] + bytes([frames[2][-1] ^ 1])
    data = head + b"".join([*frames[:2], bad, *frames[3:]])
    with pytest.raises(CorruptStreamError, match=r"\(at stream 0\)") as caught:
        decode_part(data, 1100, 1200)
    assert caught.value.frame is None


def test_errors_of_groups_name_the_frame_too(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as group:
        write_array(make("int32", (3, 9000)), group)
        end_of_stream_1 = int(group["stream_starts"][2])
        group["compressed"][end_of_stream_1 - 5] ^= 255
        with pytest.raises(CorruptStreamError, match=r"group .*stream 1, frame 2") as caught:
            read_array(group)
    assert (caught.value.stream, caught.value.frame) == (1, 2)


def test_no_frame_is_named_where_none_is_to_blame():
    _, head, frames = write_stream(BLOCKS["equal"], variable=False)
    for data in (head[:30], head + b"".join(frames[:4])):
        with pytest.raises(CorruptStreamError, match=r"\(at stream 0\)") as caught:
            decode_part(data, 0, 4500)
        assert (caught.value.stream, caught.value.frame) == (0, None)


def test_a_frame_that_is_missing_is_noticed(streams):
    """Decoders fill such a gap with silence."""
    _, compressed, starts, _ = streams
    raw = compressed.tobytes()[: int(starts[1])]
    frames = [i for i in range(len(raw)) if raw[i : i + 3] == b"\xff\xf8\xc9"]
    assert len(frames) >= 4
    cut = raw[: frames[1]] + raw[frames[2] :]
    for first, last in ((0, 20_000), (5000, 6000)):
        with pytest.raises(CorruptStreamError, match="stream 0, frame 1"):
            decode_streams(
                cut, np.array([0]), np.array([len(cut)]), 20_000, first, last, wide=False
            )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream_offsets": np.zeros(3)}, "both"),
        ({"keep": np.ones(2, bool)}, "keep must be"),
        ({"keep": np.ones(3, int)}, "keep must be"),
        ({"first_stream_sample": 10, "last_stream_sample": 5}, "range within"),
        ({"first_stream_sample": 1, "last_stream_sample": 20_001}, "range within"),
        ({"stream_nbytes": np.zeros(2, int)}, "one shape"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(streams, arguments, message):
    _, compressed, starts, nbytes = streams
    given = {"stream_starts": starts, "stream_nbytes": nbytes} | arguments
    with pytest.raises(ConfigurationError, match=message):
        array_decompress_slice(compressed, 20_000, **given)


def test_an_empty_range_gives_an_empty_array(streams):
    _, compressed, starts, nbytes = streams
    result = array_decompress(
        compressed, 20_000, starts, nbytes, first_stream_sample=7, last_stream_sample=7
    )
    assert result.shape == (3, 0)
