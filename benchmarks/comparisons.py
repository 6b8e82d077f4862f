"""Two sides at a time: Zarr's reading beside C's decoding, and our encoder and libFLACs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import MemoryStore

import flaccodec
import flaccodec.zarr.pipeline.pipeline
from benchmarks.apart import run_apart
from benchmarks.compression import WrongDataError
from benchmarks.contestants import FlacarrayIntegers, Flaccodec, thread_counts
from benchmarks.data import Case, bits_wave
from benchmarks.libflac import (
    bundled_library,
    decode_streams,
    encode_stream,
    system_library,
    version_of,
)
from benchmarks.timing import Task, round_robin
from flaccodec import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.data import Array
    from benchmarks.results import TimesResult

N_CHUNKS = 10

PIPELINES = {
    "zarr.Array": "flaccodec.zarr_pipeline.FlacCodecPipeline",
    "zarr.Array, zarr's own pipeline": "zarr.core.codec_pipeline.BatchedCodecPipeline",
}
"""What zarr reads with; the first by itself, where an array has a FlacCodec."""


def _times(
    what: str, ours: str, theirs: str, our_seconds: list[float], their_seconds: list[float]
) -> TimesResult:
    return {
        "what": what,
        "ours": ours,
        "theirs": theirs,
        "our_seconds": our_seconds,
        "their_seconds": their_seconds,
        "times": median(their_seconds) / median(our_seconds),
    }


def _chunk_bytes(store: MemoryStore) -> list[Array]:
    keys = sorted(key for key in store._store_dict if "/" in key)
    return [store._store_dict[key].as_numpy_array() for key in keys]


def whole_array(quick: bool) -> Array:
    """Return what is read whole."""
    return bits_wave((20, 20_000) if quick else (100, 200_000), 17)


def stored_chunks(array: Array) -> MemoryStore:
    """Return a store of an array in N_CHUNKS chunks."""
    store = MemoryStore()
    chunks = array.shape[0] // N_CHUNKS, array.shape[1]
    flaccodec.create_array(store, data=array, chunks=chunks)
    return store


def open_with(pipeline: str, store: MemoryStore) -> Any:
    """Open an array that reads with a pipeline of codecs."""
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        array = zarr.open_array(store, mode="r")
    if type(array.async_array.codec_pipeline).__name__ != pipeline.rpartition(".")[-1]:
        raise RuntimeError(f"zarr reads with another pipeline than {pipeline}")
    return array


def measure_whole_reads(repeat: int, quick: bool) -> list[list[float]]:
    """Read a whole array through Zarr, and decode the same chunks one by one in C.

    Each makes a new array; Zarr, with its own pipeline or ours, takes chunks side by side on a
    thread each, C takes one after the other on all processors.
    """
    array = whole_array(quick)
    rows = array.shape[0] // N_CHUNKS
    store = stored_chunks(array)
    pipelines = {name: open_with(path, store) for name, path in PIPELINES.items()}
    chunks = _chunk_bytes(store)

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
    """Compare them in a process where none of them finds memory that others have left it."""
    *seconds, in_c = run_apart(measure_whole_reads, repeat, quick)
    what = f"int32 {whole_array(quick).shape}, {N_CHUNKS} chunks: read whole"
    return [
        _times(what, name, "chunks decoded in C", mine, in_c)
        for name, mine in zip(PIPELINES, seconds, strict=True)
    ]


ENCODED_BITS = 17


def encoding_case(quick: bool) -> Case:
    shape = (4, 20_000) if quick else (20, 200_000)
    return Case("int32-17bit-level5", partial(bits_wave, shape, ENCODED_BITS))


def _verify_stream(library: Path, array: Array, level: int) -> None:
    """Check that libFLAC alone encodes all samples."""
    stream = encode_stream(library, array, ENCODED_BITS, level)
    out = np.empty((1, array.size, 1), dtype=np.int32)
    start, size = np.zeros(1, dtype=np.int64), np.array([stream.size])
    decode_streams(library, stream, start, size, out, threads=1)
    if not np.array_equal(out.reshape(array.shape), array):
        raise WrongDataError(f"{library.name}: samples differ")


def measure_encoding(repeat: int, quick: bool, library: str) -> list[list[float]]:
    """Encode on one thread by flaccodec, flacarray, and a libFLAC called from C, in turns."""
    case = encoding_case(quick)
    array = case.array
    entries = Flaccodec(case, 1), FlacarrayIntegers(case, 1)
    ways = [partial(entry.encode, array) for entry in entries]
    _verify_stream(Path(library), array, case.level)
    ways.append(partial(encode_stream, Path(library), array, ENCODED_BITS, case.level))
    return round_robin([Task(way) for way in ways], 2 * repeat)


OUR_ENCODER = "flaccodec with "
"""What encodes, but for the libFLAC that is there besides."""

LIBFLAC_ALONE = "alone, called from C"


@dataclass(frozen=True)
class Encoder:
    """What encodes, and the environment in which it does.

    Attributes
    ----------
    library : Path
        The libFLAC that is there.
    """

    name: str
    library_name: str
    library: Path
    environment: dict[str, str]

    @property
    def is_libflac(self) -> bool:
        return not self.name.startswith(OUR_ENCODER)


def encoders() -> Iterator[Encoder]:
    """Yield our encoder and libFLAC's, with each libFLAC."""
    libraries: dict[str, tuple[Path, dict[str, str]]] = {
        "the system's libFLAC": (system_library(), {})
    }
    bundled = bundled_library()
    if bundled is not None:
        preload = {"LD_PRELOAD": str(bundled)}
        libraries[f"libFLAC {version_of(bundled)}"] = (bundled, preload)
    for name, (library, preload) in libraries.items():
        yield Encoder(f"{OUR_ENCODER}{name}", name, library, preload)
    for name, (library, preload) in libraries.items():
        chosen = {"FLACCODEC_ENCODER": "libflac", **preload}
        yield Encoder(f"flaccodec, {name} encoding", name, library, chosen)


def run_encoding(repeat: int, quick: bool, encoder: Encoder) -> Iterator[TimesResult]:
    """Compare encoding in a process of its own; with libFLAC alone where that encodes."""
    what = f"{encoding_case(quick).title}: encode, one thread"
    ours, flacarray, libflac = run_apart(
        measure_encoding, repeat, quick, str(encoder.library), environment=encoder.environment
    )
    yield _times(what, encoder.name, "flacarray", ours, flacarray)
    if encoder.is_libflac:
        alone = f"{encoder.library_name} {LIBFLAC_ALONE}"
        yield _times(what, encoder.name, alone, ours, libflac)
        yield _times(what, alone, "flacarray", libflac, flacarray)


def run_comparisons(repeat: int, quick: bool) -> list[TimesResult]:
    """Measure all of them."""
    results = run_whole_reads(repeat, quick)
    for encoder in encoders():
        results += run_encoding(repeat, quick, encoder)
    return results
