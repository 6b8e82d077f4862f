"""Arrays that go from HDF5 to Zarr and back."""

from __future__ import annotations

import numpy as np

SHAPE, CHUNKS = (5, 7, 230), (2, 3, 100)


def make(dtype="i4", shape=SHAPE, seed=0):
    noise = np.random.default_rng(seed).normal(0, 40, shape)
    return np.abs(noise).astype(dtype) if np.dtype(dtype).kind == "u" else noise.astype(dtype)
