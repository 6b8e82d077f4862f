"""`FlacCodec`, the Zarr v3 codec, which zarr finds through its entry point."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.FlacCodec", "zarr"):
    from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin
    from zarr.core.common import parse_named_configuration

from flaccodec import core
from flaccodec.chunks.missing import with_marks
from flaccodec.chunks.options import CodecOptions, Options, explains_options
from flaccodec.chunks.selection import is_empty, plan_read, total_frames
from flaccodec.chunks.where_it_goes import SaysWhereItGoes
from flaccodec.exceptions import ConfigurationError, CorruptChunkError
from flaccodec.runtime import memory
from flaccodec.runtime.threads import resolve_threads
from flaccodec.samples.masks import check_unmasked
from flaccodec.zarr.chunk_reader import ChunkReader
from flaccodec.zarr.places import check_chunks, located
from flaccodec.zarr.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy.typing as npt
    from zarr.abc.store import ByteGetter
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer
    from zarr.core.chunk_grids import ChunkGrid
    from zarr.core.common import JSON
    from zarr.core.dtype.wrapper import TBaseDType, TBaseScalar, ZDType

    from flaccodec.chunks.selection import ReadPlan
    from flaccodec.zarr.chunk_reader import Parts

__all__ = ["FlacCodec"]

NAME = "flaccodec"


class _Meta(SaysWhereItGoes, type(ArrayBytesCodec)):  # type: ignore[misc]
    """That of zarr's codecs, with messages that help."""


@explains_options()
@dataclass(frozen=True, repr=False, kw_only=True)
class FlacCodec(Options, ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin, metaclass=_Meta):
    """FLAC compression of numeric arrays, as a Zarr v3 array-to-bytes codec.

    A chunk's last axis is the one along which FLAC predicts. Reading a slice fetches and
    decodes only the frames that hold it, as long as no compressor or filter stands beside
    this codec: give ``compressors=None``, which `flaccodec.create_array` does by itself.

    Parameters
    ----------
    options
        Those of `flaccodec.chunks.options.Options`.

    Raises
    ------
    ConfigurationError
        A value is out of its range, or both quanta and precision are given.
    QuantaError
        Quanta are not a positive finite number.

    Notes
    -----
    The array's fill value comes back exactly and has no part in the quanta, however large
    it is: samples that are missing, and what fills chunks up at the edge of the array, are
    set apart as NaN is. Of zeros only those that a stream ends in have no part in them.

    Examples
    --------
    >>> import numpy as np, zarr
    >>> from flaccodec import FlacCodec
    >>> a = zarr.create_array({}, shape=(4, 1000), chunks=(4, 1000), dtype="int32",
    ...                       serializer=FlacCodec(level=5), compressors=None)
    >>> a[:] = np.arange(4000).reshape(4, 1000)
    >>> a[2, 500:503]
    array([2500, 2501, 2502], dtype=int32)
    """

    is_fixed_size = False
    _goes = (
        "an array-to-bytes codec: use serializer=, or, for zarr_format=2, "
        "compressors=flaccodec.numcodecs.Flac(...)"
    )

    @property
    def options(self) -> CodecOptions:
        """The configuration."""
        return CodecOptions.among(vars(self))

    def __repr__(self) -> str:
        return f"FlacCodec({self.options.arguments()})"

    # -- metadata -----------------------------------------------------------------

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Make a codec from its entry in ``zarr.json``."""
        parse_named_configuration({**data, "configuration": {}}, NAME)
        what = f"the configuration of codec {NAME!r}"
        options = CodecOptions.from_json(data.get("configuration"), what)
        return cls(**options.to_dict())

    def to_dict(self) -> dict[str, JSON]:
        """Return the codec's entry in ``zarr.json``, with defaults; what is rare only if given."""
        return {"name": NAME, "configuration": self.options.to_dict()}

    def with_marks(self, attributes: Mapping[str, Any] | None, fill_value: Any = None) -> FlacCodec:
        """Return a codec that keeps what CF's attributes name as missing, too.

        Parameters
        ----------
        attributes : mapping or None
            Of an array, such as ``{"missing_value": -9999.0}``.
        fill_value : number, optional
            The array's, which is kept without being named.

        Returns
        -------
        FlacCodec
        """
        return FlacCodec(**vars(with_marks(self.options, attributes, fill_value)))

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """Refuse dtypes that cannot be encoded; inside of shards zarr asks only here."""
        self.options.check_dtype(array_spec.dtype.to_native_dtype())
        return self

    def validate(
        self,
        *,
        shape: tuple[int, ...],
        dtype: ZDType[TBaseDType, TBaseScalar],
        chunk_grid: ChunkGrid,
    ) -> None:
        """Refuse arrays that cannot be encoded.

        Raises
        ------
        UnsupportedDtypeError
            FLAC cannot hold the dtype.
        ConfigurationError
            Quanta or precision are given for integers, or chunks have no samples.
        """
        self.options.check_dtype(dtype.to_native_dtype())
        check_chunks(getattr(chunk_grid, "chunk_shape", ()), shape)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Raise, since the size depends on the data."""
        raise NotImplementedError

    # -- whole chunks ----------------------------------------------------------------

    def _encode_sync(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        array = chunk_data.as_numpy_array()
        check_unmasked(array, "data")  # where it is a chunk; parts of one have lost it by now
        array = _as_specified(array, chunk_spec)
        chunk = self.options.encode(
            array, fill_value=chunk_spec.fill_value, num_threads=resolve_threads(None, 1)
        )
        return chunk_spec.prototype.buffer.from_bytes(chunk.data)

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        # In C order whatever the array's is, as zarr's BytesCodec has it: filters that flatten
        # take the samples as they lie in memory.
        out = memory.empty(chunk_spec.shape, chunk_spec.dtype.to_native_dtype())
        chunk = np.frombuffer(chunk_data.as_numpy_array(), dtype=np.uint8)
        _decode_whole(chunk, out)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(out)

    async def decode_into(
        self, byte_getter: ByteGetter, chunk_spec: ArraySpec, out: npt.NDArray[Any]
    ) -> bool:
        """Fetch and decode all of a chunk.

        Parameters
        ----------
        byte_getter : zarr ByteGetter
        chunk_spec : zarr ArraySpec
        out : ndarray
            Of the chunk's shape and dtype.

        Returns
        -------
        bool
            Whether there is such a chunk.

        Raises
        ------
        CorruptChunkError, ChunkMismatchError
            With the place of the chunk; some of ``out`` may have been written.
        """
        reader = ChunkReader(byte_getter, chunk_spec.prototype)
        chunk = await reader.whole()
        if chunk is None:
            return False
        with located([byte_getter]):
            await in_thread(_decode_whole, chunk, out)
        return True

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        return await in_thread(self._encode_sync, chunk_data, chunk_spec)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await in_thread(self._decode_sync, chunk_data, chunk_spec)

    # -- parts of chunks ----------------------------------------------------------------

    async def _decode_partial_single(
        self, byte_getter: ByteGetter, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        with located([byte_getter]):
            return await self._read(
                ChunkReader(byte_getter, chunk_spec.prototype), selection, chunk_spec
            )

    async def _read(
        self, reader: ChunkReader, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        shape, itemsize = chunk_spec.shape, chunk_spec.dtype.to_native_dtype().itemsize
        if len(shape) == 0 or is_empty(selection, shape):
            return await self._read_whole(reader, selection, chunk_spec)
        plan = plan_read(selection, shape, self.frame_size, itemsize)
        if plan.is_whole and plan.samples is None and plan.selection == ():
            return await self._read_whole(reader, (), chunk_spec)
        try:
            parts = await self._fetch(reader, plan, chunk_spec)
            return await _decode_parts(parts, plan, chunk_spec)
        except CorruptChunkError:
            # The chunk may have been rewritten between two requests, and may be again.
            reader.forget()
            return await _decode_parts(await reader.whole_parts(), plan, chunk_spec)

    async def _read_whole(
        self, reader: ChunkReader, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        chunk = await reader.whole()
        if chunk is None:
            return None
        buffer = chunk_spec.prototype.buffer.from_bytes(chunk.data)
        decoded = await self._decode_single(buffer, chunk_spec)
        return decoded[selection]

    async def _fetch(
        self, reader: ChunkReader, plan: ReadPlan, chunk_spec: ArraySpec
    ) -> Parts | None:
        first, last = plan.frames(self.frame_size)
        most = 2 * int((last - first + 1).sum()) >= total_frames(chunk_spec.shape, self.frame_size)
        if most or reader.in_memory:
            return await reader.whole_parts()
        dtype, shape = chunk_spec.dtype.to_native_dtype(), chunk_spec.shape
        return await reader.parts(plan, core.head_bound(dtype, shape, self.frame_size))


def _as_specified(array: npt.NDArray[Any], chunk_spec: ArraySpec) -> npt.NDArray[Any]:
    """Return what comes from filters as the chunk that it is to be read as.

    Filters of numcodecs flatten chunks (Delta), or hand over the bits of floats as integers
    (BitRound), which zarr's BytesCodec does not notice.

    Raises
    ------
    ConfigurationError
        It has more samples or fewer, or larger ones or smaller.
    """
    dtype = chunk_spec.dtype.to_native_dtype()
    if array.size != math.prod(chunk_spec.shape) or array.itemsize != dtype.itemsize:
        raise ConfigurationError(
            "filters must hand over chunks of the dtype and shape that zarr expects of them, "
            f"{dtype} and {chunk_spec.shape}. Got {array.dtype} and {array.shape}, which could "
            "not be read back: choose another filter, or another dtype for it."
        )
    if array.dtype.kind != dtype.kind:
        array = array.view(dtype.newbyteorder(array.dtype.byteorder))
    return array if array.shape == chunk_spec.shape else array.reshape(chunk_spec.shape)


def _decode_whole(chunk: npt.NDArray[np.uint8], out: npt.NDArray[Any]) -> None:
    core.decode_chunk(chunk, out, num_threads=resolve_threads(None, 1))


async def _decode_parts(
    parts: Parts | None, plan: ReadPlan, chunk_spec: ArraySpec
) -> NDBuffer | None:
    if parts is None:
        return None
    picked = await in_thread(_decode_plan, *parts, plan, chunk_spec)
    return chunk_spec.prototype.nd_buffer.from_numpy_array(picked)


def _decode_plan(
    head: npt.NDArray[np.uint8],
    pieces: list[tuple[int, npt.NDArray[np.uint8]]],
    plan: ReadPlan,
    chunk_spec: ArraySpec,
) -> npt.NDArray[Any]:
    dtype = chunk_spec.dtype.to_native_dtype()
    core.check_expected(core.read_header(head), dtype, chunk_spec.shape)
    compact = memory.empty(plan.compact_shape, dtype)
    core.decode_spans(head, pieces, plan.spans, compact, num_threads=resolve_threads(None, 1))
    return plan.pick(compact)


with contextlib.suppress(ImportError):  # should zarr move its pipeline, it reads with its own
    from flaccodec.zarr.pipeline.pipeline import choose_pipeline

    choose_pipeline()
