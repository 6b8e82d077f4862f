"""libFLAC without Python around it: the one in flacarray's wheel, called from C."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmarks.data import Array

BLOCK_SIZE = 4096

SOURCE = Path(__file__).parent / "c" / "libflac_streams.c"


def bundled_library() -> Path | None:
    """Return the libFLAC that flacarray's wheel brings along; None where it has the system's."""
    spec = importlib.util.find_spec("flacarray")
    if spec is None or spec.origin is None:
        return None
    bundled = Path(spec.origin).parents[1] / "flacarray.libs"
    return next(bundled.glob("libFLAC*"), None)


def system_library() -> Path:
    """Return the name by which the system's libFLAC is loaded."""
    found = ctypes.util.find_library("FLAC")
    if found is None:
        raise RuntimeError("the system's libFLAC was not found; install libflac-dev")
    return Path(found)


def version_of(library: Path) -> str | None:
    """Return the version that a libFLAC says it has."""
    found = re.search(rb"reference libFLAC (\d+\.\d+\.\d+)", library.read_bytes())
    return found[1].decode() if found else None


@cache
def _streams() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "libflac_streams.so"
        command = ["cc", "-O3", "-fopenmp", "-shared", "-fPIC", str(SOURCE), "-o", str(built)]
        subprocess.run([*command, "-ldl"], check=True)
        return ctypes.CDLL(str(built))


def decode_streams(
    library: Path, bytes_: Array, starts: Array, nbytes: Array, out: Array, threads: int
) -> None:
    """Decode FLAC streams of one length.

    Parameters
    ----------
    library : Path
        The libFLAC to use.
    bytes_ : ndarray of uint8
    starts, nbytes : ndarray of int64, shape (n_streams,)
        Where each stream is.
    out : ndarray of int32, shape (n_streams, stream_size, channels)

    Raises
    ------
    RuntimeError
        A stream failed, or has another length.
    """
    n_streams, stream_size, channels = out.shape
    assert bytes_.dtype == np.uint8
    assert starts.dtype == nbytes.dtype == np.int64
    assert out.dtype == np.int32
    assert all(array.flags.c_contiguous for array in (bytes_, starts, nbytes, out))
    decode = _streams().decode_streams
    decode.restype = ctypes.c_int64
    failures = decode(
        str(library).encode(),
        ctypes.c_void_p(bytes_.ctypes.data),
        ctypes.c_void_p(starts.ctypes.data),
        ctypes.c_void_p(nbytes.ctypes.data),
        ctypes.c_int64(n_streams),
        ctypes.c_int64(stream_size),
        ctypes.c_int64(channels),
        ctypes.c_void_p(out.ctypes.data),
        ctypes.c_int32(threads),
    )
    if failures:
        raise RuntimeError(f"{library.name}: {failures} of {n_streams} streams failed")


def encode_stream(library: Path, samples: Array, bits: int, level: int) -> Array:
    """Encode samples as one FLAC stream, without MD5, in blocks of 4096.

    Parameters
    ----------
    library : Path
        The libFLAC to use.
    samples : ndarray of int32
        Of any shape; one after the other in memory.
    bits : int
        That samples have in the stream.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    RuntimeError
        It failed.
    """
    assert samples.dtype == np.int32
    assert samples.flags.c_contiguous
    out = np.empty(samples.nbytes + samples.nbytes // 8 + 4096, dtype=np.uint8)
    encode = _streams().encode_stream
    encode.restype = ctypes.c_int64
    size = encode(
        str(library).encode(),
        ctypes.c_void_p(samples.ctypes.data),
        ctypes.c_int64(samples.size),
        ctypes.c_int32(bits),
        ctypes.c_int32(level),
        ctypes.c_int32(BLOCK_SIZE),
        ctypes.c_void_p(out.ctypes.data),
        ctypes.c_int64(out.size),
    )
    if size < 0:
        raise RuntimeError(f"{library.name}: encoding failed")
    return out[:size]
