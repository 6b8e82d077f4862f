"""Damage that CRC-16 does not see: what all streams are checked by, where all are read or moved."""

import h5py
import numpy as np
import pytest
import zarr

import flaccodec
from flaccodec import FlacArray, hdf5
from flaccodec.exceptions import ChecksumError, FrameError

NOISE = np.random.default_rng(5).integers(-(2**15), 2**15, (6, 4000)).astype("int16")
UNSEEN = bytes.fromhex("018005")
"""CRC-16's own polynomial: of what differs by this, it is the same."""


def damage(chunk, at, mask):
    spoilt = bytearray(chunk)
    for i, bits in enumerate(mask):
        spoilt[at + i] ^= bits
    return bytes(spoilt)


@pytest.fixture
def chunk():
    """With two wrong samples of stream 3, in a frame whose CRC-16 is right."""
    fa = FlacArray.from_array(NOISE)
    return damage(fa.to_chunk(), int(fa._packed.index.positions[3, 0]) + 3000, UNSEEN)


@pytest.fixture
def fa(chunk):
    return FlacArray.from_chunk(chunk, NOISE.shape)


READS = {
    "to_array": lambda fa: fa.to_array(),
    "all": lambda fa: fa[:],
    "backwards": lambda fa: fa[:, ::-1],
    "asarray": np.asarray,
    "twice": lambda fa: fa[np.r_[np.arange(6), 0]],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reading_all(fa, read):
    with pytest.raises(ChecksumError, match="streams"):
        read(fa)
    np.testing.assert_array_equal(fa[:3], NOISE[:3])


def test_moving_streams(fa, tmp_path):
    with pytest.raises(ChecksumError, match="streams"):
        fa.to_zarr(tmp_path / "a.zarr", chunks=(2, 4000))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        with pytest.raises(ChecksumError, match="streams"):
            fa.write_hdf5(file, name="x", layout="chunks", chunks=(3, 4000))
        assert list(file) == []


def test_moving_streams_into_a_group(tmp_path):
    """Where flacarray's layout has them as they are."""
    sound = FlacArray.from_array(NOISE.astype("int32"))
    spoilt = damage(sound.to_chunk(), int(sound._packed.index.positions[3, 0]) + 3000, UNSEEN)
    with h5py.File(tmp_path / "a.h5", "w") as file, pytest.raises(ChecksumError, match="streams"):
        FlacArray.from_chunk(spoilt, NOISE.shape).write_hdf5(file)


def test_taking_them_from_zarr(chunk, tmp_path):
    array = flaccodec.create_array(tmp_path / "a.zarr", data=NOISE, chunks=NOISE.shape)
    (tmp_path / "a.zarr" / "c" / "0" / "0").write_bytes(chunk)
    with pytest.raises(ChecksumError, match=r"c/0/0.*streams"):
        FlacArray.from_zarr(array)
    with pytest.raises(ChecksumError, match=r"c/0/0.*streams"):
        zarr.open_array(tmp_path / "a.zarr")[...]


def test_taking_them_from_hdf5(chunk, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", data=NOISE, chunks=NOISE.shape, compression=hdf5.Flac())
        x.id.write_direct_chunk((0, 0), chunk)
        with pytest.raises(ChecksumError, match=r"chunk at \(0, 0\): .*streams"):
            FlacArray.read_hdf5(file, name="x")


def test_damage_that_is_seen_is_still_named():
    sound = FlacArray.from_array(NOISE)
    spoilt = damage(sound.to_chunk(), int(sound._packed.index.positions[3, 0]) + 3000, b"\1")
    for act in (READS["to_array"], lambda fa: fa.to_zarr({}, chunks=(2, 4000))):
        with pytest.raises(FrameError, match="stream 3, frame 0"):
            act(FlacArray.from_chunk(spoilt, NOISE.shape))
