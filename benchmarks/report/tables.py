"""Results as tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.data.selections import SLICE_SAMPLES

if TYPE_CHECKING:
    from benchmarks.results import (
        ArrayResult,
        CaseResult,
        DecodingResult,
        HDF5Result,
        MemoryResult,
        SliceResult,
        TargetResult,
        TimesResult,
    )


@dataclass(frozen=True)
class Table:
    """Cells of text; the first `n_labels` columns are labels, the others figures.

    Attributes
    ----------
    misses : set of int
        Rows to mark.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    n_labels: int
    notes: list[str] = field(default_factory=list)
    misses: set[int] = field(default_factory=set)


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def case_table(case: CaseResult) -> Table:
    """Show the contestants of a case."""
    columns = ["codec", "settings", "threads", "ratio", "encode MB/s", "decode MB/s"]
    columns += ["encode x flacarray", "decode x flacarray"]
    if case["quanta"] is not None or case["precision"] is not None:
        columns.append("largest error")
    rows = [
        [
            result["contestant"],
            result["settings"],
            str(result["threads"]),
            f"{result['ratio']:.3f}",
            f"{result['encode_speed']:,.0f}",
            f"{result['decode_speed']:,.0f}",
            _times(result["encode_vs_flacarray"]),
            _times(result["decode_vs_flacarray"]),
            f"{result['max_error']:.3g}",
        ][: len(columns)]
        for result in case["contestants"]
    ]
    return Table(case["title"], columns, rows, 2, case["notes"])


def array_table(result: ArrayResult) -> Table:
    """Show flaccodec's FlacArray beside flacarray's."""
    table = case_table(result["case"])
    if not result["slices"]:
        return table
    ours, theirs = (entry["median"] for entry in result["slices"])
    note = (
        f"{SLICE_SAMPLES} samples of every stream: flaccodec {1e3 * ours:.2f} ms, flacarray "
        f"{1e3 * theirs:.2f} ms, {theirs / ours:.1f} times as long."
    )
    return replace(table, notes=[note])


def decoding_table(result: DecodingResult) -> Table:
    """Show the ways to decode a case."""
    libflac = next((w["speed"] for w in result["ways"] if w["contestant"] == "libFLAC"), None)
    rows = [
        [
            way["contestant"],
            way["settings"],
            str(way["threads"]),
            f"{way['speed']:,.0f}",
            _times(None if libflac is None else way["speed"] / libflac),
        ]
        for way in result["ways"]
    ]
    columns = ["codec", "settings", "threads", "decode MB/s", "x libFLAC on one thread"]
    return Table(result["title"], columns, rows, 2)


def times_table(results: list[TimesResult]) -> Table:
    """Show comparisons of two sides each."""
    rows = [
        [
            result["what"],
            result["ours"],
            result["theirs"],
            f"{1e3 * median(result['our_seconds']):,.1f}",
            f"{1e3 * median(result['their_seconds']):,.1f}",
            f"{result['times']:.2f}",
        ]
        for result in results
    ]
    columns = ["what", "A", "B", "A, ms", "B, ms", "A's speed / B's"]
    return Table("two at a time", columns, rows, 3)


def hdf5_table(result: HDF5Result) -> Table:
    """Show the filters beside each other."""
    columns = ["filter", "settings", "threads", "ratio", "write MB/s", "read MB/s"]
    columns += [f"{result['samples']} samples, ms", "largest error"]
    rows = [
        [
            entry["contestant"],
            entry["settings"],
            str(entry["threads"]),
            f"{entry['ratio']:.3f}",
            f"{entry['write_speed']:,.0f}",
            f"{entry['read_speed']:,.0f}",
            f"{1e3 * entry['slice_median']:,.2f}",
            f"{entry['max_error']:.3g}",
        ]
        for entry in result["entries"]
    ]
    title = f"{result['title']}, chunks {tuple(result['chunks'])}"
    return Table(title, columns, rows, 2, result["notes"])


def slice_table(result: SliceResult) -> Table:
    """Show the reads from Zarr stores."""
    columns = ["codec", "settings", "read", "ms", "x faster than whole", "requests"]
    columns.append("bytes fetched")
    rows = [
        [
            read["contestant"],
            read["settings"],
            read["read"],
            f"{1e3 * read['median']:,.2f}",
            f"{read['times_faster_than_whole']:,.1f}",
            f"{read['requests']:,}",
            f"{read['nbytes_fetched']:,}",
        ]
        for read in result["reads"]
    ]
    shape = tuple(result["shape"])
    title = (
        f"slice: {result['samples']} samples from the middle of a stream, "
        f"{result['dtype']} chunk {shape}"
    )
    index = f"flaccodec's header and index: {result['index_nbytes']:,} bytes."
    return Table(title, columns, rows, 3, [index, *result["notes"]])


def memory_table(results: list[MemoryResult]) -> Table:
    """Show flaccodec's peak memory."""
    columns = ["array", "operation", "input MB", "output MB", "peak MB", "excess"]
    rows = [
        [
            result["case"],
            result["operation"],
            f"{result['input_nbytes'] / 1e6:.1f}",
            f"{result['output_nbytes'] / 1e6:.1f}",
            f"{result['peak_nbytes'] / 1e6:.1f}",
            f"{result['excess']:.1%}",
        ]
        for result in results
    ]
    note = (
        f"Resident memory of a process of its own, {results[0]['threads']} threads; "
        "excess is (peak - input - output) / (input + output)."
    )
    return Table("memory: flaccodec's peak", columns, rows, 2, [note])


def target_table(results: list[TargetResult], quick: bool) -> Table:
    """Show targets, and mark those that were missed."""
    rows = [
        [result["what"], result["target"], result["measured"], "yes" if result["met"] else "no"]
        for result in results
    ]
    notes = [
        "Speed: flaccodec on all processors beside flacarray with or without threads, whichever "
        "is faster."
    ]
    if quick:
        notes.append("A quick run: the targets are meant for larger arrays.")
    misses = {row for row, result in enumerate(results) if not result["met"]}
    return Table("targets", ["what", "target", "measured", "met"], rows, 1, notes, misses)
