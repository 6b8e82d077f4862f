"""A new file of HDF5's for each test."""

from __future__ import annotations

import h5py
import pytest


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        yield file
