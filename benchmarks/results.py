"""The form of the JSON file of a run. Times are in seconds, sizes in bytes."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Machine(TypedDict):
    processor: str
    processors: int
    system: str
    python: str
    load_average: float
    versions: dict[str, str]


class Arguments(TypedDict):
    quick: bool
    only: list[str]
    repeat: int


class ContestantResult(TypedDict):
    """`speed` is in MB (1e6 bytes) of the input a second; `vs_flacarray` is a ratio of speeds."""

    contestant: str
    settings: str
    threads: int
    nbytes: int
    ratio: float
    max_error: float
    encode_seconds: list[float]
    decode_seconds: list[float]
    encode_median: float
    decode_median: float
    encode_speed: float
    decode_speed: float
    encode_vs_flacarray: float | None
    decode_vs_flacarray: float | None


class CaseResult(TypedDict):
    name: str
    title: str
    dtype: str
    shape: list[int]
    nbytes: int
    level: int
    quanta: float | None
    precision: int | None
    notes: list[str]
    contestants: list[ContestantResult]


class ReadResult(TypedDict):
    contestant: str
    settings: str
    read: str
    is_slice: bool
    seconds: list[float]
    median: float
    requests: int
    nbytes_fetched: int
    times_faster_than_whole: float


class SliceResult(TypedDict):
    shape: list[int]
    dtype: str
    samples: int
    index_nbytes: int
    notes: list[str]
    reads: list[ReadResult]


class MemoryResult(TypedDict):
    """`excess` is (peak - input - output) / (input + output)."""

    case: str
    operation: str
    threads: int
    input_nbytes: int
    output_nbytes: int
    peak_nbytes: int
    excess: float


class SliceOfArray(TypedDict):
    contestant: str
    seconds: list[float]
    median: float


class ArrayResult(TypedDict):
    case: CaseResult
    slices: list[SliceOfArray]


class WayResult(TypedDict):
    """`speed` is in MB (1e6 bytes) of the array a second."""

    contestant: str
    settings: str
    threads: int
    seconds: list[float]
    median: float
    speed: float


class DecodingResult(TypedDict):
    name: str
    title: str
    nbytes: int
    ways: list[WayResult]


class TimesResult(TypedDict):
    """Two sides of one comparison. `times` is the median of their seconds / that of ours."""

    what: str
    ours: str
    theirs: str
    our_seconds: list[float]
    their_seconds: list[float]
    times: float


class HDF5Entry(TypedDict):
    """Speeds are in MB (1e6 bytes) of the array a second."""

    contestant: str
    settings: str
    threads: int
    nbytes: int
    ratio: float
    max_error: float
    write_seconds: list[float]
    read_seconds: list[float]
    slice_seconds: list[float]
    write_speed: float
    read_speed: float
    slice_median: float


class HDF5Result(TypedDict):
    name: str
    title: str
    dtype: str
    shape: list[int]
    chunks: list[int]
    nbytes: int
    samples: int
    notes: list[str]
    entries: list[HDF5Entry]
    times: list[TimesResult]


class Times(TypedDict):
    """`speed` is in MB (1e6 bytes) of the array a second."""

    nbytes: int
    write_seconds: list[float]
    read_seconds: list[float]
    write_speed: float
    read_speed: float


class WorkersResult(Times):
    """`vs_one` is a ratio to the speed of one worker of the kind."""

    kind: str
    workers: int
    dtype: str
    write_vs_one: float
    read_vs_one: float


class SizeResult(Times):
    """One worker on one array."""

    dtype: str


class ChunkSizeResult(Times):
    """`chunk` is its shape, `chunk_nbytes` its size in memory.

    `index_nbytes` are those of a chunk's header and index.
    """

    dtype: str
    chunk: list[int]
    chunk_nbytes: int
    slice_seconds: list[float]
    slice_median: float
    ratio: float
    index_nbytes: int


class ScaleResult(TypedDict):
    workers: list[WorkersResult]
    sizes: list[SizeResult]
    chunks: list[ChunkSizeResult]


class TargetResult(TypedDict):
    what: str
    target: str
    measured: str
    met: bool


class Skipped(TypedDict):
    name: str
    reason: str


class Results(TypedDict):
    machine: Machine
    arguments: Arguments
    notes: list[str]
    cases: list[CaseResult]
    slice: SliceResult | None
    memory: list[MemoryResult]
    arrays: list[ArrayResult]
    decoding: list[DecodingResult]
    times: list[TimesResult]
    hdf5: list[HDF5Result]
    scale: NotRequired[ScaleResult]
    targets: list[TargetResult]
    skipped: list[Skipped]
