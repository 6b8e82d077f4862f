"""Made-up recordings, and pictures of what compression leaves of them.

The pictures need matplotlib: ``pip install flaccodec[plot]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["create_fake_data", "plot_residual"]

SLOW_WAVES = 5


def create_fake_data(
    shape: Sequence[int],
    sigma: float = 1.0,
    dtype: npt.DTypeLike = np.float64,
    *,
    seed: int = 0,
) -> npt.NDArray[Any]:
    """Make streams as detectors give them: a level, slow waves, and noise.

    Parameters
    ----------
    shape : sequence of int
        The last axis is time.
    sigma : float
        Standard deviation of the white noise, in the units of the data. Levels are
        uniform within 5 sigma of zero; the waves, some to each stream, add up to a few
        sigma.
    dtype : dtype
        Of the result. Integers are the rounded values.
    seed : int
        The same seed gives the same data.

    Returns
    -------
    ndarray of `shape` and `dtype`
    """
    rng = np.random.default_rng(seed)
    *leading, n = shape
    data = rng.normal(0.0, sigma, size=shape)
    data += rng.uniform(-5 * sigma, 5 * sigma, size=(*leading, 1))
    phase = np.linspace(0, 2 * np.pi, n, endpoint=False)
    for wave in range(1, SLOW_WAVES + 1):
        amplitude = rng.uniform(0, 5 * sigma / wave, size=(*leading, 1))
        shift = rng.uniform(0, 2 * np.pi, size=(*leading, 1))
        data += amplitude * np.sin(wave * phase + shift)
    if np.dtype(dtype).kind in "iu":
        data = np.rint(data)
    return data.astype(dtype)


def plot_residual(
    original: npt.NDArray[Any],
    restored: npt.NDArray[Any],
    quanta: float | None = None,
    *,
    file: str | Path | None = None,
    title: str = "",
) -> None:
    """Draw a stream, what came back of it, and the difference.

    Parameters
    ----------
    original, restored : ndarray, shape (n,)
        A stream, and the same after encoding and decoding.
    quanta : float, optional
        In the units of the data; draws the bounds of the error, plus and minus half of it.
    file : str or Path, optional
        Where to save the picture; shown on the screen by default.
    title : str
        Above the picture.

    Raises
    ------
    ImportError
        Without matplotlib.
    """
    plt = _pyplot(show=file is None)
    figure, (above, below) = plt.subplots(
        2, 1, sharex=True, figsize=(9, 5), height_ratios=(2, 1), layout="constrained"
    )
    samples = np.arange(original.shape[-1])
    above.plot(samples, original, color="0.6", linewidth=2.5, label="original")
    above.plot(samples, restored, color="C0", linewidth=0.8, label="restored")
    above.set_ylabel("value")
    above.set_title(title)
    above.legend(loc="upper right")
    residual = restored.astype(np.float64) - original.astype(np.float64)
    below.plot(samples, residual, ".", color="C1", markersize=3)
    if quanta is not None:
        for bound in (-quanta / 2, quanta / 2):
            below.axhline(bound, color="0.3", linewidth=0.8, linestyle="--")
    below.set_ylabel("restored - original")
    below.set_xlabel("sample")
    _finish(plt, figure, file)


def _pyplot(*, show: bool) -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'flaccodec[plot]'") from error
    if not show:
        matplotlib.use("Agg", force=False)
    import matplotlib.pyplot as plt

    return plt


def _finish(plt: Any, figure: Any, file: str | Path | None) -> None:
    if file is None:
        plt.show()
    else:
        figure.savefig(file, dpi=120)
    plt.close(figure)
