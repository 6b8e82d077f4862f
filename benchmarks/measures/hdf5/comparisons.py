"""h5py beside the codec alone and beside flaccodec.hdf5, and copying chunks beside coding again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contestants.hdf5_filters import DIRECT, FILTER
from benchmarks.harness.timing import Task, round_robin, thread_counts
from benchmarks.measures.hdf5.codec_alone import CodecAlone
from benchmarks.measures.hdf5.stored import CHUNK_SAMPLES, Stored, chunk_shape
from benchmarks.measures.pairs import compare

if TYPE_CHECKING:
    from benchmarks.contestants.hdf5_filters import Filter
    from benchmarks.results import TimesResult

SMALLER_SAMPLES = (100_000, 200_000, 400_000)
"""Chunks of 0.4, 0.8 and 1.6 MB in 4 bytes a sample; h5py's documentation advises 1 MiB at most."""

CODEC = "flaccodec, chunks in memory"
CODEC_AND_FILE = "flaccodec, chunks in a plain file"
CODEC_AND_COPY = "flaccodec, a plain file, and HDF5's copy"
DIRECT_SAME_FILE = "flaccodec.hdf5, the same file"
ALL_THREADS = "h5py"
ONE_THREAD = "h5py, one thread"
UNCACHED = "h5py, one thread, rdcc_nbytes=0"


def _entry_of(entries: list[Filter], name: str, threads: int) -> Filter:
    return next(entry for entry in entries if (entry.name, entry.threads) == (name, threads))


def _in_turns(
    stored: Stored, ours: str, theirs: str, pairs: list[tuple[str, Task, Task]], rounds: int
) -> list[TimesResult]:
    """Compare pairs of tasks. Each pair comes with a word that says what both do."""
    name, touched = stored.case.name, 2 * stored.case.array.nbytes
    if stored.chunks != chunk_shape(stored.case.array.shape, CHUNK_SAMPLES):
        name = f"{name}, chunks {stored.chunks}"
    return [
        compare(f"{name}: {what}", ours, theirs, *round_robin([mine, other], rounds, touched))
        for what, mine, other in pairs
    ]


def _beside_codec(stored: Stored, entries: list[Filter], rounds: int) -> list[TimesResult]:
    """Compare each way to use h5py with the codec alone."""
    encode, decode = CodecAlone(stored).memory_tasks()
    one = _entry_of(entries, FILTER, 1)
    all_threads = _entry_of(entries, FILTER, thread_counts()[-1])
    ways = {
        ALL_THREADS: (stored.write_task(all_threads), stored.read_task(all_threads)),
        ONE_THREAD: (stored.write_task(one), stored.read_task(one)),
        UNCACHED: (stored.write_task(one, chunk_cache=0), stored.read_task(one, chunk_cache=0)),
    }
    results = []
    for way, (write, read) in ways.items():
        pairs = [("write", write, encode), ("read", read, decode)]
        results += _in_turns(stored, way, CODEC, pairs, rounds)
    return results


def _beside_others(stored: Stored, entries: list[Filter], rounds: int) -> list[TimesResult]:
    """Compare h5py on one thread with code that does parts of its work."""
    one, direct = _entry_of(entries, FILTER, 1), _entry_of(entries, DIRECT, 1)
    write, read = stored.write_task(one), stored.read_task(one)
    codec = CodecAlone(stored)
    others = {
        CODEC_AND_COPY: codec.file_tasks(copied=True),
        CODEC_AND_FILE: codec.file_tasks(copied=False),
        DIRECT_SAME_FILE: [stored.write_task(direct), stored.read_task(direct)],
    }
    results = []
    for theirs, (their_write, their_read) in others.items():
        pairs = [("write", write, their_write), ("read", read, their_read)]
        results += _in_turns(stored, ONE_THREAD, theirs, pairs, rounds)
    return results


def _copies(stored: Stored, entry: Filter, rounds: int) -> list[TimesResult]:
    """Compare copying chunks to Zarr with decoding and encoding them."""
    stored.verify_copies(entry)
    copy = Task(partial(stored.copy, entry), stored.remove_copies)
    again = Task(partial(stored.read_and_write_again, entry), stored.remove_copies)
    pairs = [("HDF5 to Zarr", copy, again)]
    return _in_turns(stored, "to_zarr", "reading and writing again", pairs, rounds)


def compare_hdf5(stored: Stored, entries: list[Filter], rounds: int) -> list[TimesResult]:
    """Make all comparisons; the copy to Zarr comes last."""
    results = _beside_others(stored, entries, rounds) + _beside_codec(stored, entries, rounds)
    copies = _copies(stored, _entry_of(entries, FILTER, 1), rounds)
    for samples in SMALLER_SAMPLES:
        smaller = Stored(stored.case, stored.folder, samples)
        for entry in entries:
            if entry.name == FILTER:
                smaller.write(entry)
        results += _beside_codec(smaller, entries, rounds)
    return results + copies
