"""Arrays that every version of flacarray writes, with the options it writes them with.

Imported by flaccodec's tests and, beside flacarray, in environments without flaccodec.
"""

import numpy as np

SHAPES = {"1d": (70,), "1xn": (1, 70), "2d": (3, 70), "3d": (2, 3, 50)}
QUANTA = 1.0 / 3.0  # no float: what quanta become on the way can be seen


def _slow_waves(shape, rng):
    """Return triangular waves with noise; without functions that differ between machines."""
    phase = rng.uniform(0.0, 2.0, (*shape[:-1], 1))
    level = rng.uniform(-500.0, 500.0, (*shape[:-1], 1))
    times = np.arange(shape[-1]) / 16
    return level + 100.0 * np.abs((times + phase) % 2.0 - 1.0) + rng.uniform(-1.0, 1.0, shape)


def _integers(shape, rng, dtype, level, spread):
    streams = level + rng.integers(-spread, spread, (*shape[:-1], 1), dtype=np.int64)
    return (streams + rng.integers(-900, 900, shape, dtype=np.int64)).astype(dtype)


def cases(wide_int64):
    """Return {name: (array, options of write_array)}.

    Parameters
    ----------
    wide_int64 : bool
        Whether streams of int64 may span more than 32 bits, as format 0's may not.
    """
    rng = np.random.default_rng(20240611)
    made = {}
    for name, shape in SHAPES.items():
        made[f"int32_{name}"] = _integers(shape, rng, np.int32, 0, 2**30), {}
        int64 = _integers(shape, rng, np.int64, 2**40 + 12345, 2**34)
        if wide_int64:
            int64[..., ::7] *= -8191
        made[f"int64_{name}"] = int64, {}
        for dtype in ("float32", "float64"):
            waves = _slow_waves(shape, rng).astype(dtype)
            made[f"{dtype}_quanta_{name}"] = waves, {"quanta": QUANTA}
            made[f"{dtype}_precision_{name}"] = waves, {"precision": 3}
    return made
