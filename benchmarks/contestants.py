"""The codecs that are compared, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pcodec
from flacarray import FlacArray
from flacarray.compress import array_compress
from flacarray.decompress import array_decompress
from numcodecs import blosc

from flaccodec import core
from flaccodec.chunks.options import CodecOptions
from flaccodec.runtime.threads import available_processors

if TYPE_CHECKING:
    from benchmarks.data import Array, Case

BLOSC_LEVEL = 5
ZSTD_LEVEL = 3


class Contestant(ABC):
    """A codec with its settings and number of threads.

    Attributes
    ----------
    takes_quanta : bool
        Whether it quantizes floats itself; others are given rounded data.
    allowed_spacings : float
        Rounding of a quantized sample beyond quanta / 2 that is no mistake, in units of the
        spacing of the stream's largest value.
    """

    name: str
    settings: str
    takes_quanta = False
    allowed_spacings = 0.0

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    def prepare(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what need not be timed, before each run."""

    @abstractmethod
    def encode(self, array: Array) -> Any: ...

    @abstractmethod
    def decode(self, encoded: Any) -> Array: ...

    def nbytes(self, encoded: Any) -> int:
        return len(encoded)


class Flaccodec(Contestant):
    """Packed chunks."""

    name = "flaccodec"
    takes_quanta = True
    allowed_spacings = 0.5

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(threads)
        self.settings = f"level {case.level}"
        self._options = CodecOptions(case.level, case.quanta, case.precision)

    def encode(self, array: Array) -> Any:
        return self._options.encode(array, num_threads=self.threads)

    def decode(self, encoded: Any) -> Array:
        return core.decode_chunk(encoded, num_threads=self.threads)


class FlacarrayIntegers(Contestant):
    """`array_compress` and `array_decompress`; int16 is converted to int32 and back."""

    name = "flacarray"

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(threads)
        self.settings = f"level {case.level}"
        self._level = case.level
        self._dtype = case.array.dtype
        self._stream_size = case.array.shape[-1]

    def encode(self, array: Array) -> Any:
        wide = array.astype(np.int32, copy=False)
        return array_compress(wide, level=self._level, use_threads=self.threads > 1)

    def decode(self, encoded: Any) -> Array:
        compressed, starts, nbytes, _, _ = encoded
        wide = array_decompress(
            compressed,
            self._stream_size,
            starts,
            nbytes,
            use_threads=self.threads > 1,
            no_flatten=True,
        )
        return np.asarray(wide).astype(self._dtype, copy=False)

    def nbytes(self, encoded: Any) -> int:
        return int(encoded[0].nbytes)


class FlacarrayFloats(Contestant):
    """`FlacArray.from_array` and `to_array`."""

    name = "flacarray"
    takes_quanta = True
    allowed_spacings = 4.0  # it quantizes float32 in float32

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(threads)
        self.settings = f"level {case.level}"
        self._options = {"level": case.level, "quanta": case.quanta, "precision": case.precision}

    def encode(self, array: Array) -> Any:
        return FlacArray.from_array(array, use_threads=self.threads > 1, **self._options)

    def decode(self, encoded: Any) -> Array:
        return np.asarray(encoded.to_array(use_threads=self.threads > 1))

    def nbytes(self, encoded: Any) -> int:
        return int(encoded.compressed.nbytes)


class Pcodec(Contestant):
    """The array flattened, as one standalone file."""

    name = "pcodec"

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.settings = f"level {pcodec.DEFAULT_COMPRESSION_LEVEL}"
        self._config = pcodec.ChunkConfig()
        self._shape = case.array.shape

    def encode(self, array: Array) -> Any:
        return pcodec.standalone.simple_compress(array.reshape(-1), self._config)

    def decode(self, encoded: Any) -> Array:
        return np.asarray(pcodec.standalone.simple_decompress(encoded)).reshape(self._shape)


class Bytes(Contestant):
    """A numcodecs codec for bytes."""

    def __init__(self, case: Case, threads: int = 1) -> None:
        super().__init__(threads)
        self.codec = self._make()
        self._dtype, self._shape = case.array.dtype, case.array.shape

    @abstractmethod
    def _make(self) -> Any: ...

    def encode(self, array: Array) -> Any:
        return self.codec.encode(array)

    def decode(self, encoded: Any) -> Array:
        return np.frombuffer(self.codec.decode(encoded), self._dtype).reshape(self._shape)


class Blosc(Bytes):
    name = "Blosc"
    settings = f"zstd {BLOSC_LEVEL}, bitshuffle"

    def _make(self) -> Any:
        return numcodecs.Blosc(cname="zstd", clevel=BLOSC_LEVEL, shuffle=blosc.BITSHUFFLE)

    def prepare(self) -> None:
        blosc.set_nthreads(self.threads)


class Zstd(Bytes):
    name = "Zstd"
    settings = f"level {ZSTD_LEVEL}"

    def _make(self) -> Any:
        return numcodecs.Zstd(level=ZSTD_LEVEL)


def thread_counts() -> list[int]:
    """Return one thread and, where there are more, one for each processor."""
    return sorted({1, available_processors()})


def contestants(case: Case) -> list[Contestant]:
    """Return all that can compress a case."""
    counts = thread_counts()
    entries: list[Contestant] = [Flaccodec(case, n) for n in counts]
    if case.is_quantized:
        entries += [FlacarrayFloats(case, n) for n in counts]
    elif case.array.dtype.kind == "i":
        entries += [FlacarrayIntegers(case, n) for n in counts]
    entries.append(Pcodec(case))
    entries += [Blosc(case, n) for n in counts]
    entries.append(Zstd(case))
    return entries


NOTES = [
    "MB are 1e6 bytes of the array; speeds are medians of runs in turns, in one process; "
    "each codec beside flacarray with the same number of threads.",
    "All that was decoded was compared with the array. Each is run once untimed right before it is "
    "timed, but for files of HDF5. FlacArrays are measured in a process of their own.",
    "flacarray's size is that of its FLAC streams without its tables.",
    "pcodec is given the array flattened, in one call.",
    f"Zarr's default is Zstd level 0, which Zstd takes for its own default, {ZSTD_LEVEL}.",
]


def notes(case: Case) -> list[str]:
    """Return what else a reader of the figures of a case must know."""
    lines = []
    if case.is_quantized:
        lines.append(
            "pcodec, Blosc and Zstd are lossless: they are given the data already rounded to the "
            "quanta, which is not in their times. flaccodec and flacarray quantize as part of "
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
