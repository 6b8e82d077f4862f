"""Ways to open a file, and proof that h5py is not asked."""

from __future__ import annotations

import h5py
import pytest

from flaccodec.hdf5.chunks import stored as hdf5_chunks


@pytest.fixture(autouse=True)
def parts_are_read(monkeypatch):
    """These chunks are so small that they would be read whole."""
    monkeypatch.setattr(hdf5_chunks, "PASSED_NBYTES", 0)


@pytest.fixture(params=["r", "r+", "core"])
def mode(request):
    return request.param


@pytest.fixture
def no_h5py(monkeypatch):
    """Fail where h5py reads or writes samples itself."""

    def fail(*_, **__):
        raise AssertionError("h5py was asked")

    def forbid():
        monkeypatch.setattr(h5py.Dataset, "__getitem__", fail)
        monkeypatch.setattr(h5py.Dataset, "__setitem__", fail)

    return forbid
