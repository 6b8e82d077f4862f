"""Stores that are watched, and a cache of indices for each test."""

from __future__ import annotations

import pytest
from zarr.storage import LocalStore, MemoryStore

from flaccodec.zarr import chunk_reader as partial
from support.watched_store import WatchedStore


@pytest.fixture(autouse=True)
def index_cache(monkeypatch):
    cache = partial.IndexCache()
    monkeypatch.setattr(partial, "index_cache", cache)
    return cache


@pytest.fixture(params=["memory", "local"])
def make_store(request, tmp_path):
    """Give a function that makes stores of the same content, each a different object."""
    content = {}

    def make(kind=WatchedStore):
        if request.param == "memory":
            return kind(MemoryStore(content))
        return kind(LocalStore(tmp_path / "array.zarr"))

    return make


@pytest.fixture
def store(make_store):
    return make_store()
