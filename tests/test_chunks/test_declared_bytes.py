"""Numbers that a chunk or a dataset declares, with checksums that are right, cost nothing."""

import struct

import h5py
import numpy as np
import pytest

import flaccodec.hdf5
import flaccodec.numcodecs
from flaccodec import FlacArray, core
from flaccodec.exceptions import FlacCodecError

pytestmark = pytest.mark.usefixtures("measured")

SAMPLES = np.random.default_rng(3).normal(size=(3, 2000))
SAMPLES[1, 50:90] = np.nan
SAMPLES[2, 7] = np.inf
CHUNK = FlacArray.from_array(SAMPLES, quanta=[0.5, 0.25, 0.125]).to_chunk()
N_EXCEPTIONS = 2
HEAD_SIZE = core.read_header(CHUNK).head_size
EXCEPTIONS_AT = len(CHUNK) - 24 * N_EXCEPTIONS
LARGE = {"u4": [2**16, 2**20, 2**31, 2**32 - 1], "u8": [2**20, 2**33, 2**59, 2**63, 2**64 - 1]}
HEADER = {"n_streams": (8, "u4"), "frame_size": (12, "u4"), "stream_size": (16, "u8"),
          "streams_size": (32, "u8"), "exceptions_size": (40, "u8")}  # fmt: skip
RUN = {"stream": (0, "u4"), "length": (4, "u4"), "start": (8, "u8")}


def with_number(at, kind, value):
    """Return the chunk with another number, and checksums as a writer of it would have them."""
    chunk = bytearray(CHUNK)
    struct.pack_into({"u4": "<I", "u8": "<Q"}[kind], chunk, at, value)
    struct.pack_into("<I", chunk, 52, core.crc32c(chunk[EXCEPTIONS_AT:]))
    head = core.crc32c(chunk[64:HEAD_SIZE], core.crc32c(chunk[:60]))
    struct.pack_into("<I", chunk, 60, head)
    return bytes(chunk)


def refuse(chunk):
    """Every reader of a chunk refuses it."""
    for read in (lambda c: FlacArray.from_chunk(c)[...], flaccodec.numcodecs.Flac().decode):
        with pytest.raises(FlacCodecError):
            read(chunk)
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "x",
            SAMPLES.shape,
            "f8",
            chunks=SAMPLES.shape,
            compression=flaccodec.hdf5.Flac(quanta=1),
        )
        dataset.id.write_direct_chunk((0, 0), chunk)
        with pytest.raises(OSError, match="flaccodec"):
            dataset[...]
        for read in (flaccodec.hdf5.read, lambda d: FlacArray.read_hdf5(d)[...]):
            with pytest.raises((FlacCodecError, OSError)):
                read(dataset)


def test_what_was_changed_is_refused_for_what_it_says():
    assert with_number(8, "u4", 3) == CHUNK
    np.testing.assert_array_equal(FlacArray.from_chunk(CHUNK)[1, 50:90], np.nan)


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, (_, kind) in HEADER.items() for v in LARGE[kind]]
)
def test_headers(name, value):
    at, kind = HEADER[name]
    refuse(with_number(at, kind, value))


@pytest.mark.parametrize("value", LARGE["u4"][1:])
@pytest.mark.parametrize("frame", [0, 1, 2])
def test_sizes_of_frames(frame, value):
    refuse(with_number(HEAD_SIZE - 12 + 4 * frame, "u4", value))


@pytest.mark.parametrize("run", range(N_EXCEPTIONS))
@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, (_, kind) in RUN.items() for v in LARGE[kind]]
)
def test_runs_of_exceptions(name, value, run):
    at, kind = RUN[name]
    refuse(with_number(EXCEPTIONS_AT + 24 * run + at, kind, value))


# -- client data of HDF5 --------------------------------------------------------------------

VALUES = {"level": 1, "rule": 2, "frame_size": 5, "dtype": 6, "order": 7, "n_streams": 8,
          "size, low": 9, "size, high": 10}  # fmt: skip


@pytest.fixture(scope="module")
def file_bytes():
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        filter_ = flaccodec.hdf5.Flac(quanta=0.5)
        dataset = file.create_dataset("x", data=SAMPLES, chunks=(1, 1000), compression=filter_)
        values = dataset.id.get_create_plist().get_filter(0)[2]
        file.flush()
        image = file.id.get_file_image()
    packed = struct.pack(f"<{len(values)}I", *values)
    assert image.count(packed) == 1
    return image, image.index(packed)


def opened(image):
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(image)
    return h5py.File(h5py.h5f.open(b"image", h5py.h5f.ACC_RDWR, access))


@pytest.mark.parametrize("value", LARGE["u4"])
@pytest.mark.parametrize("name", VALUES)
def test_client_data(file_bytes, name, value):
    """Readers and writers go by the chunks that there are, or fail."""
    image, at = file_bytes
    changed = bytearray(image)
    struct.pack_into("<I", changed, at + 4 * VALUES[name], value)
    with opened(bytes(changed)) as file:
        dataset = file["x"]
        for read in (lambda d: d[...], flaccodec.hdf5.read, FlacArray.read_hdf5):
            try:
                got = read(dataset)
            except (FlacCodecError, OSError):
                continue
            got = got[...] if isinstance(got, FlacArray) else got
            np.testing.assert_allclose(got, SAMPLES, atol=0.2500001)
        try:
            flaccodec.hdf5.write(dataset, SAMPLES)
        except (FlacCodecError, OSError):
            return
        np.testing.assert_allclose(flaccodec.hdf5.read(dataset), SAMPLES, atol=0.2500001)
