"""Tables of ``./dev bench scale``."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks.data.selections import SLICE_SAMPLES
from benchmarks.report.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results import ChunkSizeResult, ScaleResult, SizeResult, Times, WorkersResult


def _speeds(result: Times) -> list[str]:
    return [f"{result['write_speed']:,.0f}", f"{result['read_speed']:,.0f}"]


def workers_table(results: list[WorkersResult]) -> Table:
    """Show one and more workers of each kind."""
    columns = ["kind", "dtype", "workers", "write MB/s", "read MB/s", "write x one", "read x one"]
    rows = [
        [
            result["kind"],
            result["dtype"],
            str(result["workers"]),
            *_speeds(result),
            f"{result['write_vs_one']:.2f}",
            f"{result['read_vs_one']:.2f}",
        ]
        for result in results
    ]
    megabytes = results[0]["nbytes"] / 1e6
    return Table(f"workers: on an array of {megabytes:g} MB", columns, rows, 2)


def size_table(results: list[SizeResult]) -> Table:
    """Show arrays of several sizes."""
    columns = ["array", "dtype", "write s", "read s", "write MB/s", "read MB/s"]
    rows = [
        [
            f"{result['nbytes'] / 1e6:,g} MB",
            result["dtype"],
            f"{median(result['write_seconds']):.3f}",
            f"{median(result['read_seconds']):.3f}",
            *_speeds(result),
        ]
        for result in results
    ]
    return Table("sizes: one worker, arrays of several sizes", columns, rows, 2)


def _binary_size(nbytes: int) -> str:
    return f"{nbytes // 2**20} MiB" if nbytes >= 2**20 else f"{nbytes // 2**10} KiB"


def chunk_size_table(results: list[ChunkSizeResult]) -> Table:
    """Show chunks of several sizes."""
    columns = [
        "chunk",
        "samples",
        "dtype",
        "write MB/s",
        "read MB/s",
        f"{SLICE_SAMPLES} samples, ms",
    ]
    columns += ["ratio", "index bytes", "index of chunk"]
    rows = [
        [
            _binary_size(result["chunk_nbytes"]),
            str(tuple(result["chunk"])),
            result["dtype"],
            *_speeds(result),
            f"{1e3 * result['slice_median']:.2f}",
            f"{result['ratio']:.3f}",
            f"{result['index_nbytes']:,}",
            f"{result['index_nbytes'] * result['ratio'] / result['chunk_nbytes']:.2%}",
        ]
        for result in results
    ]
    megabytes = results[0]["nbytes"] / 1e6
    notes = [
        f"{SLICE_SAMPLES} samples: from the middle of one stream, index not remembered.",
        "index of chunk: header and index as a share of the encoded chunk.",
    ]
    title = f"chunks: one worker, {megabytes:,.0f} MB in chunks of several sizes"
    return Table(title, columns, rows, 3, notes)


def scale_tables(results: ScaleResult) -> Iterator[tuple[str, Table]]:
    """Yield the tables of what was measured, each with its name."""
    if results["workers"]:
        yield "workers", workers_table(results["workers"])
    if results["sizes"]:
        yield "sizes", size_table(results["sizes"])
    if results["chunks"]:
        yield "chunks", chunk_size_table(results["chunks"])
