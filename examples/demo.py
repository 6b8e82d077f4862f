"""The whole way of a recording: to a Zarr array, back in another process, in figures.

Run it with ``./dev demo``, or with ``./dev demo --input recording.npy``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
import zarr
from rich.console import Console
from rich.table import Table
from zarr.codecs import BloscCodec

import flaccodec
from flaccodec import FlacCodec
from flaccodec.demo import create_fake_data, plot_residual

READER = Path(__file__).with_name("reader.py")
CHUNK_SAMPLES = 2**20
PLOT_SAMPLES = 1500
console = Console(width=None if sys.stdout.isatty() else 110)


@dataclass
class Result:
    """How one codec did; seconds, bytes, and the largest error in the units of the data."""

    name: str
    stored: int
    write: float
    whole: float
    slice: float
    error: float


def choose_quanta(data: npt.NDArray[Any]) -> float:
    """Take a power of ten that is at most a hundredth of the noise.

    The noise is taken from the differences of neighbours, whose median magnitude is
    0.954 times the standard deviation of white noise.
    """
    steps = np.abs(np.diff(data.astype(np.float64), axis=-1))
    noise = float(np.nanmedian(steps[np.isfinite(steps)])) / 0.954 if steps.size else 0.0
    return float(10.0 ** np.floor(np.log10(noise / 100))) if noise > 0 else 1e-6


def choose_chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Take whole streams up to a length, as many as make a chunk of a good size."""
    samples = min(shape[-1], CHUNK_SAMPLES)
    left = max(1, CHUNK_SAMPLES // samples)
    chunks: list[int] = []
    for n in reversed(shape[:-1]):
        chunks.insert(0, min(n, left))
        left = max(1, left // n)
    return (*chunks, samples)


def stored_bytes(path: Path) -> int:
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def largest_error(data: npt.NDArray[Any], restored: npt.NDArray[Any]) -> float:
    """Compare all samples; those that are not finite must be the same."""
    finite = np.isfinite(data) if data.dtype.kind == "f" else np.ones(data.shape, dtype=bool)
    np.testing.assert_array_equal(restored[~finite], data[~finite])
    return float(np.abs(restored[finite].astype(float) - data[finite].astype(float)).max(initial=0))


def run_one(
    name: str, data: npt.NDArray[Any], reference: npt.NDArray[Any], folder: Path, **codecs: Any
) -> Result:
    """Write data, read it in another process, and compare with reference."""
    path = folder / f"{name.replace(' ', '-')}.zarr"
    start = time.perf_counter()
    array = zarr.create_array(
        path,
        shape=data.shape,
        chunks=choose_chunks(data.shape),
        dtype=data.dtype,
        overwrite=True,
        **codecs,
    )
    array[...] = data
    write = time.perf_counter() - start
    restored = folder / "restored.npy"
    reader = [sys.executable, str(READER), str(path), str(restored)]
    times = json.loads(subprocess.run(reader, capture_output=True, text=True, check=True).stdout)
    error = largest_error(reference, np.load(restored))
    return Result(name, stored_bytes(path), write, times["whole"], times["slice"], error)


def show(results: list[Result], nbytes: int, quanta: float | None) -> None:
    table = Table(title="one recording, three Zarr arrays, each read by plain zarr.open_array")
    for heading in ("codec", "size", "ratio", "write", "read", "slice of 200", "largest error"):
        table.add_column(heading, justify="left" if heading == "codec" else "right")
    for r in results:
        exact = "exact" if r.error == 0 else f"{r.error:.3g}"
        bound = f" (at most {quanta / 2:.3g})" if quanta is not None and r.error else ""
        table.add_row(
            r.name,
            f"{r.stored / 1e6:.3f} MB",
            f"{nbytes / r.stored:.3f}",
            f"{nbytes / 1e6 / r.write:.0f} MB/s",
            f"{nbytes / 1e6 / r.whole:.0f} MB/s",
            f"{1e3 * r.slice:.2f} ms",
            exact + bound,
        )
    console.print(table)


def main(
    input_file: Annotated[
        Path | None,
        typer.Option("--input", help="A .npy recording, time on the last axis; made up if absent."),
    ] = None,
    quanta: Annotated[
        float | None,
        typer.Option(help="For floats, in the units of the data; a hundredth of the noise."),
    ] = None,
    level: Annotated[int, typer.Option(min=0, max=8, help="FLAC's level.")] = 5,
    output: Annotated[Path, typer.Option(help="Folder for arrays and picture.")] = Path("out/demo"),
) -> None:
    """Write a recording to a Zarr array with FLAC, read it back, and compare."""
    if input_file is None:
        data, _ = create_fake_data((16, 500_000), sigma=1.0, dtype=np.float32)
        source = "a made-up recording"
    else:
        data = np.load(input_file)
        source = input_file.name
    is_float = data.dtype.kind == "f"
    if is_float and quanta is None:
        quanta = choose_quanta(data)
    output.mkdir(parents=True, exist_ok=True)
    console.print(f"{source}: {data.dtype} {data.shape}, {data.nbytes / 1e6:.3f} MB")

    flac = FlacCodec(level=level, quanta=quanta)
    results = [run_one("flaccodec", data, data, output, serializer=flac, compressors=None)]
    restored = np.load(output / "restored.npy")
    if is_float:
        console.print(f"quanta {quanta:g}; the other codecs get the rounded values that FLAC kept")
    results.append(run_one("zarr default zstd", restored, restored, output))
    blosc = BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle")
    results.append(run_one("blosc bitshuffle", restored, restored, output, compressors=blosc))
    show(results, data.nbytes, quanta)

    middle = data.shape[-1] // 2
    window = slice(max(0, middle - PLOT_SAMPLES // 2), middle + PLOT_SAMPLES // 2)
    streams = data.reshape(-1, data.shape[-1]), restored.reshape(-1, data.shape[-1])
    picture = output / "residual.png"
    plot_residual(
        streams[0][0, window],
        streams[1][0, window],
        quanta,
        file=picture,
        title=f"{source}, stream 0, flaccodec {flaccodec.__version__}",
    )
    console.print(f"arrays and picture: {output}/, {picture}")


if __name__ == "__main__":
    typer.run(main)
