"""One thing over and over, for a profiler such as perf to look at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from benchmarks.comparisons import encoding_case, stored_chunks, whole_array
from benchmarks.contestants import Flaccodec
from flaccodec import core

if TYPE_CHECKING:
    from collections.abc import Callable


def _encode(quick: bool) -> Callable[[], object]:
    case = encoding_case(quick)
    array, codec = case.array, Flaccodec(case, 1)
    return lambda: codec.encode(array)


def _decode(quick: bool) -> Callable[[], object]:
    case = encoding_case(quick)
    array = case.array
    chunk, out = Flaccodec(case, 1).encode(array), np.zeros_like(array)
    return lambda: core.decode_chunk(chunk, out, num_threads=1)


def _zarr(quick: bool) -> Callable[[], object]:
    stored: Any = zarr.open_array(stored_chunks(whole_array(quick)), mode="r")
    return lambda: stored[:]


LOOPS = {"encode": _encode, "decode": _decode, "zarr": _zarr}
"""17-bit int32, level 5: coding a chunk on one thread, reading a whole Zarr array."""


def run_loop(name: str, seconds: float, quick: bool) -> int:
    """Do it for so long; return how often it was done."""
    step = LOOPS[name](quick)
    times, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        step()
        times += 1
    return times
