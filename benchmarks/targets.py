"""What was promised, beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.data import INTEGER_RECORDINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results import (
        CaseResult,
        ContestantResult,
        MemoryResult,
        Results,
        SliceResult,
        TargetResult,
    )

SPEED_TARGETS = {
    "int32-long-streams": (2.0, 1.5),
    "int32-1000-samples": (4.0, 4.0),
    "int32-100-samples": (10.0, 10.0),
    "float32-quanta": (2.5, 2.0),
}
"""How many times as fast as flacarray to encode and to decode, at level 5, on all processors."""

SLICE_TIMES_FASTER = 50.0
SLICE_NBYTES_BEYOND_INDEX = 64 * 1024
MEMORY_EXCESS = 0.10
RATIO_CASES = [f"{name}-level5" for name in INTEGER_RECORDINGS]


def _target(what: str, target: str, measured: str, met: bool) -> TargetResult:
    return {"what": what, "target": target, "measured": measured, "met": met}


def _of(case: CaseResult, contestant: str) -> list[ContestantResult]:
    return [result for result in case["contestants"] if result["contestant"] == contestant]


def _speed_targets(case: CaseResult) -> Iterator[TargetResult]:
    """Compare flaccodec on all processors with flacarray on one or all, whichever is faster."""
    ours = max(_of(case, "flaccodec"), key=lambda result: result["threads"])
    rivals = _of(case, "flacarray")
    encode_target, decode_target = SPEED_TARGETS[case["name"]]
    encode = ours["encode_speed"] / max(rival["encode_speed"] for rival in rivals)
    decode = ours["decode_speed"] / max(rival["decode_speed"] for rival in rivals)
    for operation, target, measured in (
        ("encode", encode_target, encode),
        ("decode", decode_target, decode),
    ):
        yield _target(
            f"{case['name']}, {operation}: times as fast as flacarray",
            f"at least {target:g}",
            f"{measured:.2f}",
            measured >= target,
        )


def _ratio_target(case: CaseResult) -> TargetResult:
    ours, theirs = (_of(case, name)[0]["ratio"] for name in ("flaccodec", "flacarray"))
    what = f"{case['name']}: compression ratio"
    return _target(what, f"at least flacarray's {theirs:.3f}", f"{ours:.3f}", ours >= theirs)


def _slice_targets(result: SliceResult) -> Iterator[TargetResult]:
    """Judge the reads without a remembered index, the slower ones."""
    cold = next(read for read in result["reads"] if read["contestant"] == "flaccodec")
    faster, fetched = cold["times_faster_than_whole"], cold["nbytes_fetched"]
    allowed = result["index_nbytes"] + SLICE_NBYTES_BEYOND_INDEX
    yield _target(
        f"{result['samples']} samples of a chunk: times faster than the chunk",
        f"at least {SLICE_TIMES_FASTER:g}",
        f"{faster:.1f}",
        faster >= SLICE_TIMES_FASTER,
    )
    yield _target(
        f"{result['samples']} samples of a chunk: bytes fetched",
        f"at most {allowed:,} (index + 64 KiB)",
        f"{fetched:,}",
        fetched <= allowed,
    )


def _memory_target(result: MemoryResult) -> TargetResult:
    return _target(
        f"{result['operation']} {result['case']}: memory beyond input + output",
        f"at most {MEMORY_EXCESS:.0%}",
        f"{result['excess']:.1%}",
        result["excess"] <= MEMORY_EXCESS,
    )


def judge(results: Results) -> list[TargetResult]:
    """Return the targets that a run measured."""
    targets: list[TargetResult] = []
    for case in results["cases"]:
        if case["name"] in SPEED_TARGETS:
            targets += _speed_targets(case)
    targets += [_ratio_target(case) for case in results["cases"] if case["name"] in RATIO_CASES]
    if results["slice"] is not None:
        targets += _slice_targets(results["slice"])
    return targets + [_memory_target(result) for result in results["memory"]]
