"""Killed while writing, or out of space: what was not finished does not open."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
import time

import h5py
import numpy as np
import obstore.store
import pytest
import zarr
from zarr.core.sync import sync
from zarr.errors import NodeTypeValidationError
from zarr.storage import LocalStore, ObjectStore, WrapperStore

import flaccodec
import flaccodec.zarr
from flaccodec import FlacArray, FlacCodec, hdf5
from flaccodec.exceptions import FlacCodecError

SHAPE, CHUNKS = (30, 400), (1, 400)
MOMENTS = 50


def walk(seed, shape=SHAPE):
    steps = np.random.default_rng(seed).integers(-9, 9, shape)
    return 1000 + np.cumsum(steps, axis=1).astype("int32")


DATA, OLD = walk(0), walk(1)


class KilledError(Exception):
    """What is raised where the process would be gone."""


class MortalStore(WrapperStore):
    """Does some changes, and then no more, as when the process that asks for them is killed.

    Attributes
    ----------
    left : int or None
        How many more it does; None for all.
    error : BaseException
        What it raises at all later ones.
    for_ever : bool
        Whether to refuse what removes things, too, as only a dead process does.
    """

    left = None
    error = KilledError()
    for_ever = True

    def _with_store(self, store):
        return self  # of another mode

    def _live(self):
        if self.left is not None:
            if self.left <= 0:
                raise self.error
            self.left -= 1

    async def set(self, key, value, *args):
        self._live()
        await self._store.set(key, value)

    async def set_if_not_exists(self, key, value):
        self._live()
        await self._store.set_if_not_exists(key, value)

    async def delete(self, key):
        if self.for_ever:
            self._live()
        await self._store.delete(key)

    async def delete_dir(self, prefix):
        """Delete key after key, the metadata last, as a store may."""
        keys = [key async for key in self._store.list_prefix(f"{prefix}/" if prefix else "")]
        for key in sorted(keys, key=lambda key: (key.endswith("zarr.json"), key)):
            await self.delete(key)

    async def clear(self):
        await self.delete_dir("")


@pytest.fixture(params=["local", "object"])
def make_store(request, tmp_path):
    numbers = iter(range(10_000))

    def make():
        if request.param == "local":
            return MortalStore(LocalStore(tmp_path / f"{next(numbers)}.zarr"))
        return MortalStore(ObjectStore(obstore.store.MemoryStore()))

    return make


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    with h5py.File(tmp_path_factory.mktemp("source") / "x.h5", "w") as file:
        yield file.create_dataset("x", data=DATA, chunks=CHUNKS, compression=hdf5.Flac())


class Elsewhere:
    """An array that can be sliced, and is not in memory."""

    shape, dtype = DATA.shape, DATA.dtype

    def __getitem__(self, part):
        return DATA[part]


FA = FlacArray.from_array(DATA)
DOORS = {
    "hdf5.to_zarr": lambda store, dataset, **options: hdf5.to_zarr(dataset, store, **options),
    "FlacArray.to_zarr": lambda store, _, **options: FA.to_zarr(store, chunks=CHUNKS, **options),
    "FlacArray.to_zarr, by blocks": lambda store, _, **options: FA.to_zarr(
        store, chunks=(1, 200), **options
    ),
    "FlacArray.to_zarr, shards": lambda store, _, **options: FA.to_zarr(
        store, chunks=CHUNKS, shards=(2, 400), **options
    ),
    "create_array": lambda store, _, **options: flaccodec.create_array(
        store, data=DATA, chunks=CHUNKS, **options
    ),
    "create_array, by blocks": lambda store, _, **options: flaccodec.create_array(
        store, data=Elsewhere(), chunks=CHUNKS, **options
    ),
}


def what_opens(store, name=None):
    """Return the samples of an array; None where it does not open."""
    try:
        array = zarr.open_array(store._store, path=name, mode="r")
    except (FileNotFoundError, NodeTypeValidationError):  # nothing, or a group
        return None
    return array[...]


def count_changes(make, store):
    store.left = 10**9
    make(store)
    return 10**9 - store.left


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("options", [{"name": "group/x"}, {"overwrite": True}], ids=str)
def test_what_was_killed_does_not_open(make_store, dataset, door, options):
    """At up to 50 moments, from the first change of the store to the last."""

    def make(store):
        return DOORS[door](store, dataset, **options)

    name = options.get("name")

    def start():
        store = make_store()
        if "overwrite" in options:
            flaccodec.create_array(store._store, data=OLD, chunks=(2, 400))
        return store

    total = count_changes(make, start())
    moments = sorted(set(np.linspace(0, total, MOMENTS).astype(int).tolist()))
    assert len(moments) > 30 or "shards" in door
    for left in moments:
        store = start()
        store.left = left
        with pytest.raises(KilledError) if left < total else contextlib.nullcontext():
            make(store)
        store.left = None
        found = what_opens(store, name)
        if left == total:
            np.testing.assert_array_equal(found, DATA)
        elif left == 0 and "overwrite" in options:
            np.testing.assert_array_equal(found, OLD)
        else:
            assert found is None, f"opens after {left} of {total} changes"


@pytest.mark.parametrize("door", DOORS)
def test_a_full_disk_leaves_nothing(make_store, dataset, door):
    name = "group/x"
    total = count_changes(lambda store: DOORS[door](store, dataset, name=name), make_store())
    for left in (0, 1, total // 2, total - 1):
        store = make_store()
        store.left, store.error, store.for_ever = left, OSError(28, "No space left"), False
        with pytest.raises(OSError, match="No space left"):
            DOORS[door](store, dataset, name=name)
        assert sync(store._store.is_empty("")), f"after {left} of {total} changes"


@pytest.mark.parametrize("door", DOORS)
def test_what_was_killed_can_be_made_again(make_store, dataset, door):
    store = make_store()
    store.left = 12
    with pytest.raises(KilledError):
        flaccodec.create_array(store, data=OLD, chunks=CHUNKS)
    store.left = None
    np.testing.assert_array_equal(DOORS[door](store, dataset)[...], DATA)
    np.testing.assert_array_equal(what_opens(store), DATA)


def test_chunks_of_what_was_killed_are_not_those_that_are_missing(make_store, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", SHAPE, "i4", chunks=CHUNKS, fillvalue=7, **hdf5.Flac())
        x[5] = DATA[5]
        store = make_store()
        store.left = 20
        with pytest.raises(KilledError):
            flaccodec.create_array(store, data=OLD, chunks=CHUNKS)
        store.left = None
        np.testing.assert_array_equal(hdf5.to_zarr(x, store)[...], x[...])


def test_a_group_that_is_replaced_does_not_open(make_store):
    """Nor do its arrays, of which some chunks are gone before others."""

    def start():
        store = make_store()
        for name in ("x", "inner/y"):
            flaccodec.create_array(store._store, name=name, data=OLD, chunks=CHUNKS)
        return store

    def make(store):
        return flaccodec.create_array(store, data=DATA, chunks=CHUNKS, overwrite=True)

    total = count_changes(make, start())
    for left in range(total):
        store = start()
        store.left = left
        with pytest.raises(KilledError):
            make(store)
        assert what_opens(store) is None
        for name in ("x", "inner/y"):
            found = what_opens(store, name)
            assert found is None or np.array_equal(found, OLD)


def test_what_is_refused_replaces_nothing(make_store):
    store = make_store()
    flaccodec.create_array(store, data=OLD, chunks=CHUNKS)
    for options in ({"codecs": [FlacCodec(quanta=1)]}, {"dimension_names": ["a"]}):
        with pytest.raises(ValueError, match=r"quanta|dimension"):
            flaccodec.create_array(store, data=DATA, overwrite=True, **options)
        np.testing.assert_array_equal(what_opens(store), OLD)


# -- groups ------------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_group_that_was_killed_is_none(make_store, stale, zarr_format):
    """Nor is it where an array's attributes, but not its datasets, were there before."""
    fa = FlacArray.from_array(DATA.astype("float64") / 3, quanta=0.01)

    def start():
        store = make_store()
        group = zarr.create_group(store, zarr_format=zarr_format)
        if stale:
            FlacArray.from_array(OLD.astype("float64"), quanta=1.0).write_zarr(group)
            for name in list(group):
                del group[name]
        return store, group

    store, group = start()
    total = count_changes(lambda _: fa.write_zarr(group), store)
    for left in range(total):
        store, group = start()
        store.left = left
        with pytest.raises(KilledError):
            fa.write_zarr(group)
        with pytest.raises(FlacCodecError):
            FlacArray.read_zarr(zarr.open_group(store._store, mode="r"))
    store.left = None
    store, group = start()
    fa.write_zarr(group)
    read = FlacArray.read_zarr(zarr.open_group(store._store, mode="r"))
    np.testing.assert_array_equal(read.to_array(), fa.to_array())


# -- a process that is killed --------------------------------------------------------------

PROGRAM = """
import sys, zarr, h5py, numpy as np
from flaccodec import FlacArray, create_array, hdf5
x = np.cumsum(np.random.default_rng(0).integers(-9, 9, (64, 20_000)), axis=1).astype("i4")
fa = FlacArray.from_array(x)
source = h5py.File("src.h5")["x"]
for number in range(1000):
    target = f"{number}.zarr"
    print(number, flush=True)
    MAKE
"""
MAKES = {
    "hdf5.to_zarr": "hdf5.to_zarr(source, target)",
    "FlacArray.to_zarr": "fa.to_zarr(target, chunks=(1, 20_000))",
    "create_array": "create_array(target, data=x, chunks=(1, 20_000))",
}


@pytest.mark.parametrize("door", MAKES)
def test_a_process_that_is_killed_leaves_no_array(tmp_path, door):
    x = np.cumsum(np.random.default_rng(0).integers(-9, 9, (64, 20_000)), axis=1).astype("i4")
    with h5py.File(tmp_path / "src.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(1, 20_000), compression=hdf5.Flac())
    program = textwrap.dedent(PROGRAM).replace("MAKE", MAKES[door])
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        while process.stdout.readline() != "3\n":
            pass
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        made = 3 + len(process.stdout.readlines())
    for number in range(made + 1):
        try:
            found = zarr.open_array(tmp_path / f"{number}.zarr", mode="r")[...]
        except FileNotFoundError:
            assert number == made
        else:
            np.testing.assert_array_equal(found, x)
