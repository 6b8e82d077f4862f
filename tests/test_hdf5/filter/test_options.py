"""The HDF5 filter's options, as client data and as people type them."""

from __future__ import annotations

import pickle
import re
import struct

import numpy as np
import pytest

from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import ConfigurationError, QuantaError
from flaccodec.hdf5 import Flac
from flaccodec.hdf5 import filter as hdf5_filter
from support.sources import CSRC


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"level": 0, "frame_size": 16},
        {"level": 8, "frame_size": 65535},
        {"quanta": 1e-3},
        {"quanta": 2.0**-1000},
        {"precision": -2.5},
        {"precision": 0},
        {"precision": 6},
    ],
    ids=str,
)
def test_options_are_in_the_dataset(file, options):
    x = file.create_dataset("x", shape=(4, 9), dtype="f8", compression=Flac(**options))
    assert hdf5_filter.options_of(x) == CodecOptions(**options)
    assert Flac(**options).options == CodecOptions(**options)
    assert pickle.loads(pickle.dumps(Flac(**options))) == Flac(**options)
    assert eval(repr(Flac(**options))) == Flac(**options)
    assert hash(Flac(**options)) == hash(Flac(**options))


def test_a_dataset_without_the_filter_has_no_options(file):
    assert hdf5_filter.options_of(file.create_dataset("x", data=[1, 2])) is None
    assert hdf5_filter.options_of(file.create_dataset("y", data=[1, 2], compression=1)) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((3, 5, 0, 0, 0, 4096), r"must be of layout 1 or 2\. Got layout 3, in \(3, 5, .*: a later"),
        ((3,), r"must be of layout 1 or 2\. Got layout 3, in \(3,\): a later"),
        ((), r"must be 6 values or more.* Got 0, \(\): HDF5 did not ask"),
        ((1, 8, 3, 1, 2), r"must be 6 values or more.* Got 5, \(1, 8, 3, 1, 2\): .* anew"),
        ((1, 5, 7, 0, 0, 4096), r"must have 0 to 2 as value 3.* Got 7, in \(1, 5, 7"),
    ],
    ids=str,
)
def test_client_data_that_are_not_the_filters_are_refused(values, message):
    with pytest.raises(ConfigurationError, match=f"^the client data of filter 61868 {message}"):
        hdf5_filter.read_client_data(values)


def test_the_dataset_whose_client_data_are_refused_is_named(file, monkeypatch):
    x = file.create_dataset("x", (9,), "i4", compression=Flac())
    monkeypatch.setattr(hdf5_filter, "_LAYOUT", 2)
    with pytest.raises(ConfigurationError, match=r"^/x of .*x\.h5: the client data .* layout 2"):
        hdf5_filter.options_of(x)


def test_options_that_cannot_be():
    with pytest.raises(ConfigurationError, match="level must be"):
        Flac(level=9)
    with pytest.raises(QuantaError):
        Flac(quanta=0)
    with pytest.raises(ConfigurationError, match="not both"):
        Flac(quanta=1, precision=1)
    with pytest.raises(ConfigurationError, match="frame_size must be"):
        Flac(frame_size=15)


def double_words(value):
    return struct.unpack("<II", struct.pack("<d", value))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ((), {}),
        ((1,), {}),
        ((1, 8), {"level": 8}),
        ((1, 5, 3, 1, 3), {"quanta": 1e-3}),
        ((1, 5, 3, 25, 1), {"quanta": 2.5}),
        ((1, 5, 3, 4294967295, 12, 64), {"quanta": 4294967295e-12, "frame_size": 64}),
        ((1, 5, 3, 40), {"quanta": 40}),
        ((1, 5, 4, 4), {"precision": 4}),
        ((1, 5, 4, 35, 1), {"precision": 3.5}),
        ((1, 5, 1, *double_words(0.1)), {"quanta": 0.1}),
        ((1, 5, 2, *double_words(-1)), {"precision": -1}),
        ((1, 0, 0, 0, 0, 16), {"level": 0, "frame_size": 16}),
    ],
    ids=str,
)
def test_client_data_as_people_type_them(file, values, options):
    x = file.create_dataset("x", shape=(9,), dtype="f4", **{**Flac(), "compression_opts": values})
    assert x.id.get_create_plist().get_filter(0)[2] == (
        *Flac(**options).filter_options,
        *(9, 0, 1, 9, 0),
    )
    assert hdf5_filter.options_of(x) == CodecOptions(**options)


def test_the_example_in_the_specification(file):
    page = (CSRC.parent / "docs" / "format.md").read_text()
    (typed,) = re.findall(r"UD=(\d+),0,5,(\S+) in.h5", page)
    (stored,) = re.findall(r"has the client data\n\n    ([\d ]+)\n", page)
    number, values = int(typed[0]), tuple(map(int, typed[1].split(",")))
    x = file.create_dataset(
        "x", (40, 900), ">f4", chunks=(4, 300), compression=number, compression_opts=values
    )
    assert x.id.get_create_plist().get_filter(0)[2] == tuple(map(int, stored.split()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0,), r"value 1 .* must be 1 to 3\. Got 0; a later"),
        ((4, 5), r"value 1 .* must be 1 to 3\. Got 4; a later"),
        ((1, 9), r"level must be 0 to 8\. Got 9"),
        ((1, 2**32 - 1), r"level must be 0 to 8\. Got 4294967295"),
        ((1, 5, 5), r"value 3 .* must be 0 to 4\. Got 5"),
        ((1, 5, 0, 1), r"values 4 and 5 .* must be 0 .* Got 1, 0"),
        ((1, 5, 1), r"quanta must be positive and finite\. Got 0"),
        ((1, 5, 1, *double_words(-1)), r"quanta must be positive and finite\. Got -1"),
        ((1, 5, 1, *double_words(np.inf)), r"quanta must be positive and finite\. Got inf"),
        ((1, 5, 2, *double_words(np.nan)), r"precision must be finite\. Got -?nan"),
        ((1, 5, 3, 0, 3), r"quanta must be positive and finite\. Got 0"),
        ((1, 5, 3, 1, 400), r"quanta must be positive and finite\. Got 0"),
        ((1, 5, 0, 0, 0, 15), r"frame_size must be 16 to 65535\. Got 15"),
        ((1, 5, 0, 0, 0, 65536), r"frame_size must be 16 to 65535\. Got 65536"),
        ((1, 5, 0, 0, 0, 4096, 1), r"at most 6 values of client data\. Got 7"),
        ((1,) * 12, r"at most 6 values of client data\. Got 12"),
        ((1,) * 100, r"at most 6 values of client data\. Got 100"),
        ((2, 5, 3, 1, 0, 99, 1), r"layout 2 must be 6 values, and 2 for each .* marks\. Got 7"),
        ((2, 5, 3, 1, 0, 99, *range(16)), r"layout 2 .* at most 7 marks\. Got 22"),
        ((2, 5, 3, 1, 0, 99, *range(5)), r"layout 2 must be 6 values, .* Got 11"),
        ((2, 5, 3, 1, 0, 99, *range(23)), r"layout 2 must be 6 values, .* Got 29"),
        ((3, 5, 3, 1, 0, 99, 1, 1), r"layout 3 must be 6 values, and 3 for each .* Got 8"),
        ((3, 5, 3, 1, 0, 99, *[0] * 24), r"layout 3 .* at most 7 marks\. Got 30"),
        ((3, 5, 3, 1, 0, 99, 4, 1, 1), r"first of the three values of a mark .* 0 to 3\. Got 4"),
        ((3, 5, 3, 1, 0, 99, 3, 1, 400), r"a mark must be finite\. Got -1e400"),
    ],
    ids=str,
)
def test_bad_client_data_are_refused(file, values, message):
    with pytest.raises(ValueError, match=f"flaccodec: .*{message}"):
        file.create_dataset("x", shape=(9,), dtype="f4", **{**Flac(), "compression_opts": values})
    assert "x" not in file
