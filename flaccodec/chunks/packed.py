"""`Packed`: a chunk in memory, and the shape of the array that it stands for."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.chunks.index import ChunkIndex, empty_index
from flaccodec.chunks.keys import full_key, has_ellipsis
from flaccodec.chunks.options import CodecOptions, check_level
from flaccodec.chunks.selection import plan_streams
from flaccodec.core import QuantaRule
from flaccodec.exceptions import ChunkMismatchError, ConfigurationError, FlacCodecError
from flaccodec.runtime import memory
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples import quanta_warnings
from flaccodec.samples.blocks import (
    in_block,
    is_elsewhere,
    read_blocks,
    stream_blocks,
    warn_in_block,
)
from flaccodec.samples.masks import unmasked
from flaccodec.samples.quanta import check_precision, check_quanta, per_stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import numpy.typing as npt

    from flaccodec.chunks.selection import ReadPlan


@dataclass
class Packed:
    """An array of any shape, compressed in memory.

    Parameters
    ----------
    index : ChunkIndex
    chunk : ndarray of uint8
        All of it; nobody else writes to it.
    shape : tuple of int
        The array's; the chunk has its streams in C order.
    level : int
        With which streams are encoded where they are written anew.
    fill_value : scalar, optional
        That of the array in a file that this one came from.
    missing_value : float or sequence of float, optional
        Other numbers that mark missing samples.
    is_checked : bool
        Whether the checksum of all streams is known to be right.
    """

    index: ChunkIndex
    chunk: npt.NDArray[np.uint8]
    shape: tuple[int, ...]
    level: int = core.DEFAULT_LEVEL
    fill_value: Any = None
    missing_value: float | Sequence[float] | None = None
    is_checked: bool = False

    # -- making --------------------------------------------------------------------

    @classmethod
    def own(
        cls,
        data: npt.NDArray[np.uint8],
        shape: tuple[int, ...] | None = None,
        level: int = core.DEFAULT_LEVEL,
        fill_value: Any = None,
        missing_value: float | Sequence[float] | None = None,
    ) -> Self:
        """Take in a chunk that nobody else writes to, without a copy.

        Raises
        ------
        CorruptChunkError
            Header or index are damaged, or the length is wrong.
        ChunkMismatchError
            The chunk is not of this shape.
        """
        index = ChunkIndex.from_head(data)
        header = index.header
        core.check_length(header, len(data))
        streams = header.n_streams, header.stream_size
        shape = streams if shape is None else tuple(operator.index(n) for n in shape)
        if core.stream_shape(shape) != streams or any(n < 0 for n in shape):
            raise ChunkMismatchError(
                f"expected a chunk of an array of shape {shape}. Got one of {streams[0]:,} "
                f"streams of {streams[1]:,} samples."
            )
        return cls(index, data, shape, level, fill_value, missing_value)

    @classmethod
    def encode(
        cls,
        arr: npt.ArrayLike,
        level: int = core.DEFAULT_LEVEL,
        quanta: npt.ArrayLike | None = None,
        precision: npt.ArrayLike | None = None,
        use_threads: bool | None = None,
        lossless: bool = False,
        missing_value: float | Sequence[float] | None = None,
        strict: bool = False,
    ) -> Self:
        """Compress an array; `FlacArray.from_array` explains."""
        array: Any = arr if is_elsewhere(arr) else unmasked(arr)
        level = check_level(level)
        dtype = core.check_dtype(array.dtype)
        rule, parameters = _choose_rule(dtype, array.shape[:-1], quanta, precision, lossless)
        options: dict[str, Any] = {
            "level": level,
            "rule": rule,
            "marks": CodecOptions(missing_value=missing_value).marks,
            "strict": strict,
            "warn": quanta_warnings.warn,
            "num_threads": choose_threads(use_threads),
        }
        with quanta_warnings.WarnedOnce():
            if is_elsewhere(array) and array.shape and 0 not in array.shape:
                chunk = _encode_blocks(array, parameters, options)
            else:
                chunk = core.encode_chunk(np.asarray(array), parameters=parameters, **options)
        new = cls.own(chunk, array.shape, level, missing_value=options["marks"] or None)
        new.is_checked = True  # by whoever made it just now
        return new

    @classmethod
    def without_streams(cls, shape: tuple[int, ...], dtype: np.dtype[Any], lossless: bool) -> Self:
        """Make the part of an array that an MPI rank without rows holds."""
        return cls(empty_index(dtype, shape[-1], lossless), np.empty(0, dtype=np.uint8), shape)

    def copy(self) -> Self:
        """Return one with a chunk of its own, to be checked anew."""
        return replace(self, chunk=self.chunk.copy(), is_checked=False)

    # -- shape and type --------------------------------------------------------------

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        return self.index.header.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def stream_size(self) -> int:
        """Samples of each stream."""
        return self.index.header.stream_size

    @property
    def nstreams(self) -> int:
        """Number of streams."""
        return self.index.header.n_streams

    @property
    def leading_shape(self) -> tuple[int, ...]:
        """Shape of the leading axes, (1,) for one stream without any."""
        return self.shape[:-1] or (1,)

    # -- compressed data ---------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes of the FLAC streams."""
        return self.index.header.streams_size

    @property
    def compressed(self) -> npt.NDArray[np.uint8]:
        """The FLAC streams, end to end; read-only."""
        header = self.index.header
        view = self.chunk[header.head_size : header.head_size + header.streams_size].view()
        view.flags.writeable = False
        return view

    @property
    def stream_starts(self) -> npt.NDArray[np.int64]:
        """Where each stream begins in `compressed`; shape of the leading axes."""
        return self.index.streams()[0].reshape(self.leading_shape)

    @property
    def stream_nbytes(self) -> npt.NDArray[np.int64]:
        """Bytes of each stream; shape of the leading axes."""
        return self.index.streams()[1].reshape(self.leading_shape)

    @property
    def stream_offsets(self) -> npt.NDArray[Any] | None:
        """What is added to each stream's integers, in the units of the data.

        For quantized floats, of their dtype: a whole number of quanta. For integers that
        are stored less an offset, the offsets. None where nothing is added.
        """
        offsets, quanta = self.tables()
        if quanta is not None:
            return (offsets * quanta).astype(self.dtype).reshape(self.leading_shape)
        if self.dtype.kind == "f" or not offsets.any():
            return None
        return offsets.astype(self.dtype).reshape(self.leading_shape)

    @property
    def stream_gains(self) -> npt.NDArray[Any] | None:
        """1 / quanta of each stream, of the dtype of the data; None unless quantized.

        Infinite where quanta are so small that the dtype does not hold it.
        """
        _, quanta = self.tables()
        if quanta is None:
            return None
        with np.errstate(over="ignore"):
            return (1 / quanta).astype(self.dtype).reshape(self.leading_shape)

    def tables(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64] | None]:
        """Return offset and quanta of each stream, as `core.stream_tables` does."""
        if self.nstreams:
            return core.stream_tables(self.chunk)
        lossless = self.index.header.lossless
        return np.zeros(0, dtype=np.int64), None if lossless else np.zeros(0)

    def checked_chunk(self) -> npt.NDArray[np.uint8]:
        """Return the chunk for its streams to be taken, which get checksums anew there.

        They are checked against the old one first, so that damage does not become sound.
        """
        if not self.is_checked:
            core.check_streams(self.chunk, num_threads=choose_threads(None))
            self.is_checked = True
        return self.chunk

    # -- decompressing ------------------------------------------------------------------------

    def decode(self, numbers: npt.NDArray[Any], samples: Any, num_threads: int) -> npt.NDArray[Any]:
        """Decompress streams by number, any number of times each and in any order.

        Parameters
        ----------
        numbers : ndarray of int
        samples : slice or int
            Which of each.
        num_threads : int

        Returns
        -------
        ndarray, of the shape of `numbers` and, for a slice, an axis of samples
        """
        header = self.index.header
        unique, among = numbers.ravel(), None
        if np.any(unique[1:] <= unique[:-1]):
            unique, among = np.unique(unique, return_inverse=True)
        plan = plan_streams(
            unique, samples, header.stream_size, header.frame_size, self.dtype.itemsize
        )
        compact = memory.empty(plan.compact_shape, self.dtype)
        if compact.size:
            self._decode_plan(plan, compact, num_threads)
        picked = plan.pick(compact)
        if among is not None:
            picked = picked[among]
        return picked.reshape(numbers.shape + picked.shape[1:])

    def _decode_plan(self, plan: ReadPlan, out: npt.NDArray[Any], num_threads: int) -> None:
        header = self.index.header
        if not self.is_checked and out.shape == (header.n_streams, header.stream_size):
            core.decode_chunk(self.chunk, out, num_threads=num_threads)
            self.is_checked = True
        else:
            pieces: list[tuple[int, core.Buffer]] = [(0, self.chunk)]
            core.decode_spans(self.chunk, pieces, plan.spans, out, num_threads=num_threads)

    def __getitem__(self, key: Any) -> Any:
        """Decompress what numpy's indexing would pick of an array with an axis or more.

        Any basic index on any axis; boolean masks and integer arrays on the leading axes.
        """
        selectors = full_key(key, self.shape)
        last = selectors[-1]
        # Indexing the numbers of streams, spread over the samples without taking memory, has
        # numpy check the key and shape the result.
        numbers = np.arange(self.nstreams).reshape(*self.shape[:-1], 1)
        spread = np.broadcast_to(numbers, self.shape)
        if not isinstance(last, slice):
            picked = np.asarray(spread[tuple(selectors)])
            decoded = self.decode(picked, last % self.stream_size, choose_threads(None))
            # As numpy: a sample by itself, unless the key had an Ellipsis.
            return decoded if has_ellipsis(key) else decoded[()]
        picked = spread[(*selectors[:-1], slice(0, 1))][..., 0]
        return self.decode(np.asarray(picked), last, choose_threads(None))

    def has_samples_of(self, other: Packed) -> bool:
        """Whether another of the same shape and dtype has the same samples, bit for bit."""
        if np.array_equal(self.chunk, other.chunk):
            return True
        for numbers, _ in stream_blocks((self.nstreams, self.stream_size)):
            rows = np.arange(self.nstreams)[numbers]
            mine, others = (
                packed.decode(rows, slice(None), choose_threads(None)) for packed in (self, other)
            )
            if not np.array_equal(mine.view(np.uint8), others.view(np.uint8)):
                return False
        return True


def _choose_rule(
    dtype: np.dtype[Any],
    leading: tuple[int, ...],
    quanta: npt.ArrayLike | None,
    precision: npt.ArrayLike | None,
    lossless: bool,
) -> tuple[QuantaRule, npt.NDArray[Any] | None]:
    given = [
        name
        for name, on in (
            ("quanta", quanta is not None),
            ("precision", precision is not None),
            ("lossless", lossless),
        )
        if on
    ]
    if len(given) > 1:
        raise ConfigurationError(f"give one of quanta, precision and lossless. Got {given}.")
    if dtype.kind != "f":
        if quanta is not None or precision is not None:
            raise ConfigurationError(
                f"{given[0]} is for floats; integers are stored exactly. Got dtype {dtype}."
            )
        return QuantaRule.NONE, None
    if quanta is not None:
        values = per_stream("quanta", quanta, leading)
        check_quanta(values)
        return QuantaRule.GIVEN, values
    if precision is not None:
        digits = per_stream("precision", precision, leading)
        check_precision(digits)
        return QuantaRule.PRECISION, digits
    return (QuantaRule.NONE if lossless else QuantaRule.RANGE), None


def _encode_blocks(
    array: Any, parameters: npt.NDArray[Any] | None, options: dict[str, Any]
) -> npt.NDArray[np.uint8]:
    """Encode an array that is not in memory, and join the streams of its blocks."""
    chunks: list[npt.NDArray[np.uint8]] = []
    picks = np.empty((math.prod(array.shape[:-1]), 2), dtype=np.int64)
    for numbers, rows in read_blocks(array, "from_array", progress=False):
        chosen = parameters
        if parameters is not None and parameters.ndim:
            chosen = parameters.ravel()[numbers]
        try:
            warned = {**options, "warn": warn_in_block(numbers)}
            chunk = core.encode_chunk(rows, parameters=chosen, **warned)
        except FlacCodecError as error:
            raise in_block(error, numbers) from error
        picks[numbers, 0], picks[numbers, 1] = len(chunks), np.arange(len(rows))
        chunks.append(chunk)
    if len({core.read_header(chunk).lossless for chunk in chunks}) > 1:
        # Quanta could not hold the samples of some blocks: streams of one chunk are all alike.
        return _encode_blocks(array, None, {**options, "rule": QuantaRule.NONE})
    return core.gather_streams(chunks, picks)
