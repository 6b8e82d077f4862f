"""HDF5 files read in place as Zarr stores: which datasets are, and which are named."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from h5py import h5t

from flaccodec import FlacCodec
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import Flac, virtual_zarr
from flaccodec.hdf5.chunks import places as hdf5_places
from support.strategies import same_bits
from test_hdf5.as_zarr.files import CHUNKS, SHAPE, make, open_x, write


@pytest.mark.parametrize(
    "dtype", ["i1", ">i2", "<u2", "i4", ">u4", "i8", ">u8", "f4", ">f4", ">f8"]
)
def test_dtypes(tmp_path, dtype):
    array = make(dtype)
    x = open_x(virtual_zarr(write(tmp_path / "x.h5", array, fillvalue=3)))
    assert (x.dtype, x.chunks, x.fill_value) == (array.dtype.newbyteorder("="), CHUNKS, 3)
    assert x.serializer == FlacCodec()
    assert same_bits(x[...], array.astype(x.dtype))
    assert same_bits(x[3:9, 11_900:12_100], array[3:9, 11_900:12_100].astype(x.dtype))
    assert same_bits(x.oindex[[1, 14], ::7000], array[[1, 14], ::7000].astype(x.dtype))


@pytest.mark.parametrize("name", ["a b.h5", "a:b.h5", "a%20b.h5", "µ.h5"])
def test_paths_and_urls(tmp_path, monkeypatch, name):
    path = write(tmp_path / name, make())
    monkeypatch.chdir(tmp_path)
    for given in (path, str(path), path.name, Path(path.name), path.as_uri()):
        np.testing.assert_array_equal(open_x(virtual_zarr(given))[5, 9:12], make()[5, 9:12])


@pytest.mark.parametrize("name", ["a#b.h5", "a?b.h5"])
def test_names_that_virtualizarr_would_cut_are_refused(tmp_path, name):
    path = write(tmp_path / name, make())
    for given in (path, str(path), path.as_uri()):
        with pytest.raises(
            ConfigurationError, match=rf"without '\{name[1]}'.*{path.stem[2]}\.h5: ren"
        ):
            virtual_zarr(given)


def test_chunks_that_are_not_there(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", SHAPE, "f8", chunks=CHUNKS, fillvalue=np.nan, **Flac())
        x[8:, 12_000:24_000] = want = make("f8", (8, 12_000))
        file.create_dataset("none", (0, 10), "i4", chunks=(1, 10), maxshape=(None, 10), **Flac())
    store = virtual_zarr(tmp_path / "x.h5")
    got = open_x(store)[...]
    assert same_bits(got[8:, 12_000:24_000], want)
    assert np.isnan(got[:8]).all()
    assert np.isnan(got[8:, 24_000:]).all()
    assert open_x(store, "none").shape == (0, 10)


def test_a_file_with_a_user_block(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=1024) as file:
        file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    np.testing.assert_array_equal(open_x(virtual_zarr(tmp_path / "x.h5"))[...], make())


def test_fletcher32_behind_is_left_out(tmp_path):
    path = write(tmp_path / "x.h5", make(), fletcher32=True)
    np.testing.assert_array_equal(open_x(virtual_zarr(path))[...], make())


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
def test_groups_and_what_is_not_ours(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["title"] = "all"
        file.create_dataset("x", data=make("i2"), chunks=CHUNKS, **Flac())
        file.create_dataset("plain", data=np.arange(5.0))
        inner = file.create_group("in/deep")
        inner.attrs["level"] = 2
        inner.create_dataset("x", data=np.arange(7, dtype="i4"), compression="gzip")
        inner.create_dataset("plain", data=make("i4"), chunks=CHUNKS, **Flac())
    store = virtual_zarr(tmp_path / "x.h5")
    root = zarr.open_group(store, mode="r")
    assert sorted(root) == ["in", "plain", "x"]
    assert dict(root.attrs) == {"title": "all"}
    assert dict(root["in/deep"].attrs) == {"level": 2}
    np.testing.assert_array_equal(root["x"][...], make("i2"))
    np.testing.assert_array_equal(root["plain"][...], np.arange(5.0))
    np.testing.assert_array_equal(root["in/deep/x"][...], np.arange(7))
    np.testing.assert_array_equal(root["in/deep/plain"][...], make("i4"))
    deep = virtual_zarr(tmp_path / "x.h5", group="in/deep", drop_variables=["x"])
    assert list(zarr.open_group(deep, mode="r")) == ["plain"]
    with pytest.raises(ConfigurationError, match=r"group must name a group of file:.* Got 'x'"):
        virtual_zarr(tmp_path / "x.h5", group="x")


def link_elsewhere(group):
    """To a name that is in this file, too, where HDF5 would find it."""
    group["bad"] = h5py.ExternalLink("other.h5", "/x")


def put(value):
    def put_there(group):
        group["bad"] = value

    return put_there


def put_filtered_strings(group):
    group.create_dataset("bad", data=["a", "b"], dtype=h5py.string_dtype(), compression=Flac())


def put_fixed_texts(group):
    """Which VirtualiZarr stumbles over where they are attributes."""
    group["bad"] = np.arange(3.0)
    group["bad"].attrs["words"] = np.array([b"a", b"bc"])


def put_compact(group):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(group.id, b"bad", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((5,)), plist)
    group["bad"][...] = 3


def put_virtual(group):
    layout = h5py.VirtualLayout((16,), "i4")
    layout[...] = h5py.VirtualSource(group.file["x"])[:, 0]
    group.create_virtual_dataset("bad", layout)


def put_external(group):
    raw = Path(group.file.filename).parent / "raw"
    group.create_dataset("bad", data=np.arange(5.0), external=[(str(raw), 0, 40)])


def put_of_type(stored, chunk=None):
    """What HDF5 may hold, and h5py's create_dataset does not make."""

    def put_there(group):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if chunk:
            plist.set_chunk((chunk,))
            plist.set_deflate(1)
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(group.id, b"bad", stored, space, plist)

    return put_there


def integers(bits, nbytes=2, base=h5t.STD_I16LE):
    stored = base.copy()
    if nbytes > stored.get_size():
        stored.set_size(nbytes)
    stored.set_precision(bits)
    stored.set_size(nbytes)
    return stored


def float_of_16_bits():
    """As machine learning has it, with the exponent of float32."""
    stored = h5t.IEEE_F16LE.copy()
    stored.set_fields(15, 7, 8, 0, 7)
    stored.set_ebias(127)
    return stored


def compound(*fields, size=0):
    stored = h5t.create(h5t.COMPOUND, size or sum(field.get_size() for field in fields))
    offset = 0
    for number, field in enumerate(fields):
        stored.insert(b"field%d" % number, offset, field)
        offset += field.get_size()
    return stored


def enumeration(base):
    stored = h5t.enum_create(base)
    stored.enum_insert(b"one", 1)
    return stored


def text_with_spaces():
    stored = h5t.C_S1.copy()
    stored.set_size(4)
    stored.set_strpad(h5t.STR_SPACEPAD)
    return stored


LAYOUT = r"Got numbers of reduced precision or another layout: copy .* drop_variables=\['bad'\]"
BYTE_ORDER = r"Got a compound with fields of another byte order .* drop_variables=\['bad'\]"
ODD_TYPES = {
    "12 bits": (integers(12), LAYOUT),
    "12 bits, big-endian": (integers(12, base=h5t.STD_U16BE), LAYOUT),
    "3 bytes": (integers(24, 3), LAYOUT),
    "another float": (float_of_16_bits(), LAYOUT),
    "12 bits, enumeration": (enumeration(integers(12)), LAYOUT),
    "12 bits, compound": (compound(integers(12)), LAYOUT),
    "3 bytes, compound": (compound(integers(24, 3)), LAYOUT),
    "compound, big-endian": (compound(h5t.IEEE_F64LE, h5t.STD_I32BE), BYTE_ORDER),
    "compound in a compound": (compound(compound(h5t.STD_I32BE)), BYTE_ORDER),
    "compound with gaps": (compound(h5t.STD_I16LE, size=8), "Got a compound with gaps"),
    "compound with arrays": (
        compound(h5t.array_create(h5t.STD_I32LE, (2,))),
        "Got a compound with arrays",
    ),
    "spaces": (text_with_spaces(), "Got text that ends in spaces"),
    "spaces, compound": (compound(text_with_spaces()), "Got text that ends in spaces"),
}


@pytest.mark.parametrize("chunk", [None, 2], ids=["contiguous", "gzip"])
@pytest.mark.parametrize("kind", ODD_TYPES)
def test_types_that_are_not_numpys_are_named(tmp_path, kind, chunk):
    stored, message = ODD_TYPES[kind]
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        put_of_type(stored, chunk)(file.create_group("in"))
    with pytest.raises(ConfigurationError, match=rf"^/in/bad, in file:///.*/x\.h5: .*{message}"):
        virtual_zarr(path)
    np.testing.assert_array_equal(open_x(virtual_zarr(path, drop_variables=["bad"]))[...], make())


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize("chunks", [None, (2,)], ids=["contiguous", "gzip"])
@pytest.mark.parametrize(
    "dtype",
    ["?", "f2", ">c16", "S3", "V2", h5py.enum_dtype({"one": 1}, ">i2"), [("a", "<i4"), ("b", "?")]],
    ids=str,
)
def test_types_that_are_numpys_are_read(tmp_path, dtype, chunks):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", 4, dtype, chunks=chunks, compression=chunks and "gzip")
        x[:2] = np.ones(2, x.dtype) if x.dtype.kind != "V" or x.dtype.names else x[:2]
        want = x[...]
    got = open_x(virtual_zarr(tmp_path / "x.h5"))[...]
    np.testing.assert_array_equal(got, want.astype(got.dtype))


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize("iterates", [True, False], ids=["chunk_iter", "chunk by chunk"])
def test_chunks_past_filters_of_others_are_named(tmp_path, monkeypatch, iterates):
    if not iterates:  # as h5py with an HDF5 before 1.12.3
        monkeypatch.setattr(hdf5_places, "_CHUNK_ITER", "missing")
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        bad = file.create_dataset("bad", (3, 100), "i4", chunks=(1, 100), shuffle=True)
        bad[::2] = 3
    np.testing.assert_array_equal(open_x(virtual_zarr(path), "bad")[::2], np.full((2, 100), 3))
    with h5py.File(path, "r+") as file:
        file["bad"].id.write_direct_chunk((1, 0), np.arange(100, dtype="i4").tobytes(), 1)
    message = r"^/bad, in file:.*Got filter mask 1 of the chunk at \(1, 0\): .*_variables=\['bad'\]"
    with pytest.raises(ConfigurationError, match=message):
        virtual_zarr(path)
    np.testing.assert_array_equal(open_x(virtual_zarr(path, drop_variables=["bad"]))[...], make())


ODD_MEMBERS = [
    (put_compact, r"samples must lie in the file.* is compact: copy .* drop_variables=\['bad'\]"),
    (put_virtual, r"samples must lie in the file.* is virtual: copy .* drop_variables=\['bad'\]"),
    (
        put_external,
        r"samples must lie in the file.* is in external files: .* drop_variables=\['bad'",
    ),
    (put(h5py.Empty("f4")), r"VirtualiZarr must be able to read .* drop_variables=\['bad'\]"),
    (put_filtered_strings, r"VirtualiZarr must be able .* dtype object: .* drop_variables"),
    (put(h5py.SoftLink("/")), r"must not lie in themselves\. Got a link to /: .* drop_variables"),
    (lambda group: put(group)(group), r"must not lie in themselves\. Got a link to /in: .* drop_v"),
    (
        link_elsewhere,
        r"all must lie in this file\. Got a link to /x of other\.h5: .* drop_variables",
    ),
]


@pytest.mark.parametrize(("add", "message"), ODD_MEMBERS)
def test_what_cannot_be_read_is_named(tmp_path, add, message):
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        file["in/plain"] = np.arange(5.0)
        add(file["in"])
    with pytest.raises(ConfigurationError, match=rf"^/in/bad, in file:///.*/x\.h5: .*{message}"):
        virtual_zarr(path)
    group = zarr.open_group(virtual_zarr(path, drop_variables=["bad"]), mode="r")
    np.testing.assert_array_equal(group["in/plain"][...], np.arange(5.0))
    np.testing.assert_array_equal(group["x"][...], make())


@pytest.mark.parametrize("add", [put("text"), put(["a", "bc"]), put_fixed_texts])
def test_strings_are_read_or_named(tmp_path, add):
    """VirtualiZarr 2.8 reads them, 2.5 does not."""
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        add(file.create_group("in"))
        want = file["in/bad"].asstr()[()] if add is not put_fixed_texts else file["in/bad"][()]
    refused = ""
    try:
        store = virtual_zarr(path)
    except ConfigurationError as error:
        refused = str(error)
        store = virtual_zarr(path, drop_variables=["bad"])
    if refused:
        assert re.search(r"^/in/bad, in file:///.*/x\.h5: .*VirtualiZarr must be able to", refused)
        assert re.search(r" dtype \w+: leave it out with drop_variables=\['bad'\]", refused)
    else:
        np.testing.assert_array_equal(zarr.open_array(store, path="in/bad", mode="r")[...], want)
    np.testing.assert_array_equal(zarr.open_array(store, path="x", mode="r")[...], make())
