"""Encoding on one thread: our encoder and libFLAC's, through flaccodec, flacarray and from C."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.contestants.codecs import Chunks, FlacarrayIntegers
from benchmarks.contestants.libflac import (
    bundled_library,
    decode_streams,
    encode_stream,
    system_library,
    version_of,
)
from benchmarks.data.cases import Case
from benchmarks.data.signals import bits_wave
from benchmarks.harness.checks import WrongDataError
from benchmarks.harness.processes import run_apart
from benchmarks.harness.timing import Task, round_robin
from benchmarks.measures.pairs import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.data.signals import Array
    from benchmarks.results import TimesResult

ENCODED_BITS = 17


def encoding_case(quick: bool) -> Case:
    """Return the case that is encoded."""
    shape = (4, 20_000) if quick else (20, 200_000)
    return Case("int32-17bit-level5", partial(bits_wave, shape, ENCODED_BITS))


def _verify_stream(library: Path, array: Array, level: int) -> None:
    """Check that libFLAC alone encodes all samples."""
    stream = encode_stream(library, array, ENCODED_BITS, level)
    out = np.empty((1, array.size), dtype=np.int32)
    start, size = np.zeros(1, dtype=np.int64), np.array([stream.size])
    decode_streams(library, stream, start, size, out, threads=1)
    if not np.array_equal(out.reshape(array.shape), array):
        raise WrongDataError(f"{library.name}: samples differ")


def measure_encoding(repeat: int, quick: bool, library: str) -> list[list[float]]:
    """Encode on one thread with flaccodec, flacarray, and a libFLAC called from C, in turns."""
    case = encoding_case(quick)
    array = case.array
    entries = Chunks(case, 1), FlacarrayIntegers(case, 1)
    ways = [partial(entry.encode, array) for entry in entries]
    _verify_stream(Path(library), array, case.level)
    ways.append(partial(encode_stream, Path(library), array, ENCODED_BITS, case.level))
    return round_robin([Task(way) for way in ways], 2 * repeat)


OUR_ENCODER = "flaccodec with "
"""Beginning of the names of our encoder; the libFLAC that is loaded beside it follows."""

LIBFLAC_ALONE = "alone, called from C"


@dataclass(frozen=True)
class Encoder:
    """An encoder, and the environment in which flaccodec uses it.

    Attributes
    ----------
    library_name : str
    library : Path
        The libFLAC that is loaded, whether it encodes or not.
    """

    name: str
    library_name: str
    library: Path
    environment: dict[str, str]

    @property
    def is_libflac(self) -> bool:
        return not self.name.startswith(OUR_ENCODER)


def encoders() -> Iterator[Encoder]:
    """Yield our encoder and libFLAC's, with each libFLAC."""
    libraries: dict[str, tuple[Path, dict[str, str]]] = {
        "the system's libFLAC": (system_library(), {})
    }
    bundled = bundled_library()
    if bundled is not None:
        preload = {"LD_PRELOAD": str(bundled)}
        libraries[f"libFLAC {version_of(bundled)}"] = (bundled, preload)
    for name, (library, preload) in libraries.items():
        yield Encoder(f"{OUR_ENCODER}{name}", name, library, preload)
    for name, (library, preload) in libraries.items():
        chosen = {"FLACCODEC_ENCODER": "libflac", **preload}
        yield Encoder(f"flaccodec, {name} encoding", name, library, chosen)


def run_encoding(repeat: int, quick: bool, encoder: Encoder) -> Iterator[TimesResult]:
    """Compare an encoder with flacarray in a process of its own.

    If the encoder is a libFLAC, both are compared with that libFLAC alone, too.
    """
    what = f"{encoding_case(quick).title}: encode, one thread"
    ours, flacarray, libflac = run_apart(
        measure_encoding, repeat, quick, str(encoder.library), environment=encoder.environment
    )
    yield compare(what, encoder.name, "flacarray", ours, flacarray)
    if encoder.is_libflac:
        alone = f"{encoder.library_name} {LIBFLAC_ALONE}"
        yield compare(what, encoder.name, alone, ours, libflac)
        yield compare(what, alone, "flacarray", libflac, flacarray)


def run_encoders(repeat: int, quick: bool) -> list[TimesResult]:
    """Measure all encoders."""
    return [result for encoder in encoders() for result in run_encoding(repeat, quick, encoder)]
