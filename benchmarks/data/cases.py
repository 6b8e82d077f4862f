"""An array and how it is compressed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.data.signals import Array


@dataclass(frozen=True)
class Case:
    """An array and how it is compressed.

    Floats with neither quanta nor precision are kept bit for bit.

    Attributes
    ----------
    load : callable
        Returns the array, shape (n_streams, stream_size).
    recording : Path, optional
        The file that `load` reads. It may be missing.
    """

    name: str
    load: Callable[[], Array]
    level: int = 5
    quanta: float | None = None
    precision: int | None = None
    recording: Path | None = None

    @property
    def can_load(self) -> bool:
        return self.recording is None or self.recording.is_file()

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
        """The array rounded to its quanta: the input of contestants that take no quanta."""
        if not self.is_quantized:
            return self.array
        grid = np.rint(self.array / self.stream_quanta) * self.stream_quanta
        return grid.astype(self.array.dtype)
