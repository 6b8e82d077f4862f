"""What a run yields, as it stands in the JSON file. Times are in seconds, sizes in bytes."""

from __future__ import annotations

from typing import TypedDict


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
    """Two sides of one comparison; `times` is theirs / ours, of medians."""

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
    targets: list[TargetResult]
    skipped: list[Skipped]
