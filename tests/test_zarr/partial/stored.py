"""Arrays in stores that are watched while parts of chunks are read."""

from __future__ import annotations

import numpy as np
from zarr.core.buffer import cpu
from zarr.storage import MemoryStore

import flaccodec
from flaccodec import FlacCodec, core

FRAME = core.DEFAULT_FRAME_SIZE
SHAPE = (8, 25 * FRAME)
KEY = "c/0/0"


def noise(shape, bits=17, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size=shape, dtype="int32")


def read_bytes(store, key=KEY):
    """Return a stored chunk, without the store's noticing."""
    inner = store._store
    if isinstance(inner, MemoryStore):
        return inner._store_dict[key].to_bytes()
    return (inner.root / key).read_bytes()


def write_bytes(store, data, key=KEY):
    inner = store._store
    if data is None:
        inner.delete_sync(key)
    else:
        inner.set_sync(key, cpu.Buffer.from_bytes(data))


def create(store, data, **kwargs):
    options = {
        name: kwargs.pop(name) for name in ("frame_size", "quanta", "precision") if name in kwargs
    }
    kwargs.setdefault("chunks", data.shape)
    return flaccodec.create_array(
        store, data=data, overwrite=True, codecs=[FlacCodec(**options)], **kwargs
    )


def frame_spans(chunk):
    """Return where each frame of a chunk lies, shape (n_streams, n_frames, 2)."""
    header = core.read_header(chunk)
    sizes = np.frombuffer(chunk, "<u4", header.n_streams * header.n_frames, header.sizes_at)
    sizes = (sizes & core.FRAME_SIZE_MASK).reshape(header.n_streams, header.n_frames).astype(int)
    spans = np.empty((*sizes.shape, 2), dtype=int)
    at = header.head_size
    for stream in range(header.n_streams):
        at += core.STREAM_HEADER_SIZE
        for frame in range(header.n_frames):
            spans[stream, frame] = at, at + sizes[stream, frame]
            at = spans[stream, frame, 1]
    return spans
