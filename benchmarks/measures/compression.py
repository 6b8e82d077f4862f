"""Compression ratio and speed of codecs on one case."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.contestants.entries import case_notes, codec_entries
from benchmarks.data.cases import Case
from benchmarks.data.signals import QUANTA, noisy_wave
from benchmarks.harness.checks import given, largest_error
from benchmarks.harness.timing import Task, round_robin, rounds_for, speed

if TYPE_CHECKING:
    from benchmarks.contestants.codecs import Contestant
    from benchmarks.results import CaseResult, ContestantResult


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
        Case("float32-quanta", partial(noisy_wave, long, np.float32), quanta=QUANTA),
    ]


def _result(
    case: Case,
    contestant: Contestant,
    nbytes: int,
    error: float,
    encode_seconds: list[float],
    decode_seconds: list[float],
) -> ContestantResult:
    return {
        "contestant": contestant.name,
        "settings": contestant.settings,
        "threads": contestant.threads,
        "nbytes": nbytes,
        "ratio": case.array.nbytes / nbytes,
        "max_error": error,
        "encode_seconds": encode_seconds,
        "decode_seconds": decode_seconds,
        "encode_median": median(encode_seconds),
        "decode_median": median(decode_seconds),
        "encode_speed": speed(case.array.nbytes, encode_seconds),
        "decode_speed": speed(case.array.nbytes, decode_seconds),
        "encode_vs_flacarray": None,
        "decode_vs_flacarray": None,
    }


def _compare_with_flacarray(results: list[ContestantResult]) -> None:
    """Fill in the ratios to flacarray with the same number of threads."""
    rivals = {r["threads"]: r for r in results if r["contestant"] == "flacarray"}
    for result in results:
        rival = rivals.get(result["threads"])
        if rival is not None:
            result["encode_vs_flacarray"] = rival["encode_median"] / result["encode_median"]
            result["decode_vs_flacarray"] = rival["decode_median"] / result["decode_median"]


def _encode_once(case: Case, contestant: Contestant) -> tuple[Any, float]:
    """Return the encoded array and its largest error."""
    contestant.prepare()
    encoded = contestant.encode(given(case, contestant))
    return encoded, largest_error(case, contestant, contestant.decode(encoded))


def _encoding(case: Case, contestant: Contestant) -> Task:
    run = partial(contestant.encode, given(case, contestant))
    return Task(run, contestant.prepare, warm=True)


def _decoding(contestant: Contestant, encoded: Any) -> Task:
    return Task(partial(contestant.decode, encoded), contestant.prepare, warm=True)


def run_entries(case: Case, repeat: int, quick: bool, entries: list[Contestant]) -> CaseResult:
    """Measure and verify contestants on one case."""
    encodings, errors = zip(*(_encode_once(case, c) for c in entries), strict=True)
    rounds, touched = rounds_for(case.array.nbytes, repeat, quick), 2 * case.array.nbytes
    encode_seconds = round_robin([_encoding(case, c) for c in entries], rounds, touched)
    decoders = zip(entries, encodings, strict=True)
    decode_seconds = round_robin([_decoding(c, e) for c, e in decoders], rounds, touched)
    sizes = [c.nbytes(e) for c, e in zip(entries, encodings, strict=True)]
    results = [
        _result(case, *columns)
        for columns in zip(entries, sizes, errors, encode_seconds, decode_seconds, strict=True)
    ]
    _compare_with_flacarray(results)
    return {
        "name": case.name,
        "title": case.title,
        "dtype": str(case.array.dtype),
        "shape": list(case.array.shape),
        "nbytes": case.array.nbytes,
        "level": case.level,
        "quanta": case.quanta,
        "precision": case.precision,
        "notes": case_notes(case),
        "contestants": results,
    }


def run_case(case: Case, repeat: int, quick: bool) -> CaseResult:
    """Measure and verify all codecs on one case."""
    return run_entries(case, repeat, quick, codec_entries(case))
