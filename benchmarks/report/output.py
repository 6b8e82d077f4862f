"""Results on the screen and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich.table
from rich.console import Console
from rich.text import Text

from benchmarks.report.scale_tables import scale_tables
from benchmarks.report.tables import (
    array_table,
    case_table,
    decoding_table,
    hdf5_table,
    memory_table,
    slice_table,
    target_table,
    times_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.report.tables import Table
    from benchmarks.results import Machine, Results

PIPED_WIDTH = 140


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    """Yield each table of a run with its name."""
    for case in results["cases"]:
        yield case["name"], case_table(case)
    if results["slice"] is not None:
        yield "slice", slice_table(results["slice"])
    for array in results["arrays"]:
        yield array["case"]["name"], array_table(array)
    for decoding in results["decoding"]:
        yield decoding["name"], decoding_table(decoding)
    for hdf5 in results["hdf5"]:
        yield hdf5["name"], hdf5_table(hdf5)
        if hdf5["times"]:
            yield f"{hdf5['name']}-times", times_table(hdf5["times"])
    if results["times"]:
        yield "times", times_table(results["times"])
    if results["memory"]:
        yield "memory", memory_table(results["memory"])
    if "scale" in results:
        yield from scale_tables(results["scale"])
    if results["targets"]:
        yield "targets", target_table(results["targets"], results["arguments"]["quick"])


def machine_line(machine: Machine) -> str:
    """Describe the machine in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['processor']}, {machine['processors']} processors, {machine['system']}, "
        f"Python {machine['python']}, {versions}. "
        f"Load average at the start: {machine['load_average']}."
    )


def make_console() -> Console:
    """Return a console. If it is not a terminal, it is as wide as the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def show_header(results: Results, console: Console) -> None:
    """Print what is true for the whole run: the machine and the notes."""
    for line in (machine_line(results["machine"]), *results["notes"]):
        console.print(Text(line, style="dim"))
    console.print()


def show(table: Table, console: Console) -> None:
    """Print a table, with missed targets in red."""
    shown = rich.table.Table(title=table.title, title_justify="left")
    for number, column in enumerate(table.columns):
        is_label = number < table.n_labels
        shown.add_column(column, justify="left" if is_label else "right", no_wrap=number == 0)
    for number, row in enumerate(table.rows):
        shown.add_row(*map(Text, row), style="red" if number in table.misses else None)
    console.print(shown)
    for note in table.notes:
        console.print(Text(note, style="dim"))
    console.print()


def _markdown_table(table: Table) -> Iterator[str]:
    rules = ["---" if n < table.n_labels else "---:" for n in range(len(table.columns))]
    for row in (table.columns, rules, *table.rows):
        yield f"| {' | '.join(row)} |"


def markdown(results: Results, only: list[str]) -> str:
    """Return a run as Markdown: all tables, or those whose names begin with one of `only`."""
    lines = [machine_line(results["machine"]), ""]
    lines += [f"- {note}" for note in results["notes"]]
    for name, table in tables(results):
        if only and not name.startswith(tuple(only)):
            continue
        lines += ["", f"### {table.title}", "", *_markdown_table(table)]
        lines += ["", *(f"- {note}" for note in table.notes)] if table.notes else []
    for skipped in results["skipped"]:
        lines += ["", f"{skipped['name']} was skipped: {skipped['reason']}."]
    return "\n".join(lines) + "\n"
