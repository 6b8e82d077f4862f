"""Chunks are where HDF5 has them, in every format of files, through every door."""

from __future__ import annotations

import ctypes
import io
import itertools
import json
import subprocess
import sys

import fsspec
import h5py
import hdf5plugin
import numpy as np
import pytest
import virtualizarr
import zarr
from h5py import h5p, h5s
from hypothesis import example, given, settings
from hypothesis import strategies as st
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore
from virtualizarr.parsers.hdf import hdf

from flaccodec import FlacArray, hdf5
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import Flac, VirtualParser, virtual_zarr
from flaccodec.hdf5.chunks import places as hdf5_places
from flaccodec.hdf5.chunks import stored as hdf5_chunks
from flaccodec.hdf5.low_level import library as hdf5_library

OURS = {
    "flac": {"compression": Flac(frame_size=16)},
    "flac, fletcher32": {"compression": Flac(frame_size=16), "fletcher32": True},
}
OTHERS = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "shuffle": {"shuffle": True},
    "zstd": {"compression": hdf5plugin.Zstd()},
}
LIBVERS = ["earliest", "v108", "v110", "v112", "latest"]

pytestmark = pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")


@st.composite
def layouts(draw, filters):
    """How a dataset is made, and which of its samples are written: then, and after it has grown."""
    axes = draw(st.integers(1, 3))
    chunks, shape, maxshape, first = [], [], [], []
    for _ in range(axes):
        chunk, n = draw(st.integers(1, 4)), draw(st.integers(1, 13))
        largest = draw(st.sampled_from([n, None, None, n + draw(st.integers(1, 9))]))
        chunks.append(chunk if largest is None else min(chunk, largest))
        shape.append(n)
        maxshape.append(largest)
        first.append(draw(st.integers(1, n)))
    return {
        "filters": draw(st.sampled_from(list(filters))),
        "libver": draw(st.sampled_from(LIBVERS)),
        "chunks": tuple(chunks),
        "shape": tuple(shape),
        "maxshape": tuple(maxshape),
        "first": tuple(first),  # its shape at first
        "missing": draw(st.sampled_from([0, 0, 0.4, 1])),
        "userblock": draw(st.sampled_from([0, 0, 0, 512])),
    }


def case(filters, maxshape, chunks, libver="latest", shape=(6, 40), **more):
    """The shape of the first argument, as `layouts` makes them."""
    rest = {"first": shape, "missing": 0, "userblock": 0, **more}
    layout = {"filters": filters, "libver": libver, "chunks": chunks, "shape": shape}
    return example(layout={**layout, "maxshape": maxshape, **rest})


def create(path, layout, swmr=False):
    """Make the dataset, and return what is in it."""
    rng = np.random.default_rng(0)
    shape, chunks = layout["shape"], layout["chunks"]
    samples = np.arange(1, np.prod(shape) + 1, dtype="i4").reshape(shape)
    samples *= rng.choice([-1, 1000], shape)
    libver = (layout["libver"], "latest")
    with h5py.File(path, "w", libver=libver, userblock_size=layout["userblock"]) as file:
        options = {**OURS, **OTHERS}[layout["filters"]]
        x = file.create_dataset(
            "x", layout["first"], "i4", chunks=chunks, maxshape=layout["maxshape"], **options
        )
        if swmr:
            file.swmr_mode = True
        for size in (layout["first"], shape):
            x.resize(size)
            for chunk in x.iter_chunks():
                if rng.random() >= layout["missing"]:
                    x[chunk] = samples[chunk]
        return x[...]


def stored_where(x):
    """Return which chunks are stored, by HDF5's lookup of each."""
    there = set()
    for chunk in x.iter_chunks():
        offset = tuple(part.start for part in chunk)
        if hdf5_places.has_chunks(x) and hdf5_places.read_chunk(x, offset) is not None:
            there.add(tuple(i // c for i, c in zip(offset, x.chunks, strict=True)))
    return there


def check_reads(path, want):
    rng = np.random.default_rng(1)
    for mode in ("r", "r+"):
        with h5py.File(path, mode) as file:
            x = file["x"]
            np.testing.assert_array_equal(hdf5.read(x), want)
            for _ in range(4):
                ends = [sorted(rng.integers(0, n + 1, 2)) for n in want.shape]
                part = tuple(slice(int(a), int(b)) for a, b in ends)
                np.testing.assert_array_equal(hdf5.read(x, part), want[part])
            array = hdf5.to_zarr(x, {})
            np.testing.assert_array_equal(array[...], want)
            kept = {tuple(map(int, k.split("/")[1:])) for k in array.store._store_dict if "c/" in k}
            assert kept == stored_where(x)
            np.testing.assert_array_equal(FlacArray.read_hdf5(x).to_array(), want)


def check_virtual(path, want):
    np.testing.assert_array_equal(zarr.open_array(virtual_zarr(path), path="x", mode="r"), want)


def check_writes(path, want):
    rng = np.random.default_rng(2)
    for number in range(4):
        ends = [sorted(rng.choice(n + 1, 2, replace=False)) for n in want.shape]
        part = tuple(slice(int(a), int(b)) for a, b in ends)
        with h5py.File(path, "r+") as file:
            hdf5.write(file["x"], np.full(want[part].shape, number, "i4"), part)
            want[part] = number
            np.testing.assert_array_equal(hdf5.read(file["x"]), want)
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["x"][...], want)


@pytest.mark.parametrize("passed", [0, 2**40], ids=["parts of chunks", "whole chunks"])
@settings(max_examples=50)
@given(layout=layouts(OURS))
@case("flac", (6, None), (2, 8))
@case("flac", (6, None), (4, 7), libver="v110")
@case("flac", (9, None), (2, 8), first=(2, 3), missing=0.4)
@case("flac", (64, None), (8, 40), shape=(64, 40))
@case("flac", (64, None), (64, 40), shape=(64, 40))
@case("flac, fletcher32", (4, None, 9), (2, 3, 4), shape=(4, 9, 9), userblock=512)
@case("flac", (30, 50), (2, 8), libver="v112", first=(2, 8))
def test_our_doors_give_what_hdf5_gives(tmp_path_factory, layout, passed):
    path = tmp_path_factory.mktemp("places") / "x.h5"
    want = create(path, layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5_chunks, "PASSED_NBYTES", passed)
        check_reads(path, want)
        check_virtual(path, want)
        check_writes(path, want)


@settings(max_examples=50)
@given(layout=layouts(OTHERS))
@case("none", (6, None), (2, 8))
@case("gzip", (6, None), (2, 8), missing=0.4)
@case("shuffle", (64, None), (8, 40), shape=(64, 40))
@case("zstd", (4, None, 9), (2, 3, 4), shape=(4, 9, 9), first=(3, 2, 1), userblock=512)
def test_what_virtualizarr_reads_for_us_is_what_hdf5_gives(tmp_path_factory, layout):
    path = tmp_path_factory.mktemp("places") / "x.h5"
    check_virtual(path, create(path, layout))


def both(path):
    """A file with datasets of both kinds, whose chunks HDF5's queries name wrongly."""
    layout = {"chunks": (2, 8), "shape": (6, 40), "maxshape": (6, None), "first": (6, 40)}
    layout |= {"libver": "latest", "missing": 0, "userblock": 0}
    want = create(path, {**layout, "filters": "flac"})
    with h5py.File(path, "r+", libver="latest") as file:
        file.create_dataset(
            "gzip", data=-want, chunks=(2, 8), maxshape=(6, None), compression="gzip"
        )
    return want


def test_hdf5_itself_is_wrong_as_long_as_we_work_around_it(tmp_path):
    """Fails when HDF5 is mended: then `queries_are_right` may say so, by HDF5's version."""
    both(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        for x in file.values():
            right = [tuple(part.start for part in chunk) for chunk in x.iter_chunks()]
            told = {tuple(info.chunk_offset) for info in hdf5_places.told_chunks(x)}
            assert told != set(right)
            assert not hdf5_places.queries_are_right(x)


@pytest.mark.parametrize("libver", LIBVERS)
def test_queries_are_right_where_we_say_so(tmp_path, libver):
    """All kinds of axes; data without a filter, with one, allocated early or late."""
    shape, chunks = (4, 6, 10), (2, 3, 4)
    right = 0
    with h5py.File(tmp_path / "x.h5", "w", libver=libver) as file:
        kinds = itertools.product(*[(n, n + 7, h5s.UNLIMITED) for n in shape])
        for number, (maxshape, early, packed) in enumerate(
            itertools.product(kinds, [False, True], [False, True])
        ):
            plist = h5p.create(h5p.DATASET_CREATE)
            plist.set_chunk(chunks)
            if early:
                plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            if packed:
                plist.set_deflate(1)
            space = h5s.create_simple(shape, maxshape)
            made = h5py.h5d.create(
                file.id, str(number).encode(), h5py.h5t.NATIVE_INT32, space, plist
            )
            made.write(h5s.ALL, h5s.ALL, np.arange(240, dtype="i4"))
            file.flush()
            x = h5py.Dataset(made)
            if not hdf5_places.queries_are_right(x):
                continue
            right += 1
            image = file.id.get_file_image()
            for info in hdf5_places.told_chunks(x):
                again = made.get_chunk_info_by_coord(info.chunk_offset)
                assert again == info
                stored = image[info.byte_offset : info.byte_offset + info.size]
                assert stored == made.read_direct_chunk(info.chunk_offset)[1]
    # In the newer format 8 of 27 kinds have one unlimited axis that is not the first.
    assert right == (108 if libver in ("earliest", "v108") else 108 - 4 * 8)


def test_where_hdf5_cannot_be_asked_no_query_is_trusted(tmp_path, monkeypatch):
    want = both(tmp_path / "x.h5")

    class WithoutFunctions:
        def __init__(self, name):
            pass

    hdf5_library.library_function.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", WithoutFunctions)
    try:
        with h5py.File(tmp_path / "x.h5") as file:
            assert not hdf5_places.queries_are_right(file["x"])
            np.testing.assert_array_equal(hdf5.read(file["x"]), want)
    finally:
        hdf5_library.library_function.cache_clear()


def test_files_that_are_written_by_swmr(tmp_path):
    for maxshape in ((6, None), (None, 40), (6, 40), (None, None)):
        layout = {"chunks": (2, 8), "shape": (6, 40), "maxshape": maxshape, "first": (6, 40)}
        layout |= {"libver": "v110", "missing": 0.4, "userblock": 0, "filters": "flac"}
        path = tmp_path / "x.h5"
        want = create(path, layout, swmr=True)
        check_reads(path, want)
        check_virtual(path, want)
        with h5py.File(path, "r+", libver="v110") as writer:
            writer.swmr_mode = True
            writer["x"][3] = want[3] = 7
            writer["x"].flush()
            with h5py.File(path, swmr=True) as file:
                np.testing.assert_array_equal(hdf5.read(file["x"]), want)
                np.testing.assert_array_equal(hdf5.to_zarr(file["x"], {}), want)
                np.testing.assert_array_equal(FlacArray.read_hdf5(file["x"]).to_array(), want)


def test_chunks_in_hdf5s_cache_are_written_first(tmp_path):
    """In a process of its own: h5py's buffer would be too short, which ends it."""
    script = """
import sys, h5py, numpy as np
from flaccodec import FlacArray, hdf5
x = np.arange(100_000, dtype="i4").reshape(10, -1)
for maxshape in ((10, 10_000), (10, None), (None, None)):
    for chunks in ((10, 10_000), (2, 1000)):
        with h5py.File(sys.argv[1], "w", libver="latest") as file:
            ways = hdf5.read, lambda d: hdf5.to_zarr(d, {})[:], lambda d: FlacArray.read_hdf5(d)[:]
            for number, way in enumerate(ways):
                d = file.create_dataset(str(number), x.shape, "i4", chunks=chunks,
                                        maxshape=maxshape, fillvalue=-1, compression=hdf5.Flac())
                file.id.get_vfd_handle()
                for _ in range(2):
                    got = np.asarray(way(d).to_array() if hasattr(way(d), "to_array") else way(d))
                    np.testing.assert_array_equal(got, d[...])
                    d[...] = x
            hdf5.write(d, 5, np.s_[3, 100:200])
            d[4, :] = 6
            hdf5.write(d, 7, np.s_[4, 100:200])
            x2 = x.copy()
            x2[3, 100:200], x2[4], x2[4, 100:200] = 5, 6, 7
            np.testing.assert_array_equal(hdf5.read(d), x2)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "x.h5")], check=True)


def test_a_chunk_that_cannot_be_read_is_not_missing(tmp_path):
    class Cut:
        """A file whose second half cannot be read."""

        def __init__(self, file):
            self.file, self.seek, self.tell = file, file.seek, file.tell

        def read(self, nbytes):
            if self.fails:
                raise OSError("cannot read the disk")
            return self.file.read(nbytes)

    both(tmp_path / "x.h5")
    with (tmp_path / "x.h5").open("rb") as opened:
        cut = Cut(opened)
        cut.fails = False
        with h5py.File(cut) as file:
            x = file["x"]
            assert hdf5_places.has_chunks(x)
            cut.fails = True
            for way in (hdf5.read, lambda x: hdf5.to_zarr(x, {}), FlacArray.read_hdf5):
                with pytest.raises(OSError, match="cannot read the disk"):
                    way(x)
            cut.fails = False


# -- virtual stores ------------------------------------------------------------------------


def test_no_chunk_is_fetched_to_find_it(tmp_path):
    shape = (8, 400_000)
    noise = np.random.default_rng(0).integers(-(2**30), 2**30, shape, "i4")
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        options = {"data": noise, "chunks": (2, 50_000), "maxshape": (8, None)}
        file.create_dataset("x", **options, **Flac())
        file.create_dataset("plain", **options)
    read = []

    class Reader:
        def __init__(self, store, path):
            self.file = io.BytesIO((tmp_path / "x.h5").read_bytes())
            self.seek = self.file.seek

        def read(self, nbytes):
            read.append(nbytes)
            return self.file.read(nbytes)

    registry = ObjectStoreRegistry({"file://": LocalStore()})
    parser = VirtualParser(reader_factory=Reader)
    store = parser(f"file://{tmp_path / 'x.h5'}", registry)
    assert sum(read) < 300_000
    for name in ("x", "plain"):
        got = zarr.open_array(store, path=name, mode="r")
        np.testing.assert_array_equal(got[3:, 40_000:60_000], noise[3:, 40_000:60_000])
        np.testing.assert_array_equal(got[7], noise[7])


def test_kerchunks_references(tmp_path):
    want = both(tmp_path / "x.h5")
    registry = ObjectStoreRegistry({"file://": LocalStore()})
    virtual = virtualizarr.open_virtual_dataset(
        f"file://{tmp_path / 'x.h5'}", registry, VirtualParser()
    )
    virtual.vz.to_kerchunk(str(tmp_path / "x.json"), format="json")
    assert json.loads((tmp_path / "x.json").read_text())
    files = fsspec.filesystem(
        "reference", fo=str(tmp_path / "x.json"), remote_protocol="file", asynchronous=True
    )
    store = zarr.storage.FsspecStore(files, path="", read_only=True)
    root = zarr.open_group(store, mode="r", zarr_format=2)
    np.testing.assert_array_equal(root["x"][...], want)
    np.testing.assert_array_equal(root["gzip"][...], -want)


def test_a_filter_mask_is_named_by_its_place_in_the_file(tmp_path):
    both(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["gzip"].id.write_direct_chunk((2, 16), bytes(64), 1)
        told = hdf5_places.told_chunks(file["gzip"])
        place = next(info.byte_offset for info in told if info.filter_mask)
    message = rf"^/gzip, in file:.* of the chunk at byte {place:,} of the file: copy"
    with pytest.raises(ConfigurationError, match=message):
        virtual_zarr(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        samples = np.arange(16, dtype="i4").tobytes()
        file["x"].id.write_direct_chunk((2, 16), samples, 1)
    with pytest.raises(ConfigurationError, match=r"^/x, chunk at \(2, 16\), in file:.*mask 1: "):
        virtual_zarr(tmp_path / "x.h5", drop_variables="gzip")


def test_a_virtualizarr_that_cannot_be_taught_is_not_asked(tmp_path, monkeypatch):
    want = both(tmp_path / "x.h5")
    monkeypatch.delattr(hdf, "_dataset_chunk_manifest")
    with pytest.raises(ConfigurationError, match=r"^/gzip, in file:.*one unlimited axis that is n"):
        virtual_zarr(tmp_path / "x.h5")
    store = virtual_zarr(tmp_path / "x.h5", drop_variables="gzip")
    np.testing.assert_array_equal(zarr.open_array(store, path="x", mode="r"), want)


def test_virtualizarrs_own_parser_is_as_it_was(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(5)
    registry = ObjectStoreRegistry({"file://": LocalStore()})
    store = virtualizarr.parsers.HDFParser()(f"file://{tmp_path / 'x.h5'}", registry)
    np.testing.assert_array_equal(zarr.open_array(store, path="x", mode="r"), np.arange(5))
