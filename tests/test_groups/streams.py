"""Streams of groups, and how they compare."""

from __future__ import annotations

import numpy as np

from flaccodec.compress import compress_streams
from flaccodec.decompress import array_decompress
from flaccodec.groups.layout import GroupStreams

WIDE = np.random.default_rng(1).integers(-(2**20), 2**20, (6, 5, 4000), dtype="int32")


def compress(array, **options):
    extras = options.pop("extras", {})
    tables = compress_streams(array, 5, options.get("quanta"), options.get("precision"), False)
    return GroupStreams(
        array.shape, array.dtype, *tables[:5], extras=extras, stream_quanta=tables[5]
    )


def values_of(streams):
    """Decode streams as the layout's module says."""
    samples = array_decompress(
        streams.compressed,
        streams.stream_size,
        streams.stream_starts,
        streams.stream_nbytes,
        is_int64=streams.n_channels == 2,
        no_flatten=True,
    )
    offsets, gains = streams.stream_offsets, streams.stream_gains
    if gains is not None:
        one = streams.dtype.type(1)
        samples = samples.astype(streams.dtype) * (one / gains)[..., None] + offsets[..., None]
    elif offsets is not None:
        samples = samples + offsets[..., None]
    assert samples.dtype == streams.dtype
    return samples.reshape(streams.shape)


def assert_same(got, want):
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes()
