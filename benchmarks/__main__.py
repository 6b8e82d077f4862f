"""The command line: ``python -m benchmarks`` and ``python -m benchmarks table FILE``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.contestants.entries import CODEC_NOTES
from benchmarks.data.recordings import recorded_cases
from benchmarks.harness.processes import ROOT
from benchmarks.measures.compression import generated_cases
from benchmarks.measures.decoding import DECODING_NOTES, decoding_cases
from benchmarks.measures.flac_arrays import FLAC_ARRAY_NOTES, flac_array_cases
from benchmarks.measures.hdf5.datasets import hdf5_cases
from benchmarks.measures.loops import LOOPS, run_loop
from benchmarks.measures.scaling.scale import SCALE_NOTES, SIZES
from benchmarks.report.output import make_console, markdown, tables
from benchmarks.run import Run

if TYPE_CHECKING:
    from benchmarks.results import Arguments

DEFAULT_DATA = ROOT / "../shared/data"

app = typer.Typer(add_completion=False)
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="A name, or its beginning, of what to measure; may be repeated. "
        "A name that selects nothing shows all names."
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Small arrays, under a minute.")]
Repeat = Annotated[int, typer.Option(min=1, help="Rounds; medians are shown.")]
DataFolder = Annotated[Path, typer.Option(help="Folder of recordings.")]
Output = Annotated[Path, typer.Option(help="Results as JSON.")]
Largest = Annotated[float, typer.Option(min=0, help="Skip arrays that are larger, in MB.")]
Disk = Annotated[
    Path | None,
    typer.Option(help="Folder on the disk to measure. By default that of temporary files."),
]


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
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Measure flaccodec, flacarray, pcodec, Blosc, Zstd and HDF5 filters in turns, in one process.

    Shows tables and writes a JSON file. Missed targets are red; the command succeeds all the same.
    """
    if context.invoked_subcommand is not None:
        return
    selected = only or []
    cases = [*generated_cases(quick), *recorded_cases(data), *flac_array_cases(quick)]
    names = [case.name for case in (*cases, *hdf5_cases(quick, data))]
    check_names(selected, [*names, "slice", "memory"])
    arguments: Arguments = {"quick": quick, "only": selected, "repeat": repeat}
    run = Run(arguments, CODEC_NOTES + FLAC_ARRAY_NOTES, data, output, make_console())
    run.measure_cases()
    run.measure_flac_arrays()
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
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Measure decoding beside libFLAC called from C, flacarray, pcodec, Blosc and memcpy."""
    selected = only or []
    names = [case.name for case in decoding_cases(quick, data)]
    check_names(selected, [*names, "times"])
    arguments: Arguments = {"quick": quick, "only": selected, "repeat": repeat}
    run = Run(arguments, DECODING_NOTES, data, output, make_console())
    run.measure_decoding()
    run.measure_times()
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
    """Measure one and two threads, processes and MPI ranks, and sizes of arrays and chunks."""
    arguments: Arguments = {"quick": quick, "only": [], "repeat": repeat}
    run = Run(arguments, SCALE_NOTES, DEFAULT_DATA, output, make_console())
    run.measure_scale(folder, largest)
    run.write()


@app.command()
def loop(what: str, seconds: float = 10, quick: Quick = False) -> None:
    """Do one operation over and over, for perf: encode, decode or zarr."""
    if what not in LOOPS:
        raise typer.BadParameter(f"must be one of {', '.join(LOOPS)}. Got {what!r}.")
    print(f"{what}: {run_loop(what, seconds, quick)} times")


@app.command()
def table(file: Path, only: Only = None) -> None:
    """Print the JSON file of a run as Markdown tables. --only may also name targets."""
    results, selected = json.loads(file.read_text()), only or []
    check_names(selected, [name for name, _ in tables(results)])
    print(markdown(results, selected), end="")


if __name__ == "__main__":
    app()
