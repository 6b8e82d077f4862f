"""What is not copied between HDF5 and Zarr, and what is there after a failure."""

from __future__ import annotations

import asyncio
import threading
import time

import h5py
import numpy as np
import pytest
import zarr
from zarr.errors import ContainsArrayError

from flaccodec import FlacCodec, core, create_array, hdf5
from flaccodec.exceptions import (
    ChecksumError,
    ChunkMismatchError,
    ConfigurationError,
    CorruptChunkError,
    TruncatedChunkError,
)
from flaccodec.hdf5 import Flac
from flaccodec.hdf5.as_zarr import arrays as hdf5_zarr
from test_hdf5.as_zarr.arrays import CHUNKS, make


def test_datasets_without_the_filter(file):
    for name, options in (("a", {}), ("b", {"compression": "gzip"})):
        x = file.create_dataset(name, data=make(), **options)
        with pytest.raises(ConfigurationError, match=rf"/{name} of .* must have the flaccodec"):
            hdf5.to_zarr(x, {})
    with pytest.raises(TypeError, match=r"must be an h5py.Dataset\. Got File"):
        hdf5.to_zarr(file, {})


ODD_ARRAYS = {
    "zarr_format=2": {"zarr_format": 2},
    "BytesCodec": {"compressors": None},
    "shards": {"serializer": FlacCodec(), "compressors": None, "shards": (4, 6, 200)},
    "ZstdCodec": {"serializer": FlacCodec()},
}


@pytest.mark.parametrize("word", ODD_ARRAYS)
def test_arrays_whose_chunks_are_not_hdf5s(file, word):
    array = zarr.create_array({}, data=make(), chunks=CHUNKS, **ODD_ARRAYS[word])
    with pytest.raises(ConfigurationError, match=f"(?s)must be of zarr_format 3.*{word}.*Flac"):
        hdf5.from_zarr(array, file, "x")
    assert "x" not in file


def test_an_array_without_axes(file):
    with pytest.raises(ConfigurationError, match="Got an array without axes"):
        hdf5.from_zarr(create_array({}, shape=(), dtype="i4"), file, "x")


def test_what_comes_from_the_other_side_cannot_be_given(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    with pytest.raises(ConfigurationError, match="chunks comes from the dataset"):
        hdf5.to_zarr(x, {}, chunks=(1, 1, 1))
    with pytest.raises(ConfigurationError, match="compression comes from the array"):
        hdf5.from_zarr(hdf5.to_zarr(x, {}), file, "y", compression="gzip")
    with pytest.raises(ValueError, match="already exists"):
        hdf5.from_zarr(hdf5.to_zarr(x, {}), file, "x")


@pytest.mark.parametrize(
    "options", [{"fletcher32": True}, {"shuffle": True}, {"scaleoffset": 0}], ids=str
)
def test_other_filters_cannot_be_given(file, options):
    """Zarr's chunks did not go through them: HDF5 would not read the dataset."""
    source = create_array({}, data=make(), chunks=CHUNKS)
    ((name, value),) = options.items()
    with pytest.raises(ConfigurationError, match=f"no filter but FLAC.* Got {name}={value}: leave"):
        hdf5.from_zarr(source, file, "x", **options)
    assert list(file) == []
    off = dict.fromkeys(options, False if value is True else None)
    np.testing.assert_array_equal(hdf5.from_zarr(source, file, "x", **off)[...], make())


def flip_head(chunk):
    return chunk[:70] + bytes([chunk[70] ^ 1]) + chunk[71:]


DAMAGES = [
    (flip_head, ChecksumError),
    (lambda chunk: chunk[:-1], TruncatedChunkError),
    (lambda chunk: chunk + b"x", CorruptChunkError),
    (lambda _: core.encode_chunk(make("f4", CHUNKS)).tobytes(), ChunkMismatchError),
]


@pytest.mark.parametrize(("change", "error"), DAMAGES)
def test_damage_names_the_chunk(file, change, error):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    store = {}
    array = hdf5.to_zarr(x, store)
    _, chunk = x.id.read_direct_chunk((2, 3, 100))
    x.id.write_direct_chunk((2, 3, 100), change(chunk))
    with pytest.raises(error, match=r"^/x of .*x\.h5, chunk at \(2, 3, 100\): "):
        hdf5.to_zarr(x, {})
    store["c/1/1/1"] = zarr.core.buffer.cpu.Buffer.from_bytes(change(chunk))
    with pytest.raises(error, match=r"^chunk .*c/1/1/1: "):
        hdf5.from_zarr(array, file, "y")
    assert list(file) == ["x"]


def files_below(path):
    return {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "other"),
    [(None, None), ("x", None), ("x", "y"), ("inner/deep/x", None), ("inner/deep/x", "inner/y")],
)
def test_what_could_not_be_copied_is_not_there(file, tmp_path, damaged, name, other):
    """An array with some chunks missing would open, and read as the fill value there."""
    root, memory = tmp_path / "x.zarr", {}
    for store in (root, memory):
        if other is not None:
            create_array(store, name=other, data=make(), chunks=CHUNKS)
    before, keys = files_below(root), set(memory)
    sound = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    for store in (root, memory):
        with pytest.raises(CorruptChunkError):
            hdf5.to_zarr(damaged, store, name=name)
    assert (files_below(root), set(memory)) == (before, keys)
    for store in (root, memory):
        np.testing.assert_array_equal(hdf5.to_zarr(sound, store, name=name)[...], make())


def test_what_was_there_before_stays(file, tmp_path, damaged):
    root = tmp_path / "x.zarr"
    hdf5.to_zarr(file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac()), root)
    before = files_below(root)
    with pytest.raises(ContainsArrayError):
        hdf5.to_zarr(damaged, root)
    assert files_below(root) == before
    with pytest.raises(CorruptChunkError):
        hdf5.to_zarr(damaged, root, overwrite=True)
    assert files_below(root) == set()
    (root / "notes.txt").write_text("a note")
    with pytest.raises(CorruptChunkError):
        hdf5.to_zarr(damaged, root)
    assert "zarr.json" not in files_below(root)
    assert (root / "notes.txt").read_text() == "a note"


def test_what_cannot_be_removed_is_told(tmp_path, damaged):
    store = zarr.storage.ZipStore(tmp_path / "x.zip", mode="w")
    with store, pytest.raises(CorruptChunkError) as caught:
        hdf5.to_zarr(damaged, store, name="x")
    assert "is incomplete, and could not be removed" in caught.value.__notes__[0]


def contents(file):
    """Return all there is in a file: the attributes of objects, and links by themselves."""
    found = {}
    file.visititems(lambda name, member: found.update({name: str(dict(member.attrs))}))
    return found, {name: type(file.get(name, getlink=True)) for name in file}


@pytest.mark.parametrize("name", ["x", "g1/g2/x", "/g1/x", "there/x", "there/g2/x", None])
def test_what_could_not_be_copied_is_not_in_hdf5(file, name):
    file.create_group("there")
    before, store = contents(file), {}
    array = create_array(store, data=make(), chunks=CHUNKS)
    store["c/1/1/1"] = zarr.core.buffer.cpu.Buffer.from_bytes(b"damaged")
    with pytest.raises(CorruptChunkError, match="c/1/1/1"):
        hdf5.from_zarr(array, file, name)
    assert contents(file) == before


def test_a_dataset_that_cannot_be_created_leaves_no_groups(file):
    array = create_array({}, data=make(), chunks=CHUNKS)
    with pytest.raises(TypeError):
        hdf5.from_zarr(array, file, "g1/x", no_option=1)
    assert contents(file) == ({}, {})
    file["x"] = make()
    with pytest.raises(ValueError, match="already exists"):
        hdf5.from_zarr(array, file, "x")
    np.testing.assert_array_equal(file["x"][...], make())


def test_a_dataset_without_a_name(file):
    source = create_array({}, data=make(), chunks=CHUNKS, dimension_names=("a", None, None))
    x = hdf5.from_zarr(source, file, None)
    np.testing.assert_array_equal(x[...], make())
    assert list(file) == ["a"]


def scale_with_a_scale(file):
    file["time"], file["seconds"] = np.arange(230), np.arange(230)
    file["seconds"].make_scale()
    file["time"].dims[0].attach_scale(file["seconds"])


def link_to_nothing(file):
    file["time"] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize("prepare", [scale_with_a_scale, link_to_nothing])
def test_scales_that_hdf5_refuses_are_named(file, prepare):
    prepare(file)
    file["day"] = np.arange(5)
    file["hour"] = np.arange(7)
    file["hour"].make_scale("hours")
    before = contents(file)
    for first in ("day", "new"):
        source = create_array(
            {}, data=make(), chunks=CHUNKS, dimension_names=(first, "hour", "time")
        )
        message = r"^dimension 'time' must have 'time' of group / as its scale\..* rename the dim"
        with pytest.raises(ConfigurationError, match=message):
            hdf5.from_zarr(source, file, "x")
    assert contents(file) == before


class SlowStore(zarr.storage.MemoryStore):
    """Counts the chunks that are on their way at once, and refuses one.

    None of them arrives before there are as many as ``expected``, and the one to refuse.
    """

    def __init__(self, expected, refused=None):
        super().__init__()
        self.expected, self.refused = expected, refused
        self.seen = {None}
        self.under_way = self.most = 0

    async def set(self, key, value, *args):
        if key.endswith("zarr.json"):
            return await super().set(key, value, *args)
        self.seen.add(key)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            async with asyncio.timeout(20):
                while self.most < self.expected or self.refused not in self.seen:
                    await asyncio.sleep(0.001)
            if key == self.refused:
                raise OSError("no space left")
            await asyncio.sleep(0.01)  # more would come now
        finally:
            self.under_way -= 1
        await super().set(key, value, *args)


@pytest.mark.parametrize(("n_chunks", "most"), [(3.5, 3), (0.1, 1), (1000, 10)])
def test_chunks_are_in_memory_some_at_a_time(file, monkeypatch, n_chunks, most):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    monkeypatch.setattr(hdf5_zarr, "MOST_NBYTES", int(n_chunks * 600 * 4))
    store = SlowStore(expected=most)
    np.testing.assert_array_equal(hdf5.to_zarr(x, store)[...], make())
    assert store.most == most


def test_nothing_is_written_any_more_after_an_error(file):
    x = file.create_dataset("x", data=make(), chunks=CHUNKS, **Flac())
    store = SlowStore(expected=10, refused="c/0/0/1")
    with pytest.raises(OSError, match="no space left"):
        hdf5.to_zarr(x, store)
    assert store.under_way == 0
    written = dict(store._store_dict)
    time.sleep(0.05)
    assert store._store_dict == written
    assert len(written) <= 1 + 2 * 10


@pytest.mark.parametrize("stored", ["plain", "behind fletcher32", "in memory"])
@pytest.mark.parametrize("where", ["files", "memory"])
def test_copying_where_h5pys_lock_is_held(tmp_path, stored, where):
    """As in a callback of ``visititems``: who helps must not wait for HDF5."""
    memory = {"driver": "core", "backing_store": False} if stored == "in memory" else {}
    store = {} if where == "memory" else tmp_path / "x.zarr"
    copies = []

    def visit():
        with h5py.File(tmp_path / "x.h5", "w", **memory) as file:
            fletcher32 = stored == "behind fletcher32"
            file.create_dataset("x", data=make(), chunks=CHUNKS, fletcher32=fletcher32, **Flac())
            file.visititems(lambda _, x: copies.append(hdf5.to_zarr(x, store)))

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    visitor.join(30)
    assert not visitor.is_alive()
    np.testing.assert_array_equal(copies[0][...], make())
