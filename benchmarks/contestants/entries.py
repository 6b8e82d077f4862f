"""Which contestants take part in a case, and what a reader of their figures must know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.contestants.codecs import (
    ZSTD_LEVEL,
    Blosc,
    Chunks,
    FlacarrayFloats,
    FlacarrayIntegers,
    OurFlacArrays,
    Pcodec,
    Zstd,
)
from benchmarks.harness.timing import thread_counts

if TYPE_CHECKING:
    from benchmarks.contestants.codecs import Contestant
    from benchmarks.data.cases import Case

CODEC_NOTES = [
    "MB are 1e6 bytes of the array. Contestants run in turns in one process; speeds are medians. "
    "Each codec is compared with flacarray with the same number of threads.",
    "All decoded samples were compared with the array. Each contestant runs once untimed right "
    "before it is timed, except for HDF5 files. FlacArrays are measured in a process of their "
    "own.",
    "flacarray's size is the size of its FLAC streams, without its tables.",
    "pcodec gets the flattened array in one call.",
    f"Zarr's default is Zstd level 0, which means Zstd's own default, {ZSTD_LEVEL}.",
]


def flacarray_entries(case: Case) -> list[Contestant]:
    """Return flacarray, with one thread and with all."""
    kind = FlacarrayFloats if case.is_quantized else FlacarrayIntegers
    return [kind(case, n) for n in thread_counts()]


def codec_entries(case: Case) -> list[Contestant]:
    """Return all that can compress a case."""
    counts = thread_counts()
    entries: list[Contestant] = [Chunks(case, n) for n in counts]
    if case.is_quantized or case.array.dtype.kind == "i":
        entries += flacarray_entries(case)
    entries.append(Pcodec(case))
    entries += [Blosc(case, n) for n in counts]
    entries.append(Zstd(case))
    return entries


def flac_array_entries(case: Case) -> list[Contestant]:
    """Return both packages' `FlacArray`."""
    ours: list[Contestant] = [OurFlacArrays(case, n) for n in thread_counts()]
    return ours + flacarray_entries(case)


def case_notes(case: Case) -> list[str]:
    """Return what else a reader of the figures of a case must know."""
    lines = []
    if case.is_quantized:
        lines.append(
            "pcodec, Blosc and Zstd are lossless. They get data already rounded to the quanta, "
            "and the rounding is not in their times. flaccodec and flacarray quantize as part of "
            "encoding."
        )
    elif case.array.dtype.kind == "f":
        lines.append("flacarray has no lossless mode for floats.")
    if case.array.dtype == np.int16:
        lines.append(
            "flacarray stores int16 as int32: the conversion is in its times, and its ratio "
            "counts the int16 bytes."
        )
    return lines
