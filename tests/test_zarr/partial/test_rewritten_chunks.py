"""Chunks that are written anew while they are read: no race gives wrong samples."""

from __future__ import annotations

import asyncio
import itertools

import h5py
import numpy as np
import pytest
import zarr
from zarr.core.array_spec import ArrayConfig, ArraySpec
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.core.dtype import Float32, Int32
from zarr.storage import LocalStore, MemoryStore, StorePath

import flaccodec
from flaccodec import FlacCodec, core, hdf5
from flaccodec.chunks.index import ChunkIndex
from flaccodec.chunks.options import CodecOptions
from flaccodec.zarr import chunk_reader as partial
from support.watched_store import InOrder

FRAME, N_FRAMES = 16, 6
SHAPE = 1, FRAME * N_FRAMES
KEY = "c/0/0"


class RewrittenStore(MemoryStore):
    """Has another writing of a chunk at each request, as it is told."""

    writings = itertools.repeat(b"")

    async def get(self, key, prototype, byte_range=None):
        chunk = next(self.writings)
        if byte_range is not None:
            chunk = chunk[byte_range.start : byte_range.end]
        return cpu.Buffer.from_bytes(chunk)


def noise(number):
    """Samples whose frames all have the same size, and that no other number's have."""
    rng = np.random.default_rng(number)
    return 1_000_000 + 70_000 * number + rng.integers(-30_000, 30_000, SHAPE)


def with_missing(number):
    """The same as floats, of which some, the number's own, are exceptions."""
    samples = noise(number).astype("float32")
    samples[:, ::FRAME] = [np.nan, -number, np.inf, np.nan, number, -np.inf]
    return samples


KINDS = {
    "integers": (noise, Int32(), CodecOptions(frame_size=FRAME)),
    "exceptions": (with_missing, Float32(), CodecOptions(quanta=1.0, frame_size=FRAME)),
}


async def call_at_once(function, *args):
    """Do without a thread, which takes most of the time."""
    return function(*args)


def entries(chunk):
    """Return the sizes and CRC bits of a chunk's frames."""
    return np.frombuffer(chunk, "<u4", N_FRAMES, core.read_header(chunk).sizes_at)


def twins(chunks):
    """Give frames whose entries in the index are the same in two chunks: (frame, one, other)."""
    for frame in range(N_FRAMES):
        groups = {}
        for number, chunk in enumerate(chunks):
            groups.setdefault(entries(chunk)[frame], []).append(number)
        for group in groups.values():
            yield from ((frame, *pair) for pair in itertools.permutations(group, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("remembered", [False, True])
def test_no_race_gives_wrong_samples(kind, remembered, monkeypatch):
    """100,000 reads in all, of chunks that are rewritten between any two requests.

    Each is of a frame whose entry in the index (size, CRC bits) is the same in both writings,
    which has nothing but the header to tell them apart.
    """
    monkeypatch.setattr(asyncio, "to_thread", call_at_once)
    make, dtype, options = KINDS[kind]
    data = [make(number) for number in range(600)]
    data = [array.astype(dtype.to_native_dtype()) for array in data]
    chunks = [options.encode(array).tobytes() for array in data]
    store = RewrittenStore()
    place = StorePath(store, KEY)
    reader = partial.ChunkReader(place, default_buffer_prototype())
    indexes = [ChunkIndex.from_head(np.frombuffer(chunk, np.uint8)) for chunk in chunks]
    codec = FlacCodec(**options.to_dict())
    spec = ArraySpec(
        SHAPE, dtype, 0, ArrayConfig.from_dict({"order": "C"}), default_buffer_prototype()
    )
    races = [(*twin, when) for twin in twins(chunks) for when in range(4)]
    assert len(races) > 400
    torn = 0

    async def read_all():
        nonlocal torn
        for frame, old, new, when in itertools.islice(itertools.cycle(races), 25_000):
            selection = 0, slice(frame * FRAME, (frame + 1) * FRAME)
            if remembered:
                partial.index_cache.put(place, indexes[old])
            else:
                partial.index_cache.drop(place)
            store.writings = itertools.chain(
                itertools.repeat(chunks[old], when), itertools.repeat(chunks[new])
            )
            values = (await codec._read(reader, selection, spec)).as_numpy_array()
            torn += not any(
                np.array_equal(values, data[number][selection], equal_nan=True)
                for number in (old, new)
            )

    asyncio.run(read_all())
    assert torn == 0


# -- through zarr ------------------------------------------------------------------------


def two_writings():
    """Return two arrays whose chunks have frames of the same entries, and one such frame."""
    data = [noise(number).astype("int32") for number in range(600)]
    chunks = [core.encode_chunk(array, frame_size=FRAME).tobytes() for array in data]
    frame, old, new = next(twins(chunks))
    place = slice(frame * FRAME, (frame + 1) * FRAME)
    return (data[old], chunks[old]), (data[new], chunks[new]), place


@pytest.mark.parametrize("when", range(5))
@pytest.mark.parametrize("make_store", [MemoryStore, LocalStore])
def test_a_slice_of_a_chunk_that_is_rewritten(tmp_path, make_store, when):
    (old, _), (new, new_chunk), frame = two_writings()
    store = InOrder(make_store() if make_store is MemoryStore else make_store(tmp_path))
    array = flaccodec.create_array(
        store, data=old, chunks=SHAPE, codecs=[FlacCodec(frame_size=FRAME)]
    )

    def rewrite():
        store._store.set_sync(KEY, cpu.Buffer.from_bytes(new_chunk))

    store.forget()
    store.after = {when: rewrite}
    if when == 0:
        store.after.pop(when)()
    values = array[0, frame]
    rewritten = not store.after
    store.after.clear()
    assert any(np.array_equal(values, data[0, frame]) for data in (old, new))
    assert np.array_equal(array[0, frame], new[0, frame]) == rewritten


@pytest.mark.parametrize("when", range(1, 5))
def test_a_slice_of_a_virtual_store_whose_file_is_rewritten(tmp_path, when):
    """That is not allowed, and HDF5 locks files against it: but there are no wrong samples."""
    (old, old_chunk), (new, new_chunk), frame = two_writings()
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=old, chunks=SHAPE, compression=hdf5.Flac(frame_size=FRAME))
    place = (tmp_path / "x.h5").read_bytes().index(old_chunk)

    def rewrite():
        with open(tmp_path / "x.h5", "r+b") as file:
            file.seek(place)
            file.write(new_chunk)

    store = InOrder(hdf5.virtual_zarr(tmp_path / "x.h5"))
    array = zarr.open_array(store, path="x", mode="r")
    store.forget()
    store.after = {when: rewrite}
    values = array[0, frame]
    assert any(np.array_equal(values, data[0, frame]) for data in (old, new))
