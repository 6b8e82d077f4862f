"""Cases that read recordings from a folder."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.data.cases import Case

if TYPE_CHECKING:
    from pathlib import Path

INTEGER_RECORDINGS = ("seismic_kw1", "ecg_100", "eeg_psg")
FLOAT_RECORDING = "geophone_rg16"
LEVELS = (5, 8)
PRECISION = 4


def recorded_case(
    name: str, folder: Path, recording: str, level: int = 5, precision: int | None = None
) -> Case:
    """Return a case whose array is a recording."""
    path = folder / f"{recording}.npy"
    return Case(name, partial(np.load, path), level, precision=precision, recording=path)


def integer_cases(folder: Path, level: int) -> list[Case]:
    """Return the recordings of integers."""
    return [
        recorded_case(f"{name}-level{level}", folder, name, level) for name in INTEGER_RECORDINGS
    ]


def precision_case(folder: Path, level: int) -> Case:
    """Return the recording of floats, with a precision."""
    name = f"{FLOAT_RECORDING}-precision{PRECISION}-level{level}"
    return recorded_case(name, folder, FLOAT_RECORDING, level, PRECISION)


def recorded_cases(folder: Path) -> list[Case]:
    """Return all recordings at both levels, sorted by name."""
    cases = []
    for level in LEVELS:
        lossless = f"{FLOAT_RECORDING}-lossless-level{level}"
        cases += integer_cases(folder, level)
        cases.append(recorded_case(lossless, folder, FLOAT_RECORDING, level))
        cases.append(precision_case(folder, level))
    return sorted(cases, key=lambda case: case.name)
