"""Reads a Zarr array without knowing how it was written, and times that.

Run it with ``python examples/reader.py ARRAY RESULT.npy``.

Saves the whole array and prints a line of JSON with times in seconds.
"""

import json
import statistics
import sys
import time

import numpy as np
import zarr

SLICES = 20
SLICE_SAMPLES = 200


def main(path: str, result: str) -> None:
    array = zarr.open_array(path, mode="r")
    start = time.perf_counter()
    data = array[...]
    whole = time.perf_counter() - start
    np.save(result, data)

    rng = np.random.default_rng(0)
    times = []
    for _ in range(SLICES):
        stream = tuple(int(rng.integers(n)) for n in array.shape[:-1])
        first = int(rng.integers(max(1, array.shape[-1] - SLICE_SAMPLES)))
        start = time.perf_counter()
        array[(*stream, slice(first, first + SLICE_SAMPLES))]  # type: ignore[index]
        times.append(time.perf_counter() - start)
    print(json.dumps({"whole": whole, "slice": statistics.median(times)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
