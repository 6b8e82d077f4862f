"""Targets, and whether a run meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contestants.hdf5_filters import DIRECT, FILTER
from benchmarks.data.recordings import INTEGER_RECORDINGS
from benchmarks.measures.encoding import LIBFLAC_ALONE
from benchmarks.measures.hdf5.comparisons import CODEC
from benchmarks.measures.hdf5.datasets import HDF5_CASE
from benchmarks.measures.memory import FROM_ARRAY
from benchmarks.measures.whole_reads import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results import (
        ArrayResult,
        CaseResult,
        ContestantResult,
        DecodingResult,
        HDF5Result,
        MemoryResult,
        Results,
        SliceResult,
        TargetResult,
        TimesResult,
        WayResult,
    )

SPEED_TARGETS = {
    "int32-long-streams": (2.0, 1.5),
    "int32-1000-samples": (4.0, 4.0),
    "int32-100-samples": (10.0, 10.0),
    "float32-quanta": (2.5, 2.0),
}
"""Encoding and decoding: times as fast as flacarray, at level 5, on all processors."""

ARRAY_TARGETS = {"long-streams": (2.5, 2.0), "many-streams": (4.0, 4.0)}
"""Making and restoring a FlacArray: times as fast as flacarray, on all processors."""

ARRAY_SLICE_TIMES_FASTER = 10.0
ONE_STREAM_THREADS = 1.7
TO_ARRAY_CASE, TO_ARRAY_TIMES_FASTER = "FlacArray-float32-long-streams", 6.0

DECODING_TARGETS = {
    "int32-17bit-level5": 2.0,
    "int32-17bit-level8": 1.8,
    "int32-17bit-level0": 1.8,
    "int32-27bit-level5": 1.8,
    "int32-17bit-1000-samples": 6.0,
}
"""Decoding: times as fast as libFLAC called from C, on one thread."""

THREADS_CASES = ("int32-17bit-level5", "int32-17bit-one-stream")
THREADS_TIMES_FASTER = 1.85

ZARR_TIMES_SLOWER = 1.3
ENCODING_TARGETS = {"the system's libFLAC": 1.15, "libFLAC 1.5.0": 2.2}
"""Encoding: times as fast as flacarray, with each libFLAC, whether it encodes or is only loaded."""

OPERATIONS = ("encode", "decode")
SLICE_TIMES_FASTER = 50.0
SLICE_NBYTES_BEYOND_INDEX = 64 * 1024
MEMORY_EXCESS = 0.10
HDF5_EXCESS = 0.10
HDF5_TIMES_FASTER = 1.8
HDF5_COPY_TIMES_FASTER = 10.0
RATIO_CASES = [f"{name}-level5" for name in INTEGER_RECORDINGS]


def _target(what: str, target: str, measured: str, met: bool) -> TargetResult:
    return {"what": what, "target": target, "measured": measured, "met": met}


def _at_least(what: str, target: float, measured: float) -> TargetResult:
    return _target(what, f"at least {target:g}", f"{measured:.2f}", measured >= target)


def _at_most(what: str, target: float, measured: float) -> TargetResult:
    """Judge a share, which is shown in percent."""
    return _target(what, f"at most {target:.0%}", f"{measured:.1%}", measured <= target)


def _of(case: CaseResult, contestant: str) -> list[ContestantResult]:
    """Return the results of a contestant, with one thread first."""
    return [result for result in case["contestants"] if result["contestant"] == contestant]


def _fastest(results: list[ContestantResult], operation: str) -> float:
    speeds = [r["encode_speed" if operation == "encode" else "decode_speed"] for r in results]
    return max(speeds)


def _speed_targets(case: CaseResult, targets: tuple[float, float]) -> Iterator[TargetResult]:
    """Compare flaccodec on all processors with flacarray on one or all, whichever is faster."""
    ours, theirs = _of(case, "flaccodec"), _of(case, "flacarray")
    for operation, target in zip(OPERATIONS, targets, strict=True):
        times = _fastest(ours[-1:], operation) / _fastest(theirs, operation)
        yield _at_least(f"{case['name']}, {operation}: times as fast as flacarray", target, times)


def _ratio_target(case: CaseResult) -> TargetResult:
    ours, theirs = (_of(case, name)[0]["ratio"] for name in ("flaccodec", "flacarray"))
    what = f"{case['name']}: compression ratio"
    return _target(what, f"at least flacarray's {theirs:.3f}", f"{ours:.3f}", ours >= theirs)


def _slice_targets(result: SliceResult) -> Iterator[TargetResult]:
    """Judge the slower reads: those without a remembered index."""
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


def _array_targets(result: ArrayResult) -> Iterator[TargetResult]:
    case = result["case"]
    name = case["name"]
    ours, theirs = _of(case, "flaccodec"), _of(case, "flacarray")
    shape = next((key for key in ARRAY_TARGETS if key in name), None)
    if shape is not None:
        yield from _speed_targets(case, ARRAY_TARGETS[shape])
    elif len(ours) > 1:
        for operation in OPERATIONS:
            times = _fastest(ours[-1:], operation) / _fastest(ours[:1], operation)
            what = f"{name}, {operation}: {ours[-1]['threads']} threads beside one"
            yield _at_least(what, ONE_STREAM_THREADS, times)
    if name == TO_ARRAY_CASE:
        times = _fastest(ours[-1:], "decode") / _fastest(theirs, "decode")
        yield _at_least(f"{name}, to_array: times as fast", TO_ARRAY_TIMES_FASTER, times)
    if result["slices"]:
        mine, rival = (entry["median"] for entry in result["slices"])
        what = f"{name}, slice of every stream: times as fast as flacarray"
        yield _at_least(what, ARRAY_SLICE_TIMES_FASTER, rival / mine)


def _ways(result: DecodingResult, contestant: str) -> list[WayResult]:
    return [way for way in result["ways"] if way["contestant"] == contestant]


def _decoding_targets(result: DecodingResult) -> Iterator[TargetResult]:
    name = result["name"]
    ours, libflac = _ways(result, "flaccodec"), _ways(result, "libFLAC")
    if name in DECODING_TARGETS and libflac:
        times = ours[0]["speed"] / libflac[0]["speed"]
        yield _at_least(f"{name}: times as fast as libFLAC", DECODING_TARGETS[name], times)
    if name in THREADS_CASES and len(ours) > 1:
        times = ours[-1]["speed"] / ours[0]["speed"]
        what = f"{name}: {ours[-1]['threads']} threads beside one"
        yield _at_least(what, THREADS_TIMES_FASTER, times)


def _times_targets(results: list[TimesResult]) -> Iterator[TargetResult]:
    if not results:
        return
    wholes, encodings = results[: len(PIPELINES)], results[len(PIPELINES) :]
    for whole in wholes:
        slower = 1 / whole["times"]
        yield _target(
            f"{whole['what']}, {whole['ours']}: times as long as C",
            f"at most {ZARR_TIMES_SLOWER:g}",
            f"{slower:.2f}",
            slower <= ZARR_TIMES_SLOWER,
        )
    for result in encodings:
        if LIBFLAC_ALONE in result["ours"] + result["theirs"]:
            continue
        target = next(t for name, t in ENCODING_TARGETS.items() if name in result["ours"])
        yield _at_least(f"{result['what']}, {result['ours']}", target, result["times"])


def _hdf5_targets(result: HDF5Result) -> Iterator[TargetResult]:
    """Judge the filter beside the codec alone, and `flaccodec.hdf5` beside h5py."""
    if result["name"] != HDF5_CASE:
        return
    *through_h5py, copies = result["times"]
    for comparison in through_h5py:
        if comparison["theirs"] != CODEC:
            continue
        what = f"{comparison['what']} through {comparison['ours']}: time beyond the codec alone"
        yield _at_most(what, HDF5_EXCESS, 1 / comparison["times"] - 1)
    speeds = {(e["contestant"], e["threads"]): e["read_speed"] for e in result["entries"]}
    if (DIRECT, 2) in speeds:
        times = speeds[DIRECT, 2] / speeds[FILTER, 2]
        what = f"{result['name']}: hdf5.read on two threads, times as fast as h5py"
        yield _at_least(what, HDF5_TIMES_FASTER, times)
    yield _at_least(
        f"{copies['what']}: to_zarr, times as fast as reading and writing again",
        HDF5_COPY_TIMES_FASTER,
        copies["times"],
    )


def _memory_target(result: MemoryResult) -> TargetResult:
    """Judge memory beyond input and output: of both, or for `from_array` of the input."""
    what = f"{result['operation']} {result['case']}: memory beyond input + output"
    if not result["operation"].startswith(FROM_ARRAY):
        return _at_most(what, MEMORY_EXCESS, result["excess"])
    beyond = result["peak_nbytes"] - result["input_nbytes"] - result["output_nbytes"]
    return _at_most(f"{what}, of the input", MEMORY_EXCESS, beyond / result["input_nbytes"])


def judge(results: Results) -> list[TargetResult]:
    """Return the targets whose figures a run has."""
    targets: list[TargetResult] = []
    for case in results["cases"]:
        if case["name"] in SPEED_TARGETS:
            targets += _speed_targets(case, SPEED_TARGETS[case["name"]])
    targets += [_ratio_target(case) for case in results["cases"] if case["name"] in RATIO_CASES]
    if results["slice"] is not None:
        targets += _slice_targets(results["slice"])
    for array in results["arrays"]:
        targets += _array_targets(array)
    for decoding in results["decoding"]:
        targets += _decoding_targets(decoding)
    targets += _times_targets(results["times"])
    for hdf5 in results["hdf5"]:
        targets += _hdf5_targets(hdf5)
    return targets + [_memory_target(result) for result in results["memory"]]
