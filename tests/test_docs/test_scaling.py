"""docs/scaling.md runs, block after block, and its formulas are those of arrays."""

from __future__ import annotations

import re
from math import ceil

import numpy as np
import pytest
import zarr
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from zarr.storage import MemoryStore

import flaccodec
from flaccodec import FlacCodec, core
from flaccodec.chunks.options import CodecOptions
from flaccodec.zarr import chunk_reader as partial
from support.paths import DOCS
from support.watched_store import WatchedStore

PAGE = DOCS / "scaling.md"
FRAME = 256
SHAPE = (12, 4 * 16_384)


@pytest.fixture
def names(monkeypatch):
    """Give what the page's blocks define, after running them."""
    document = Sybil(parsers=[PythonCodeBlockParser()], path=str(PAGE.parent)).parse(PAGE)
    examples = list(document.examples())
    assert len(examples) >= PAGE.read_text().count("```python") > 3
    for example in examples:
        example.evaluate()
    names = document.namespace
    monkeypatch.setitem(names, "FRAME", FRAME)
    return names


def noise():
    """Give samples that are far enough from 0 to need offsets."""
    return np.random.default_rng(0).normal(5000, 20, SHAPE).astype("float32")


def stored(data, chunk, shard):
    store = WatchedStore(MemoryStore())
    codec = FlacCodec(quanta=0.01, frame_size=FRAME)
    # zarr 3.4 would fetch chunks that are neighbours in a shard with one request, 3.1 does not
    with zarr.config.set({"array.sharding_coalesce_max_bytes": 0}):
        array = flaccodec.create_array(store, data=data, chunks=chunk, shards=shard, codecs=[codec])
    return store, array


@pytest.mark.parametrize("chunk", [(1, 16_384), (3, 1000), (12, 32_768)])
def test_index_is_what_a_chunk_has_beside_its_frames(names, chunk):
    data = noise()[: chunk[0], : chunk[1]]
    encoded = CodecOptions(quanta=0.01, frame_size=FRAME).encode(data, num_threads=1)
    header = core.read_header(encoded)
    assert names["index"](*chunk) == header.head_size + 42 * chunk[0]
    assert header.n_frames == ceil(chunk[1] / FRAME)


LAYOUTS = [
    ((1, 16_384), None),
    ((3, 16_384), None),
    ((12, 16_384), None),
    ((3, 32_768), None),
    ((1, 16_384), (3, 32_768)),
]
READS = [(1, 16_384), (1, SHAPE[1]), (12, 1024), (12, 16_384), (3, 32_768)]


@pytest.mark.parametrize(("chunk", "shard"), LAYOUTS)
@pytest.mark.parametrize(("n", "samples"), READS)
def test_reads_cost_what_the_page_says(names, monkeypatch, n, samples, chunk, shard):
    data = noise()
    store, array = stored(data, chunk, shard)
    monkeypatch.setattr(partial, "index_cache", partial.IndexCache())
    nbytes = sum(len(buffer) for key, buffer in store._store._store_dict.items() if "c/" in key)
    n_chunks = data.size / (chunk[0] * chunk[1])
    ratio = data.nbytes / (nbytes - n_chunks * names["index"](*chunk))
    monkeypatch.setitem(names, "RATIO", ratio)
    store.forget()
    np.testing.assert_allclose(array[:n, :samples], data[:n, :samples], rtol=0, atol=0.006)
    requests, size = names["read"](n, samples, chunk, shard)
    if shard and n >= shard[0] and samples >= shard[1]:
        requests -= n * samples // (chunk[0] * chunk[1])  # whole shards are one request each
    assert len(store.gets) == requests
    assert store.fetched == pytest.approx(size, rel=0.03)


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), target
