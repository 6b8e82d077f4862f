"""The command line: ``python -m benchmarks`` and ``python -m benchmarks table FILE``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import report
from benchmarks.compression import run_case
from benchmarks.contestants import NOTES
from benchmarks.data import generated_cases, recorded_cases, recording_path
from benchmarks.machine import describe_machine
from benchmarks.memory import can_measure, run_memory
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
    typer.Option(help="Names, or beginnings of names, of cases, slice, memory; may be repeated."),
]


class Run:
    """A run in the making: measures what is selected, shows it, and keeps it."""

    def __init__(self, arguments: Arguments, data: Path, console: Console) -> None:
        self._arguments = arguments
        self._data = data
        self._console = console
        self.results: Results = {
            "machine": describe_machine(),
            "arguments": arguments,
            "notes": NOTES,
            "cases": [],
            "slice": None,
            "memory": [],
            "targets": [],
            "skipped": [],
        }

    def _is_selected(self, name: str) -> bool:
        only = self._arguments["only"]
        return not only or name.startswith(tuple(only))

    def _show(self, table: report.Table) -> None:
        report.show(table, self._console)

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

    def measure_memory(self) -> None:
        if not self._is_selected("memory"):
            return
        if not can_measure():
            self._skip("memory", "this system does not let a process reset its peak of memory")
            return
        self.results["memory"] = run_memory(self._arguments["quick"])
        self._show(report.memory_table(self.results["memory"]))

    def judge_targets(self) -> None:
        self.results["targets"] = judge(self.results)
        if self.results["targets"]:
            self._show(report.target_table(self.results["targets"], self._arguments["quick"]))


def check_names(only: list[str], data: Path) -> None:
    """Refuse names that select nothing."""
    cases = (*generated_cases(quick=True), *recorded_cases(data))
    known = [case.name for case in cases] + ["slice", "memory"]
    for name in only:
        if not any(entry.startswith(name) for entry in known):
            message = f"expected one of {', '.join(known)}, or how one begins. Got {name!r}."
            raise typer.BadParameter(message, param_hint="--only")


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Small arrays, under a minute.")] = False,
    only: Only = None,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds; medians are shown.")] = 5,
    output: Annotated[Path, typer.Option(help="Results as JSON.")] = ROOT / "out" / "bench.json",
    data: Annotated[Path, typer.Option(help="Folder of recordings.")] = ROOT / "../shared/data",
) -> None:
    """Measure flaccodec, flacarray, pcodec, Blosc and Zstd in turns, in one process.

    Shows tables and writes a JSON file; targets that were missed are red, and no failure.
    """
    if context.invoked_subcommand is not None:
        return
    console = report.make_console()
    selected = only or []
    check_names(selected, data)
    run = Run({"quick": quick, "only": selected, "repeat": repeat}, data, console)
    report.show_header(run.results, console)
    run.measure_generated()
    run.measure_recorded()
    run.measure_slices()
    run.measure_memory()
    run.judge_targets()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(run.results, indent=1) + "\n")


@app.command()
def table(file: Path, only: Only = None) -> None:
    """Print a run's JSON file as Markdown tables; --only may name targets, too."""
    print(report.markdown(json.loads(file.read_text()), only or []), end="")


if __name__ == "__main__":
    app()
