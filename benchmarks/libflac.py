"""libFLAC without Python around it: the one in flacarray's wheel, called from C."""

from __future__ import annotations

import ctypes
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

SOURCE = Path(__file__).parent / "c" / "libflac_streams.c"


def bundled_library() -> Path | None:
    """Return the libFLAC that flacarray's wheel brings along; None where it has the system's."""
    spec = importlib.util.find_spec("flacarray")
    if spec is None or spec.origin is None:
        return None
    bundled = Path(spec.origin).parents[1] / "flacarray.libs"
    return next(bundled.glob("libFLAC*"), None)


def version_of(library: Path) -> str | None:
    """Return the version that a libFLAC says it has."""
    found = re.search(rb"reference libFLAC (\d+\.\d+\.\d+)", library.read_bytes())
    return found[1].decode() if found else None


@cache
def _decoder() -> ctypes.CDLL:
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
    decode = _decoder().decode_streams
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
