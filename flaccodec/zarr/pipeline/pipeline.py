"""`FlacCodecPipeline`: zarr reads whole chunks of FLAC into its result, without a copy."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.zarr.pipeline.pipeline", "zarr"):
    import zarr
    from zarr.codecs import ShardingCodec, TransposeCodec
    from zarr.codecs._v2 import V2Codec
    from zarr.core.codec_pipeline import BatchedCodecPipeline
    from zarr.core.common import concurrent_map
    from zarr.registry import register_pipeline

from flaccodec.samples.masks import check_unmasked
from flaccodec.samples.quanta_warnings import WarnedOnce, at
from flaccodec.zarr.pipeline.locks import alone_with
from flaccodec.zarr.places import located, place_of_all

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    import numpy.typing as npt
    from zarr.abc.codec import Codec
    from zarr.abc.store import ByteGetter
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer
    from zarr.core.indexing import SelectorTuple

    Entry = tuple[ByteGetter, ArraySpec, SelectorTuple, SelectorTuple, bool]
    Status = dict[str, str]

__all__ = ["FlacCodecPipeline"]

SETTING = "codec_pipeline.path"
VARIABLE = "ZARR_CODEC_PIPELINE__PATH"
"""What sets it from outside of the program."""

PUBLIC = "flaccodec.zarr_pipeline"
"""The module by which zarr's configuration names the pipeline, wherever its code is."""

PATH = f"{PUBLIC}.FlacCodecPipeline"

NAME = "flaccodec"
"""Of our codecs, in both formats of Zarr."""

PRESENT, MISSING = {"status": "present"}, {"status": "missing"}
"""Of a chunk, as zarr has them."""


@runtime_checkable
class DecodesInto(Protocol):
    """An array-to-bytes codec that decodes whole chunks to where they are wanted."""

    async def decode_into(
        self, byte_getter: ByteGetter, chunk_spec: ArraySpec, out: npt.NDArray[Any]
    ) -> bool:
        """Fetch and decode all of a chunk; return whether there is such a chunk."""


@dataclass(frozen=True)
class LocatingCodecPipeline(BatchedCodecPipeline):
    """zarr's own codec pipeline, whose errors of flaccodec name the chunk, or the shard.

    Filters, compressors and shards have FlacCodec encode and decode chunks without being told
    which, and so does zarr where it writes a part of one.

    Filters get chunks in C order. zarr hands them over as they lie in memory, and those of
    numcodecs that flatten them (Delta, FixedScaleOffset) take samples in that order, but give
    them back in C order: in others, as behind a transposition, they would be mixed up.

    Writes to one chunk, or shard, wait for each other, so that none is lost of a process's.
    """

    async def read_batch(self, batch_info: Iterable[Entry], *args: Any, **kwargs: Any) -> Any:
        """Read chunks into an array; zarr's documentation explains."""
        batch = list(batch_info)
        with self._located(batch):
            read: Any = super().read_batch
            return await read(batch, *args, **kwargs)

    async def write(
        self, batch_info: Iterable[Any], value: NDBuffer, drop_axes: tuple[int, ...] = ()
    ) -> None:
        """Write what is assigned to an array, unless it is masked; zarr's documentation explains.

        zarr drops masks where it writes parts of chunks.
        """
        check_unmasked(value.as_ndarray_like(), "data")
        with WarnedOnce():
            await super().write(batch_info, value, drop_axes)

    async def write_batch(self, batch_info: Iterable[Any], *args: Any, **kwargs: Any) -> None:
        """Write chunks of an array; zarr's documentation explains."""
        batch = list(batch_info)
        async with alone_with(byte_setter for byte_setter, *_ in batch):
            with self._located(batch), at(lambda: place_of_all([b for b, *_ in batch], self._what)):
                await super().write_batch(batch, *args, **kwargs)

    async def encode_batch(
        self, chunk_arrays_and_specs: Iterable[tuple[NDBuffer | None, ArraySpec]]
    ) -> Iterable[Buffer | None]:
        """Encode chunks; zarr's documentation explains."""
        batch = list(chunk_arrays_and_specs)
        for codec in self.array_array_codecs:
            if not isinstance(codec, TransposeCodec):  # it only changes the view
                batch = [(_in_c_order(chunk, spec), spec) for chunk, spec in batch]
            chunks = await codec.encode(batch)
            specs = [codec.resolve_metadata(spec) for _, spec in batch]
            batch = list(zip(chunks, specs, strict=True))
        behind_filters = replace(self, array_array_codecs=())
        return await super(LocatingCodecPipeline, behind_filters).encode_batch(batch)

    def _located(self, batch: list[Any]) -> AbstractContextManager[None]:
        return located_entries(self.array_bytes_codec, batch)

    @property
    def _what(self) -> str:
        return held_as(self.array_bytes_codec)


@dataclass(frozen=True)
class FlacCodecPipeline(LocatingCodecPipeline):
    """A codec pipeline that decodes FLAC chunks where they belong in what is read.

    zarr's own pipeline decodes each chunk to memory of its own, and copies it to its place on
    one thread. This one decodes a chunk that is read whole right there, in as many threads as
    zarr has chunks under way. Parts of chunks, and writing, are left to zarr's; so are arrays
    with filters, compressors or shards, and those of other codecs, which get zarr's own pipeline
    from here. Errors name the chunk in all that hold FLAC.

    zarr reads with it once `FlacCodec` is imported, which it does by itself where an array has
    one, unless ``codec_pipeline.path`` in zarr's configuration has another than its default, or
    ``ZARR_CODEC_PIPELINE__PATH`` is set. To have the default, zarr's own, choose it after that
    import: zarr does not tell a default from the same by choice. Import it outside of a ``with
    zarr.config.set(...)`` that chooses a pipeline, too: what was there before that block, zarr's
    own, is put back at its end, and stays.

    Examples
    --------
    >>> import numpy as np, zarr, flaccodec
    >>> data = np.arange(4000, dtype="int32").reshape(4, 1000)
    >>> array = flaccodec.create_array({}, data=data, chunks=(2, 1000))
    >>> type(array.async_array.codec_pipeline).__name__
    'FlacCodecPipeline'
    >>> zarrs_own = "zarr.core.codec_pipeline.BatchedCodecPipeline"
    >>> with zarr.config.set({"codec_pipeline.path": zarrs_own}):
    ...     array = flaccodec.create_array({}, data=data, chunks=(2, 1000))
    >>> type(array.async_array.codec_pipeline).__name__
    'BatchedCodecPipeline'
    """

    @classmethod
    def from_codecs(cls, codecs: Iterable[Codec], *, batch_size: int | None = None) -> Any:
        """Make a pipeline: this one where it makes a difference, else zarr's own."""
        own = BatchedCodecPipeline.from_codecs(codecs, batch_size=batch_size)
        if not holds_flac(own.array_bytes_codec):
            return own
        in_place = own.supports_partial_decode and isinstance(own.array_bytes_codec, DecodesInto)
        return (cls if in_place else LocatingCodecPipeline)(
            array_array_codecs=own.array_array_codecs,
            array_bytes_codec=own.array_bytes_codec,
            bytes_bytes_codecs=own.bytes_bytes_codecs,
            batch_size=own.batch_size,
        )

    async def read_batch(
        self,
        batch_info: Iterable[Entry],
        out: NDBuffer,
        drop_axes: tuple[int, ...] = (),
    ) -> Any:
        """Read chunks into an array; zarr's documentation explains.

        Returns
        -------
        tuple of dict
            For each chunk, whether there was one: zarr 3.2 and later ask for it.
        """
        batch = list(batch_info)
        statuses = await concurrent_map(
            [(entry, out) for entry in batch],
            self._read_in_place,
            zarr.config.get("async.concurrency"),
        )
        left = [entry for entry, status in zip(batch, statuses, strict=True) if status is None]
        if left:
            # Earlier zarrs return None, and look at nothing that is returned.
            read: Any = super().read_batch
            rest = iter(await read(left, out, drop_axes) or len(left) * [PRESENT])
            statuses = [next(rest) if status is None else status for status in statuses]
        return tuple(statuses)

    async def _read_in_place(self, entry: Entry, out: NDBuffer) -> Status | None:
        """Read a chunk to where it belongs, where that can be; None where it cannot."""
        byte_getter, chunk_spec, selection, out_selection, *_ = entry
        place = _place(chunk_spec, selection, out.as_ndarray_like(), out_selection)
        if place is None or not isinstance(self.array_bytes_codec, DecodesInto):
            return None
        if await self.array_bytes_codec.decode_into(byte_getter, chunk_spec, place):
            return PRESENT
        place[...] = chunk_spec.fill_value
        return MISSING


def held_as(codec: Codec) -> str:
    """Return what a store holds of an array with this codec."""
    return "shard" if isinstance(codec, ShardingCodec) else "chunk"


def located_entries(codec: Codec, batch: list[Any]) -> AbstractContextManager[None]:
    """Add the place of chunks, or shards, that zarr hands over to what is raised inside."""
    return located([byte_getter for byte_getter, *_ in batch], held_as(codec))


def holds_flac(codec: Codec) -> bool:
    """Whether chunks are of a codec that decodes them in place, be it inside of shards."""
    if isinstance(codec, ShardingCodec):
        return any(map(holds_flac, codec.codecs))
    if isinstance(codec, V2Codec):  # what zarr_format=2 has
        held = (*(codec.filters or ()), codec.compressor)
        return any(getattr(c, "codec_id", None) == NAME for c in held)
    return isinstance(codec, DecodesInto)


def _in_c_order(chunk: NDBuffer | None, chunk_spec: ArraySpec) -> NDBuffer | None:
    array = None if chunk is None else chunk.as_ndarray_like()
    if not isinstance(array, np.ndarray) or array.flags.c_contiguous:
        return chunk
    return chunk_spec.prototype.nd_buffer.from_numpy_array(array.copy(order="C"))


def _place(
    chunk_spec: ArraySpec, selection: SelectorTuple, array: Any, array_selection: SelectorTuple
) -> npt.NDArray[Any] | None:
    """Return the part of an array that is to be all of a chunk as it is; None if none is."""
    wanted, at = _slices(selection), _slices(array_selection)
    if type(array) is not np.ndarray or not wanted or at is None:
        return None  # other indices would copy
    shape = chunk_spec.shape
    if [s.indices(n) for s, n in zip(wanted, shape, strict=False)] != [(0, n, 1) for n in shape]:
        return None
    place = array[at]
    fits = place.shape == shape and place.dtype == chunk_spec.dtype.to_native_dtype()
    return place if fits else None


def _slices(selection: SelectorTuple) -> tuple[slice, ...] | None:
    """Return a selection that is one slice for each axis; None if it is another."""
    if not isinstance(selection, tuple):
        return None
    slices = tuple(s for s in selection if isinstance(s, slice))
    return slices if len(slices) == len(selection) else None


def choose_pipeline() -> None:
    """Have zarr read with `FlacCodecPipeline`, where nobody has chosen another pipeline."""
    zarrs_own = f"{BatchedCodecPipeline.__module__}.{BatchedCodecPipeline.__qualname__}"
    if zarr.config.get(SETTING) == zarrs_own and VARIABLE not in os.environ:
        zarr.config.set({SETTING: PATH})


FlacCodecPipeline.__module__ = PUBLIC
register_pipeline(FlacCodecPipeline)
