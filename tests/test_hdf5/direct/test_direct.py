"""Chunks of HDF5 datasets read and written past HDF5's filters: the same as h5py's own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

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
from flaccodec.hdf5 import direct as hdf5_direct
from flaccodec.hdf5 import selection as hdf5_selection
from flaccodec.hdf5.chunks import stored as hdf5_chunks
from support.needs import needs
from support.strategies import same_bits

SHAPE, CHUNKS = (7, 5, 230), (3, 2, 100)


def make(dtype="i4", shape=SHAPE, seed=0):
    noise = np.random.default_rng(seed).normal(0, 40, shape)
    return np.abs(noise).astype(dtype) if np.dtype(dtype).kind == "u" else noise.astype(dtype)


def write_file(path, array, chunks=CHUNKS, fillvalue=-7, **options):
    options.setdefault("compression", Flac(frame_size=16))
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, chunks=chunks, fillvalue=fillvalue, **options)


@pytest.fixture(autouse=True)
def parts_are_read(monkeypatch):
    """These chunks are so small that they would be read whole."""
    monkeypatch.setattr(hdf5_chunks, "PASSED_NBYTES", 0)


@pytest.fixture(params=["r", "r+", "core"])
def mode(request):
    return request.param


def open_file(path, mode="r"):
    if mode == "core":
        return h5py.File(path, "r", driver="core")
    return h5py.File(path, mode)


@pytest.fixture
def no_h5py(monkeypatch):
    """Fail where h5py reads or writes samples itself."""

    def fail(*_, **__):
        raise AssertionError("h5py was asked")

    def forbid():
        monkeypatch.setattr(h5py.Dataset, "__getitem__", fail)
        monkeypatch.setattr(h5py.Dataset, "__setitem__", fail)

    return forbid


def outcome(call):
    """Return what a call gives, or the kind and text of what it raises."""
    try:
        return call()
    except (TypeError, ValueError, IndexError, OSError) as error:
        return type(error), str(error)


def same_outcome(got, want):
    if isinstance(want, tuple):
        assert got == want
        return
    assert type(got) is type(want)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    assert same_bits(np.asarray(got), np.asarray(want))


# -- selections -------------------------------------------------------------------------


def ints(size, beyond=1):
    return st.integers(-size - beyond, size + beyond)


@st.composite
def slices(draw, size):
    bound = st.none() | st.integers(-size - 3, size + 3)
    return slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, size + 2)))


@st.composite
def lists(draw, size):
    rising = sorted(draw(st.sets(st.integers(0, size - 1), max_size=min(size, 12))))
    kind = draw(st.sampled_from(["list", "tuple", "array", "negative", "mask", "wrong"]))
    if kind == "mask":
        mask = np.zeros(size, dtype=bool)
        mask[rising] = True
        return mask
    if kind == "negative":
        return [i - size for i in rising]
    if kind == "wrong":
        return draw(st.lists(ints(size), max_size=3))
    return {"list": list, "tuple": tuple, "array": np.array}[kind](rising)


@st.composite
def selections(draw, shape=SHAPE):
    """What may stand in the brackets, mostly within what h5py takes."""
    axes = [draw(st.one_of(slices(n), slices(n), ints(n, 0), st.just(slice(None)))) for n in shape]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(shape) - 1))
        axes[at] = draw(lists(shape[at]))
    given_axes = axes[: draw(st.integers(0, len(shape)))]
    if draw(st.booleans()):
        first = draw(st.integers(0, len(given_axes)))
        last = draw(st.integers(first, len(given_axes)))
        given_axes[first:last] = [Ellipsis]
    if len(given_axes) == 1 and draw(st.booleans()):
        return given_axes[0]
    return tuple(given_axes)


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    path = tmp_path_factory.mktemp("selected") / "x.h5"
    write_file(path, make())
    with h5py.File(path, "r+") as file:
        y = file.create_dataset(
            "y", SHAPE, "i4", chunks=CHUNKS, fillvalue=-7, compression=Flac(frame_size=16)
        )
        y[:3, :2, :100] = make()[:3, :2, :100]
        y[3:, 4:, 200:] = 5
    with h5py.File(path) as file, h5py.File(path, "r", driver="core") as in_memory:
        yield [file["x"], file["y"], in_memory["x"], in_memory["y"]]


@given(selections(), st.sampled_from([1, 2, 5]))
def test_selections_are_those_of_h5py(selected, selection, num_threads):
    for x in selected:
        want = outcome(lambda x=x: x[selection])
        got = outcome(lambda x=x: hdf5.read(x, selection, num_threads=num_threads))
        same_outcome(got, want)


@given(selections((300,)))
def test_selections_of_one_axis(one_axis, selection):
    same_outcome(
        outcome(lambda: hdf5.read(one_axis, selection)), outcome(lambda: one_axis[selection])
    )


@pytest.fixture(scope="module")
def one_axis(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "x.h5"
    write_file(path, make(shape=(300,)), chunks=(70,))
    with h5py.File(path) as file:
        yield file["x"]


@pytest.mark.parametrize(
    "selection",
    [
        None,
        (None, 1),
        (0, Ellipsis, None),
        2.5,
        "field",
        b"field",
        np.ones(SHAPE, dtype=bool),
        np.ones((2, 2), dtype=bool),
        np.bool_(True),
        True,
        ([0, 1], [0, 1]),
        ([[0, 1]],),
        (Ellipsis, Ellipsis),
        (0, 0, 0, 0),
        np.array(3),
        np.uint8(3),
        (1.0, 2),
        h5py.MultiBlockSlice(0, 2, 3, 1),
        range(2),
        slice(None, None, -1),
        slice(0, 3, 0),
        [2, 1],
        [1, 1],
        [7],
        7,
        -8,
        np.zeros(0, dtype=int),
        np.zeros(7, dtype=bool),
        [],
    ],
    ids=repr,
)
@needs("h5py", "3.16")
def test_odd_selections_are_those_of_h5py(selected, selection):
    for x in selected:
        same_outcome(
            outcome(lambda x=x: hdf5.read(x, selection)), outcome(lambda x=x: x[selection])
        )


def test_what_only_h5py_itself_takes_is_left_to_it(selected, monkeypatch):
    """An older h5py checks some masks more strictly than it reads them."""

    def refuse(*_):
        raise TypeError("Boolean indexing array has incompatible shape")

    monkeypatch.setattr(hdf5_selection, "select", refuse)
    mask = np.arange(SHAPE[0]) % 2 == 0
    for x in selected:
        same_outcome(hdf5.read(x, mask), x[mask])


# -- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("num_threads", [1, 2, 16, None])
@pytest.mark.parametrize("dtype", ["i1", ">i2", "<u2", "i4", "u4", ">i8", "u8", "f4", ">f4", ">f8"])
def test_dtypes(tmp_path, dtype, num_threads, mode, no_h5py):
    array = make(dtype)
    write_file(tmp_path / "x.h5", array, fillvalue=3)
    with open_file(tmp_path / "x.h5", mode) as file:
        want = file["x"][1:, :3, 40:150], file["x"][2, 3, 200]
        no_h5py()
        got = hdf5.read(file["x"], num_threads=num_threads)
        assert got.dtype == array.dtype
        assert same_bits(got, array)
        same_outcome(hdf5.read(file["x"], np.s_[1:, :3, 40:150], num_threads), want[0])
        same_outcome(hdf5.read(file["x"], (2, 3, 200), num_threads), want[1])


@pytest.mark.parametrize("fill_time", ["alloc", "ifset", "never"])
def test_chunks_that_are_not_there(tmp_path, fill_time, mode):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset(
            "x",
            (300,),
            "f8",
            chunks=(100,),
            fillvalue=np.nan,
            fill_time=fill_time,
            compression=Flac(),
        )
        x[100:200] = 1
    with open_file(tmp_path / "x.h5", mode) as file:
        same_outcome(hdf5.read(file["x"]), file["x"][...])
        same_outcome(hdf5.read(file["x"], slice(90, 110)), file["x"][90:110])


def test_an_undefined_fill_value(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((50,))
        plist.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
        plist.set_filter(hdf5.FILTER_ID, 0, ())
        h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((120,)), plist)
        np.testing.assert_array_equal(hdf5.read(file["x"]), np.zeros(120))


def test_what_h5py_has_not_written_yet(tmp_path):
    """Chunks that are in HDF5's cache alone."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", (4, 300), "i4", chunks=(2, 300), compression=Flac())
        x[1, 5:9] = 3
        assert hdf5.read(x, (1, slice(4, 10))).tolist() == [0, 3, 3, 3, 3, 0]
        x[1, 6] = 4
        np.testing.assert_array_equal(hdf5.read(x), x[...])


def test_after_growing_and_shrinking(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset(
            "x", data=make(), maxshape=(None,) * 3, chunks=CHUNKS, fillvalue=9, compression=Flac()
        )
        for shape in [(8, 3, 130), (9, 7, 400), (1, 1, 1), (3, 4, 250), (0, 4, 250), (3, 4, 250)]:
            x.resize(shape)
            np.testing.assert_array_equal(hdf5.read(x), x[...])
            assert hdf5.read(x).shape == shape


KINDS = {
    "a user block": {"userblock_size": 1024},
    "the latest format": {"libver": "latest"},
    "paged": {"fs_strategy": "page", "fs_page_size": 4096},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_kinds_of_files(tmp_path, options):
    with h5py.File(tmp_path / "x.h5", "w", **options) as file:
        file.create_dataset("x", data=make(), chunks=CHUNKS, compression=Flac(frame_size=16))
    buffered = {"page_buf_size": 16384} if "fs_strategy" in options else {}
    with h5py.File(tmp_path / "x.h5", **buffered) as file:
        same_outcome(hdf5.read(file["x"]), make())
        same_outcome(hdf5.read(file["x"], np.s_[2, 3, 95:105]), make()[2, 3, 95:105])


def test_a_system_that_gives_less_than_was_asked_for(tmp_path, monkeypatch):
    """As Linux does with 2 GiB and more."""
    write_file(tmp_path / "x.h5", make())
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda file, n, at: pread(file, min(n, 100), at))
    with h5py.File(tmp_path / "x.h5") as file:
        same_outcome(hdf5.read(file["x"]), make())
        same_outcome(hdf5.read(file["x"], np.s_[2, 3, 95:105]), make()[2, 3, 95:105])


def test_a_file_that_ends_too_early(tmp_path, monkeypatch):
    write_file(tmp_path / "x.h5", make())
    with h5py.File(tmp_path / "x.h5") as file:
        monkeypatch.setattr(os, "pread", lambda *_: b"")
        with pytest.raises(TruncatedChunkError, match=r"^/x of .*, chunk at \(0, 0, 0\): "):
            hdf5.read(file["x"])


def test_python_files_and_external_links(tmp_path):
    write_file(tmp_path / "x.h5", make())
    with (tmp_path / "x.h5").open("rb") as opened, h5py.File(opened) as file:
        same_outcome(hdf5.read(file["x"], np.s_[2, 3, 95:105]), make()[2, 3, 95:105])
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["y"] = h5py.ExternalLink("x.h5", "/x")
    with h5py.File(tmp_path / "y.h5") as file:
        same_outcome(hdf5.read(file["y"], np.s_[2, 3, 95:105]), make()[2, 3, 95:105])


def test_swmr_is_left_to_h5py(tmp_path):
    array = make()
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        x = file.create_dataset("x", data=array, chunks=CHUNKS, maxshape=(None, 5, 230), **Flac())
        file.swmr_mode = True
        hdf5.write(x, 6, np.s_[1])
        array[1] = 6
        same_outcome(hdf5.read(x), array)
        file.flush()
        with h5py.File(tmp_path / "x.h5", swmr=True) as reader:
            same_outcome(hdf5.read(reader["x"]), array)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_in_a_forked_child(tmp_path):
    write_file(tmp_path / "x.h5", make())
    with h5py.File(tmp_path / "x.h5") as file:
        x = file["x"]
        hdf5.read(x, num_threads=4)
        child = os.fork()
        if child == 0:
            os._exit(not np.array_equal(hdf5.read(x, num_threads=4), make()))
        assert os.waitpid(child, 0)[1] == 0


def test_a_filter_mask(tmp_path, mode, no_h5py):
    """A chunk that is stored as its samples."""
    array = make(">f4", (4, 100))
    write_file(tmp_path / "x.h5", array, chunks=(2, 100))
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["x"].id.write_direct_chunk((2, 0), array[:2].tobytes(), filter_mask=1)
    with open_file(tmp_path / "x.h5", mode) as file:
        want = file["x"][...]
        assert same_bits(want[2:], array[:2])
        no_h5py()
        same_outcome(hdf5.read(file["x"]), want)
        same_outcome(hdf5.read(file["x"], np.s_[1:3, 40:60]), want[1:3, 40:60])


def test_a_filter_mask_and_too_few_bytes(tmp_path):
    write_file(tmp_path / "x.h5", make("f4", (4, 100)), chunks=(2, 100))
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["x"].id.write_direct_chunk((2, 0), bytes(799), filter_mask=1)
        with pytest.raises(CorruptChunkError, match=r"chunk at \(2, 0\): expected 800 bytes of"):
            hdf5.read(file["x"])


OTHERS = {
    "contiguous": {"compression": None, "chunks": None},
    "chunked": {"compression": None},
    "gzip": {"compression": "gzip"},
    "fletcher32 behind": {"fletcher32": True},
    "scale-offset": {"compression": None, "scaleoffset": 0},
}


@pytest.mark.parametrize("options", OTHERS.values(), ids=OTHERS)
def test_datasets_that_are_left_to_h5py(tmp_path, options):
    array = make()
    write_file(tmp_path / "x.h5", array, **options)
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        x = file["x"]
        same_outcome(hdf5.read(x), array)
        same_outcome(hdf5.read(x, np.s_[::2, 1, [3, 4, 150]]), array[::2, 1][:, [3, 4, 150]])
        hdf5.write(x, 1, np.s_[2:4, :, 30:150])
        array[2:4, :, 30:150] = 1
        same_outcome(x[...], array)


def test_a_wrong_checksum_of_fletcher32_is_noticed(tmp_path):
    write_file(tmp_path / "x.h5", make(), fletcher32=True)
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        x = file["x"]
        _, chunk = x.id.read_direct_chunk((0, 0, 0))
        x.id.write_direct_chunk((0, 0, 0), chunk[:-1] + bytes([chunk[-1] ^ 1]))
        with pytest.raises(OSError, match=r"filter returned failure|detected by Fletcher32"):
            hdf5.read(x)


def test_scalars_and_empty_datasets(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        scalar = file.create_dataset("scalar", data=3)
        assert hdf5.read(scalar) == 3
        hdf5.write(scalar, 4)
        assert scalar[()] == 4
        assert isinstance(hdf5.read(file.create_dataset("none", data=h5py.Empty("f4"))), h5py.Empty)
        none = file.create_dataset("x", (0, 5), "i4", chunks=(1, 5), maxshape=(None, 5), **Flac())
        same_outcome(hdf5.read(none), none[...])
        hdf5.write(none, np.zeros((0, 5), "i4"))


def test_what_is_no_dataset(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for call in (hdf5.read, lambda group: hdf5.write(group, 1)):
            with pytest.raises(TypeError, match=r"must be an h5py.Dataset\. Got File"):
                call(file)


def test_a_slice_reads_and_decodes_few_bytes(tmp_path, monkeypatch):
    array = np.random.default_rng(0).integers(-1000, 1000, (8, 200_000)).astype("i4")
    write_file(tmp_path / "x.h5", array, chunks=array.shape, compression=Flac())
    fetched = []
    pread = os.pread

    def counted(descriptor, size, start):
        fetched.append(size)
        return pread(descriptor, size, start)

    monkeypatch.setattr(hdf5_chunks.os, "pread", counted)
    monkeypatch.setattr(core, "decode_chunk", None)
    with h5py.File(tmp_path / "x.h5") as file:
        got = hdf5.read(file["x"], np.s_[3, 100_000:100_200])
        index = core.head_bound("i4", array.shape, core.DEFAULT_FRAME_SIZE)
        assert len(fetched) == 2
        assert sum(fetched) < index + 20_000
    np.testing.assert_array_equal(got, array[3, 100_000:100_200])


def test_chunks_of_another_frame_size_than_the_dataset_says(tmp_path, mode):
    array = make(shape=(4, 3000))
    write_file(tmp_path / "x.h5", array, chunks=(4, 3000), compression=Flac(frame_size=4096))
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["x"].id.write_direct_chunk((0, 0), core.encode_chunk(array, frame_size=16))
    with open_file(tmp_path / "x.h5", mode) as file:
        same_outcome(hdf5.read(file["x"], np.s_[2, 1000:1100]), array[2, 1000:1100])


def test_chunks_are_decoded_side_by_side(tmp_path, monkeypatch):
    array = make(shape=(8, 1000))
    write_file(tmp_path / "x.h5", array, chunks=(2, 1000))
    met = threading.Barrier(2, timeout=30)
    decode = core.decode_chunk

    def together(*arguments, **options):
        met.wait()
        return decode(*arguments, **options)

    monkeypatch.setattr(core, "decode_chunk", together)
    with h5py.File(tmp_path / "x.h5") as file:
        same_outcome(hdf5.read(file["x"], num_threads=2), array)


def test_reading_where_h5pys_lock_is_held(tmp_path):
    """As in a callback of ``visititems``: who helps must not wait for HDF5."""
    array = make(shape=(40, 1000))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", (40, 1000), "i4", chunks=(3, 300), fillvalue=7, **Flac())
        x[:20] = array[:20]
    array[20:] = 7
    got = []

    def visit():
        with h5py.File(tmp_path / "x.h5") as file:
            file.visititems(lambda _, x: got.append(hdf5.read(x, num_threads=4)))

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    visitor.join(30)
    assert not visitor.is_alive()
    same_outcome(got[0], array)


@needs("zarr", "3")
def test_garbage_is_not_collected_where_h5pys_lock_is_held(tmp_path):
    """Collecting an object of h5py takes its lock, whichever thread does it."""
    script = Path(__file__).with_name("collection.py")
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=30)


def test_threads_that_chunks_leave_over_go_into_a_chunk():
    assert hdf5_direct._share(4, 1) == (1, 4)
    assert hdf5_direct._share(4, 2) == (2, 2)
    assert hdf5_direct._share(2, 100) == (2, 1)
    assert hdf5_direct._share(2, 0) == (1, 2)


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
