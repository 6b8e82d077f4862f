"""Write a recording to a Zarr array with FLAC and read it back with plain zarr.

Run it with:    python examples/write_and_read.py [FOLDER]

It keeps the array in FOLDER, or in a temporary folder where none is given.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr

import flaccodec

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

# Eight channels of 200,000 samples: noise on a slow wave, as many instruments give it.
rng = np.random.default_rng(seed=1)
wave = 20_000 * np.sin(np.linspace(0, 20, 200_000))
recording = (wave + rng.normal(scale=300, size=(8, 200_000))).astype("int32")

# The last axis is the one along which FLAC predicts: make chunks long there.
array = flaccodec.create_array(
    folder / "recording.zarr",
    shape=recording.shape,
    chunks=(4, 100_000),
    dtype=recording.dtype,
    codecs=[flaccodec.FlacCodec(level=5)],
    dimension_names=["channel", "time"],
    overwrite=True,
)
array[:] = recording

# Nothing here tells zarr of FLAC: it finds the codec's name in the array's metadata, and
# the codec in the installed flaccodec.
opened = zarr.open_array(folder / "recording.zarr", mode="r")
everything = np.asarray(opened[:])
some = np.asarray(opened[5, 150_000:150_010])

assert np.array_equal(everything, recording)
assert np.array_equal(some, recording[5, 150_000:150_010])
stored = opened.nbytes_stored()
assert stored < recording.nbytes / 2

print(f"array:  {folder / 'recording.zarr'}")
print(f"size:   {recording.nbytes:,} bytes in memory, {stored:,} stored")
print(f"ratio:  {recording.nbytes / stored:.2f}")
print(f"slice:  {some}")
