"""Samples that quanta cannot hold are stored exactly: nothing fails for what the samples are."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaccodec import core
from flaccodec.core import QuantaRule
from flaccodec.exceptions import (
    ConfigurationError,
    QuantaError,
    QuantaTooFineError,
    QuantaWarning,
)

FLOATS = ["float32", "float64"]


def encode(array, quanta=None, **options):
    """Return the chunk, and the warnings."""
    warnings = []
    given = {"rule": QuantaRule.GIVEN, "parameters": quanta, "warn": warnings.append}
    return core.encode_chunk(array, **{**given, **options}), warnings


def decode(chunk, array):
    return core.decode_chunk(chunk, np.empty(array.shape, array.dtype))


def noise(dtype, shape=(4, 20_000), seed=0):
    return np.random.default_rng(seed).normal(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("dtype", FLOATS)
def test_few_become_exceptions(dtype, num_threads):
    x = noise(dtype)
    x[2, 123], x[3, -1], x[0, 0] = 1e20, -1e30, -1e25
    chunk, warnings = encode(x, 0.01, num_threads=num_threads)
    y = decode(chunk, x)
    beyond = np.abs(x.astype("float64")) / 0.01 >= 2.0**63
    assert beyond.sum() == 3
    np.testing.assert_array_equal(y[beyond], x[beyond])
    assert np.abs(y[~beyond] - x[~beyond]).max() <= 0.005 + np.spacing(np.float32(500))
    header = core.read_header(chunk)
    assert (header.lossless, header.exceptions_size) == (False, 3 * 24)
    assert header.streams_size < x.nbytes / 2  # the others take no more bytes for it
    (warning,) = warnings
    assert (warning.stream, warning.sample, warning.is_lossless) == (3, 19_999, False)
    assert "stream 3, sample 19,999" in str(warning)
    assert repr(warning.smallest) in str(warning)
    _, none = encode(x, warning.smallest)
    assert none == []
    np.testing.assert_array_equal(decode(encode(y, 0.01)[0], y), y)


@pytest.mark.parametrize("dtype", FLOATS)
def test_many_have_the_chunk_stored_without_loss(dtype):
    x = noise(dtype)
    x[1:3] *= 1e30
    chunk, (warning,) = encode(x, 0.01)
    assert decode(chunk, x).tobytes() == x.tobytes()
    assert core.read_header(chunk).lossless
    assert warning.is_lossless
    assert "without loss" in str(warning)
    assert len(chunk) == len(core.encode_chunk(x))


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("quanta", [1e-15, 1e-18, 1e-22, 1e-300, 5e-324])
def test_quanta_too_fine_for_a_whole_array_cost_no_more_than_no_quanta(quanta, num_threads):
    x = noise("float64", (3, 30_000))
    chunk, warnings = encode(x, quanta, num_threads=num_threads)
    y = decode(chunk, x)
    assert (np.abs(x - y) <= quanta / 2 + np.spacing(np.abs(y)) / 2).all()
    assert len(chunk) <= max(len(core.encode_chunk(x)), 1.01 * x.nbytes)
    assert warnings or not core.read_header(chunk).lossless


def test_a_run_of_one_value_costs_one_exception():
    """A number that marks missing samples, and was not named."""
    x = noise("float64")
    x[1, 2_000:18_000] = 9.96921e36
    chunk, (warning,) = encode(x, 0.01)
    y = decode(chunk, x)
    np.testing.assert_array_equal(y[1, 2_000:18_000], 9.96921e36)
    header = core.read_header(chunk)
    assert (header.lossless, header.exceptions_size) == (False, 24)
    assert warning.stream == 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_precision_beyond_the_numbers_there_are(dtype):
    x = noise(dtype, (2, 5_000))
    chunk, (warning,) = encode(x, 300, rule=QuantaRule.PRECISION)
    assert decode(chunk, x).tobytes() == x.tobytes()
    assert warning.is_lossless
    tiny = x.astype("float64") * 1e-300
    chunk, (warning,) = encode(tiny, 200, rule=QuantaRule.PRECISION)  # quanta of 0
    assert decode(chunk, tiny).tobytes() == tiny.tobytes()
    huge = x.astype("float64") * 1e300
    chunk, warnings = encode(huge, -200, rule=QuantaRule.PRECISION)  # infinite quanta
    assert warnings == []
    assert core.stream_tables(chunk)[1].tolist() == 2 * [np.finfo("float64").max]


def test_quanta_of_each_stream():
    x = noise("float64", (4, 3_000))
    x[2] *= 1e30
    x[2, ::2] = 7.5
    chunk, (warning,) = encode(x, [0.01, 1.0, 1e-3, 0.5])
    y = decode(chunk, x)
    assert warning.stream == 2
    for stream, quanta in ((0, 0.01), (1, 1.0), (3, 0.5)):
        assert np.abs(y[stream] - x[stream]).max() <= quanta / 2 * 1.0001
    beyond = np.abs(x[2]) / 1e-3 >= 2.0**63
    np.testing.assert_array_equal(y[2][beyond], x[2][beyond])


def test_strict():
    x = noise("float64")
    x[2, 123] = 1e20
    with pytest.raises(QuantaTooFineError, match="stream 2, sample 123") as caught:
        encode(x, 0.01, strict=True)
    encode(x, caught.value.smallest, strict=True)
    with pytest.raises(QuantaTooFineError):
        encode(x, 400, rule=QuantaRule.PRECISION, strict=True)


@pytest.mark.parametrize("quanta", [0, -1, np.nan, np.inf])
def test_what_is_no_quanta_is_an_error_still(quanta):
    with pytest.raises(QuantaError):
        encode(noise("float64"), quanta)


def test_by_default_python_warns():
    with pytest.warns(QuantaWarning, match="too fine") as caught:
        core.encode_chunk(np.array([1e30]), rule=QuantaRule.GIVEN, parameters=1)
    assert caught[0].filename == __file__
    warning = pickle.loads(pickle.dumps(caught[0].message))
    assert (warning.stream, warning.sample) == (0, 0)


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(-100, 100),
            st.sampled_from([-9999.3, 1e20, 9.96921e36, 0.0, -0.0]),
        ),
        min_size=1,
        max_size=200,
    ),
    st.sampled_from([5e-324, 1e-30, 1e-9, 0.01, 1.0, 1e300]),
    st.sampled_from(FLOATS),
    st.lists(st.sampled_from([-9999.3, 1e20, 0.0, float("nan"), 5.5]), max_size=4),
)
def test_no_sample_makes_a_chunk_fail(values, quanta, dtype, marks):
    with np.errstate(over="ignore"):
        x = np.array(values, dtype=dtype)
        marked = np.isin(x, np.array(marks, dtype=dtype))
    chunk, _ = encode(x, quanta, marks=marks)
    y = decode(chunk, x)
    finite = np.isfinite(x)
    assert y[~finite].tobytes() == x[~finite].tobytes()
    np.testing.assert_array_equal(y[marked], x[marked])
    with np.errstate(over="ignore"):
        rounding = np.spacing(np.abs(y[finite].astype(dtype))).astype("float64") / 2 * (1 + 2**-20)
        off = np.abs(x[finite].astype("float64") / 2 - y[finite].astype("float64") / 2)
    assert (off <= quanta / 4 + rounding / 2).all() or np.array_equal(x[finite], y[finite])
    assert len(chunk) <= x.nbytes * 3.2 + 400


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_several_marks(dtype, order):
    x = noise(dtype, (3, 9_000)).astype(np.dtype(dtype).newbyteorder(order))
    marks = [-9999.3, 1e20, 0.0, float("inf"), -9999.3]
    x[0, 10:90], x[0, 90:95], x[1, ::7], x[2, -5:] = marks[0], marks[1], marks[1], 0
    named = np.isin(x, np.array(marks[:2], dtype))
    for rule, parameter in ((QuantaRule.GIVEN, 0.01), (QuantaRule.PRECISION, 3)):
        chunk, warnings = encode(x, parameter, rule=rule, fill_value=marks[0], marks=marks[1:])
        assert warnings == []
        y = decode(chunk, x)
        np.testing.assert_array_equal(y[named], x[named])
        spread = 100 / 1e3 if rule == QuantaRule.PRECISION else 0.01
        assert np.abs(y[~named] - x[~named]).max() <= spread / 2 * 1.1


def test_too_many_marks():
    with pytest.raises(ConfigurationError, match="at most 16"):
        encode(noise("float64"), 0.1, marks=range(17))
