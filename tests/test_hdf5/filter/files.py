"""HDF5 files with the filter, as several tests write and read them."""

from __future__ import annotations

import h5py
import numpy as np


def make(dtype, shape, seed=0):
    noise = np.random.default_rng(seed).normal(0, 40, shape)
    return np.abs(noise).astype(dtype) if np.dtype(dtype).kind == "u" else noise.astype(dtype)


def write(path, array, chunks=True, **options):
    """Write an array to a file that is closed again, so that it is read from its chunks."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, chunks=chunks, **options)


def read(path):
    with h5py.File(path) as file:
        return file["x"][...]


def chunk_bytes(dataset):
    chunks = {}
    for i in range(dataset.id.get_num_chunks()):
        offset = dataset.id.get_chunk_info(i).chunk_offset
        mask, chunk = dataset.id.read_direct_chunk(offset)
        assert mask == 0
        chunks[tuple(a // b for a, b in zip(offset, dataset.chunks, strict=True))] = chunk
    return chunks
