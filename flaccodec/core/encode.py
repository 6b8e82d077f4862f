"""Arrays -> chunks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flaccodec.core.dtypes import (
    DEFAULT_FRAME_SIZE,
    DEFAULT_LEVEL,
    MAX_MARKS,
    QuantaRule,
    code_of,
    stream_shape,
)
from flaccodec.core.errors import exception_of
from flaccodec.core.native import ffi, lib
from flaccodec.core.stop import stop_for_signals
from flaccodec.core.views import address, is_big_endian, owned, view_of
from flaccodec.exceptions import (
    ConfigurationError,
    QuantaWarning,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def warn_of_quanta(warning: QuantaWarning) -> None:
    """Warn as `warnings.warn` does, of the caller's caller's line."""
    warnings.warn(warning, stacklevel=3)


def _quanta_warning(misfit: Any) -> QuantaWarning:
    stored = (
        "so the whole chunk is stored without loss, which takes more bytes"
        if misfit.is_lossless
        else "which are stored exactly, beside the FLAC streams"
    )
    place = f"stream {misfit.stream:,}, sample {misfit.sample:,}"
    return QuantaWarning(
        f"quanta are too fine for some samples (at {place}), {stored}. "
        f"The smallest quanta that would do are {misfit.smallest!r}.",
        misfit.stream,
        misfit.sample,
        misfit.smallest,
        bool(misfit.is_lossless),
    )


def _marks(fill_value: Any, marks: Sequence[float]) -> npt.NDArray[np.float64]:
    values = [] if fill_value is None else [float(fill_value)]
    values += [float(mark) for mark in marks]
    if len(values) > MAX_MARKS:
        raise ConfigurationError(
            f"at most {MAX_MARKS} values can mark missing samples, the fill value among them. "
            f"Got {len(values)}."
        )
    return np.array(values, dtype=np.float64)


def encode_chunk(
    array: npt.NDArray[Any],
    *,
    level: int = DEFAULT_LEVEL,
    frame_size: int = DEFAULT_FRAME_SIZE,
    rule: QuantaRule = QuantaRule.NONE,
    parameters: npt.ArrayLike | None = None,
    fill_value: Any = None,
    marks: Sequence[float] = (),
    strict: bool = False,
    warn: Callable[[QuantaWarning], None] = warn_of_quanta,
    keep_byte_order: bool = False,
    plain: bool = False,
    num_threads: int = 1,
) -> npt.NDArray[np.uint8]:
    """Encode an array as one chunk.

    Parameters
    ----------
    array : ndarray
        Shape (..., stream_size), any layout and byte order, one of the dtypes of
        `check_dtype`. It is not copied.
    level : int
        FLAC's level, 0 (fast) to 8 (small).
    frame_size : int
        Samples of a FLAC frame, the least that can be decoded on its own; 16 to 65535.
    rule : QuantaRule
        How floats become integers; NONE for integers, and for floats kept bit for bit.
    parameters : array_like, optional
        Quanta in the units of the data (rule GIVEN) or decimal digits (PRECISION): one
        number, or one for each stream.
    fill_value : scalar, optional
        For floats with a rule: what stands for missing samples. It comes back exactly,
        and quanta are chosen, and checked, without it. Where it is zero, only the zeros that
        a stream ends in are left out, which may fill a chunk up at the edge of an array.
    marks : sequence of float
        More values that stand for missing samples; with the fill value at most `MAX_MARKS`.
    strict : bool
        Raise QuantaTooFineError for a finite sample of 2**63 quanta or more. Otherwise it is
        stored exactly. Where many are, or many would break the promised error, the whole chunk
        is stored without loss, if that is smaller.
    warn : callable
        Called with a `QuantaWarning` where quanta are too fine; by default `warnings.warn`.
    keep_byte_order : bool
        Note in the header that the array was big-endian, for readers that hand out
        bytes instead of arrays.
    plain : bool
        For integers but uint32: no offsets, and 64 bits always in two channels, as the
        flacarray package has its streams.
    num_threads : int
        At least 1. Does not change the bytes.

    Returns
    -------
    ndarray of uint8
        The chunk, in memory of its own.

    Raises
    ------
    FlacCodecError
        One of its kinds; nothing is returned in part.
    """
    if array.ndim == 0:
        array = array.reshape(1)
    code = code_of(array.dtype)
    if plain and (array.dtype.kind == "f" or code == lib.FC_UINT32):
        raise ConfigurationError(
            f"plain is for integers but uint32, which needs an offset. Got dtype {array.dtype}."
        )
    options = ffi.new("fc_encode_options *")
    options.dtype = code
    options.level = level
    options.n_streams, options.stream_size = stream_shape(array.shape)
    options.frame_size = frame_size
    options.quanta_rule = int(rule)
    if keep_byte_order and is_big_endian(array.dtype):
        options.flags = lib.FC_FLAG_BIG_ENDIAN
    values = np.atleast_1d(np.asarray(0.0 if parameters is None else parameters, dtype=np.float64))
    values = np.ascontiguousarray(values.ravel())
    options.parameters = ffi.cast("double *", address(values))
    options.n_parameters = values.size
    marked = _marks(fill_value, marks) if array.dtype.kind == "f" else np.empty(0)
    options.marks = ffi.cast("double *", address(marked))
    options.n_marks = marked.size
    options.strict = strict
    misfit = ffi.new("fc_misfit *")
    options.misfit = misfit
    options.plain = plain
    options.n_threads = num_threads
    options.stop = stop = stop_for_signals()
    view, keep = view_of(array)
    chunk, size, error = ffi.new("uint8_t **"), ffi.new("int64_t *"), ffi.new("fc_error *")
    if lib.fc_encode(view, options, chunk, size, error):
        raise exception_of(error)
    del keep, stop
    made = owned(chunk[0], size[0])
    if misfit.is_any:
        warn(_quanta_warning(misfit))
    return made
