"""HDF5 filters that are compared: flaccodec's and those of hdf5plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hdf5plugin

from benchmarks.contestants.codecs import BLOSC_LEVEL, BLOSC_SETTINGS, ZSTD_LEVEL
from benchmarks.harness.timing import thread_counts
from flaccodec.hdf5 import Flac

if TYPE_CHECKING:
    from benchmarks.data.cases import Case

FILTER = "flaccodec"
DIRECT = "flaccodec.hdf5.read, write"


@dataclass(frozen=True)
class Filter:
    """A way to store a dataset; a `benchmarks.harness.checks.Coder`.

    Attributes
    ----------
    options : dict
        For ``create_dataset``.
    is_direct : bool
        Whether `flaccodec.hdf5.read` and `write` are used in place of h5py's.
    is_slow : bool
        Whether it takes as long as all others together, and is timed once.
    """

    name: str
    settings: str
    options: dict[str, Any]
    takes_quanta: bool = False
    allowed_spacings: float = 1.0
    threads: int = 1
    is_direct: bool = False
    is_slow: bool = False


def _ours(case: Case) -> list[Filter]:
    options = {"compression": Flac(level=case.level, quanta=case.quanta)}
    settings = f"level {case.level}"
    return [
        Filter(name, settings, options, takes_quanta=True, threads=n, is_direct=name == DIRECT)
        for name in (FILTER, DIRECT)
        for n in thread_counts()
    ]


def _lossless() -> list[Filter]:
    blosc = hdf5plugin.Blosc2(
        cname="zstd", clevel=BLOSC_LEVEL, filters=hdf5plugin.Blosc2.BITSHUFFLE
    )
    bitshuffle, zstd = hdf5plugin.Bitshuffle(cname="zstd"), hdf5plugin.Zstd(ZSTD_LEVEL)
    return [
        Filter("Blosc2", BLOSC_SETTINGS, {"compression": blosc}),
        Filter("Bitshuffle", "zstd 3", {"compression": bitshuffle}),
        Filter("Zstd", f"level {ZSTD_LEVEL}", {"compression": zstd}),
    ]


def _lossy(bound: float) -> list[Filter]:
    sz3 = {"compression": hdf5plugin.SZ3(absolute=bound)}
    zfp = {"compression": hdf5plugin.Zfp(accuracy=bound)}
    settings = f"error {bound:g}"
    return [
        Filter("SZ3", settings, sz3, takes_quanta=True, is_slow=True),
        Filter("ZFP", settings, zfp, takes_quanta=True),
    ]


def filters(case: Case) -> list[Filter]:
    """Return all filters that can store a case, ours first."""
    lossy = [] if case.quanta is None else _lossy(case.quanta / 2)
    return [*_ours(case), *_lossless(), *lossy]
