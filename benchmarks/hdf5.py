"""Datasets in HDF5: flaccodec's filter beside those of hdf5plugin, written and read by h5py."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import h5py
import hdf5plugin
import numpy as np
import zarr

from benchmarks.compression import WrongDataError, largest_error, rounds_for
from benchmarks.contestants import BLOSC_LEVEL, ZSTD_LEVEL, thread_counts
from benchmarks.data import Case, noisy_wave, recording_path
from benchmarks.slices import SAMPLES, SLICE_ROUNDS, middle
from benchmarks.timing import Task, round_robin
from flaccodec import core, hdf5, num_threads
from flaccodec.chunks.options import CodecOptions
from flaccodec.hdf5 import Flac
from flaccodec.hdf5.as_zarr.arrays import create_like
from flaccodec.hdf5.chunks.stored import FlacChunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.contestants import Contestant
    from benchmarks.data import Array
    from benchmarks.results import HDF5Entry, HDF5Result, TimesResult

FLOAT_CASE = "hdf5-float32-quanta"
RECORDINGS = ("ecg_100", "eeg_psg")
CHUNK_SAMPLES = 2**20
MOST_STREAM_SAMPLES = 100_000
SMALLER_SAMPLES = (100_000, 200_000, 400_000)
"""Of chunks of 0.4, 0.8 and 1.6 MB in 4 bytes each; h5py's documentation advises 1 MiB at most."""
BLOCK_STREAMS = 50

FILTER = "flaccodec"
DIRECT = "flaccodec.hdf5.read, write"
CODEC = "flaccodec, chunks in memory"
CODEC_AND_FILE = "flaccodec, chunks in a plain file"
CODEC_AND_COPY = "flaccodec, a plain file, and HDF5's copy"
PLAIN = "plain.flac"
COPIED, AGAIN = "copied.zarr", "again.zarr"
PAST_FILTERS = "flaccodec.hdf5, the same file"
THROUGH_H5PY = "h5py"
ONE_THREAD = "h5py, one thread"
UNCACHED = "h5py, one thread, rdcc_nbytes=0"

NOTES = [
    "Each writing makes a file where there is none, and the operating system has files in memory; "
    "opening and closing them is in the times.",
    "HDF5 calls filters on one thread, for one chunk after the other; flaccodec's takes all "
    "processors for each, as it does by default, or one where the table says so.",
    "rdcc_nbytes=0 is h5py without HDF5's cache of chunks, 8 MiB by default: what is written "
    "or read once, from the first chunk to the last, gains nothing from it.",
    "Chunks in a plain file are coded on one thread and written and read one after the other, past "
    "HDF5: the codec alone, with a file as h5py has one. Chunks in memory are coded on one thread, "
    "too. HDF5's copy is the one that it makes of "
    "each chunk's samples for any filter.",
    "SZ3 and ZFP are given half of the quanta as the largest error; lossless filters are given "
    "the data already rounded to the quanta. SZ3 is timed once, since it takes long.",
]


@dataclass(frozen=True)
class Filter:
    """A way to store a dataset.

    Attributes
    ----------
    options : dict
        For ``create_dataset``.
    takes_quanta : bool
        Whether it rounds floats itself; others are given rounded data.
    allowed_spacings : float
        As for `benchmarks.contestants.Contestant`.
    is_direct : bool
        Whether `flaccodec.hdf5.read` and `write` take h5py's place.
    is_slow : bool
        Takes as long as all others together, and is timed once.
    """

    name: str
    settings: str
    options: dict[str, Any]
    takes_quanta: bool = False
    allowed_spacings: float = 1.0
    threads: int = 1
    is_direct: bool = False
    is_slow: bool = False


def hdf5_cases(quick: bool, data: Path) -> list[Case]:
    """Return what is stored; recordings only where they are."""
    shape = (40, 20_000) if quick else (1000, 100_000)
    cases = [Case(FLOAT_CASE, partial(noisy_wave, shape, np.float32), quanta=1e-3)]
    paths = {name: recording_path(data, name) for name in RECORDINGS}
    cases += [
        Case(f"hdf5-{name}", partial(np.load, path))
        for name, path in paths.items()
        if path.is_file()
    ]
    return cases


def hdf5_names() -> list[str]:
    """Return the names of all cases, whether their recordings are there or not."""
    return [FLOAT_CASE, *(f"hdf5-{name}" for name in RECORDINGS)]


def chunk_shape(shape: tuple[int, int], samples: int) -> tuple[int, int]:
    """Return chunks of so many samples, or somewhat fewer."""
    width = min(shape[1], MOST_STREAM_SAMPLES)
    return min(shape[0], max(1, samples // width)), width


def filters(case: Case) -> list[Filter]:
    """Return all that can store a case, ours first."""
    ours = Flac(level=case.level, quanta=case.quanta)
    settings, entry = f"level {case.level}", {"compression": ours}
    entries = [
        Filter(name, settings, entry, takes_quanta=True, threads=n, is_direct=name == DIRECT)
        for name in (FILTER, DIRECT)
        for n in thread_counts()
    ]
    blosc = hdf5plugin.Blosc2(
        cname="zstd", clevel=BLOSC_LEVEL, filters=hdf5plugin.Blosc2.BITSHUFFLE
    )
    entries += [
        Filter("Blosc2", f"zstd {BLOSC_LEVEL}, bitshuffle", {"compression": blosc}),
        Filter("Bitshuffle", "zstd 3", {"compression": hdf5plugin.Bitshuffle(cname="zstd")}),
        Filter("Zstd", f"level {ZSTD_LEVEL}", {"compression": hdf5plugin.Zstd(ZSTD_LEVEL)}),
    ]
    if case.quanta is not None:
        bound = case.quanta / 2
        lossy = {"SZ3": hdf5plugin.SZ3(absolute=bound), "ZFP": hdf5plugin.Zfp(accuracy=bound)}
        entries += [
            Filter(
                name,
                f"error {bound:g}",
                {"compression": chosen},
                takes_quanta=True,
                is_slow=name == "SZ3",
            )
            for name, chosen in lossy.items()
        ]
    return entries


def _blocks(case: Case) -> Iterator[tuple[slice, Case]]:
    """Give streams some at a time, since their float64 would take much memory."""
    for first in range(0, len(case.array), BLOCK_STREAMS):
        rows = slice(first, first + BLOCK_STREAMS)
        yield rows, replace(case, load=partial(case.array.__getitem__, rows))


class Stored:
    """A case in files, one for each filter."""

    def __init__(self, case: Case, folder: Path, chunk_samples: int = CHUNK_SAMPLES) -> None:
        self.case = case
        self.folder = folder
        self.chunks = chunk_shape(case.array.shape, chunk_samples)
        self.rounded = case.array
        if case.quanta is not None:
            self.rounded = np.empty_like(case.array)
            for rows, block in _blocks(case):
                self.rounded[rows] = block.rounded

    def path(self, entry: Filter) -> Path:
        return self.folder / f"{entry.name}-{entry.threads}.h5"

    def given(self, entry: Filter) -> Array:
        return self.case.array if entry.takes_quanta else self.rounded

    def write(self, entry: Filter, chunk_cache: int | None = None) -> None:
        given, path = self.given(entry), self.path(entry)
        with num_threads(entry.threads), h5py.File(path, "w", rdcc_nbytes=chunk_cache) as file:
            x = file.create_dataset(
                "x", given.shape, given.dtype, chunks=self.chunks, **entry.options
            )
            if entry.is_direct:
                hdf5.write(x, given)
            else:
                x[...] = given

    def write_task(self, entry: Filter, chunk_cache: int | None = None) -> Task:
        """Write a file where there is none: freeing the old one's memory is not timed."""
        remove = partial(self.path(entry).unlink, missing_ok=True)
        return Task(partial(self.write, entry, chunk_cache), remove)

    def read_task(self, entry: Filter, selection: Any = (), chunk_cache: int | None = None) -> Task:
        return Task(partial(self.read, entry, selection, chunk_cache))

    def read(self, entry: Filter, selection: Any = (), chunk_cache: int | None = None) -> Any:
        path = self.path(entry)
        with num_threads(entry.threads), h5py.File(path, rdcc_nbytes=chunk_cache) as file:
            return hdf5.read(file["x"], selection) if entry.is_direct else file["x"][selection]

    def nbytes(self, entry: Filter) -> int:
        with h5py.File(self.path(entry)) as file:
            return int(file["x"].id.get_storage_size())

    def verify(self, entry: Filter) -> float:
        """Return the largest error, after checking that it may be so."""
        got = self.read(entry)
        at = middle(got)
        if not np.array_equal(self.read(entry, at), got[at]):
            raise WrongDataError(f"{entry.name} on {self.case.name}: a slice differs")
        as_contestant: Contestant = entry  # type: ignore[assignment] # it has what is looked at
        return max(
            largest_error(block, as_contestant, got[rows]) for rows, block in _blocks(self.case)
        )

    # -- the codec alone, for arrays that have no part of a chunk at their edges -------------

    def _places(self) -> list[tuple[slice, ...]]:
        (n, size), (rows, width) = self.case.array.shape, self.chunks
        return [
            (slice(i, i + rows), slice(j, j + width))
            for i in range(0, n, rows)
            for j in range(0, size, width)
        ]

    def _room(self) -> Array:
        return np.empty(self.chunks, dtype=self.case.array.dtype)

    def _encoded(self, copied: bool = False) -> Iterator[Array]:
        options, room = CodecOptions(self.case.level, self.case.quanta), self._room()
        for at in self._places():
            if copied:
                room[...] = self.case.array[at]
            yield options.encode(room if copied else self.case.array[at])

    def _decoded(self, chunks: Iterable[Array], copied: bool = False) -> Array:
        """Decode to a new array, as h5py does."""
        out, room = np.empty_like(self.case.array), self._room()
        for at, chunk in zip(self._places(), chunks, strict=True):
            core.decode_chunk(chunk, room if copied else out[at])
            if copied:
                out[at] = room
        return out

    def codec_tasks(self) -> list[Task]:
        """Encode, and decode, the chunks that h5py's file has, on one thread."""
        chunks = list(self._encoded())
        return [Task(lambda: deque(self._encoded(), 0)), Task(lambda: self._decoded(chunks))]

    def file_tasks(self, copied: bool) -> list[Task]:
        """Do it to and from a file that has the chunks, and nothing else.

        Parameters
        ----------
        copied : bool
            Whether samples are copied besides, as HDF5 copies them for any filter.
        """
        path = self.folder / PLAIN
        sizes = [len(chunk) for chunk in self._encoded()]

        def write() -> None:
            with path.open("wb", buffering=0) as file:
                for chunk in self._encoded(copied):
                    file.write(chunk.data)

        def chunks() -> Iterator[Array]:
            room = np.empty(max(sizes), dtype=np.uint8)
            with path.open("rb", buffering=0) as file:
                for size in sizes:
                    if file.readinto(room[:size].data) != size:
                        raise WrongDataError(f"{path.name} of {self.case.name}: cut short")
                    yield room[:size]

        write()
        return [
            Task(write, partial(path.unlink, missing_ok=True)),
            Task(lambda: self._decoded(chunks(), copied)),
        ]

    # -- to Zarr ----------------------------------------------------------------------------

    def copy(self, entry: Filter) -> None:
        with h5py.File(self.path(entry)) as file:
            hdf5.to_zarr(file["x"], self.folder / COPIED)

    def read_and_write_again(self, entry: Filter) -> None:
        with h5py.File(self.path(entry)) as file:
            samples = file["x"][...]
            chunks = FlacChunks.need(file["x"])
            array = create_like(chunks, self.folder / AGAIN)
            array[...] = samples

    def remove_copies(self) -> None:
        for name in (COPIED, AGAIN):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def verify_copies(self, entry: Filter) -> None:
        self.copy(entry)
        self.read_and_write_again(entry)
        wanted = self.read(entry)
        for name in (COPIED, AGAIN):
            if not np.array_equal(zarr.open_array(self.folder / name, mode="r")[...], wanted):
                raise WrongDataError(f"{name} of {self.case.name}: samples differ")


def _entry(
    stored: Stored, entry: Filter, error: float, seconds: tuple[list[float], ...]
) -> HDF5Entry:
    write, read, part = seconds
    megabytes = stored.case.array.nbytes / 1e6
    nbytes = stored.nbytes(entry)
    return {
        "contestant": entry.name,
        "settings": entry.settings,
        "threads": entry.threads,
        "nbytes": nbytes,
        "ratio": stored.case.array.nbytes / nbytes,
        "max_error": error,
        "write_seconds": write,
        "read_seconds": read,
        "slice_seconds": part,
        "write_speed": megabytes / median(write),
        "read_speed": megabytes / median(read),
        "slice_median": median(part),
    }


def _times(what: str, ours: str, theirs: str, seconds: list[list[float]]) -> TimesResult:
    mine, others = seconds
    return {
        "what": what,
        "ours": ours,
        "theirs": theirs,
        "our_seconds": mine,
        "their_seconds": others,
        "times": median(others) / median(mine),
    }


def _entry_of(entries: list[Filter], name: str, threads: int) -> Filter:
    return next(entry for entry in entries if (entry.name, entry.threads) == (name, threads))


def _in_turns(
    stored: Stored, ours: str, theirs: str, pairs: list[tuple[str, Task, Task]], rounds: int
) -> list[TimesResult]:
    """Compare tasks two by two, each pair with a word on what they do."""
    name, touched = stored.case.name, 2 * stored.case.array.nbytes
    if stored.chunks != chunk_shape(stored.case.array.shape, CHUNK_SAMPLES):
        name = f"{name}, chunks {stored.chunks}"
    return [
        _times(f"{name}: {what}", ours, theirs, round_robin([mine, other], rounds, touched))
        for what, mine, other in pairs
    ]


def _beside_codec(stored: Stored, entries: list[Filter], rounds: int) -> list[TimesResult]:
    """Compare h5py, in each way to have it, with the codec alone."""
    encode, decode = stored.codec_tasks()
    one = _entry_of(entries, FILTER, 1)
    all_threads = _entry_of(entries, FILTER, thread_counts()[-1])
    ways = {
        THROUGH_H5PY: (stored.write_task(all_threads), stored.read_task(all_threads)),
        ONE_THREAD: (stored.write_task(one), stored.read_task(one)),
        UNCACHED: (stored.write_task(one, chunk_cache=0), stored.read_task(one, chunk_cache=0)),
    }
    results = []
    for way, (write, read) in ways.items():
        pairs = [("write", write, encode), ("read", read, decode)]
        results += _in_turns(stored, way, CODEC, pairs, rounds)
    return results


def _beside_others(stored: Stored, entries: list[Filter], rounds: int) -> list[TimesResult]:
    """Compare h5py on one thread with what does parts of its work."""
    one, direct = _entry_of(entries, FILTER, 1), _entry_of(entries, DIRECT, 1)
    write, read = stored.write_task(one), stored.read_task(one)
    others = {
        CODEC_AND_COPY: stored.file_tasks(copied=True),
        CODEC_AND_FILE: stored.file_tasks(copied=False),
        PAST_FILTERS: [stored.write_task(direct), stored.read_task(direct)],
    }
    results = []
    for theirs, (their_write, their_read) in others.items():
        pairs = [("write", write, their_write), ("read", read, their_read)]
        results += _in_turns(stored, ONE_THREAD, theirs, pairs, rounds)
    return results


def _copies(stored: Stored, entry: Filter, rounds: int) -> TimesResult:
    """Compare copying chunks to Zarr with decoding and encoding them."""
    stored.verify_copies(entry)
    copy = Task(partial(stored.copy, entry), stored.remove_copies)
    again = Task(partial(stored.read_and_write_again, entry), stored.remove_copies)
    pairs = [("HDF5 to Zarr", copy, again)]
    return _in_turns(stored, "to_zarr", "reading and writing again", pairs, rounds)[0]


def _comparisons(stored: Stored, entries: list[Filter], rounds: int) -> list[TimesResult]:
    """Compare h5py with the codec alone and past HDF5's filters, and copying with coding again."""
    one = _entry_of(entries, FILTER, 1)
    results = _beside_others(stored, entries, rounds) + _beside_codec(stored, entries, rounds)
    copies = _copies(stored, one, rounds)
    for samples in SMALLER_SAMPLES:
        smaller = Stored(stored.case, stored.folder, samples)
        for entry in entries:
            if entry.name == FILTER:
                smaller.write(entry)
        results += _beside_codec(smaller, entries, rounds)
    return [*results, copies]


def _seconds(
    entries: list[Filter], task_of: Callable[[Filter], Task], rounds: int, touched: int
) -> list[list[float]]:
    """Time each filter in turns, the slow ones once and at the end."""
    taken: dict[str, list[float]] = {}
    for is_slow, n in ((False, rounds), (True, 1)):
        those = [entry for entry in entries if entry.is_slow == is_slow]
        seconds = round_robin([task_of(entry) for entry in those], n, touched)
        taken |= {repr(entry): s for entry, s in zip(those, seconds, strict=True)}
    return [taken[repr(entry)] for entry in entries]


def run_hdf5(case: Case, repeat: int, quick: bool) -> HDF5Result:
    """Measure and verify all filters on one case."""
    entries = filters(case)
    rounds = rounds_for(case.array.nbytes, repeat, quick)
    with tempfile.TemporaryDirectory() as folder:
        stored = Stored(case, Path(folder))
        for entry in entries:
            stored.write(entry)
        errors = [stored.verify(entry) for entry in entries]
        at = middle(case.array)
        touched = 2 * case.array.nbytes
        write = _seconds(entries, stored.write_task, rounds, touched)
        read = _seconds(entries, stored.read_task, rounds, touched)
        part = _seconds(entries, partial(stored.read_task, selection=at), rounds * SLICE_ROUNDS, 0)
        return {
            "name": case.name,
            "title": case.title,
            "dtype": str(case.array.dtype),
            "shape": list(case.array.shape),
            "chunks": list(stored.chunks),
            "nbytes": case.array.nbytes,
            "samples": SAMPLES,
            "notes": NOTES,
            "entries": [
                _entry(stored, *columns)
                for columns in zip(
                    entries, errors, zip(write, read, part, strict=True), strict=True
                )
            ],
            "times": _comparisons(stored, entries, rounds) if case.name == FLOAT_CASE else [],
        }
