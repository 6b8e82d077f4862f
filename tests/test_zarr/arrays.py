"""Zarr arrays with FlacCodec, as several tests make them."""

import numpy as np
import zarr

from flaccodec import FlacCodec

WALK = np.cumsum(np.random.default_rng(0).integers(-50, 50, (5, 6, 700)), axis=-1).astype("int32")


def create(store, data, **options):
    options = {"chunks": (2, 3, 300), "serializer": FlacCodec(frame_size=64)} | options
    array = zarr.create_array(
        store, shape=data.shape, dtype=data.dtype, **({"compressors": None} | options)
    )
    array[...] = data
    return zarr.open_array(store, mode="r+")
