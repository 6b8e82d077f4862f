"""docs/format.md, the C library and tests/support/reference_reader.py say the same.

The vectors in tests/data/ are what each released format version wrote. A file
that is missing or changed fails a test; nothing here writes any.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flaccodec import core
from flaccodec.core import QuantaRule
from flaccodec.exceptions import FlacCodecError
from support import reference_reader as reference
from support.paths import DATA
from test_core.format.vectors import CURRENT, MANIFESTS, VECTORS, encode, little_endian, named


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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
