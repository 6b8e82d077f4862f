"""Reading whole Zarr arrays, beside decoding the same chunks in C."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

import flaccodec
import flaccodec.zarr_pipeline
from benchmarks.data.signals import bits_wave
from benchmarks.harness.checks import WrongDataError
from benchmarks.harness.processes import run_apart
from benchmarks.harness.timing import Task, round_robin, thread_counts
from benchmarks.measures.pairs import compare
from flaccodec import core

if TYPE_CHECKING:
    from collections.abc import Callable

    from zarr.core.buffer import Buffer

    from benchmarks.data.signals import Array
    from benchmarks.results import TimesResult

    StoreDict = dict[str, Buffer]

N_CHUNKS = 10

PIPELINES = {
    "zarr.Array": "flaccodec.zarr_pipeline.FlacCodecPipeline",
    "zarr.Array, zarr's own pipeline": "zarr.core.codec_pipeline.BatchedCodecPipeline",
}
"""What zarr reads with. The first is its choice for arrays of FlacCodec."""


def whole_array(quick: bool) -> Array:
    """Return the array that is read whole."""
    return bits_wave((20, 20_000) if quick else (100, 200_000), 17)


def stored_chunks(array: Array) -> StoreDict:
    """Return the contents of a store of an array in N_CHUNKS chunks."""
    store: StoreDict = {}
    chunks = array.shape[0] // N_CHUNKS, array.shape[1]
    flaccodec.create_array(store, data=array, chunks=chunks)
    return store


def open_with(pipeline: str, store: StoreDict) -> Any:
    """Open an array that is read with this pipeline of codecs."""
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        array = zarr.open_array(store, mode="r")
    if type(array.async_array.codec_pipeline).__name__ != pipeline.rpartition(".")[-1]:
        raise RuntimeError(f"zarr reads with another pipeline than {pipeline}")
    return array


def measure_whole_reads(repeat: int, quick: bool) -> list[list[float]]:
    """Read a whole array through Zarr, and decode the same chunks one by one in C.

    Each makes a new array. Zarr, with its own pipeline or ours, decodes chunks side by side, each
    on one thread. C decodes one after the other, each on all processors.
    """
    array = whole_array(quick)
    rows = array.shape[0] // N_CHUNKS
    store = stored_chunks(array)
    pipelines = {name: open_with(path, store) for name, path in PIPELINES.items()}
    chunks = [store[key].as_numpy_array() for key in sorted(store) if "/" in key]

    def decode() -> Array:
        out = np.empty_like(array)
        for number, chunk in enumerate(chunks):
            part = out[number * rows : (number + 1) * rows]
            core.decode_chunk(chunk, part, num_threads=thread_counts()[-1])
        return out

    ways: list[Callable[[], Array]] = [
        partial(stored.__getitem__, ...) for stored in pipelines.values()
    ]
    ways.append(decode)
    for way in ways:
        if not np.array_equal(way(), array):
            raise WrongDataError("reading a whole Zarr array: samples differ")
    tasks = [Task(way, warm=True) for way in ways]
    return round_robin(tasks, 2 * repeat, 2 * array.nbytes)


def run_whole_reads(repeat: int, quick: bool) -> list[TimesResult]:
    """Compare them in a process of its own."""
    *seconds, in_c = run_apart(measure_whole_reads, repeat, quick)
    what = f"int32 {whole_array(quick).shape}, {N_CHUNKS} chunks: read whole"
    return [
        compare(what, name, "chunks decoded in C", mine, in_c)
        for name, mine in zip(PIPELINES, seconds, strict=True)
    ]
