"""Generated arrays: noise on a slow wave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Array = npt.NDArray[Any]

NOISE_SIGMA = 2.0**14
"""Gaussian noise: plus and minus 4 sigma fill 17 bits."""

WAVE_AMPLITUDE = 2.0**18
WAVE_PERIOD = 50_000
"""In samples."""

QUANTA = 1e-3
"""A step of one in the signal is a step of one quantum in arrays of floats."""


def _fill(
    out: Array, seed: int, sigma: float, amplitude: float, convert: Callable[[Array], Array]
) -> Array:
    """Fill each stream with noise on a wave that has a phase of its own."""
    rng = np.random.default_rng(seed)
    stream_size = out.shape[1]
    angle = 2 * np.pi / WAVE_PERIOD * np.arange(stream_size)
    phases = rng.uniform(0, 2 * np.pi, len(out))
    for stream, phase in zip(out, phases, strict=True):
        signal = sigma * rng.standard_normal(stream_size)
        signal += amplitude * np.sin(angle + phase)
        stream[:] = convert(signal)
    return out


def noisy_wave(shape: tuple[int, int], dtype: npt.DTypeLike) -> Array:
    """Return integers, or floats in units of `QUANTA` that are not rounded."""
    out = np.empty(shape, dtype=dtype)

    def convert(signal: Array) -> Array:
        return np.rint(signal) if out.dtype.kind == "i" else QUANTA * signal

    return _fill(out, 20260101, NOISE_SIGMA, WAVE_AMPLITUDE, convert)


def bits_wave(
    shape: tuple[int, int], bits: int, dtype: npt.DTypeLike = np.int32, step: float = 1.0
) -> Array:
    """Return integers of this many bits, times `step`.

    The wave takes half of the range. Plus and minus 4 sigma of the noise take a quarter.
    """
    out = np.empty(shape, dtype=dtype)
    sigma, amplitude = 2.0 ** (bits - 5), 2.0 ** (bits - 2)
    return _fill(out, 20260102, sigma, amplitude, lambda signal: step * np.rint(signal))
