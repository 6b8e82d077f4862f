"""A file, and a damaged dataset in it."""

from __future__ import annotations

import h5py
import pytest

from flaccodec.hdf5 import Flac
from test_hdf5.as_zarr.arrays import CHUNKS, make


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        yield file


@pytest.fixture
def damaged(file):
    """A dataset whose last chunk is damaged; not the chunks before."""
    x = file.create_dataset("damaged", data=make(), chunks=CHUNKS, **Flac())
    x.id.write_direct_chunk((4, 6, 200), b"damaged")
    return x
