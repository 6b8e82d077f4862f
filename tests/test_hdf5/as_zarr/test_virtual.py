"""HDF5 files read in place as Zarr stores."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import fsspec
import h5py
import icechunk
import numpy as np
import obstore.store
import pytest
import virtualizarr
import xarray
import zarr
from h5py import h5t
from obspec_utils.registry import ObjectStoreRegistry

from flaccodec import FlacCodec, core, hdf5, numcodecs
from flaccodec.exceptions import ConfigurationError, FrameError
from flaccodec.hdf5 import Flac, VirtualParser, virtual_zarr
from flaccodec.hdf5.chunks import places as hdf5_places
from support.strategies import same_bits

pytest_plugins = ["support.servers.nginx"]

SHAPE, CHUNKS = (16, 30_000), (8, 12_000)


def make(dtype="i4", shape=SHAPE, seed=0):
    noise = np.random.default_rng(seed).normal(0, 4000, shape)
    return np.abs(noise).astype(dtype) if np.dtype(dtype).kind == "u" else noise.astype(dtype)


def write(path, array, **options):
    options = {"chunks": CHUNKS, "compression": Flac(), **options}
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, **options)
    return path


def open_x(store, path="x"):
    return zarr.open_array(store, path=path, mode="r")


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


def link_nowhere(group):
    group["bad"] = h5py.SoftLink("/nowhere")


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


def test_texts_of_groups_are_read_or_named(tmp_path):
    """VirtualiZarr 2.8 reads them, 2.5 does not."""
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        file.create_group("in").attrs["words"] = np.array([b"a", b"bc"])
    refused = ""
    try:
        store = virtual_zarr(path)
    except ConfigurationError as error:
        refused = str(error)
    if refused:
        assert re.search(r"^/in, in file:///.*/x\.h5: .* ValueError.*: change the group", refused)
    else:
        assert dict(zarr.open_group(store, mode="r")["in"].attrs) == {"words": ["a", "bc"]}


ODD_ATTRIBUTES = {
    "reference": None,
    "complex": 1j,
    "longdouble": np.longdouble(1),
    "longdoubles": np.ones(2, np.longdouble),
    "compound": np.zeros(1, [("a", "i4")]),
    "text": np.bytes_("µV".encode("latin-1")),
}


@pytest.mark.parametrize("where", ["/", "/in", "/in/plain", "/in/x"])
@pytest.mark.parametrize("kind", ODD_ATTRIBUTES)
def test_attributes_that_json_has_no_form_for_are_named(tmp_path, where, kind):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["in/plain"] = np.arange(3)
        file.create_dataset("in/x", data=make(), **Flac())
        file[where].attrs["odd"] = file.ref if kind == "reference" else ODD_ATTRIBUTES[kind]
    message = rf"^attribute 'odd' of {where}, in file:///.*/x\.h5 must be (numbers|text)"
    with pytest.raises(ConfigurationError, match=message):
        virtual_zarr(path)
    if where != "/":
        kept = virtual_zarr(path, drop_variables=[where.split("/")[-1]])
        assert "odd" not in zarr.open_group(kept, mode="r").attrs


def test_attributes_of_what_is_not_ours_are_as_those_of_ours(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=np.arange(3.0), **Flac())
        file["plain"] = np.arange(3.0)
        file["plain"].make_scale("plain")
        file["flags"] = np.array([True, False])
        file["flags"].attrs["_FillValue"] = True
        given = {"CLASS": "EARRAY", "NAME": "voltage", "none": h5py.Empty("f4"), "one": [3]}
        for item in (file, file["x"], file["flags"]):
            item.attrs.update(given)
    root = zarr.open_group(virtual_zarr(tmp_path / "x.h5"), mode="r")
    want = {"CLASS": "EARRAY", "NAME": "voltage", "none": [], "one": 3}
    assert dict(root.attrs) == want
    assert dict(root["x"].attrs) == want
    assert dict(root["flags"].attrs) == {**want, "_FillValue": True}
    assert dict(root["plain"].attrs) == {}


def test_what_no_one_can_leave_out_is_named(tmp_path):
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        link_nowhere(file.create_group("in"))
    message = r"^/in/bad, in file:.* This one, to /nowhere, does not: delete it in a copy"
    with pytest.raises(ConfigurationError, match=message):
        virtual_zarr(path, drop_variables=["bad"])
    with pytest.raises(ConfigurationError, match=r"group must name a group of .* Got 'nowhere'"):
        virtual_zarr(path, group="nowhere")


def test_links_through_other_files_are_refused(tmp_path):
    """HDF5 follows them into the file that it was given, which has other samples of the name."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"], file["only"] = np.arange(3) + 2000, np.arange(3)
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
        file["links/out"] = h5py.ExternalLink("other.h5", "/")
        file["to/x"] = h5py.SoftLink("/links/out/x")
        file["to/in"] = h5py.SoftLink("out")
        file["to/out"] = h5py.SoftLink("/links/out")
        file["only/here"] = h5py.SoftLink("/links/out/only")
    for group, name in (("to", "x"), ("to", "in"), ("only", "here")):
        dropped = {"x", "in", "out"} - {name}
        message = rf"^/{group}/{name}, in file:.* Got a way through a link to / of other\.h5: make"
        with pytest.raises(ConfigurationError, match=message):
            virtual_zarr(path, group=group, drop_variables=dropped)
    for group in ("links/out", "/to/out", "to/in", "to//./out"):
        message = rf"group .*/x\.h5\. Got '{group}', which leads to / of other\.h5: make a store"
        with pytest.raises(ConfigurationError, match=message):
            virtual_zarr(path, group=group)


def test_links_that_stay_in_the_file_are_followed(tmp_path):
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        file["in/deep/plain"] = np.arange(5.0)
        file["in/near"] = h5py.SoftLink("deep/./plain")
        file["in/far"] = h5py.SoftLink("/to/plain")
        file["to"] = h5py.SoftLink("in//deep")
    for group in (None, "/"):
        root = zarr.open_group(virtual_zarr(path, group=group), mode="r")
        for name in ("in/near", "in/far", "to/plain"):
            np.testing.assert_array_equal(root[name][...], np.arange(5.0))
    to = zarr.open_group(virtual_zarr(path, group="/to/"), mode="r")
    np.testing.assert_array_equal(to["plain"][...], np.arange(5.0))


def test_links_that_no_one_can_leave_out_are_named(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["away/bad"] = h5py.ExternalLink("other.h5", "/x")
        file["circle/bad"] = h5py.SoftLink("bad")
    for group, message in (
        ("away", r"/x of other\.h5: make a store of that file, and delete the link in a copy of"),
        ("circle", r"must lead to something\. This one, to bad, does not: delete it in a copy"),
    ):
        for dropped in ((), ("bad",)):
            with pytest.raises(ConfigurationError, match=rf"^/{group}/bad, in file:.*{message}"):
                virtual_zarr(path, group=group, drop_variables=dropped)


def netcdf(path, quanta=0.5):
    data = xarray.Dataset(
        {"x": (("stream", "time"), make("f8"), {"units": "mV"})},
        {"time": np.arange(30_000) / 100},
        {"title": "a recording"},
    )
    encoding = {"x": {"compression": Flac(quanta=quanta), "chunksizes": CHUNKS}}
    data.to_netcdf(path, engine="h5netcdf", encoding=encoding)


def test_xarray(tmp_path):
    netcdf(tmp_path / "x.nc")
    with (
        xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as want,
        xarray.open_zarr(virtual_zarr(tmp_path / "x.nc"), consolidated=False, chunks=None) as got,
    ):
        xarray.testing.assert_identical(got.load(), want.load())


@pytest.mark.parametrize("compression", [Flac(), None], ids=str)
def test_xarray_unpacks(tmp_path, compression):
    x = xarray.DataArray(make("i2").astype("f4") / 2, dims=("stream", "time"))
    x.encoding = {"compression": compression, "dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}
    x.to_dataset(name="x").to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with (
        xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as want,
        xarray.open_zarr(virtual_zarr(tmp_path / "x.nc"), consolidated=False, chunks=None) as got,
    ):
        xarray.testing.assert_identical(got.load(), want.load())
        assert got.x.dtype == want.x.dtype


def test_xarray_reads_dimensions_without_names(tmp_path):
    """Each is as long as all of its name, in a group and in the groups above."""
    shapes = {
        "a": (2, 30),
        "b": (30,),
        "c": (3, 2),
        "in/d": (7, 30, 7),
        "in/deep/e": (3, 3),
        "other/f": (5, 30),
    }
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for number, (name, shape) in enumerate(shapes.items()):
            file.create_dataset(name, data=make(shape=shape), **(Flac() if number % 2 else {}))
        file.create_dataset("named", data=make(shape=(4, 30)), **Flac()).dims[0].label = "stream"
    store = virtual_zarr(tmp_path / "x.h5")
    with xarray.open_datatree(store, engine="zarr", consolidated=False, chunks=None) as tree:
        for name, shape in shapes.items():
            np.testing.assert_array_equal(tree[name], make(shape=shape))
        found = {name: tree[name].dims for name in (*shapes, "named")}
    assert found == {
        "a": ("phony_dim_0", "phony_dim_1"),
        "b": ("phony_dim_1",),
        "c": ("phony_dim_2", "phony_dim_0"),
        "named": ("stream", "phony_dim_1"),
        "in/d": ("phony_dim_3", "phony_dim_1", "phony_dim_4"),
        "in/deep/e": ("phony_dim_2", "phony_dim_5"),
        "other/f": ("phony_dim_3", "phony_dim_1"),
    }


def test_names_that_are_made_up_are_not_those_of_others(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["phony_dim_0"] = np.arange(4)
        file["phony_dim_0"].make_scale("phony_dim_0")
        file.create_dataset("a", data=make(shape=(7, 4)), **Flac())
        file["a"].dims[1].attach_scale(file["phony_dim_0"])
        file["b"] = make(shape=(2, 7, 4))
        file["in/b"] = make(shape=(3, 7, 2))
        file["in/b"].dims[0].label = "phony_dim_2"
        file["in/deep/b"] = make(shape=(2, 7))
    store = virtual_zarr(tmp_path / "x.h5")
    with xarray.open_zarr(store, consolidated=False, chunks=None) as got:
        found = {name: got[name].dims for name in ("a", "b")}
        assert got.sizes == {"phony_dim_0": 4, "phony_dim_1": 7, "phony_dim_2": 2, "phony_dim_3": 4}
    for group in ("in", "in/deep"):
        with xarray.open_zarr(store, group=group, consolidated=False, chunks=None) as got:
            found[f"{group}/b"] = got.b.dims
    assert found == {
        "a": ("phony_dim_1", "phony_dim_0"),
        "b": ("phony_dim_2", "phony_dim_1", "phony_dim_3"),
        "in/b": ("phony_dim_2", "phony_dim_1", "phony_dim_4"),
        "in/deep/b": ("phony_dim_4", "phony_dim_1"),
    }


@pytest.mark.parametrize("options", [Flac(), {}], ids=["FLAC", "plain"])
@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_xarray_reads_fill_values_of_other_kinds(tmp_path, dtype, options):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", data=np.array([1, -9, 3], dtype), **options)
        x.attrs["_FillValue"] = np.int32(-9) if dtype == "f4" else np.array([-9.0])
    store = virtual_zarr(tmp_path / "x.h5")
    with xarray.open_zarr(store, consolidated=False, chunks=None) as got:
        np.testing.assert_array_equal(got.x, [1, np.nan, 3])


def test_chunks_that_are_no_flac_chunks_are_named(tmp_path):
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((8, 0), make()[8:, :12_000].tobytes(), filter_mask=1)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((50,))
        plist.set_filter(hdf5.FILTER_ID, 0, ())
        plist.set_deflate(9)
        space = h5py.h5s.create_simple((120,))
        h5py.h5d.create(file.id, b"y", h5py.h5t.STD_I32LE, space, plist)
    with pytest.raises(ConfigurationError, match=r"/x, chunk at \(8, 0\), in file:.*filter mask 1"):
        virtual_zarr(path)
    with pytest.raises(ConfigurationError, match=r"/y, in file:.*filters \[61868, 1\]: copy"):
        virtual_zarr(path, drop_variables=["x"])
    assert list(zarr.open_group(virtual_zarr(path, drop_variables=["x", "y"]), mode="r")) == []


@pytest.mark.parametrize("name", ["zarr.json", ".zgroup", ".zattrs", ".zmetadata", "..", "a\\b"])
@pytest.mark.parametrize("kind", ["FLAC", "plain", "group"])
def test_names_that_zarr_cannot_have_are_refused(tmp_path, name, kind):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        options = Flac() if kind == "FLAC" else {}
        file.create_dataset(f"{name}/x" if kind == "group" else name, data=make(), **options)
        file["fine"] = np.arange(3)
    with pytest.raises(ConfigurationError) as raised:
        virtual_zarr(path)
    assert str(raised.value).startswith(f"/{name}, in file:///")
    assert f"Got {name!r}: rename it" in str(raised.value)
    assert list(zarr.open_group(virtual_zarr(path, drop_variables=name), mode="r")) == ["fine"]


@pytest.mark.parametrize("name", [".zarray", "...", "x.y", " ", "a:b", "c", "µ"])
def test_names_that_zarr_can_have(tmp_path, name):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset(name, data=make(), **Flac())
        file[f"in/{name}/x"] = make()
    group = zarr.open_group(virtual_zarr(tmp_path / "x.h5"), mode="r")
    np.testing.assert_array_equal(group[name][...], make())
    np.testing.assert_array_equal(group["in"][name]["x"][...], make())


def test_names_that_are_left_out(tmp_path):
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        file["volts"], file["in/volts"] = np.arange(3), np.arange(3)
        file["v"] = np.arange(3)
    for given in ("volts", ["volts"], {"volts", "nothing"}, (name for name in ["volts"])):
        root = zarr.open_group(virtual_zarr(path, drop_variables=given), mode="r")
        assert sorted(root) == ["in", "v", "x"]
        assert list(root["in"]) == []
    for given in (None, "", [], "nothing"):
        assert "volts" in zarr.open_group(virtual_zarr(path, drop_variables=given), mode="r")
    for given, got in (("in/volts", "'in/volts'"), (["/v"], "'/v'"), ([b"v"], "b'v'")):
        with pytest.raises(ConfigurationError, match=rf"without '/'\. Got {got}: give the last"):
            virtual_zarr(path, drop_variables=given)


def test_damage_names_the_chunk(tmp_path):
    path = write(tmp_path / "x.h5", make())
    with h5py.File(path, "r+") as file:
        _, chunk = file["x"].id.read_direct_chunk((8, 0))
        file["x"].id.write_direct_chunk((8, 0), chunk[:-20] + bytes(20))
    x = open_x(virtual_zarr(path))
    with pytest.raises(FrameError, match=r"^chunk file:///.*/x\.h5/x/c/1/0: .*stream 7, frame 2"):
        x[15, 11_000:11_010]


# -- over HTTP ---------------------------------------------------------------------------


def test_a_slice_over_http_fetches_a_head_and_frames(tmp_path, start_nginx):
    root = tmp_path / "root"
    root.mkdir()
    array = make("i4", (8, 800_000))
    write(root / "x.h5", array, chunks=array.shape)
    with h5py.File(root / "x.h5") as file:
        info = file["x"].id.get_chunk_info(0)
    server = start_nginx(root)
    store = virtual_zarr(f"{server.url}/x.h5")
    x = open_x(store)
    before = len(server.requests())
    np.testing.assert_array_equal(x[3, 400_000:400_200], array[3, 400_000:400_200])
    head, *both = server.requests()[before:]
    header, frames = sorted(both, key=lambda request: request.body_bytes_sent)
    assert [r.status for r in (head, frames, header)] == [206, 206, 206]
    assert header.body_bytes_sent == core.HEADER_SIZE
    bound = core.head_bound("i4", array.shape, core.DEFAULT_FRAME_SIZE)
    assert head.range == (info.byte_offset, info.byte_offset + bound)
    assert info.byte_offset < frames.range[0] < frames.range[1] < info.byte_offset + info.size
    assert frames.body_bytes_sent < 20_000
    np.testing.assert_array_equal(x[4, :100], array[4, :100])
    again = server.requests()[before + 3 :]
    assert [r.status for r in again] == [206, 206]  # frames, and the header alone
    assert sum(r.body_bytes_sent for r in again) < 20_000 + core.HEADER_SIZE
    np.testing.assert_array_equal(x[...], array)
    (whole,) = server.requests()[before + 5 :]
    assert whole.body_bytes_sent == info.size


def test_xarray_over_http(tmp_path, start_nginx):
    root = tmp_path / "root"
    root.mkdir()
    netcdf(root / "x.nc")
    server = start_nginx(root)
    store = virtual_zarr(f"{server.url}/x.nc")
    with xarray.open_zarr(store, consolidated=False, chunks=None) as got:
        values = got.x.sel(time=slice(100, 101)).values
    assert np.abs(values - make("f8")[:, 10_000:10_101]).max() <= 0.25
    assert all(r.status in (200, 206) for r in server.requests())


# -- VirtualiZarr's own functions --------------------------------------------------------


def registry():
    return ObjectStoreRegistry({"file://": obstore.store.LocalStore()})


def test_the_parser_in_virtualizarr_and_icechunk(tmp_path):
    netcdf(tmp_path / "x.nc")
    url = (tmp_path / "x.nc").as_uri()
    with virtualizarr.open_virtual_dataset(url, registry(), VirtualParser()) as virtual:
        config = icechunk.RepositoryConfig.default()
        prefix = f"file://{tmp_path}/"
        container = icechunk.VirtualChunkContainer(prefix, icechunk.local_filesystem_store(prefix))
        config.set_virtual_chunk_container(container)
        # icechunk 2.3 warns of None, which is all that 1.1 takes
        access = getattr(icechunk.credentials, "LocalFileSystemAccess", None)
        repository = icechunk.Repository.create(
            icechunk.local_filesystem_storage(str(tmp_path / "repository")),
            config,
            authorize_virtual_chunk_access={prefix: access},
        )
        session = repository.writable_session("main")
        virtual.vz.to_icechunk(session.store)
        session.commit("references")
    store = repository.readonly_session("main").store
    x = zarr.open_array(store, path="x", mode="r")
    with h5py.File(tmp_path / "x.nc") as file:
        assert same_bits(x[3, 20_000:20_100], file["x"][3, 20_000:20_100])
        assert same_bits(x[...], file["x"][...])


@pytest.mark.parametrize("dtype", [">i2", "u4", "i8", "f4", ">f8"])
def test_kerchunks_references_keep_the_codec(tmp_path, dtype):
    array, path = make(dtype), tmp_path / "x.h5"
    write(path, array, fillvalue=3, compression=Flac(level=3, frame_size=64))
    with virtualizarr.open_virtual_dataset(path.as_uri(), registry(), VirtualParser()) as virtual:
        joined = xarray.concat([virtual, virtual], "phony_dim_0", coords="minimal", compat="equals")
        joined.vz.to_kerchunk(tmp_path / "x.json", format="json")
    x = open_kerchunk(tmp_path / "x.json")["x"]
    assert x.metadata.compressor == numcodecs.Flac(level=3, frame_size=64)
    assert (x.shape, x.fill_value) == ((32, 30_000), None)
    for rows in (x[:16], x[16:]):
        assert same_bits(rows, array.astype(x.dtype))


def test_kerchunks_references_with_quanta_beside_others(tmp_path):
    netcdf(tmp_path / "x.nc")
    url = (tmp_path / "x.nc").as_uri()
    with virtualizarr.open_virtual_dataset(url, registry(), VirtualParser()) as virtual:
        virtual.vz.to_kerchunk(tmp_path / "x.json", format="json")
    group = open_kerchunk(tmp_path / "x.json")
    assert group["x"].metadata.compressor == numcodecs.Flac(quanta=0.5)
    assert group["time"].metadata.compressor is None
    with h5py.File(tmp_path / "x.nc") as file:
        for name in ("x", "time"):
            assert same_bits(group[name][...], file[name][...])


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize("kind", ["FLAC", "gzip", "plain"])
def test_xarray_masks_kerchunks_references_as_hdf5(tmp_path, kind):
    """HDF5's fill value, 0, would be taken for missing samples."""
    options = {"FLAC": {**Flac(), "chunks": (2,)}, "gzip": {"compression": "gzip"}, "plain": {}}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("flac", data=np.arange(3), **Flac())
        for dtype, fill in (("f8", -999.0), ("f4", np.nan), ("f4", -np.inf), ("i2", -999)):
            data = np.array([0, 1, fill, 2], dtype)
            x = file.create_dataset(f"{dtype}{fill}", data=data, **options[kind])
            x.attrs["_FillValue"] = data[2]
        day = file.create_dataset("day", data=np.arange(4), **options[kind])
        day.attrs["units"] = "days since 2000-01-01"
        file["complex"] = np.array([0, 1j, 2])
        file["complex"].attrs["_FillValue"] = 1j
        file["flag"], file["one"] = np.array([True, False]), 0.0
        file["text"] = np.array([b"", b"a"])
    write_kerchunk(tmp_path / "x.h5", loadable_variables=["one"])
    store = virtual_zarr(tmp_path / "x.h5")
    with (
        xarray.open_zarr(store, consolidated=False, chunks=None) as want,
        open_kerchunk_in_xarray(tmp_path / "x.json") as got,
    ):
        assert int(want["f8-999.0"].isnull().sum()) == 1
        for name in want:
            assert got[name].dtype == want[name].dtype
            np.testing.assert_array_equal(got[name], want[name])


@pytest.mark.parametrize(
    "options",
    [{**Flac(), "chunks": (2,)}, {"chunks": (2,)}, {}],
    ids=["FLAC", "chunks", "contiguous"],
)
def test_fill_values_that_kerchunks_chunks_need_are_warned_of(tmp_path, options):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("flac", data=np.arange(3), **Flac())
        for name, fill, mask in (("a", 0, None), ("b", 0, -1), ("c", -1, -1), ("d", np.nan, None)):
            for dtype in ("f4", "i4") if name != "d" else ("f4",):
                x = file.create_dataset(f"{name}_{dtype}", (4,), dtype, fillvalue=fill, **options)
                if options:
                    x[:2] = [0, 1]
                if mask is not None:
                    x.attrs["_FillValue"] = x.dtype.type(mask)
    with pytest.warns(UserWarning, match="for missing samples") as warned:
        write_kerchunk(tmp_path / "x.h5")
    messages = sorted(str(warning.message) for warning in warned)
    assert [message[:5] for message in messages] == ["a_f4:", "a_i4:", "b_f4:", "b_i4:"]
    assert all(re.search(r"It must stay 0(\.0)?, as chunks .* icechunk", text) for text in messages)
    store = virtual_zarr(tmp_path / "x.h5")
    with (
        xarray.open_zarr(store, consolidated=False, chunks=None) as want,
        open_kerchunk_in_xarray(tmp_path / "x.json") as got,
    ):
        for name in ("c_f4", "c_i4", "d_f4"):
            np.testing.assert_array_equal(got[name], want[name])


def test_fill_values_of_references_without_flac_stay(tmp_path):
    """They may be kerchunk's own, where they do mean missing samples."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(3)
    write_kerchunk(tmp_path / "x.h5")
    assert open_kerchunk(tmp_path / "x.json")["x"].fill_value == 0


def write_kerchunk(path, **options):
    url = path.as_uri()
    with virtualizarr.open_virtual_dataset(url, registry(), VirtualParser(), **options) as virtual:
        virtual.vz.to_kerchunk(path.with_suffix(".json"), format="json")


def kerchunk_store(path):
    files = fsspec.filesystem("reference", fo=str(path), remote_protocol="file", asynchronous=True)
    return zarr.storage.FsspecStore(files, path="", read_only=True)


def open_kerchunk(path):
    return zarr.open_group(kerchunk_store(path), mode="r", zarr_format=2)


def open_kerchunk_in_xarray(path):
    return xarray.open_zarr(kerchunk_store(path), consolidated=False, chunks=None, zarr_format=2)


def test_the_parser_can_be_pickled(tmp_path):
    parser = pickle.loads(pickle.dumps(VirtualParser(drop_variables=["y"])))
    store = parser(write(tmp_path / "x.h5", make()).as_uri(), registry())
    np.testing.assert_array_equal(open_x(store)[...], make())
