"""Speed of decoding: codecs, and libFLAC called from C."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pcodec

from benchmarks.contestants.codecs import Blosc, Chunks, Pcodec
from benchmarks.contestants.entries import flacarray_entries
from benchmarks.contestants.libflac import bundled_library, decode_streams, version_of
from benchmarks.data.cases import Case
from benchmarks.data.recordings import integer_cases, precision_case
from benchmarks.data.signals import QUANTA, bits_wave
from benchmarks.harness.checks import WrongDataError, largest_error
from benchmarks.harness.timing import Task, round_robin, rounds_for, speed, thread_counts
from flaccodec import FlacArray, core
from flaccodec.chunks.options import CodecOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.contestants.codecs import Contestant
    from benchmarks.data.signals import Array
    from benchmarks.results import DecodingResult, WayResult

BITS = (12, 17, 27)
BITS_LEVELS = (0, 3, 5, 8)
RECORDINGS_LEVEL = 5

DECODING_NOTES = [
    "MB are 1e6 bytes of the array. All run in turns in one process; speeds are medians. All "
    "decoded samples were compared. Each runs once untimed right before it is timed.",
    "flaccodec, libFLAC, Blosc, pcodec and memcpy write into an array that was written before. "
    "flacarray makes a new array each time; it cannot do otherwise.",
    "libFLAC decodes the FLAC streams of flaccodec's chunk to int32. Each thread has one decoder, "
    "which it uses for one stream after the other. It neither converts to the dtype nor applies "
    "quanta.",
]


@dataclass(frozen=True)
class Way:
    """A way to decode a case.

    Attributes
    ----------
    verify : callable
        Raises WrongDataError if the last run gave wrong samples.
    """

    contestant: str
    settings: str
    threads: int
    run: Callable[[], Any]
    verify: Callable[[], object]


class Prepared:
    """A case, and its encoding for each way to decode it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        options = CodecOptions(level=case.level, quanta=case.quanta, precision=case.precision)
        self.chunk = options.encode(case.array, num_threads=thread_counts()[-1])
        largest_error(case, Chunks(case, 1), core.decode_chunk(self.chunk))

    @cached_property
    def integers(self) -> Array:
        """The integers in the FLAC streams, shape (n_streams, stream_size)."""
        offsets, quanta = core.stream_tables(self.chunk)
        decoded = core.decode_chunk(self.chunk)
        if quanta is not None:
            decoded = np.rint(decoded / quanta[:, np.newaxis])
        return np.asarray(decoded.astype(np.int64) - offsets[:, np.newaxis]).astype(np.int32)

    def flaccodec(self, threads: int) -> Way:
        out = np.zeros_like(self.case.array)
        run = partial(core.decode_chunk, self.chunk, out, num_threads=threads)
        contestant = Chunks(self.case, threads)
        verify = partial(largest_error, self.case, contestant, out)
        return Way(contestant.name, contestant.settings, threads, run, verify)

    def libflac(self, library: Path, threads: int) -> Way:
        fa = FlacArray.from_chunk(self.chunk)
        out = np.zeros((fa.nstreams, fa.stream_size), dtype=np.int32)
        tables = fa.stream_starts.reshape(-1).copy(), fa.stream_nbytes.reshape(-1).copy()

        def verify() -> None:
            if not np.array_equal(out, self.integers):
                raise WrongDataError(f"libFLAC on {self.case.name}: samples differ")

        run = partial(decode_streams, library, fa.compressed, *tables, out, threads)
        return Way("libFLAC", f"{version_of(library)}, from C", threads, run, verify)

    def flacarray(self, contestant: Contestant) -> Way:
        encoded = contestant.encode(self.case.array)

        def verify() -> None:
            largest_error(self.case, contestant, contestant.decode(encoded))

        return Way(
            contestant.name,
            contestant.settings,
            contestant.threads,
            lambda: contestant.decode(encoded),
            verify,
        )

    def blosc(self, threads: int) -> Way:
        contestant = Blosc(self.case, threads)
        encoded = contestant.encode(self.case.rounded)
        out = np.zeros_like(self.case.array)
        codec = contestant.codec

        def run() -> None:
            contestant.prepare()
            codec.decode(encoded, out)

        return Way("Blosc", contestant.settings, threads, run, partial(self._is_rounded, out))

    def pcodec(self) -> Way:
        contestant = Pcodec(self.case)
        encoded = contestant.encode(self.case.rounded)
        out = np.zeros_like(self.case.array)
        run = partial(pcodec.standalone.simple_decompress_into, encoded, out.reshape(-1))
        return Way("pcodec", contestant.settings, 1, run, partial(self._is_rounded, out))

    def memcpy(self) -> Way:
        out = np.zeros_like(self.case.array)
        run = partial(np.copyto, out, self.case.rounded)
        return Way("memcpy", "", 1, run, partial(self._is_rounded, out))

    def _is_rounded(self, out: Array) -> None:
        if not np.array_equal(out, self.case.rounded):
            raise WrongDataError(f"{self.case.name}: samples differ")

    def ways(self) -> list[Way]:
        """Return all ways, ours first."""
        counts = thread_counts()
        ways = [self.flaccodec(n) for n in counts]
        library = bundled_library()
        if library is not None:
            ways += [self.libflac(library, n) for n in counts]
        ways += [self.flacarray(entry) for entry in flacarray_entries(self.case)]
        ways.append(self.pcodec())
        ways += [self.blosc(n) for n in counts]
        ways.append(self.memcpy())
        return ways


def decoding_cases(quick: bool, data: Path) -> list[Case]:
    """Return what is decoded.

    Lossless recordings of floats are not: libFLAC cannot decode them, since their integers are
    in an order of our own.
    """
    few, long = (4, 20_000) if quick else (20, 200_000)
    many = 200 if quick else 4000
    cases = [
        Case(f"int32-{bits}bit-level{level}", partial(bits_wave, (few, long), bits), level)
        for bits in BITS
        for level in BITS_LEVELS
    ]
    cases += [
        Case("int32-17bit-1000-samples", partial(bits_wave, (many, 1000), 17)),
        Case("int32-17bit-100-samples", partial(bits_wave, (10 * many, 100), 17)),
        Case("int32-17bit-one-stream", partial(bits_wave, (1, few * long), 17)),
        Case("int16-12bit", partial(bits_wave, (few, long), 12, np.int16)),
    ]
    for dtype in ("float32", "float64"):
        load = partial(bits_wave, (few, long), 17, dtype, QUANTA)
        cases.append(Case(f"{dtype}-17bit", load, quanta=QUANTA))
    recorded = integer_cases(data, RECORDINGS_LEVEL)
    recorded.append(precision_case(data, RECORDINGS_LEVEL))
    return cases + sorted(recorded, key=lambda case: case.name)


def _way_result(way: Way, nbytes: int, seconds: list[float]) -> WayResult:
    return {
        "contestant": way.contestant,
        "settings": way.settings,
        "threads": way.threads,
        "seconds": seconds,
        "median": median(seconds),
        "speed": speed(nbytes, seconds),
    }


def run_decoding(case: Case, repeat: int, quick: bool) -> DecodingResult:
    """Measure and verify all ways to decode a case."""
    ways = Prepared(case).ways()
    for way in ways:
        way.run()
        way.verify()
    nbytes = case.array.nbytes
    seconds = round_robin(
        [Task(way.run, warm=True) for way in ways], rounds_for(nbytes, repeat, quick)
    )
    return {
        "name": case.name,
        "title": case.title,
        "nbytes": nbytes,
        "ways": [_way_result(way, nbytes, s) for way, s in zip(ways, seconds, strict=True)],
    }
