"""Made-up recordings, and pictures of what compression leaves of them.

The pictures need matplotlib: ``pip install flaccodec[plot]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.exceptions import ConfigurationError
from flaccodec.mpi.distribution import is_comm
from flaccodec.runtime.optional import needed
from flaccodec.samples.keep import check_keep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["create_fake_data", "plot_data", "plot_residual"]


def create_fake_data(
    local_shape: Sequence[int],
    sigma: float | None = 1.0,
    dtype: npt.DTypeLike = np.float64,
    seed: int = 123456789,
    comm: Any = None,
    dc_sigma: float | None = 5,
) -> tuple[npt.NDArray[Any], list[tuple[int, int]]]:
    """Make streams as detectors give them: a level, slow waves, and noise.

    Floats, and int32 and int64 with sigma None, are the numbers that flacarray makes of this seed.

    Parameters
    ----------
    local_shape : sequence of int
        The last axis is time. With `comm`, that of this rank's part.
    sigma : float or None
        Standard deviation of the white noise, in the units of the data; two slow waves
        have amplitudes of a few of it. None for uniform noise over all of the dtype's range.
    dtype : dtype
        Of the result. Integers are the rounded values.
    seed : int
        The same seed gives the same data.
    comm : mpi4py.MPI.Comm, optional
        All its ranks call this, each for its rows, along the leading axis, of one array; a part
        of one axis is one row, and one of no rows nothing. The array does not depend on how its
        rows lie on the ranks. Each rank makes all of it for a moment.
    dc_sigma : float or None
        Levels are uniform over so many sigma about zero; None for none.

    Returns
    -------
    data : ndarray of `local_shape` and `dtype`
    mpi_dist : list of (int, int)
        The range of the leading axis on each MPI rank, of which there is one without `comm`.

    Raises
    ------
    ConfigurationError
        `comm` is no communicator, or the ranks' parts do not go together.
    """
    shape, dtype = tuple(local_shape), np.dtype(dtype)
    if not is_comm(comm, "comm"):
        return _make(shape, sigma, dtype, seed, dc_sigma), [(0, shape[0] if len(shape) > 1 else 1)]
    from flaccodec.mpi import global_array_properties

    whole = global_array_properties(shape, dtype, comm)
    first, stop = whole["dist"][comm.rank]
    rows = _make(whole["shape"], sigma, dtype, seed, dc_sigma)[first:stop].copy()
    return rows[0] if len(shape) == 1 and len(rows) else rows, whole["dist"]


def _make(
    shape: tuple[int, ...],
    sigma: float | None,
    dtype: np.dtype[Any],
    seed: int,
    dc_sigma: float | None,
) -> npt.NDArray[Any]:
    rng = np.random.default_rng(seed)
    if sigma is None:
        return _uniform(rng, shape, dtype)
    made = dtype if dtype.kind == "f" else np.dtype(np.float64)
    data = _detector(rng, shape, sigma, made, dc_sigma)
    return np.rint(data).astype(dtype) if dtype.kind in "iu" else data


def _uniform(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Return numbers over all of the range; the first two samples are its ends."""
    data: npt.NDArray[Any]
    low: float
    high: float
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = int(info.min), int(info.max)
        drawn = dtype if dtype == np.uint64 else np.dtype(np.int64)
        data = rng.integers(low, high, size=shape, dtype=drawn).astype(dtype)
    else:
        high = float(np.finfo(dtype).max)
        low = -high
        data = (rng.uniform(-1, 1, size=shape) * high).astype(dtype)
    flat = data.reshape(-1)
    flat[:2] = [low, high][: flat.size]
    return data


def _detector(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    sigma: float,
    dtype: np.dtype[Any],
    dc_sigma: float | None,
) -> npt.NDArray[Any]:
    """Do as flacarray 0.4 does, each number drawn and rounded in the same order."""
    *leading, n = shape
    level: Any = 0
    if dc_sigma is not None:
        level = dc_sigma * sigma * (rng.random(size=(*leading, 1)) - 0.5)
    wave = np.zeros(n, dtype=dtype)
    time = np.arange(n)
    lowest = 5 / n
    for frequency, amplitude in zip([3 * lowest, lowest], [2 * sigma, 6 * sigma], strict=True):
        wave += amplitude * np.sin(2 * np.pi * frequency * time)
    scale = rng.random(size=(*leading, 1))
    data: npt.NDArray[Any] = np.empty(shape, dtype=dtype)
    data[...] = level
    data += scale * wave
    data += rng.normal(0.0, sigma, size=shape)
    return data


def plot_data(
    data: npt.ArrayLike,
    keep: npt.ArrayLike | None = None,
    stream_slc: slice = slice(None),
    file: str | Path | None = None,
) -> None:
    """Draw streams, one below the other; those of three axes in a grid.

    Parameters
    ----------
    data : array_like or FlacArray, of 1 to 3 axes
        The last axis is time. Of three axes the first goes across, the second down.
    keep : array_like of bool, optional
        Which streams to draw, of the shape of the leading axes; the rest stay empty.
    stream_slc : slice
        Which samples.
    file : str or Path, optional
        Where to save the picture, without regard to pyplot and its backend; by default pyplot
        shows it on the screen.

    Raises
    ------
    ConfigurationError
        `data` have more axes, or `keep` another shape.
    ImportError
        Without matplotlib.
    """
    array = np.asarray(data)
    if not 1 <= array.ndim <= 3:
        raise ConfigurationError(f"data must have 1 to 3 axes. Got {array.ndim}.")
    leading = array.shape[:-1] or (1,)
    mask = np.ones(leading, dtype=bool) if keep is None else check_keep(keep, leading)
    grid = array.reshape(*leading, array.shape[-1])
    if array.ndim < 3:
        grid, mask = grid[np.newaxis], mask[np.newaxis]
    columns, rows = mask.shape
    figure = _figure(file, (6 * columns, 1 + 2 * rows))
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    samples = np.arange(array.shape[-1])[stream_slc]
    for column, row in np.argwhere(mask):
        axis = axes[row, column]
        axis.plot(samples, grid[column, row, stream_slc], color="C0", linewidth=0.8)
        stream = row if array.ndim < 3 else (int(column), int(row))
        axis.set_ylabel(f"stream {stream}")
    for axis in axes[-1]:
        axis.set_xlabel("sample")
    _finish(figure, file)


def plot_residual(
    original: npt.ArrayLike,
    restored: npt.ArrayLike,
    quanta: float | None = None,
    *,
    file: str | Path | None = None,
    title: str = "",
) -> None:
    """Draw a stream, what came back of it, and the difference.

    Parameters
    ----------
    original, restored : array_like or FlacArray, shape (n,)
        A stream, and the same after encoding and decoding.
    quanta : float, optional
        In the units of the data; draws the bounds of the error, plus and minus half of it.
    file : str or Path, optional
        Where to save the picture, without regard to pyplot and its backend; by default pyplot
        shows it on the screen.
    title : str
        Above the picture.

    Raises
    ------
    ImportError
        Without matplotlib.
    """
    before, after = np.asarray(original), np.asarray(restored)
    figure = _figure(file, (9, 5))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    samples = np.arange(before.shape[-1])
    above.plot(samples, before, color="0.6", linewidth=2.5, label="original")
    above.plot(samples, after, color="C0", linewidth=0.8, label="restored")
    above.set_ylabel("value")
    above.set_title(title)
    above.legend(loc="upper right")
    residual = after.astype(np.float64) - before.astype(np.float64)
    below.plot(samples, residual, ".", color="C1", markersize=3)
    if quanta is not None:
        for bound in (-quanta / 2, quanta / 2):
            below.axhline(bound, color="0.3", linewidth=0.8, linestyle="--")
    below.set_ylabel("restored - original")
    below.set_xlabel("sample")
    _finish(figure, file)


def _figure(file: str | Path | None, size: tuple[float, float]) -> Any:
    """Make a figure: of pyplot's to be shown, else one that pyplot knows nothing of."""
    with needed("a picture", "plot", "matplotlib"):
        from matplotlib.figure import Figure
    if file is not None:
        return Figure(figsize=size, layout="constrained")
    import matplotlib.pyplot as plt

    return plt.figure(figsize=size, layout="constrained")


def _finish(figure: Any, file: str | Path | None) -> None:
    figure.align_ylabels()
    if file is not None:
        figure.savefig(file, dpi=120)
        return
    import matplotlib.pyplot as plt

    plt.show()
    plt.close(figure)
