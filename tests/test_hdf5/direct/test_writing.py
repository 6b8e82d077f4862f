"""Chunks of HDF5 datasets written past HDF5's filters, and damaged ones: the same as h5py's own."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flaccodec import core, hdf5
from flaccodec.exceptions import (
    ChunkMismatchError,
    CorruptChunkError,
    FrameError,
    QuantaTooFineError,
    TruncatedChunkError,
)
from flaccodec.hdf5 import Flac
from support.needs import needs
from support.strategies import same_bits
from test_hdf5.direct.files import (
    CHUNKS,
    SHAPE,
    make,
    open_file,
    outcome,
    same_outcome,
    selections,
    write_file,
)

# -- writing -----------------------------------------------------------------------------------


def chunk_bytes(dataset):
    found = {}
    for i in range(dataset.id.get_num_chunks()):
        offset = dataset.id.get_chunk_info(i).chunk_offset
        found[offset] = dataset.id.read_direct_chunk(offset)
    return found


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize(
    "options",
    [("i4", Flac(level=2)), (">u2", Flac()), ("f4", Flac(quanta=0.5)), (">f8", Flac(precision=3))],
    ids=str,
)
def test_chunks_are_those_that_h5py_writes(tmp_path, options, num_threads, no_h5py):
    dtype, flac = options
    array = make(dtype)
    write_file(tmp_path / "x.h5", array, compression=flac, fillvalue=3)
    with h5py.File(tmp_path / "x.h5") as file:
        want = chunk_bytes(file["x"])
    with h5py.File(tmp_path / "y.h5", "w") as file:
        x = file.create_dataset("x", SHAPE, dtype, chunks=CHUNKS, compression=flac, fillvalue=3)
        no_h5py()
        hdf5.write(x, array, num_threads=num_threads)
        assert chunk_bytes(x) == want


@st.composite
def writes(draw):
    selection = draw(selections())
    form = draw(st.sampled_from(["full", "full", "scalar", "last", "squeezed", "wrong", "list"]))
    return selection, form, draw(st.integers(0, 100))


def values_for(dataset, selection, form, seed):
    """Make samples of the selection's shape, or of one that may be broadcast to it."""
    try:
        shape = np.shape(dataset[selection])
    except (TypeError, ValueError, IndexError, OSError):  # OSError: one beyond the end, in a list
        shape = (2,)
    values = make(shape=shape, seed=seed) + 1000
    if form == "scalar":
        return 11
    if form == "last" and shape:
        return values.reshape(-1, shape[-1])[0] if values.size else values
    if form == "squeezed":
        return values[None] if seed % 2 else values.squeeze()
    if form == "wrong":
        return np.zeros((*shape, 3), "i4")
    return values.tolist() if form == "list" else values


@needs("h5py", "3.16")
@settings(max_examples=150)
@given(st.lists(writes(), min_size=1, max_size=3), st.sampled_from([1, 2]))
@example([((), "full", 0), ((slice(None), [5]), "full", 0)], 1)
def test_writing_parts_is_as_h5py_writes_them(tmp_path_factory, steps, num_threads):
    with (
        h5py.File("a", "w", driver="core", backing_store=False) as a,
        h5py.File("b", "w", driver="core", backing_store=False) as b,
    ):
        options = {"chunks": CHUNKS, "fillvalue": 3, "compression": Flac(frame_size=16)}
        ours, theirs = (f.create_dataset("x", SHAPE, "i4", **options) for f in (a, b))
        for selection, form, seed in steps:
            values = values_for(theirs, selection, form, seed)

            def their_write(selection=selection, values=values):
                if np.ndim(values) == 0 and not isinstance(
                    outcome(lambda: theirs[selection]), tuple
                ):
                    # To lists of indices h5py broadcasts a sample only where it is for one chunk.
                    values = np.full(np.shape(theirs[selection]), values, "i4")
                theirs[selection] = values

            got = outcome(lambda s=selection, v=values: hdf5.write(ours, v, s, num_threads))
            assert got == outcome(their_write)
            np.testing.assert_array_equal(ours[...], theirs[...])
        assert chunk_bytes(ours) == chunk_bytes(theirs)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(100, dtype="i8") - 50,
        np.linspace(-3, 3, 100),
        np.full(100, 2**40),
        np.arange(100, dtype="u1"),
        np.arange(100, dtype=">i2"),
        np.ones(100, dtype=bool),
        ["a"] * 100,
        [1.5] * 100,
        np.zeros(100, dtype="M8[s]"),
    ],
    ids=lambda v: str(np.asarray(v).dtype),
)
def test_dtypes_are_converted_as_hdf5_does(tmp_path, values):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        ours, theirs = (
            file.create_dataset(name, (100,), "i4", chunks=(30,), compression=Flac())
            for name in "ab"
        )

        def their_write():
            theirs[...] = values

        assert outcome(lambda: hdf5.write(ours, values)) == outcome(their_write)
        np.testing.assert_array_equal(ours[...], theirs[...])


def test_h5py_reads_at_once_what_was_written(tmp_path):
    """HDF5 may have the chunk in its cache, changed or not."""
    array = make()
    write_file(tmp_path / "x.h5", array)
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        x = file["x"]
        np.testing.assert_array_equal(x[...], array)
        x[0] = array[0] = 5
        hdf5.write(x, 6, np.s_[:, 1])
        array[:, 1] = 6
        np.testing.assert_array_equal(x[...], array)
        x[0] = 7
        hdf5.write(x, array)
        np.testing.assert_array_equal(x[...], array)
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["x"][...], array)


def test_edges_that_come_into_sight_are_filled(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset(
            "x", (250,), "i4", chunks=(100,), maxshape=(None,), fillvalue=-1, compression=Flac()
        )
        hdf5.write(x, np.arange(250))
        x.resize((300,))
        np.testing.assert_array_equal(x[250:], np.full(50, -1))


def test_parts_written_again_with_quanta_change_nothing_else(tmp_path):
    write_file(tmp_path / "x.h5", make("f4"), compression=Flac(quanta=0.01))
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        before = file["x"][...]
        hdf5.write(file["x"], before[2, 3, 7], (2, 3, 7))
        hdf5.write(file["x"], before)
        assert same_bits(file["x"][...], before)


@pytest.mark.parametrize("mode", ["r", "core"])
def test_a_file_that_is_not_open_for_writing(tmp_path, mode):
    write_file(tmp_path / "x.h5", make())
    with open_file(tmp_path / "x.h5", mode) as file:
        with pytest.raises(OSError, match="no write intent"):
            hdf5.write(file["x"], make())
        same_outcome(hdf5.read(file["x"]), make())


def test_quanta_that_are_too_fine(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", (4, 9), "f8", chunks=(2, 9), **Flac(quanta=1e-9))
        with pytest.raises(QuantaTooFineError):
            hdf5.write(x, np.full((4, 9), 1e12), strict=True)


# -- damage ---------------------------------------------------------------------------------------


def damage(path, change, offset=(3, 2, 100)):
    with h5py.File(path, "r+") as file:
        x = file["x"]
        _, chunk = x.id.read_direct_chunk(offset)
        x.id.write_direct_chunk(offset, bytes(change(bytearray(chunk))))


def flip_last_frame(chunk):
    chunk[-1] ^= 1
    return chunk


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda chunk: chunk[:-1], TruncatedChunkError),
        (lambda chunk: chunk[:30], TruncatedChunkError),
        (lambda chunk: chunk + b"x", CorruptChunkError),
        (lambda chunk: b"x" + chunk[1:], CorruptChunkError),
        (flip_last_frame, FrameError),
        (lambda _: core.encode_chunk(make("f4", CHUNKS)).tobytes(), ChunkMismatchError),
        (lambda _: core.encode_chunk(make("i4", (3, 3, 100))).tobytes(), ChunkMismatchError),
    ],
)
@pytest.mark.parametrize("num_threads", [1, 2])
def test_damage_is_an_error_that_names_dataset_and_chunk(
    tmp_path, change, error, num_threads, mode
):
    path = tmp_path / "x.h5"
    write_file(path, make())
    damage(path, change)
    with open_file(path, mode) as file:
        x = file["x"]
        for selection in [(), np.s_[5, 3, 190:200]]:
            with pytest.raises(error) as caught:
                hdf5.read(x, selection, num_threads=num_threads)
            assert str(caught.value).startswith(f"/x of {path}, chunk at (3, 2, 100): ")
            with pytest.raises(OSError, match="flaccodec"):
                x[selection]
        np.testing.assert_array_equal(hdf5.read(x, np.s_[:3]), make()[:3])
    with h5py.File(path, "r+") as file, pytest.raises(error, match=r"chunk at \(3, 2, 100\)"):
        hdf5.write(file["x"], 5, np.s_[4, 3, 150])


@settings(max_examples=100)
@given(st.data())
def test_flipped_bits_never_give_wrong_samples(flippable, data):
    path, array, size = flippable
    at, bit = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 7))

    def flip(chunk):
        chunk[at] ^= 1 << bit
        return chunk

    damage(path, flip, (0, 0, 0))
    try:
        with h5py.File(path) as file:
            for selection in [(), np.s_[1, 1, 50:60]]:
                try:
                    got = hdf5.read(file["x"], selection)
                except (CorruptChunkError, ChunkMismatchError) as error:
                    assert "chunk at (0, 0, 0)" in str(error)  # noqa: PT017
                else:
                    np.testing.assert_array_equal(got, array[selection])
    finally:
        damage(path, flip, (0, 0, 0))


@pytest.fixture(scope="module")
def flippable(tmp_path_factory):
    path, array = tmp_path_factory.mktemp("flip") / "x.h5", make(shape=CHUNKS)
    write_file(path, array)
    with h5py.File(path) as file:
        return path, array, file["x"].id.get_chunk_info(0).size
