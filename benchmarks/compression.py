"""Ratio and speed of all contestants on one case."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.contestants import Contestant, contestants, notes
from benchmarks.timing import Task, round_robin

if TYPE_CHECKING:
    from benchmarks.data import Array, Case
    from benchmarks.results import CaseResult, ContestantResult

SMALL_NBYTES = 16 * 2**20
MOST_EXTRA_ROUNDS = 10


class WrongDataError(Exception):
    """A contestant did not give back what it was given."""


def rounds_for(nbytes: int, repeat: int, quick: bool) -> int:
    """Return how often to time a case: small arrays more often, their times scatter more."""
    return repeat if quick else repeat * min(max(SMALL_NBYTES // nbytes, 1), MOST_EXTRA_ROUNDS)


def _given(case: Case, contestant: Contestant) -> Array:
    return case.array if contestant.takes_quanta else case.rounded


def largest_error(case: Case, contestant: Contestant, decoded: Array) -> float:
    """Return the largest error against what was given, after checking that it may be so.

    Raises
    ------
    WrongDataError
        Where it may not: anything lossless must come back bit for bit, and quantized floats
        within quanta / 2 plus rounding.
    """
    given = _given(case, contestant)
    if (decoded.shape, decoded.dtype) != (given.shape, given.dtype):
        raise WrongDataError(f"{contestant.name} on {case.name}: another shape or dtype")
    if not (case.is_quantized and contestant.takes_quanta):
        if decoded.tobytes() != given.tobytes():  # unlike ==, tells -0.0 from 0.0
            raise WrongDataError(f"{contestant.name} on {case.name}: samples differ")
        return 0.0
    errors = np.abs(decoded.astype(np.float64) - given).max(axis=-1, keepdims=True)
    spacing = np.spacing(np.abs(given).max(axis=-1, keepdims=True))
    # Quanta of a precision follow from an RMS that each computes in its own way.
    allowed = case.stream_quanta / 2 * (1 + 1e-6) + contestant.allowed_spacings * spacing
    if not (errors <= allowed).all():
        raise WrongDataError(
            f"{contestant.name} on {case.name}: expected errors of at most "
            f"{allowed.max():g}. Got {errors.max():g}."
        )
    return float(errors.max())


def _result(
    case: Case,
    contestant: Contestant,
    nbytes: int,
    error: float,
    encode_seconds: list[float],
    decode_seconds: list[float],
) -> ContestantResult:
    encode_median, decode_median = median(encode_seconds), median(decode_seconds)
    megabytes = case.array.nbytes / 1e6
    return {
        "contestant": contestant.name,
        "settings": contestant.settings,
        "threads": contestant.threads,
        "nbytes": nbytes,
        "ratio": case.array.nbytes / nbytes,
        "max_error": error,
        "encode_seconds": encode_seconds,
        "decode_seconds": decode_seconds,
        "encode_median": encode_median,
        "decode_median": decode_median,
        "encode_speed": megabytes / encode_median,
        "decode_speed": megabytes / decode_median,
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
    """Encode, decode and verify; this warms up the codec, too."""
    contestant.prepare()
    encoded = contestant.encode(_given(case, contestant))
    return encoded, largest_error(case, contestant, contestant.decode(encoded))


def _encoding(case: Case, contestant: Contestant) -> Task:
    given = _given(case, contestant)
    return Task(lambda: contestant.encode(given), contestant.prepare, warm=True)


def _decoding(contestant: Contestant, encoded: Any) -> Task:
    return Task(lambda: contestant.decode(encoded), contestant.prepare, warm=True)


def run_case(
    case: Case, repeat: int, quick: bool, entries: list[Contestant] | None = None
) -> CaseResult:
    """Measure and verify contestants, all unless some are named, on one case."""
    entries = contestants(case) if entries is None else entries
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
        "notes": notes(case),
        "contestants": results,
    }
