"""docs/format.md: what it says of writers, its examples and its tables."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from flaccodec import FlacCodec, core
from flaccodec.core import QuantaRule
from flaccodec.exceptions import QuantaWarning
from support import reference_reader as reference
from support.paths import DOCS
from test_core.format.vectors import MANIFESTS, little_endian

DOCUMENT = DOCS / "format.md"


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
