"""What the HDF5 filter refuses to write, and damage that it refuses to read."""

from __future__ import annotations

import re
import struct

import h5py
import numpy as np
import pytest

from flaccodec import core, hdf5
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import FILTER_ID, Flac
from flaccodec.hdf5 import filter as hdf5_filter
from test_hdf5.filter.files import chunk_bytes, make, read, write

# -- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [
        ("f2", "convert it to float32 or float64"),
        ("g", "convert it to float32 or float64"),
        ("S8", "a string"),
        ("c8", "real and imaginary part"),
        ("?", "convert it to uint8"),
        (h5py.enum_dtype({"a": 1}), "convert it to uint8"),
        ([("a", "i4"), ("b", "f4")], "store each field"),
        (h5py.ref_dtype, "a reference"),
        ("V4", "opaque"),
        (("i4", (3,)), "give the dataset its axes instead"),
    ],
    ids=str,
)
def test_dtypes_are_refused(file, dtype, reason):
    with pytest.raises(ValueError, match=rf"flaccodec: the dtype must be one of int8, .*{reason}"):
        file.create_dataset("x", shape=(8,), dtype=np.dtype(dtype), compression=Flac())
    assert "x" not in file


@pytest.mark.parametrize(
    ("type_id", "change"),
    [
        (h5py.h5t.STD_I16LE, lambda t: t.set_precision(12)),
        (h5py.h5t.IEEE_F32LE, lambda t: t.set_ebias(100)),
        (h5py.h5t.STD_B16LE, lambda t: None),
    ],
    ids=["12 bits in 16", "another exponent", "bits"],
)
def test_layouts_of_numbers_that_are_not_numpys_are_refused(file, type_id, change):
    type_id = type_id.copy()
    change(type_id)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((50,))
    plist.set_filter(FILTER_ID, 0, ())
    with pytest.raises(ValueError, match=r"flaccodec: the dtype must be one of"):
        h5py.h5d.create(file.id, b"x", type_id, h5py.h5s.create_simple((50,)), plist)


@pytest.mark.parametrize("option", [{"quanta": 1}, {"precision": 1}], ids=str)
def test_rounding_of_integers_is_refused(file, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name} is for float32 and float64.*Got dtype int16"):
        file.create_dataset("x", shape=(9,), dtype="i2", compression=Flac(**option))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"shuffle": True}, "2 (shuffle)"),
        ({"scaleoffset": 3}, "6 (scaleoffset)"),
    ],
)
def test_h5pys_filters_in_front_are_refused(file, options, name):
    with pytest.raises(ValueError, match=rf"no filter may stand before .*{re.escape(name)}"):
        file.create_dataset("x", shape=(9,), dtype="f4", compression=Flac(), **options)
    assert "x" not in file


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda p: p.set_fletcher32(), r"no filter may stand before .*3 \(fletcher32\)"),
        (lambda p: p.set_deflate(1), r"no filter may stand before .*1 \(deflate\)"),
        (lambda p: p.set_filter(FILTER_ID, 0, ()), "the filter is there twice"),
    ],
    ids=["fletcher32", "deflate", "twice"],
)
def test_filters_in_front_are_refused(file, add, message):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((50,))
    add(plist)
    plist.set_filter(FILTER_ID, h5py.h5z.FLAG_OPTIONAL, ())
    if plist.get_nfilters() == 1:
        pytest.skip("HDF5 keeps one of two")
    with pytest.raises(ValueError, match=message):
        h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I16LE, h5py.h5s.create_simple((50,)), plist)


def create_int8(file, chunks):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(chunks)
    plist.set_filter(FILTER_ID, 0, ())
    space = h5py.h5s.create_simple(chunks)
    return h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I8LE, space, plist).get_create_plist()


def test_streams_are_counted_over_all_axes_but_the_last(file):
    assert create_int8(file, (2**16, 2**15, 1)).get_filter(0)[2][6:] == (1, 0, 2**31, 1, 0)


@pytest.mark.skipif(h5py.version.hdf5_version_tuple < (2,), reason="no chunks of 4 GiB")
def test_more_streams_than_a_chunk_can_hold_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w", libver="v200") as file:
        with pytest.raises(ValueError, match="more streams, samples or frames"):
            create_int8(file, (2**17, 2**16, 1))
        values = create_int8(file, (2, 2**33)).get_filter(0)[2]
        assert values[6:] == (1, 0, 2, 0, 2)


def test_strings_of_variable_length_lie_beside_the_filter(tmp_path):
    """HDF5 asks no filter about them at first, and h5py adds filters as optional."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", (2,), h5py.string_dtype(), chunks=(2,), compression=Flac())
        x[...] = "a"
        file["x"][1] = "bb"
    message = r"flaccodec: the dtype must be one of int8, .* string"
    with h5py.File(tmp_path / "x.h5", "r+") as file, pytest.raises(OSError, match=message):
        file["x"][1] = "ccc"
    with h5py.File(tmp_path / "x.h5") as file:
        assert list(file["x"].asstr()) == ["a", "bb"]
        assert file["x"].id.get_chunk_info(0).filter_mask == 1
        assert hdf5_filter.options_of(file["x"]) is None
        assert list(hdf5.read(file["x"])) == [b"a", b"bb"]
        with pytest.raises(
            ConfigurationError, match=r"/x of .* must be of numbers.*dtype is object"
        ):
            hdf5.to_zarr(file["x"], {})


def test_strings_of_variable_length_are_refused_where_the_filter_is_mandatory(file):
    """As C programs have it, and h5py does not let us."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((2,))
    plist.set_filter(FILTER_ID, h5py.h5z.FLAG_MANDATORY, (1, 5))
    with pytest.raises(ValueError, match="not suitable for filters"):
        file.create_dataset("x", (2,), h5py.string_dtype(), chunks=(2,), dcpl=plist)
    assert "x" not in file


# -- damage ------------------------------------------------------------------------------


@pytest.fixture
def damaged(tmp_path):
    """Give a function that replaces the chunk of a dataset, and reads it anew."""
    path = tmp_path / "damaged.h5"
    array = np.cumsum(make("i4", (3, 64)), axis=1, dtype="i4")
    write(path, array, chunks=array.shape, compression=Flac(frame_size=16))

    def replace(change, mask=0):
        with h5py.File(path, "r+") as file:
            file["x"].id.write_direct_chunk((0, 0), bytes(change), mask)
        return read(path)

    with h5py.File(path) as file:
        chunk = chunk_bytes(file["x"])[0, 0]
    return array, chunk, replace


def test_every_flipped_byte_is_refused(damaged):
    array, chunk, replace = damaged
    for at in range(len(chunk)):
        changed = bytearray(chunk)
        changed[at] ^= 1 << at % 8
        with pytest.raises(OSError, match=r"Can't .*read data \(flaccodec: .+\)"):
            replace(changed)
    np.testing.assert_array_equal(replace(chunk), array)


def test_a_chunk_cut_short_anywhere_is_refused(damaged):
    _, chunk, replace = damaged
    for size in range(1, len(chunk)):
        with pytest.raises(OSError, match="flaccodec: the chunk is cut short: expected"):
            replace(chunk[:size])


def test_the_reason_names_stream_and_frame(damaged):
    _, chunk, replace = damaged
    header = core.read_header(chunk)
    changed = bytearray(chunk)
    changed[header.head_size + core.STREAM_HEADER_SIZE + 8] ^= 1
    with pytest.raises(OSError, match=r"frame is damaged \(at stream 0, frame 0, sample 0\)"):
        replace(changed)
    changed = bytearray(chunk)
    changed[-3] ^= 1
    with pytest.raises(OSError, match=r"frame is damaged \(at stream 2, frame 3, sample 48\)"):
        replace(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c + b"x", r"bytes follow the end of the chunk: expected \d+\. Got \d+"),
        (lambda c: b"nothing of the kind" * 9, "these bytes are not a flaccodec chunk"),
        (lambda c: c[:4] + b"\x02" + c[5:], "format version is unknown: expected 1. Got 2"),
        (lambda c: c[:59] + b"\x01" + c[60:], "a reserved bit is set"),
        (lambda c: c[:63] + bytes([c[63] ^ 1]) + c[64:], "CRC-32C 0x[0-9a-f]{8}. Got 0x"),
        (
            lambda c: core.encode_chunk(make("i2", (3, 64))),
            "dtype is not the expected one: expected int32. Got int16",
        ),
        (
            lambda c: core.encode_chunk(make("i4", (64, 3))),
            "expected 3 streams of 64 samples. Got 64 streams of 3",
        ),
        (
            lambda c: core.encode_chunk(make("i4", (3, 63))),
            "expected 3 streams of 64 samples. Got 3 streams of 63",
        ),
    ],
    ids=["longer", "other bytes", "version", "reserved", "crc", "dtype", "streams", "samples"],
)
def test_chunks_of_another_kind_are_refused(damaged, change, message):
    _, chunk, replace = damaged
    with pytest.raises(OSError, match=f"flaccodec: .*{message}"):
        replace(change(chunk))


def test_chunks_of_another_writer_are_read(damaged):
    """Frame size, level and the note of byte order are the writer's business."""
    array, _, replace = damaged
    other = core.encode_chunk(array.astype(">i4"), level=0, frame_size=30, keep_byte_order=True)
    np.testing.assert_array_equal(replace(other), array)


def test_a_chunk_that_was_not_filtered_is_read_as_it_is(damaged):
    array, _, replace = damaged
    np.testing.assert_array_equal(replace(array.tobytes(), mask=1), array)


def test_what_lies_beside_a_damaged_chunk_is_read(tmp_path):
    array = make("i4", (4, 100))
    path = tmp_path / "x.h5"
    write(path, array, chunks=(2, 100), compression=Flac())
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((2, 0), b"damaged")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["x"][:2], array[:2])
        with pytest.raises(OSError, match="cut short"):
            file["x"][1:3]
        np.testing.assert_array_equal(file["x"][:2], array[:2])


def test_client_data_that_lie_are_refused(tmp_path):
    """A file whose client data were changed by other hands."""
    path = tmp_path / "x.h5"
    write(path, make("i4", (3, 64)), chunks=(3, 64), compression=Flac())
    whole = path.read_bytes()
    (values,) = re.findall(
        re.escape(struct.pack("<11I", *Flac().filter_options, 3, 0, 3, 64, 0)), whole
    )
    for place, value, message in [
        (0, 3, "value 1 of a dataset's client data, their layout, must be 1 or 2. Got 3"),
        (0, 4, "value 1 of the client data"),
        (1, 9, "level must be"),
        (5, 3, "frame_size must be"),
        (6, 0, "describe no chunk"),
        (6, 11, "describe no chunk"),
        (6, 4, "expected int64. Got int32"),
        (7, 2, "describe no chunk"),
        (8, 0, "describe no chunk"),
        (8, 4, "expected 4 streams of 64"),
        (9, 0, "describe no chunk"),
        (10, 2**31, "describe no chunk"),
        (10, 1, "expected 3 streams of 4294967360"),
    ]:
        changed = bytearray(values)
        struct.pack_into("<I", changed, 4 * place, value)
        path.write_bytes(whole.replace(values, bytes(changed)))
        with pytest.raises(OSError, match=f"flaccodec: .*{message}"):
            read(path)
