"""One run: it measures what is selected, shows it and keeps it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from benchmarks.data.recordings import recorded_cases
from benchmarks.measures.compression import generated_cases, run_case
from benchmarks.measures.decoding import decoding_cases, run_decoding
from benchmarks.measures.encoding import run_encoders
from benchmarks.measures.flac_arrays import flac_array_cases, run_flac_arrays
from benchmarks.measures.hdf5.datasets import hdf5_cases, run_hdf5
from benchmarks.measures.memory import can_measure, run_memory
from benchmarks.measures.scaling.scale import run_scale
from benchmarks.measures.slices import run_slices
from benchmarks.measures.whole_reads import run_whole_reads
from benchmarks.report.machine import describe_machine
from benchmarks.report.output import show, show_header
from benchmarks.report.scale_tables import scale_tables
from benchmarks.report.tables import (
    Table,
    array_table,
    case_table,
    decoding_table,
    hdf5_table,
    memory_table,
    slice_table,
    target_table,
    times_table,
)
from benchmarks.report.targets import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rich.console import Console

    from benchmarks.data.cases import Case
    from benchmarks.results import Arguments, HDF5Result, Results

    Result = TypeVar("Result")


class Run:
    """One run: it measures what is selected, shows it and keeps it.

    Parameters
    ----------
    notes : list of str
        What a reader must know of all figures.
    data : Path
        Folder of recordings.
    output : Path
        The JSON file.
    """

    def __init__(
        self, arguments: Arguments, notes: list[str], data: Path, output: Path, console: Console
    ) -> None:
        self._only = arguments["only"]
        self._repeat = arguments["repeat"]
        self._quick = arguments["quick"]
        self._output = output
        self._data = data
        self._console = console
        self._results: Results = {
            "machine": describe_machine(),
            "arguments": arguments,
            "notes": notes,
            "cases": [],
            "slice": None,
            "memory": [],
            "arrays": [],
            "decoding": [],
            "times": [],
            "hdf5": [],
            "targets": [],
            "skipped": [],
        }
        show_header(self._results, console)

    def _is_selected(self, name: str) -> bool:
        return not self._only or name.startswith(tuple(self._only))

    def _show(self, *tables: Table) -> None:
        """Show what was measured, and write it in case a long run does not reach its end."""
        for table in tables:
            show(table, self._console)
        self.write()

    def _skip(self, name: str, reason: str) -> None:
        self._results["skipped"].append({"name": name, "reason": reason})
        self._console.print(f"{name} is skipped: {reason}.")

    def _measure(
        self,
        cases: Iterable[Case],
        measure: Callable[[Case, int, bool], Result],
        results: list[Result],
        tables_of: Callable[[Result], list[Table]],
    ) -> None:
        """Measure each case that is selected and can be loaded."""
        for case in cases:
            if not self._is_selected(case.name):
                continue
            if not case.can_load:
                self._skip(case.name, "its recording is not there, see --data")
                continue
            result = measure(case, self._repeat, self._quick)
            results.append(result)
            self._show(*tables_of(result))

    def measure_cases(self) -> None:
        cases = (*generated_cases(self._quick), *recorded_cases(self._data))
        self._measure(cases, run_case, self._results["cases"], lambda r: [case_table(r)])

    def measure_flac_arrays(self) -> None:
        results = self._results["arrays"]
        cases = flac_array_cases(self._quick)
        self._measure(cases, run_flac_arrays, results, lambda r: [array_table(r)])

    def measure_decoding(self) -> None:
        cases = decoding_cases(self._quick, self._data)
        results = self._results["decoding"]
        self._measure(cases, run_decoding, results, lambda r: [decoding_table(r)])

    def measure_hdf5(self) -> None:
        cases = hdf5_cases(self._quick, self._data)
        self._measure(cases, run_hdf5, self._results["hdf5"], _hdf5_tables)

    def measure_slices(self) -> None:
        if self._is_selected("slice"):
            result = run_slices(self._repeat, self._quick)
            self._results["slice"] = result
            self._show(slice_table(result))

    def measure_times(self) -> None:
        if self._is_selected("times"):
            results = run_whole_reads(self._repeat, self._quick)
            results += run_encoders(self._repeat, self._quick)
            self._results["times"] = results
            self._show(times_table(results))

    def measure_memory(self) -> None:
        if not self._is_selected("memory"):
            return
        if not can_measure():
            self._skip("memory", "this system does not let a process reset its peak of memory")
            return
        self._results["memory"] = run_memory(self._quick)
        self._show(memory_table(self._results["memory"]))

    def measure_scale(self, folder: Path | None, largest: float) -> None:
        results = run_scale(folder, self._repeat, self._quick, largest, self._skip)
        self._results["scale"] = results
        self._show(*(table for _, table in scale_tables(results)))

    def judge_targets(self) -> None:
        self._results["targets"] = judge(self._results)
        if self._results["targets"]:
            self._show(target_table(self._results["targets"], self._quick))

    def write(self) -> None:
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._output.write_text(json.dumps(self._results, indent=1) + "\n")


def _hdf5_tables(result: HDF5Result) -> list[Table]:
    comparisons = [times_table(result["times"])] if result["times"] else []
    return [hdf5_table(result), *comparisons]
