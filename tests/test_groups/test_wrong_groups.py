"""Groups that are not as they should be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from flaccodec.exceptions import (
    CorruptGroupError,
    NoGroupError,
    UnknownGroupVersionError,
)
from flaccodec.groups.layout import DATASETS
from test_groups.streams import WIDE, assert_same, compress, values_of


@pytest.fixture
def broken(door):
    """Give a good group, a function that replaces datasets, and one that reads it."""
    array = WIDE.astype("float64")
    door.write(door.root, compress(array, quanta=0.5))

    def replace(name, data):
        attributes = dict(door.root[name].attrs)
        del door.root[name]
        door.put(door.root, name, data).attrs.update(attributes)

    def complains(error, match):
        for mask in (None, np.ones((6, 5), bool)):
            with pytest.raises(error, match=match) as caught:
                door.read(door.root, mask)
            assert "groups." in str(caught.value)  # the file, and so the place

    return SimpleNamespace(group=door.root, replace=replace, complains=complains)


def test_a_group_of_something_else(door):
    door.root.create_group("compressed")
    with pytest.raises(NoGroupError, match=r"group .*groups\..* holds no flacarray data"):
        door.read(door.root)


@pytest.mark.parametrize("version", ["2", 7, "one", -1])
def test_versions_that_nobody_knows(broken, version):
    broken.group.attrs["flacarray_format_version"] = version
    broken.complains(UnknownGroupVersionError, f"formats 0 and 1 are known. Got .*{version}")


@pytest.mark.parametrize("name", DATASETS)
def test_missing_datasets(broken, name):
    del broken.group[name]
    broken.complains(CorruptGroupError, name)


@pytest.mark.parametrize("name", DATASETS)
def test_groups_where_datasets_should_be(broken, name):
    del broken.group[name]
    broken.group.create_group(name)
    broken.complains(CorruptGroupError, f"{name} must be a dataset")


@pytest.mark.parametrize("channels", ["1", "3", "two"])
def test_channels_that_cannot_be(broken, channels):
    broken.group.attrs["flac_channels"] = channels
    broken.complains(
        CorruptGroupError, f"flac_channels.* '{channels}'|channels. Got .* '{channels}'"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("stream_gains", value) for value in (0.0, -0.5, np.nan, np.inf, 1e-310)),
        *(("stream_offsets", value) for value in (np.nan, np.inf, -np.inf)),
    ],
)
def test_values_that_nothing_can_be_restored_with(broken, name, value):
    table = broken.group[name][...]
    table[2, 3] = table[4, 0] = value
    broken.replace(name, table)
    broken.complains(
        CorruptGroupError, rf"{name} must be .*finite.* Got {value} for stream \(2, 3\)"
    )


def test_missing_attributes(broken):
    del broken.group["stream_starts"].attrs["stream_size"]
    broken.complains(CorruptGroupError, "stream_starts lacks its attribute stream_size")
    broken.group["stream_starts"].attrs["stream_size"] = 4000
    del broken.group.attrs["flac_channels"]
    broken.complains(CorruptGroupError, "flac_channels is missing")


@pytest.mark.parametrize("size", [0, -5, "many"])
def test_stream_sizes_that_cannot_be(broken, size):
    broken.group["stream_starts"].attrs["stream_size"] = size
    broken.complains(CorruptGroupError, f"stream_size must be at least 1. Got .*{size}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream_starts", -1),
        ("stream_starts", 2**40),
        ("stream_starts", 2**63 - 1),
        ("stream_bytes", 0),
        ("stream_bytes", -3),
        ("stream_bytes", 2**63 - 1),
    ],
)
def test_streams_outside_of_the_compressed_bytes(broken, name, value):
    table = broken.group[name][...]
    table[2, 3] = value
    broken.replace(name, table)
    broken.complains(CorruptGroupError, r"stream \(2, 3\) must lie within the [\d,]+ bytes")


def test_shapes_that_disagree(broken):
    good = {name: broken.group[name][...] for name in DATASETS}
    for name in ("stream_starts", "stream_bytes", "stream_offsets", "stream_gains"):
        broken.replace(name, good[name][1:])
        broken.complains(CorruptGroupError, "shape")
        broken.replace(name, good[name])
    broken.replace("compressed", good["compressed"][None])
    broken.complains(CorruptGroupError, "compressed must be uint8 and have one axis")


def test_dtypes_that_disagree(broken):
    good = {name: broken.group[name][...] for name in DATASETS}
    for name, dtype in (
        ("compressed", "uint16"),
        ("stream_starts", "float64"),
        ("stream_offsets", "float32"),
        ("stream_gains", "float32"),
        ("stream_gains", "int64"),
    ):
        broken.replace(name, good[name].astype(dtype))
        broken.complains(CorruptGroupError, f"{name}.*{dtype}")
        broken.replace(name, good[name])


def test_offsets_without_gains(broken):
    del broken.group["stream_gains"]
    for version in (1, 0):
        broken.group.attrs["flacarray_format_version"] = version
        message = f"stream_offsets of float64 need stream_gains in format {version}"
        broken.complains(CorruptGroupError, message)
    broken.replace("stream_offsets", np.zeros((6, 5), "int16"))
    broken.complains(CorruptGroupError, "stream_offsets .* must be int64")


def test_gains_without_offsets(broken):
    del broken.group["stream_offsets"]
    broken.complains(CorruptGroupError, "float64 in format 1 needs stream_offsets")


@pytest.mark.parametrize("text", ["{", "[1]", "7"])
def test_extras_that_are_no_object(broken, text):
    broken.group.attrs["flaccodec"] = text
    broken.complains(CorruptGroupError, "flaccodec must be a JSON object")


def test_tables_of_other_integers_are_read(door):
    """Of other widths and byte orders, as another program may have copied them."""
    array = WIDE.astype("float32")
    streams = compress(array, quanta=1.0)
    door.write(door.root, streams)
    for name, dtype in (
        ("stream_starts", ">i4"),
        ("stream_bytes", "uint16"),
        ("stream_offsets", ">f4"),
        ("stream_gains", ">f4"),
    ):
        table, attributes = door.root[name][...], dict(door.root[name].attrs)
        del door.root[name]
        door.put(door.root, name, table.astype(dtype)).attrs.update(attributes)
    assert_same(values_of(door.read(door.root)[0]), values_of(streams))
