"""Reading 200 samples of a chunk in a Zarr store, beside reading all of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import flacarray.zarr
import numpy as np
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore, WrapperStore

import flaccodec
from benchmarks.contestants.codecs import BLOSC_LEVEL, BLOSC_SETTINGS
from benchmarks.data.selections import SLICE_SAMPLES, middle
from benchmarks.data.signals import noisy_wave
from benchmarks.harness.checks import WrongDataError
from benchmarks.harness.timing import SLICE_ROUNDS, Task, round_robin
from flaccodec import core
from flaccodec.zarr import chunk_reader

if TYPE_CHECKING:
    from typing import Self

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from benchmarks.data.signals import Array
    from benchmarks.results import ReadResult, SliceResult

COLD = "slice, index not remembered"
WARM = "slice, index remembered"
SLICE = "slice"
WHOLE = "whole chunk"

SLICE_NOTES = [
    "The store is local, and the operating system has its files in memory. Every request to it "
    "is counted.",
    "FlacCodec decodes a chunk with one thread, as Zarr's own codecs do.",
    "flacarray's group has an array of compressed bytes, in pieces, and arrays of tables. Each "
    "read opens them again.",
]


@dataclass
class Traffic:
    """Requests for bytes, and the bytes."""

    requests: int = 0
    nbytes: int = 0


class CountingStore(WrapperStore[LocalStore]):
    """A store that counts; read-only copies of it count together with it."""

    def __init__(self, store: LocalStore, traffic: Traffic | None = None) -> None:
        super().__init__(store)
        self.traffic = traffic or Traffic()

    def _with_store(self, store: LocalStore) -> Self:
        return type(self)(store, self.traffic)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        buffer = await super().get(key, prototype, byte_range)
        self.traffic.requests += 1
        self.traffic.nbytes += 0 if buffer is None else len(buffer)
        return buffer


@dataclass(frozen=True)
class Read:
    """A way to read from a store, and the samples that it must return."""

    contestant: str
    settings: str
    name: str
    store: CountingStore
    task: Task
    expected: Array

    @property
    def is_slice(self) -> bool:
        return self.name != WHOLE


def forget_indexes() -> None:
    """Make flaccodec forget the indexes of all chunks."""
    chunk_reader.index_cache = chunk_reader.IndexCache()


def _flaccodec_reads(store: CountingStore, array: Array) -> list[Read]:
    codec = flaccodec.FlacCodec()
    flaccodec.create_array(store, data=array, chunks=array.shape, codecs=[codec])
    stored: Any = zarr.open_array(store, mode="r")
    at = middle(array)

    def remember() -> None:
        stored[at]

    entry = "flaccodec", f"level {codec.level}"
    return [
        Read(*entry, COLD, store, Task(lambda: stored[at], forget_indexes), array[at]),
        Read(*entry, WARM, store, Task(lambda: stored[at], remember), array[at]),
        Read(*entry, WHOLE, store, Task(lambda: stored[:]), array),
    ]


def _flacarray_reads(store: CountingStore, array: Array) -> list[Read]:
    flacarray.zarr.write_array(array, zarr.open_group(store, mode="w"), level=5)
    group = zarr.open_group(store, mode="r")
    stream, samples = at = middle(array)
    keep = np.zeros(array.shape[0], dtype=bool)
    keep[stream] = True

    def read_slice() -> Any:
        return flacarray.zarr.read_array(group, keep=keep, stream_slice=samples)

    entry = "flacarray", "level 5, flacarray.zarr"
    return [
        Read(*entry, SLICE, store, Task(read_slice), array[at]),
        Read(*entry, WHOLE, store, Task(lambda: flacarray.zarr.read_array(group)), array),
    ]


def _compressor_reads(
    name: str, settings: str, store: CountingStore, array: Array, **options: Any
) -> list[Read]:
    zarr.create_array(store, data=array, chunks=array.shape, **options)
    stored: Any = zarr.open_array(store, mode="r")
    at = middle(array)
    return [
        Read(name, settings, SLICE, store, Task(lambda: stored[at]), array[at]),
        Read(name, settings, WHOLE, store, Task(lambda: stored[:]), array),
    ]


def _all_reads(directory: Path, array: Array) -> list[Read]:
    def store(name: str) -> CountingStore:
        return CountingStore(LocalStore(directory / name))

    blosc = BloscCodec(cname="zstd", clevel=BLOSC_LEVEL, shuffle="bitshuffle")
    return [
        *_flaccodec_reads(store("flaccodec"), array),
        *_flacarray_reads(store("flacarray"), array),
        *_compressor_reads("Blosc", BLOSC_SETTINGS, store("blosc"), array, compressors=blosc),
        *_compressor_reads("Zstd", "Zarr's default", store("zstd"), array),
    ]


def _count(read: Read) -> tuple[int, int]:
    """Read once, verify, and return the number of requests and of bytes fetched."""
    read.task.prepare()
    traffic = read.store.traffic
    traffic.requests = traffic.nbytes = 0
    got: Any = read.task.run()
    if not np.array_equal(got, read.expected):
        raise WrongDataError(f"{read.contestant}, {read.name}: samples differ")
    return traffic.requests, traffic.nbytes


def _time(reads: list[Read], repeat: int) -> list[list[float]]:
    """Time all slices in turns, then all whole chunks in turns."""
    slices = [read.task for read in reads if read.is_slice]
    wholes = [read.task for read in reads if not read.is_slice]
    slice_seconds = iter(round_robin(slices, repeat * SLICE_ROUNDS))
    whole_seconds = iter(round_robin(wholes, repeat))
    return [next(slice_seconds if read.is_slice else whole_seconds) for read in reads]


def _results(reads: list[Read], repeat: int) -> list[ReadResult]:
    counts = [_count(read) for read in reads]
    seconds = _time(reads, repeat)
    wholes = {
        read.contestant: median(times)
        for read, times in zip(reads, seconds, strict=True)
        if not read.is_slice
    }
    return [
        {
            "contestant": read.contestant,
            "settings": read.settings,
            "read": read.name,
            "is_slice": read.is_slice,
            "seconds": times,
            "median": median(times),
            "requests": requests,
            "nbytes_fetched": nbytes,
            "times_faster_than_whole": wholes[read.contestant] / median(times),
        }
        for read, (requests, nbytes), times in zip(reads, counts, seconds, strict=True)
    ]


def index_nbytes_of(chunk_file: Path) -> int:
    """Return the bytes of header and index of a chunk in a file."""
    with chunk_file.open("rb") as chunk:
        return core.read_header(chunk.read(core.HEADER_SIZE)).head_size


def run_slices(repeat: int, quick: bool) -> SliceResult:
    """Measure and verify all reads."""
    array = noisy_wave((8, 200_000) if quick else (64, 1_000_000), np.int32)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        reads = _results(_all_reads(directory, array), repeat)
        index_nbytes = index_nbytes_of(directory / "flaccodec" / "c" / "0" / "0")
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "samples": SLICE_SAMPLES,
        "index_nbytes": index_nbytes,
        "notes": SLICE_NOTES,
        "reads": reads,
    }
