"""libFLAC without Python around it, called from C."""

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
from numpy.ctypeslib import ndpointer

if TYPE_CHECKING:
    from benchmarks.data.signals import Array

BLOCK_SIZE = 4096

SOURCE = Path(__file__).parents[1] / "c" / "libflac_streams.c"


def bundled_library() -> Path | None:
    """Return the libFLAC in flacarray's wheel, or None if flacarray uses the system's."""
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
    """Return the version that stands in a libFLAC, or None if none does."""
    found = re.search(rb"reference libFLAC (\d+\.\d+\.\d+)", library.read_bytes())
    return found[1].decode() if found else None


@cache
def _streams() -> ctypes.CDLL:
    """Build and load the C functions. numpy refuses arrays of other dtypes or not contiguous."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "libflac_streams.so"
        command = ["cc", "-O3", "-fopenmp", "-shared", "-fPIC", str(SOURCE), "-o", str(built)]
        subprocess.run([*command, "-ldl"], check=True)
        streams = ctypes.CDLL(str(built))
    nbytes, int32s, int64s = (
        ndpointer(dtype, flags="C_CONTIGUOUS") for dtype in (np.uint8, np.int32, np.int64)
    )
    path, int32, int64 = ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64
    decode, encode = streams.decode_streams, streams.encode_stream
    decode.restype = encode.restype = int64
    decode.argtypes = [path, nbytes, int64s, int64s, int64, int64, int32s, int32]
    encode.argtypes = [path, int32s, int64, int32, int32, int32, nbytes, int64]
    return streams


def decode_streams(
    library: Path, encoded: Array, starts: Array, nbytes: Array, out: Array, threads: int
) -> None:
    """Decode FLAC streams of one length and one channel.

    Parameters
    ----------
    library : Path
        The libFLAC to use.
    encoded : ndarray of uint8
    starts, nbytes : ndarray of int64, shape (n_streams,)
        Where each stream is in `encoded`.
    out : ndarray of int32, shape (n_streams, stream_size)

    Raises
    ------
    RuntimeError
        If a stream cannot be decoded or has another length.
    """
    n_streams, stream_size = out.shape
    failures = _streams().decode_streams(
        str(library).encode(), encoded, starts, nbytes, n_streams, stream_size, out, threads
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
        Of any shape, in C order.
    bits : int
        Bits per sample of the stream.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    RuntimeError
        If libFLAC fails.
    """
    out = np.empty(samples.nbytes + samples.nbytes // 8 + 4096, dtype=np.uint8)
    size = _streams().encode_stream(
        str(library).encode(), samples, samples.size, bits, level, BLOCK_SIZE, out, out.size
    )
    if size < 0:
        raise RuntimeError(f"{library.name}: encoding failed")
    return out[:size]
