"""The promises of the design, on chunks."""

import os
import threading
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from flaccodec import core
from flaccodec.core import QuantaRule, decode_chunk, encode_chunk
from flaccodec.exceptions import (
    ChunkMismatchError,
    ConfigurationError,
    EmptyArrayError,
    QuantaError,
    QuantaTooFineError,
    UnsupportedDtypeError,
)
from support.strategies import FLOATS, INTEGERS, float_arrays, integer_arrays, layouts, same_bits

frame_sizes = st.sampled_from([16, 17, 100, 4096, 65535])


def round_trip(array, **options):
    return decode_chunk(encode_chunk(array, **options), np.empty(array.shape, array.dtype))


@given(layouts(integer_arrays()), frame_sizes, st.integers(0, 8))
def test_integers_come_back_exactly(array, frame_size, level):
    restored = round_trip(array, frame_size=frame_size, level=level)
    np.testing.assert_array_equal(restored, array)


@given(layouts(float_arrays()), frame_sizes)
def test_floats_without_quanta_come_back_bit_for_bit(array, frame_size):
    assert same_bits(round_trip(array, frame_size=frame_size), array)


@given(float_arrays(magnitudes=st.just(0)))
def test_floats_without_quanta_keep_the_payloads_of_nans(array):
    bits = array.view(f"u{array.itemsize}")
    bits.flat[0] |= 0x7F800001 if array.itemsize == 4 else 0x7FF0000000000001
    assert same_bits(round_trip(array), array)


@given(st.one_of(integer_arrays(), float_arrays()), st.sampled_from([16, 4096]))
def test_one_thread_or_many_give_the_same_bytes_and_samples(array, frame_size):
    rule = QuantaRule.RANGE if array.dtype.kind == "f" else QuantaRule.NONE
    one = encode_chunk(array, frame_size=frame_size, rule=rule)
    three = encode_chunk(array, frame_size=frame_size, rule=rule, num_threads=3)
    assert one.tobytes() == three.tobytes()
    assert same_bits(decode_chunk(one), decode_chunk(one, num_threads=3))


@pytest.mark.parametrize("shape", [(1, 600_000), (5000, 70), (3, 300_000)])
@pytest.mark.parametrize("dtype", ["int32", "float32", "int64"])
def test_threads_do_not_change_the_bytes_of_large_arrays(shape, dtype):
    array = np.cumsum(np.random.default_rng(1).normal(0, 100, shape), axis=-1).astype(dtype)
    rule = QuantaRule.PRECISION if dtype == "float32" else QuantaRule.NONE
    chunks = [encode_chunk(array, rule=rule, parameters=4, num_threads=n) for n in (1, 2, 5)]
    assert len({chunk.tobytes() for chunk in chunks}) == 1
    restored = [decode_chunk(chunks[0], num_threads=n) for n in (1, 2, 5)]
    assert len({r.tobytes() for r in restored}) == 1
    if rule is QuantaRule.NONE:
        np.testing.assert_array_equal(restored[0], array.reshape(shape))


@given(integer_arrays(), st.sampled_from(["C", "F", "swapped", "steps"]))
def test_decoding_writes_every_sample_of_any_layout_and_nothing_else(array, kind):
    chunk = encode_chunk(array)
    for fill in (0, 85):
        wide = np.full([2 * n for n in array.shape], fill, array.dtype)
        out = {
            "C": np.full(array.shape, fill, array.dtype),
            "F": np.full(array.shape, fill, array.dtype, order="F"),
            "swapped": np.full(array.shape, fill, array.dtype.newbyteorder()),
            "steps": wide[tuple(slice(None, None, 2) for _ in array.shape)],
        }[kind]
        decode_chunk(chunk, out)
        np.testing.assert_array_equal(out, array)
        out[...] = fill
        assert (wide == fill).all()


# -- quanta ------------------------------------------------------------------------

quanta_values = st.one_of(
    st.sampled_from([1.0, 0.5, 0.1, 1e-3, 2.0**-20]), st.floats(1e-12, 1e12, allow_nan=False)
)


def quantized_round_trip(array, quanta):
    """Quantized and back, with a warning wherever a sample is beyond 64 bits."""
    warnings = []
    given = {"rule": QuantaRule.GIVEN, "parameters": quanta, "warn": warnings.append}
    restored = round_trip(array, **given)
    finite = array[np.isfinite(array)].astype(float)
    beyond = np.abs(finite).max(initial=0) / quanta >= 2.0**63
    assert warnings or not beyond
    return restored


def check_bound(array, restored, quanta):
    """Half a quantum plus one rounding of the dtype, in exact arithmetic.

    The rounding is half the step to the next number; for float32 a little more, since a
    value is rounded to float64 first.
    """
    slack = Fraction(1) + (Fraction(1, 2**28) if array.dtype.itemsize == 4 else 0)
    for x, y in zip(array.ravel(), restored.ravel(), strict=True):
        if np.isfinite(x):
            rounding = Fraction(float(np.spacing(np.abs(y)))) / 2 * slack
            assert abs(Fraction(float(x)) - Fraction(float(y))) <= Fraction(quanta) / 2 + rounding


@given(layouts(float_arrays(magnitudes=st.integers(-3, 6))), quanta_values)
def test_quantized_floats_keep_their_promised_error(array, quanta):
    restored = quantized_round_trip(array, quanta)
    check_bound(array, restored, quanta)
    others = ~np.isfinite(array)
    assert same_bits(restored[others], array[others])


@given(float_arrays(magnitudes=st.integers(-3, 6)), st.integers(-62, 10))
def test_quanta_near_and_below_the_resolution_of_the_dtype_keep_the_promises(array, exponent):
    """The hard case: restored values cannot lie on the grid that quanta make."""
    finite = array[np.isfinite(array)]
    largest = float(np.abs(finite).max(initial=0)) or 1.0
    quanta = largest * 2.0**exponent * 0.7
    once = quantized_round_trip(array, quanta)
    check_bound(array, once, quanta)
    assert same_bits(once, quantized_round_trip(once, quanta))


@given(layouts(float_arrays(magnitudes=st.integers(-3, 6))), quanta_values, st.randoms())
def test_writing_what_was_read_changes_nothing(array, quanta, random):
    once = quantized_round_trip(array, quanta)
    twice = quantized_round_trip(once, quanta)
    assert same_bits(once, twice)
    # Zarr merges what it read with something new before it writes again.
    merged = once.copy()
    at = random.randrange(array.size)
    merged.flat[at] = merged.flat[random.randrange(array.size)] * 2
    untouched = np.arange(array.size) != at
    again = quantized_round_trip(merged, quanta)
    assert same_bits(again.ravel()[untouched], once.ravel()[untouched])


@given(float_arrays(finite=True, magnitudes=st.integers(-3, 3)), st.integers(0, 2**32))
def test_values_that_are_not_finite_do_not_disturb_their_neighbours(array, seed):
    spoilt = array.copy()
    holes = np.random.default_rng(seed).random(array.shape) < 0.2
    spoilt[holes] = np.nan
    restored = round_trip(spoilt, rule=QuantaRule.GIVEN, parameters=1e-3)
    clean = round_trip(array, rule=QuantaRule.GIVEN, parameters=1e-3)
    assert np.isnan(restored[holes]).all()
    assert same_bits(restored[~holes], clean[~holes])


@pytest.mark.parametrize("dtype", FLOATS)
def test_all_values_lie_on_one_grid(dtype):
    rng = np.random.default_rng(3)
    array = (rng.normal(0, 1, (5, 1000)) + rng.normal(0, 50, (5, 1))).astype(dtype)
    restored = round_trip(array, rule=QuantaRule.GIVEN, parameters=0.25)
    np.testing.assert_array_equal(restored, np.rint(array / 0.25) * 0.25)


def test_quanta_may_be_given_for_each_stream():
    array = np.random.default_rng(4).normal(size=(2, 3, 500))
    quanta = np.geomspace(1e-4, 1, 6).reshape(2, 3)
    restored = round_trip(array, rule=QuantaRule.GIVEN, parameters=quanta)
    errors = np.abs(restored - array).max(axis=-1)
    assert (errors <= quanta / 2 * (1 + 1e-9)).all()
    assert (errors >= quanta / 4).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_precision_is_digits_of_the_rms_about_the_mean(dtype):
    rng = np.random.default_rng(5)
    array = (rng.normal(7, 1, (4, 3000)) * [[1], [10], [100], [1e-3]]).astype(dtype)
    by_precision = round_trip(array, rule=QuantaRule.PRECISION, parameters=3)
    for stream, restored in zip(array, by_precision, strict=True):
        quanta = np.std(stream.astype(float)) / 10**3
        k = restored / quanta
        np.testing.assert_allclose(k, np.rint(k), atol=1e-2)
        assert np.abs(restored.astype(float) - stream).max() <= quanta / 2 * 1.0001


def quanta_of_precision(array, digits, num_threads=1):
    chunk = encode_chunk(
        array, rule=QuantaRule.PRECISION, parameters=digits, num_threads=num_threads
    )
    quanta = core.stream_tables(chunk)[1]
    restored = decode_chunk(chunk).reshape(array.shape)
    for x, y, q in zip(array[:, :300], restored, quanta, strict=True):
        check_bound(x, y[:300], q)
    return quanta


EXPONENTS = [-1005, -540, -520, -401, -400, -399, 1, 479, 480, 481, 505, 512, 1018]


@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_precision_of_any_magnitude(exponent, num_threads):
    """Squares of some of these are no float64, or one of few digits."""
    array = np.random.default_rng(7).normal(7, 1, (3, 40_000)).astype("float32").astype("float64")
    quanta = quanta_of_precision(array, 3)
    scaled = quanta_of_precision(np.ldexp(array, exponent), 3, num_threads)
    np.testing.assert_array_equal(scaled, np.ldexp(quanta, exponent))


@pytest.mark.parametrize("exponent", [-130, -60, 60, 120])
def test_precision_of_any_magnitude_of_float32(exponent):
    array = np.random.default_rng(8).integers(0, 100, (3, 1000)).astype("float32")
    scaled = quanta_of_precision(np.ldexp(array, exponent), 3)
    np.testing.assert_array_equal(scaled, np.ldexp(quanta_of_precision(array, 3), exponent))


@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize("parts", [(0, -700, 0, 1000), (1000, 0, -700), (-700, -1000), (0, 481)])
def test_precision_where_parts_of_a_stream_differ_in_magnitude(parts, num_threads):
    """A part is what is scanned by itself; the last counts for all those before."""
    noise = np.random.default_rng(9).normal(0, 1, (len(parts), 16_384))
    array = np.ldexp(noise, np.array(parts)[:, None])
    array[0] = 0
    array = np.append(array, np.zeros(5)).reshape(1, -1)
    most = max(parts[1:])
    want = np.ldexp(np.std(np.ldexp(array, -most)), most) / 1e3
    np.testing.assert_allclose(quanta_of_precision(array, 3, num_threads), want, rtol=1e-12)


@pytest.mark.parametrize("digits", [-20, -308])
def test_precision_of_subnormal_numbers(digits):
    array = np.random.default_rng(10).integers(0, 100, (2, 1000)).astype("float64")
    want = np.std(array, axis=-1) * 2.0**-1000 * 10.0**-digits * 2.0**-74
    got = quanta_of_precision(array * 2.0**-1074, digits)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_the_range_rule_spans_two_to_the_thirty():
    array = np.random.default_rng(6).uniform(-3, 5, (3, 10_000))
    restored = round_trip(array, rule=QuantaRule.RANGE)
    quanta = np.ptp(array, axis=-1) / 2**30
    assert (np.abs(restored - array).max(axis=-1) <= quanta / 2 * 1.0001).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("steps", [1, 100, 20_000])
def test_integers_at_the_ends_of_int64_need_no_exceptions(sign, steps):
    array = sign * (2.0**63 - np.arange(1, 1001) % (steps + 1) * 1024 - 1024)
    chunk = encode_chunk(array, rule=QuantaRule.GIVEN, parameters=1)
    assert same_bits(decode_chunk(chunk)[0], array)
    assert core.read_header(chunk).exceptions_size == 0


@pytest.mark.parametrize("rule", [QuantaRule.PRECISION, QuantaRule.RANGE])
@pytest.mark.parametrize("value", [0.0, 3.7, -1e300, np.nan])
def test_constant_streams_come_back_exactly(rule, value):
    array = np.full((2, 100), value)
    np.testing.assert_array_equal(round_trip(array, rule=rule, parameters=4), array)


@pytest.mark.parametrize("dtype", FLOATS)
def test_strict_refuses_quanta_that_are_too_fine_by_name(dtype):
    array = np.zeros((3, 10_000), dtype)
    array[1, 7000] = -1e20
    given = {"rule": QuantaRule.GIVEN, "strict": True}
    with pytest.raises(QuantaTooFineError, match=r"stream 1, sample 7,000") as caught:
        encode_chunk(array, parameters=1e-3, **given)
    error = caught.value
    assert (error.stream, error.sample) == (1, 7000)
    assert repr(error.smallest) in str(error)
    round_trip(array, parameters=error.smallest, **given)
    with pytest.raises(QuantaTooFineError):
        encode_chunk(array, parameters=error.smallest * (1 - 1e-9), **given)


@pytest.mark.parametrize("quanta", [0.0, -1.0, np.nan, np.inf])
def test_quanta_that_are_none_are_refused(quanta):
    with pytest.raises(QuantaError, match="positive and finite"):
        encode_chunk(np.ones(5), rule=QuantaRule.GIVEN, parameters=quanta)
    with pytest.raises(QuantaError, match="stream 2"):
        encode_chunk(np.ones((3, 5)), rule=QuantaRule.GIVEN, parameters=[1, 1, quanta])


# -- what chunks are like ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
def test_short_streams_cost_at_most_46_bytes_each_and_what_the_mode_needs(dtype):
    n = 500
    chunk = encode_chunk(np.zeros((n, 20), dtype))
    frame_bytes = core.read_header(chunk).streams_size - n * core.STREAM_HEADER_SIZE
    assert len(chunk) - frame_bytes <= core.HEADER_SIZE + 46 * n


def test_an_offset_narrows_streams_that_are_far_from_zero():
    noise = np.random.default_rng(7).integers(-100, 100, (4, 10_000))
    near = encode_chunk(noise.astype("int64"))
    far = encode_chunk((noise + 2**60).astype("int64"))
    assert len(far) <= len(near) + 8 * 4 + 64


@pytest.mark.parametrize("shape", [(), (7,), (1, 7), (2, 3, 4, 5), (1,), (1, 1, 1)])
def test_any_number_of_axes(shape):
    array = np.arange(np.prod(shape, dtype=int), dtype="int32").reshape(shape)
    chunk = encode_chunk(array)
    np.testing.assert_array_equal(decode_chunk(chunk, np.empty(shape, "int32")), array)
    assert decode_chunk(chunk).shape == core.stream_shape(shape)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_arrays_without_samples_are_refused(shape):
    with pytest.raises(EmptyArrayError, match="no samples"):
        encode_chunk(np.empty(shape, "int32"))


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [
        ("float16", "float32"),
        ("longdouble", "float64"),
        ("complex64", "real and imaginary"),
        ("bool", "uint8"),
        ("datetime64[ns]", "int64"),
        ("timedelta64[s]", "int64"),
        ("U3", "another codec"),
        ("S3", "another codec"),
        (np.dtypes.StringDType(), "another codec"),
        ("O", "another codec"),
        ([("a", "i4")], "each field"),
    ],
)
def test_other_dtypes_are_refused_with_advice(dtype, advice):
    with pytest.raises(UnsupportedDtypeError, match=advice):
        encode_chunk(np.zeros(3, dtype))


def test_the_output_must_be_of_the_chunks_dtype_and_shape():
    chunk = encode_chunk(np.arange(6, dtype="int32").reshape(2, 3))
    with pytest.raises(ChunkMismatchError, match=r"of int64\. Got one of int32"):
        decode_chunk(chunk, np.empty((2, 3), "int64"))
    with pytest.raises(ChunkMismatchError, match=r"3 streams of 2 samples\. Got one of 2 streams"):
        decode_chunk(chunk, np.empty((3, 2), "int32"))
    read_only = np.empty((2, 3), "int32")
    read_only.flags.writeable = False
    with pytest.raises(ConfigurationError, match="writeable"):
        decode_chunk(chunk, read_only)


@pytest.mark.parametrize("dtype", ["uint32", ">u4", "float32", "float64"])
def test_plain_is_refused_of_what_cannot_be_so(dtype):
    with pytest.raises(ConfigurationError, match=f"plain is for integers .* Got dtype {dtype}"):
        encode_chunk(np.zeros(3, dtype), plain=True)
    round_trip(np.zeros(3, "int64"), plain=True)


def test_spans_beyond_the_output_are_refused():
    chunk = encode_chunk(np.arange(100, dtype="int32"))
    spans = np.array([(0, 10, 20, 0)], dtype=core.SPAN_DTYPE)
    with pytest.raises(ConfigurationError, match="within out"):
        core.decode_spans(chunk, [(0, chunk)], spans, np.empty(19, "int32"))


def test_recordings_come_back_and_are_small(recording):
    """At least flacarray 0.4.1's ratios at level 5, from the table beside the recordings."""
    ratios = {"seismic_kw1": 4.676, "ecg_100": 3.852, "eeg_psg": 2.152, "geophone_rg16": 1.0}
    name, array = recording
    chunk = encode_chunk(array, level=5)
    assert same_bits(decode_chunk(chunk, np.empty_like(array)), array)
    assert array.nbytes / len(chunk) >= ratios[name]


# -- threads and processes -----------------------------------------------------------------


def test_threads_of_the_caller_may_code_side_by_side():
    arrays = [np.random.default_rng(i).integers(-999, 999, (20, 5000)) for i in range(8)]
    failures = []

    def work(array):
        for n in (1, 2, 1, 3):
            chunk = encode_chunk(array, num_threads=n)
            if not np.array_equal(decode_chunk(chunk, num_threads=n), array):
                failures.append(array)

    threads = [threading.Thread(target=work, args=(a,)) for a in arrays]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_codes_after_its_parent_used_threads():
    array = np.random.default_rng(8).integers(-999, 999, (50, 20_000))
    expected = encode_chunk(array, num_threads=4)
    child = os.fork()
    if child == 0:
        chunk = encode_chunk(array, num_threads=4)
        same = chunk.tobytes() == expected.tobytes()
        same = same and np.array_equal(decode_chunk(chunk, num_threads=4), array)
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@settings(max_examples=20)
@given(st.binary(max_size=100), st.integers(0, 2**32 - 1))
def test_crc32c_is_castagnolis(data, crc):
    expected = crc ^ 0xFFFFFFFF
    for byte in data:
        expected ^= byte
        for _ in range(8):
            expected = expected >> 1 ^ (0x82F63B78 if expected & 1 else 0)
    assert core.crc32c(data, crc) == expected ^ 0xFFFFFFFF


def test_crc32c_of_the_check_string():
    assert core.crc32c(b"123456789") == 0xE3069283
