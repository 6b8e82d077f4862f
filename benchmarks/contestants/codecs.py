"""The codecs that are compared, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import flacarray
import numcodecs
import numpy as np
import pcodec
from flacarray.compress import array_compress
from flacarray.decompress import array_decompress
from numcodecs import blosc

import flaccodec
from flaccodec import core
from flaccodec.chunks.options import CodecOptions

if TYPE_CHECKING:
    from benchmarks.data.cases import Case
    from benchmarks.data.signals import Array

BLOSC_LEVEL = 5
BLOSC_SETTINGS = f"zstd {BLOSC_LEVEL}, bitshuffle"
ZSTD_LEVEL = 3


class Contestant(ABC):
    """A codec with its settings and number of threads; a `benchmarks.harness.checks.Coder`."""

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


class Chunks(Contestant):
    """flaccodec's packed chunks."""

    name = "flaccodec"
    takes_quanta = True
    allowed_spacings = 0.5

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(threads)
        self.settings = f"level {case.level}"
        self._options = CodecOptions(level=case.level, quanta=case.quanta, precision=case.precision)

    def encode(self, array: Array) -> Any:
        return self._options.encode(array, num_threads=self.threads)

    def decode(self, encoded: Any) -> Array:
        return core.decode_chunk(encoded, num_threads=self.threads)


class _FlacArrays(Contestant):
    """`from_array` and `to_array` of a package's `FlacArray`."""

    takes_quanta = True
    flac_array: Any

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(threads)
        self.settings = f"level {case.level}"
        self._options = {"level": case.level, "quanta": case.quanta, "precision": case.precision}

    def encode(self, array: Array) -> Any:
        return self.flac_array.from_array(array, use_threads=self.threads > 1, **self._options)

    def decode(self, encoded: Any) -> Array:
        return np.asarray(encoded.to_array(use_threads=self.threads > 1))


class OurFlacArrays(_FlacArrays):
    """flaccodec's `FlacArray`."""

    name = "flaccodec"
    flac_array = flaccodec.FlacArray
    allowed_spacings = 0.5

    def __init__(self, case: Case, threads: int) -> None:
        super().__init__(case, threads)
        self.settings = "FlacArray"

    def nbytes(self, encoded: Any) -> int:
        return int(encoded.nbytes)


class FlacarrayFloats(_FlacArrays):
    """flacarray's `FlacArray`."""

    name = "flacarray"
    flac_array = flacarray.FlacArray
    allowed_spacings = 4.0  # it quantizes float32 in float32

    def nbytes(self, encoded: Any) -> int:
        return int(encoded.compressed.nbytes)


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


class _Bytes(Contestant):
    """A numcodecs codec for bytes."""

    codec: Any

    def __init__(self, case: Case, threads: int = 1) -> None:
        super().__init__(threads)
        self._dtype, self._shape = case.array.dtype, case.array.shape

    def encode(self, array: Array) -> Any:
        return self.codec.encode(array)

    def decode(self, encoded: Any) -> Array:
        return np.frombuffer(self.codec.decode(encoded), self._dtype).reshape(self._shape)


class Blosc(_Bytes):
    name = "Blosc"
    settings = BLOSC_SETTINGS
    codec = numcodecs.Blosc(cname="zstd", clevel=BLOSC_LEVEL, shuffle=blosc.BITSHUFFLE)

    def prepare(self) -> None:
        blosc.set_nthreads(self.threads)


class Zstd(_Bytes):
    name = "Zstd"
    settings = f"level {ZSTD_LEVEL}"
    codec = numcodecs.Zstd(level=ZSTD_LEVEL)
