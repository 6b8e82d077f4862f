"""HDF5 files read in place as Zarr stores: attributes, links and names."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest
import zarr

from flaccodec import hdf5
from flaccodec.exceptions import ConfigurationError, FrameError
from flaccodec.hdf5 import Flac, virtual_zarr
from test_hdf5.as_zarr.files import make, open_x, write


def link_nowhere(group):
    group["bad"] = h5py.SoftLink("/nowhere")


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
