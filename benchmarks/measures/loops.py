"""One operation over and over, for a profiler such as perf."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from benchmarks.contestants.codecs import Chunks
from benchmarks.measures.encoding import encoding_case
from benchmarks.measures.whole_reads import stored_chunks, whole_array
from flaccodec import core

if TYPE_CHECKING:
    from collections.abc import Callable


def _encode_loop(quick: bool) -> Callable[[], object]:
    case = encoding_case(quick)
    array, codec = case.array, Chunks(case, 1)
    return lambda: codec.encode(array)


def _decode_loop(quick: bool) -> Callable[[], object]:
    case = encoding_case(quick)
    array = case.array
    chunk, out = Chunks(case, 1).encode(array), np.zeros_like(array)
    return lambda: core.decode_chunk(chunk, out, num_threads=1)


def _zarr_loop(quick: bool) -> Callable[[], object]:
    stored: Any = zarr.open_array(stored_chunks(whole_array(quick)), mode="r")
    return lambda: stored[:]


LOOPS = {"encode": _encode_loop, "decode": _decode_loop, "zarr": _zarr_loop}
"""17-bit int32, level 5: a chunk on one thread, and a whole Zarr array."""


def run_loop(name: str, seconds: float, quick: bool) -> int:
    """Run a loop for some seconds and return how often it went round."""
    step = LOOPS[name](quick)
    times, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        step()
        times += 1
    return times
