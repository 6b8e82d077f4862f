"""Chunks of HDF5 datasets read past HDF5's filters: the same as h5py's own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from flaccodec import core, hdf5
from flaccodec.exceptions import (
    CorruptChunkError,
    TruncatedChunkError,
)
from flaccodec.hdf5 import Flac
from flaccodec.hdf5 import direct as hdf5_direct
from flaccodec.hdf5.chunks import stored as hdf5_chunks
from support.needs import needs
from support.strategies import same_bits
from test_hdf5.direct.files import CHUNKS, make, open_file, same_outcome, write_file


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
