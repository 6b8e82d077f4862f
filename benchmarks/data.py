"""The arrays that are compressed: generated ones and recordings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Array = npt.NDArray[Any]

NOISE_SIGMA = 2.0**14
"""Gaussian noise whose +-4 sigma fill 17 bits."""

WAVE_AMPLITUDE = 2.0**18
WAVE_PERIOD = 50_000
"""In samples."""

FLOAT_SCALE = 1e-3
"""Units of the float arrays: an integer step of the signal is one quantum of 1e-3."""

LEVELS = (5, 8)


def noisy_wave(shape: tuple[int, int], dtype: npt.DTypeLike) -> Array:
    """Generate noise on a slow wave, each stream with a phase of its own."""
    out = np.empty(shape, dtype=dtype)
    rng = np.random.default_rng(20260101)
    angle = 2 * np.pi / WAVE_PERIOD * np.arange(shape[1])
    for stream, phase in zip(out, rng.uniform(0, 2 * np.pi, shape[0]), strict=True):
        signal = NOISE_SIGMA * rng.standard_normal(shape[1])
        signal += WAVE_AMPLITUDE * np.sin(angle + phase)
        stream[:] = np.rint(signal) if out.dtype.kind == "i" else FLOAT_SCALE * signal
    return out


def bits_wave(
    shape: tuple[int, int], bits: int, dtype: npt.DTypeLike = np.int32, step: float = 1.0
) -> Array:
    """Generate integers of so many bits, times `step`: a slow wave of half the range, and noise.

    The noise's +-4 sigma fill a quarter of the range.
    """
    out = np.empty(shape, dtype=dtype)
    rng = np.random.default_rng(20260102)
    angle = 2 * np.pi / WAVE_PERIOD * np.arange(shape[1])
    for stream, phase in zip(out, rng.uniform(0, 2 * np.pi, shape[0]), strict=True):
        signal = 2.0 ** (bits - 5) * rng.standard_normal(shape[1])
        signal += 2.0 ** (bits - 2) * np.sin(angle + phase)
        stream[:] = step * np.rint(signal)
    return out


@dataclass(frozen=True)
class Case:
    """An array and how it is to be compressed.

    Floats without quanta and precision are kept bit for bit.
    """

    name: str
    load: Callable[[], Array]
    level: int = 5
    quanta: float | None = None
    precision: int | None = None

    @cached_property
    def array(self) -> Array:
        return self.load()

    @property
    def is_quantized(self) -> bool:
        return self.quanta is not None or self.precision is not None

    @property
    def title(self) -> str:
        parts = [f"{self.array.dtype} {self.array.shape}", f"level {self.level}"]
        if self.quanta is not None:
            parts.append(f"quanta {self.quanta:g}")
        elif self.precision is not None:
            parts.append(f"precision {self.precision}")
        elif self.array.dtype.kind == "f":
            parts.append("lossless")
        return f"{self.name}: {', '.join(parts)}"

    @cached_property
    def stream_quanta(self) -> Array:
        """The quanta of each stream, shape (n_streams, 1)."""
        if self.precision is None:
            return np.full((self.array.shape[0], 1), self.quanta, dtype=np.float64)
        rms = self.array.std(axis=-1, dtype=np.float64, keepdims=True)
        return np.asarray(rms / 10.0**self.precision)

    @cached_property
    def rounded(self) -> Array:
        """The array rounded to its quanta: what contestants without quanta are given."""
        if not self.is_quantized:
            return self.array
        grid = np.rint(self.array / self.stream_quanta) * self.stream_quanta
        return grid.astype(self.array.dtype)


def generated_cases(quick: bool) -> list[Case]:
    """Return the cases that need no files."""
    long, medium, short = (
        ((10, 20_000), (200, 1000), (500, 100))
        if quick
        else ((100, 200_000), (20_000, 1000), (20_000, 100))
    )
    return [
        Case("int32-long-streams", partial(noisy_wave, long, np.int32)),
        Case("int32-1000-samples", partial(noisy_wave, medium, np.int32)),
        Case("int32-100-samples", partial(noisy_wave, short, np.int32)),
        Case("float32-quanta", partial(noisy_wave, long, np.float32), quanta=1e-3),
    ]


INTEGER_RECORDINGS = ("seismic_kw1", "ecg_100", "eeg_psg")
FLOAT_RECORDING = "geophone_rg16"


def recording_path(directory: Path, case_name: str) -> Path:
    """Return the file of a recorded case."""
    return directory / f"{case_name.split('-')[0]}.npy"


def recorded_cases(directory: Path) -> list[Case]:
    """Return the cases that read a recording, whether it is there or not."""
    cases = []
    for level in LEVELS:
        for name in INTEGER_RECORDINGS:
            load = partial(np.load, recording_path(directory, name))
            cases.append(Case(f"{name}-level{level}", load, level))
        load = partial(np.load, recording_path(directory, FLOAT_RECORDING))
        cases.append(Case(f"{FLOAT_RECORDING}-lossless-level{level}", load, level))
        cases.append(Case(f"{FLOAT_RECORDING}-precision4-level{level}", load, level, precision=4))
    return sorted(cases, key=lambda case: case.name)
