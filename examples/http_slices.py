"""Read a slice of a Zarr array behind a web server, and count the bytes that it takes.

Run it with:    python examples/http_slices.py URL [FOLDER]

URL is that of a Zarr array with chunks of two axes that FlacCodec wrote, for example
http://127.0.0.1:8080/recording.zarr; the slice goes to FOLDER/slice.npy. The server should
know range requests, as nginx and all object stores do. Needs: pip install fsspec aiohttp
"""

import sys
import tempfile
from pathlib import Path

import fsspec
import numpy as np
import zarr
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, WrapperStore


class CountingStore(WrapperStore[FsspecStore]):
    """Counts the bytes that come from a store; reading does not need it."""

    fetched = 0

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Get a part of a file."""
        buffer = await super().get(key, prototype, byte_range)
        self.fetched += 0 if buffer is None else len(buffer)
        return buffer


url = sys.argv[1].rstrip("/")
folder = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())

store = CountingStore(FsspecStore.from_url(url, read_only=True))
array = zarr.open_array(store, mode="r", zarr_format=3)

# 200 samples from the middle of the first chunk's last stream
stream, start = array.chunks[0] - 1, array.chunks[1] // 2
store.fetched = 0
some = np.asarray(array[stream, start : start + 200])
folder.mkdir(parents=True, exist_ok=True)
np.save(folder / "slice.npy", some)

chunk_size = fsspec.filesystem("http").size(f"{url}/c/0/0")
print(f"slice:    array[{stream}, {start}:{start + 200}], which begins {some[:5]}")
print(f"fetched:  {store.fetched:,} bytes of the chunk's {chunk_size:,}")
if store.fetched >= chunk_size:
    print("All of it: does the server know range requests?")
