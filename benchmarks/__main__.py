"""The command line: ``python -m benchmarks`` and ``python -m benchmarks table FILE``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import arrays, decoding, report, scaling
from benchmarks.arrays import array_cases, run_arrays
from benchmarks.comparisons import run_comparisons
from benchmarks.compression import run_case
from benchmarks.contestants import NOTES
from benchmarks.data import generated_cases, recorded_cases, recording_path
from benchmarks.decoding import decoding_cases, run_decoding
from benchmarks.hdf5 import hdf5_cases, hdf5_names, run_hdf5
from benchmarks.loops import LOOPS, run_loop
from benchmarks.machine import describe_machine
from benchmarks.memory import can_measure, run_memory
from benchmarks.scaling import SIZES, run_scale
from benchmarks.slices import run_slices
from benchmarks.targets import judge

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.data import Case
    from benchmarks.results import Arguments, Results

ROOT = Path(__file__).parents[1]

app = typer.Typer(add_completion=False)
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="Names, or beginnings of names, of cases, slice, hdf5, memory; may be repeated."
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Small arrays, under a minute.")]
Repeat = Annotated[int, typer.Option(min=1, help="Rounds; medians are shown.")]
DataFolder = Annotated[Path, typer.Option(help="Folder of recordings.")]
Output = Annotated[Path, typer.Option(help="Results as JSON.")]
Largest = Annotated[float, typer.Option(min=0, help="Larger arrays are skipped; in MB.")]
Disk = Annotated[
    Path | None,
    typer.Option(help="Folder on the disk to measure; the system's for temporary files if none."),
]
RECORDINGS = ROOT / "../shared/data"


class Run:
    """A run in the making: measures what is selected, shows it, and keeps it."""

    def __init__(
        self, arguments: Arguments, notes: list[str], data: Path, output: Path, console: Console
    ) -> None:
        self._arguments = arguments
        self._output = output
        self._data = data
        self._console = console
        self.results: Results = {
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

    def _is_selected(self, name: str) -> bool:
        only = self._arguments["only"]
        return not only or name.startswith(tuple(only))

    def _show(self, table: report.Table) -> None:
        """Show what was measured, and keep it, should a long run not come to its end."""
        report.show(table, self._console)
        self.write()

    def _skip(self, name: str, reason: str) -> None:
        self.results["skipped"].append({"name": name, "reason": reason})
        self._console.print(f"{name} is skipped: {reason}.")

    def measure_generated(self) -> None:
        for case in generated_cases(self._arguments["quick"]):
            if self._is_selected(case.name):
                self._measure(case)

    def measure_recorded(self) -> None:
        for case in recorded_cases(self._data):
            if not self._is_selected(case.name):
                continue
            if recording_path(self._data, case.name).is_file():
                self._measure(case)
            else:
                self._skip(case.name, "its recording is not there, see --data")

    def _measure(self, case: Case) -> None:
        result = run_case(case, self._arguments["repeat"], self._arguments["quick"])
        self.results["cases"].append(result)
        self._show(report.case_table(result))

    def measure_slices(self) -> None:
        if self._is_selected("slice"):
            result = run_slices(self._arguments["repeat"], self._arguments["quick"])
            self.results["slice"] = result
            self._show(report.slice_table(result))

    def measure_arrays(self) -> None:
        for case in array_cases(self._arguments["quick"]):
            if self._is_selected(case.name):
                result = run_arrays(case, self._arguments["repeat"], self._arguments["quick"])
                self.results["arrays"].append(result)
                self._show(report.array_table(result))

    def measure_decoding(self) -> None:
        for case in decoding_cases(self._arguments["quick"], self._data):
            if self._is_selected(case.name):
                result = run_decoding(case, self._arguments["repeat"], self._arguments["quick"])
                self.results["decoding"].append(result)
                self._show(report.decoding_table(result))

    def measure_comparisons(self) -> None:
        if self._is_selected("times"):
            results = run_comparisons(self._arguments["repeat"], self._arguments["quick"])
            self.results["times"] = results
            self._show(report.times_table(results))

    def measure_hdf5(self) -> None:
        cases = {case.name: case for case in hdf5_cases(self._arguments["quick"], self._data)}
        for name in filter(self._is_selected, hdf5_names()):
            if name not in cases:
                self._skip(name, "its recording is not there, see --data")
                continue
            result = run_hdf5(cases[name], self._arguments["repeat"], self._arguments["quick"])
            self.results["hdf5"].append(result)
            self._show(report.hdf5_table(result))
            if result["times"]:
                self._show(report.times_table(result["times"]))

    def measure_memory(self) -> None:
        if not self._is_selected("memory"):
            return
        if not can_measure():
            self._skip("memory", "this system does not let a process reset its peak of memory")
            return
        self.results["memory"] = run_memory(self._arguments["quick"])
        self._show(report.memory_table(self.results["memory"]))

    def measure_scale(self, folder: Path | None, largest: float) -> None:
        repeat, quick = self._arguments["repeat"], self._arguments["quick"]
        self.results["scale"] = run_scale(folder, repeat, quick, largest, self._skip)
        for _, table in report.scale_tables(self.results):
            self._show(table)

    def judge_targets(self) -> None:
        self.results["targets"] = judge(self.results)
        if self.results["targets"]:
            self._show(report.target_table(self.results["targets"], self._arguments["quick"]))

    def write(self) -> None:
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._output.write_text(json.dumps(self.results, indent=1) + "\n")


def check_names(only: list[str], known: list[str]) -> None:
    """Refuse names that select nothing."""
    for name in only:
        if not any(entry.startswith(name) for entry in known):
            message = f"expected one of {', '.join(known)}, or how one begins. Got {name!r}."
            raise typer.BadParameter(message, param_hint="--only")


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    quick: Quick = False,
    only: Only = None,
    repeat: Repeat = 5,
    output: Output = ROOT / "out" / "bench.json",
    data: DataFolder = RECORDINGS,
) -> None:
    """Measure flaccodec, flacarray, pcodec, Blosc, Zstd and HDF5 filters in turns, in one process.

    Shows tables and writes a JSON file; targets that were missed are red, and no failure.
    """
    if context.invoked_subcommand is not None:
        return
    console = report.make_console()
    selected = only or []
    cases = (*generated_cases(quick=True), *recorded_cases(data), *array_cases(quick=True))
    check_names(selected, [*(case.name for case in cases), "slice", *hdf5_names(), "memory"])
    arguments: Arguments = {"quick": quick, "only": selected, "repeat": repeat}
    run = Run(arguments, NOTES + arrays.NOTES, data, output, console)
    report.show_header(run.results, console)
    run.measure_generated()
    run.measure_recorded()
    run.measure_arrays()
    run.measure_slices()
    run.measure_hdf5()
    run.measure_memory()
    run.judge_targets()
    run.write()


@app.command()
def decode(
    quick: Quick = False,
    only: Only = None,
    repeat: Repeat = 7,
    output: Output = ROOT / "out" / "decode.json",
    data: DataFolder = RECORDINGS,
) -> None:
    """Measure decoding beside libFLAC called from C, flacarray, pcodec, Blosc and memcpy."""
    console = report.make_console()
    selected = only or []
    names = [case.name for case in decoding_cases(quick=True, data=data)]
    check_names(selected, [*names, "times"])
    arguments: Arguments = {"quick": quick, "only": selected, "repeat": repeat}
    run = Run(arguments, decoding.NOTES, data, output, console)
    report.show_header(run.results, console)
    run.measure_decoding()
    run.measure_comparisons()
    run.judge_targets()
    run.write()


@app.command()
def scale(
    quick: Quick = False,
    repeat: Repeat = 3,
    output: Output = ROOT / "out" / "scale.json",
    largest: Largest = SIZES[-1],
    folder: Disk = None,
) -> None:
    """Measure one and two threads, processes and MPI ranks, sizes of arrays and of chunks."""
    console = report.make_console()
    arguments: Arguments = {"quick": quick, "only": [], "repeat": repeat}
    run = Run(arguments, scaling.NOTES, RECORDINGS, output, console)
    report.show_header(run.results, console)
    run.measure_scale(folder, largest)
    run.write()


@app.command()
def loop(what: str, seconds: float = 10, quick: Quick = False) -> None:
    """Do one thing over and over, encode, decode or zarr, for perf to look at."""
    if what not in LOOPS:
        raise typer.BadParameter(f"must be one of {', '.join(LOOPS)}. Got {what!r}.")
    print(f"{what}: {run_loop(what, seconds, quick)} times")


@app.command()
def table(file: Path, only: Only = None) -> None:
    """Print a run's JSON file as Markdown tables; --only may name targets, too."""
    print(report.markdown(json.loads(file.read_text()), only or []), end="")


if __name__ == "__main__":
    app()
