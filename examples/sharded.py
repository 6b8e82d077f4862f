"""Keep many small chunks in few large files: shards.

Run it with:    python examples/sharded.py [FOLDER]

A file system or object store handles a few large files better than many small ones, while
small chunks are quicker to read a part of. A shard is one file that holds many chunks.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr

import flaccodec

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

# 16 channels, 12 bits of noise
rng = np.random.default_rng(seed=3)
recording = rng.integers(-2048, 2048, size=(16, 120_000), dtype="int16")

array = flaccodec.create_array(
    folder / "sharded.zarr",
    shape=recording.shape,
    chunks=(4, 10_000),  # what is compressed and read as one
    shards=(16, 60_000),  # what is one file: 4 x 6 chunks
    dtype=recording.dtype,
    codecs=[flaccodec.FlacCodec()],
    overwrite=True,
)
array[:] = recording

opened = zarr.open_array(folder / "sharded.zarr", mode="r")
# These samples lie in one chunk: zarr fetches no other of the shard.
some = np.asarray(opened[9, 25_000:25_200])
assert np.array_equal(some, recording[9, 25_000:25_200])

files = [path for path in (folder / "sharded.zarr" / "c").rglob("*") if path.is_file()]
chunks = (16 // 4) * (120_000 // 10_000)
assert len(files) == 2

print(f"chunks:  {chunks} of {opened.chunks}, in {len(files)} files")
print(f"stored:  {sum(path.stat().st_size for path in files):,} of {recording.nbytes:,} bytes")
print(f"slice:   {some.size} samples from the chunk at {9 // 4, 25_000 // 10_000}, all equal")
