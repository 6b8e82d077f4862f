"""Peak memory of flaccodec's encoding and decoding, each measured in a process of its own.

Encoding leaves its chunk in a file for decoding.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from benchmarks.data import Case, noisy_wave
from flaccodec import FlacArray, core
from flaccodec.chunks.options import CodecOptions
from flaccodec.runtime.threads import available_processors

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.data import Array
    from benchmarks.results import MemoryResult

ROOT = str(Path(__file__).parents[1])

PROCESS = """
import sys
sys.path.append(sys.argv[1])  # behind the installed flaccodec
from benchmarks.memory import main
main(*sys.argv[2:])
"""

FROM_ARRAY = "from_array"
"""`FlacArray.from_array` of the case."""

FROM_ARRAY_DEFAULT = "from_array, no options"
"""The same with what it does by default, which for floats is quanta of their range."""

Result = TypeVar("Result", "Array", "FlacArray")

Sizes = dict[str, int]
"""Bytes of input, of output, and of what resident memory grew by; the input was there before."""


def memory_cases(quick: bool) -> list[Case]:
    """Return what is measured."""
    wide, long = ((100, 20_000), (1, 1_000_000)) if quick else ((100, 200_000), (1, 10_000_000))
    return [
        Case(f"int32 {wide}", partial(noisy_wave, wide, np.int32)),
        Case(f"float64 {long}, lossless", partial(noisy_wave, long, np.float64)),
        Case(f"float64 {long}, quanta 1e-3", partial(noisy_wave, long, np.float64), quanta=1e-3),
    ]


def can_measure() -> bool:
    """Tell whether this system lets a process reset its peak."""
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
    """Give freed memory back, lest it is used again without a trace."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _measure(run: Callable[[Array], Result], given: Array) -> tuple[Result, Sizes]:
    _return_free_memory()
    before = _status("VmRSS")
    _reset_peak()
    result = run(given)
    growth = _status("VmHWM") - before
    return result, {"input": given.nbytes, "output": result.nbytes, "growth": growth}


def _encode(case: Case, array: Array) -> Array:
    options = CodecOptions(case.level, case.quanta, case.precision)
    return options.encode(array, num_threads=available_processors())


def _from_array(case: Case, array: Array) -> FlacArray:
    lossless = case.quanta is None and array.dtype.kind == "f"
    return FlacArray.from_array(array, quanta=case.quanta, lossless=lossless)


def _making(operation: str, case: Case) -> Callable[[Array], FlacArray]:
    return FlacArray.from_array if operation == FROM_ARRAY_DEFAULT else partial(_from_array, case)


def _decode(chunk: Array) -> Array:
    return core.decode_chunk(chunk, num_threads=available_processors())


def _measure_here(operation: str, case: Case, chunk_file: Path) -> Sizes:
    # The first run starts threads and loads code.
    small = noisy_wave((100, 1000), case.name.split()[0])
    _decode(_encode(case, small))
    if operation.startswith(FROM_ARRAY):
        make = _making(operation, case)
        make(small)
        _, sizes = _measure(make, case.array)
    elif operation == "encode":
        chunk, sizes = _measure(partial(_encode, case), case.array)
        chunk.tofile(chunk_file)
    else:
        _, sizes = _measure(_decode, np.fromfile(chunk_file, dtype=np.uint8))
    return sizes


def _measure_in_process(operation: str, number: int, quick: bool, chunk_file: Path) -> Sizes:
    arguments = [ROOT, operation, str(number), str(int(quick)), str(chunk_file)]
    command = [sys.executable, "-c", PROCESS, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    sizes: Sizes = json.loads(done.stdout)
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
        chunk_file = Path(directory) / "chunk"
        for number, case in enumerate(memory_cases(quick)):
            for operation in ("encode", "decode", FROM_ARRAY, FROM_ARRAY_DEFAULT):
                sizes = _measure_in_process(operation, number, quick, chunk_file)
                results.append(_result(case, operation, sizes))
    return results


def main(operation: str, number: str, quick: str, chunk_file: str) -> None:
    """Measure in this process, and print what `_measure_in_process` reads."""
    case = memory_cases(bool(int(quick)))[int(number)]
    print(json.dumps(_measure_here(operation, case, Path(chunk_file))))
