"""What a file declares costs no memory or time out of proportion to the bytes that it has."""

import json
import shutil
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest
import zarr

import flaccodec.hdf5
import flaccodec.numcodecs
import flaccodec.zarr
from flaccodec import FlacArray
from flaccodec.compress import array_compress
from flaccodec.decompress import array_decompress
from flaccodec.exceptions import CorruptStreamError, FlacCodecError, GroupError

pytestmark = pytest.mark.usefixtures("measured")
MANY = 10**8


ARRAY = np.arange(4000, dtype="i4").reshape(2, 2000)


def sparse_hdf5(path, dtype="i4", **lengths):
    """Write a group, and let datasets declare other lengths of which nothing is stored."""
    file = h5py.File(path, "w")
    quanta = 0.5 if dtype.startswith("f") else None
    flaccodec.hdf5.write_array(ARRAY.astype(dtype), file, quanta=quanta)
    for name, (length, chunks) in lengths.items():
        attributes, kind = dict(file[name].attrs), file[name].dtype
        del file[name]
        new = file.create_dataset(name, (length,), kind, chunks=chunks, fillvalue=1)
        new.attrs.update(attributes)
    return file


def sparse_zarr(path, **lengths):
    group = zarr.create_group(path)
    flaccodec.zarr.write_array(ARRAY, group)
    for name, (length, _) in lengths.items():
        metadata = json.loads((path / name / "zarr.json").read_text())
        metadata |= {"shape": [length], "fill_value": 1}
        metadata["chunk_grid"]["configuration"]["chunk_shape"] = [length]
        (path / name / "zarr.json").write_text(json.dumps(metadata))
        shutil.rmtree(path / name / "c")
    return zarr.open_group(path, mode="r+")


def readers(group):
    is_hdf5 = isinstance(group, h5py.Group)
    module = flaccodec.hdf5 if is_hdf5 else flaccodec.zarr
    read = FlacArray.read_hdf5 if is_hdf5 else FlacArray.read_zarr
    yield lambda: module.read_array(group)
    yield lambda: module.read_array(group, stream_slice=slice(0, 1))
    yield lambda: module.read_compressed(group)
    yield lambda: read(group)


TABLES = [
    {"stream_starts": (MANY, None), "stream_bytes": (MANY, None), "compressed": (MANY + 5, None)},
    {"stream_starts": (MANY, None), "stream_bytes": (MANY, None)},
    {"stream_starts": (MANY, None)},
    {"stream_bytes": (MANY, None)},
    {"compressed": (2**40, None)},
    {"compressed": (2**40, (2**20,))},
    {"stream_starts": (MANY, (99,)), "stream_bytes": (MANY, (99,)), "compressed": (2**40, None)},
]  # fmt: skip


@pytest.mark.parametrize("lengths", TABLES, ids=lambda t: "+".join(t))
@pytest.mark.parametrize("make", [sparse_hdf5, sparse_zarr])
def test_tables_of_which_nothing_is_stored(make, lengths, tmp_path):
    group = make(tmp_path / "x", **lengths)
    for read in readers(group):
        with pytest.raises((GroupError, CorruptStreamError)):
            read()


@pytest.mark.parametrize("name", ["stream_offsets", "stream_gains", "stream_quanta"])
def test_values_of_which_nothing_is_stored(name, tmp_path):
    group = sparse_hdf5(tmp_path / "x", "f8", **{name: (MANY, None)})
    for read in readers(group):
        with pytest.raises(GroupError, match=f"{name} must have the shape"):
            read()


@pytest.mark.parametrize("size", [10**8, 10**10, 2**40, 2**62, 2**63, 10**30, str(10**25)])
@pytest.mark.parametrize("make", [sparse_hdf5, sparse_zarr])
def test_stream_sizes_beyond_what_can_be(make, size, tmp_path):
    group = make(tmp_path / "x")
    group["stream_starts"].attrs["stream_size"] = size if size in (10**8, 10**10) else str(size)
    for read in readers(group):
        with pytest.raises(GroupError, match="stream_size must be at most"):
            read()


def test_sizes_that_flac_allows_are_read(tmp_path):
    long = np.zeros((2, 10**7), "i4")  # 5,000 samples a byte
    with h5py.File(tmp_path / "x", "w") as file:
        flaccodec.hdf5.write_array(long, file)
        assert file["compressed"].shape[0] < 60_000
        assert not flaccodec.hdf5.read_array(file, stream_slice=slice(10**7 - 9, None)).any()


def test_much_room_between_streams_is_not_read(tmp_path):
    with h5py.File(tmp_path / "x", "w") as file:
        flaccodec.hdf5.write_array(ARRAY, file)
        stored = file["compressed"][...]
        del file["compressed"]
        new = file.create_dataset("compressed", (2**40,), "u1", chunks=(2**16,))
        new[: len(stored)] = stored
        np.testing.assert_array_equal(flaccodec.hdf5.read_array(file), ARRAY)
        assert FlacArray.read_hdf5(file) == FlacArray.from_array(ARRAY)


def test_sizes_given_to_array_decompress():
    compressed, starts, nbytes, *_ = array_compress(ARRAY)
    for size in (10**8, 2**40, 2**62):
        with pytest.raises(CorruptStreamError, match="another number of samples"):
            array_decompress(compressed, size, starts, nbytes)


def test_sizes_given_to_a_flacarray():
    compressed, starts, nbytes, *_ = array_compress(ARRAY)
    with pytest.raises(CorruptStreamError, match="another number of samples"):
        FlacArray(
            None, shape=(2, 2**40), compressed=compressed, dtype="i4", stream_starts=starts,
            stream_nbytes=nbytes,
        )  # fmt: skip


HEADER = {"n_streams": (8, "<I"), "stream_size": (16, "<Q"), "streams_size": (32, "<Q"),
          "exceptions_size": (40, "<Q")}  # fmt: skip


@pytest.mark.parametrize("value", [2**20, 2**31, 2**32 - 1])
@pytest.mark.parametrize("field", HEADER)
@pytest.mark.parametrize("data", [ARRAY, ARRAY / 7], ids=["integers", "quantized"])
def test_fields_of_a_chunks_header(data, field, value):
    quanta = None if data.dtype.kind == "i" else 0.5
    chunk = bytearray(FlacArray.from_array(data, quanta=quanta).to_chunk())
    at, kind = HEADER[field]
    struct.pack_into(kind, chunk, at, value)
    for read in (FlacArray.from_chunk, flaccodec.numcodecs.Flac().decode):
        with pytest.raises(FlacCodecError):
            read(bytes(chunk))


@pytest.mark.parametrize("at", [18, 19, 20, 21])
def test_the_samples_that_a_stream_declares(at):
    """STREAMINFO's count has 36 bits; blocks of it 16 each."""
    compressed, starts, nbytes, *_ = array_compress(ARRAY)
    damaged = compressed.copy()
    damaged[starts[1] + 21 : starts[1] + 26] |= 255
    damaged[starts[1] + at] ^= 255
    with pytest.raises(CorruptStreamError, match="stream 1"):
        array_decompress(damaged, 2000, starts, nbytes)


def test_a_tiny_file_is_refused_within_little_memory(tmp_path):
    """Once more as a process that may not have more, whose peak is its own."""
    sparse_hdf5(tmp_path / "x", **TABLES[0]).close()
    code = (
        "import resource, sys, h5py, flaccodec.hdf5\n"
        "import numpy as np\n"
        "now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: flaccodec.hdf5.read_array(h5py.File(sys.argv[1]))\n"
        "except flaccodec.exceptions.GroupError: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - now)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x"], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 20_000  # KB
