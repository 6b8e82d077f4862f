"""Peak memory of flaccodec's encoding and decoding, each measured in a process of its own.

Encoding writes its chunk to a file, from which decoding reads it.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from benchmarks.data.cases import Case
from benchmarks.data.signals import QUANTA, noisy_wave
from benchmarks.harness.processes import run_apart
from flaccodec import FlacArray, core
from flaccodec.chunks.options import CodecOptions
from flaccodec.runtime.threads import available_processors

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.data.signals import Array
    from benchmarks.results import MemoryResult

FROM_ARRAY = "from_array"
"""`FlacArray.from_array` of the case."""

FROM_ARRAY_DEFAULT = "from_array, no options"
"""The same without options: by default, floats get quanta that follow from their range."""

Result = TypeVar("Result", "Array", "FlacArray")

Sizes = dict[str, int]
"""Bytes of the input, of the output, and by which resident memory grew beyond the input."""


def memory_cases(quick: bool) -> list[Case]:
    """Return what is measured."""
    wide, long = ((100, 20_000), (1, 1_000_000)) if quick else ((100, 200_000), (1, 10_000_000))
    return [
        Case(f"int32 {wide}", partial(noisy_wave, wide, np.int32)),
        Case(f"float64 {long}, lossless", partial(noisy_wave, long, np.float64)),
        Case(f"float64 {long}, quanta 1e-3", partial(noisy_wave, long, np.float64), quanta=QUANTA),
    ]


def can_measure() -> bool:
    """Return whether this system lets a process reset its peak of memory."""
    try:
        _reset_peak()
    except OSError:
        return False
    return True


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    """Return bytes: VmRSS is what is resident now, VmHWM its peak."""
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s*(\d+) kB$", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def _return_free_memory() -> None:
    """Give freed memory back to the system: if it is used again, resident memory does not grow."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _measure(run: Callable[[Array], Result], given: Array) -> tuple[Result, Sizes]:
    _return_free_memory()
    before = _status("VmRSS")
    _reset_peak()
    result = run(given)
    growth = _status("VmHWM") - before
    return result, {"input": given.nbytes, "output": result.nbytes, "growth": growth}


def _encode_on_all(case: Case, array: Array) -> Array:
    options = CodecOptions(level=case.level, quanta=case.quanta, precision=case.precision)
    return options.encode(array, num_threads=available_processors())


def _from_array(case: Case, array: Array) -> FlacArray:
    lossless = case.quanta is None and array.dtype.kind == "f"
    return FlacArray.from_array(array, quanta=case.quanta, lossless=lossless)


def _making(operation: str, case: Case) -> Callable[[Array], FlacArray]:
    return FlacArray.from_array if operation == FROM_ARRAY_DEFAULT else partial(_from_array, case)


def _decode_on_all(chunk: Array) -> Array:
    return core.decode_chunk(chunk, num_threads=available_processors())


def measure_memory(operation: str, number: int, quick: bool, chunk_file: str) -> Sizes:
    """Measure one operation on the case of this number in this process."""
    case = memory_cases(quick)[number]
    # The first run starts threads and loads code, so it is done before.
    small = noisy_wave((100, 1000), case.name.split()[0])
    _decode_on_all(_encode_on_all(case, small))
    if operation.startswith(FROM_ARRAY):
        make = _making(operation, case)
        make(small)
        _, sizes = _measure(make, case.array)
    elif operation == "encode":
        chunk, sizes = _measure(partial(_encode_on_all, case), case.array)
        chunk.tofile(chunk_file)
    else:
        _, sizes = _measure(_decode_on_all, np.fromfile(chunk_file, dtype=np.uint8))
    return sizes


def _result(case: Case, operation: str, sizes: Sizes) -> MemoryResult:
    both = sizes["input"] + sizes["output"]
    peak = sizes["input"] + sizes["growth"]
    return {
        "case": case.name,
        "operation": operation,
        "threads": available_processors(),
        "input_nbytes": sizes["input"],
        "output_nbytes": sizes["output"],
        "peak_nbytes": peak,
        "excess": (peak - both) / both,
    }


def run_memory(quick: bool) -> list[MemoryResult]:
    """Measure encoding and decoding of every case."""
    results = []
    with tempfile.TemporaryDirectory() as directory:
        chunk_file = str(Path(directory) / "chunk")
        for number, case in enumerate(memory_cases(quick)):
            for operation in ("encode", "decode", FROM_ARRAY, FROM_ARRAY_DEFAULT):
                sizes = run_apart(measure_memory, operation, number, quick, chunk_file)
                results.append(_result(case, operation, sizes))
    return results
