"""zarr's fused codec pipeline (3.4 and later), whose errors of flaccodec name the chunk.

It runs codecs without telling them which chunk they have. Whoever chooses it in zarr's
configuration gets this one where an array holds FLAC, and zarr's own for all others.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

# The zarr of the type checker may be an earlier one.
from zarr.abc.store import _store_supports_sync_io  # type: ignore[attr-defined, unused-ignore]
from zarr.core.codec_pipeline import (  # type: ignore[attr-defined, unused-ignore]
    FusedCodecPipeline,
    _get_pool,
)
from zarr.core.common import concurrent_map
from zarr.core.config import config
from zarr.registry import _pipeline_registry  # type: ignore[attr-defined, unused-ignore]
from zarr.storage import StorePath

from flaccodec.exceptions import FlacCodecError
from flaccodec.zarr.pipeline.pipeline import holds_flac, located_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zarr.abc.codec import Codec

__all__ = ["LocatingFusedPipeline"]

NAME = f"{FusedCodecPipeline.__module__}.{FusedCodecPipeline.__qualname__}"


@dataclass(frozen=True)
class LocatingFusedPipeline(FusedCodecPipeline):  # type: ignore[misc, unused-ignore]
    """zarr's fused codec pipeline, whose errors of flaccodec name the chunk, or the shard."""

    @classmethod
    def from_codecs(cls, codecs: Iterable[Codec], *, batch_size: int | None = None) -> Any:
        """Make a pipeline: this one for FLAC, else zarr's own."""
        own = FusedCodecPipeline.from_codecs(codecs, batch_size=batch_size)
        if not holds_flac(own.array_bytes_codec):
            return own
        return cls(**{field.name: getattr(own, field.name) for field in fields(own)})

    def read_sync(
        self,
        batch_info: Iterable[Any],
        out: Any,
        drop_axes: tuple[int, ...] = (),
        max_workers: int = 1,
    ) -> Any:
        """Read chunks into an array; zarr's documentation explains."""
        read = super().read_sync
        done = self._map(lambda entry: read([entry], out, drop_axes), batch_info, max_workers)
        return tuple(status for (status,) in done)

    def write_sync(
        self,
        batch_info: Iterable[Any],
        value: Any,
        drop_axes: tuple[int, ...] = (),
        max_workers: int = 1,
    ) -> None:
        """Write chunks of an array; zarr's documentation explains."""
        write = super().write_sync
        self._map(lambda entry: write([entry], value, drop_axes), batch_info, max_workers)

    async def read(
        self, batch_info: Iterable[Any], out: Any, drop_axes: tuple[int, ...] = ()
    ) -> Any:
        """Read chunks into an array; zarr's documentation explains."""
        batch, read = list(batch_info), super().read
        if not self._is_sync(batch):
            done = await self._map_async(lambda entry: read([entry], out, drop_axes), batch)
            return tuple(status for (status,) in done)
        try:
            return await read(batch, out, drop_axes)
        except FlacCodecError:
            # In a shard it is not told which chunk it was. The other way, zarr tells.
            return await self._without_sync.read(batch, out, drop_axes)

    async def write(
        self, batch_info: Iterable[Any], value: Any, drop_axes: tuple[int, ...] = ()
    ) -> None:
        """Write chunks of an array; zarr's documentation explains."""
        batch, write = list(batch_info), super().write
        if not self._is_sync(batch):
            await self._map_async(lambda entry: write([entry], value, drop_axes), batch)
            return
        try:
            await write(batch, value, drop_axes)
        except FlacCodecError:  # as where it reads
            await self._without_sync.write(batch, value, drop_axes)

    @property
    def _without_sync(self) -> LocatingFusedPipeline:
        changes: dict[str, Any] = {"sync_transform": None}
        return replace(self, **changes)

    def _is_sync(self, batch: list[Any]) -> bool:
        """Whether zarr will call `read_sync`, or `write_sync`."""
        if self.sync_transform is None or not batch:
            return False
        first = batch[0][0]
        return not isinstance(first, StorePath) or _store_supports_sync_io(first.store)

    def _map(self, do: Callable[[Any], Any], batch: Iterable[Any], max_workers: int) -> list[Any]:
        def one(entry: Any) -> Any:
            with located_entries(self.array_bytes_codec, [entry]):
                return do(entry)

        entries = list(batch)
        if max_workers > 1 and len(entries) > 1:
            return list(_get_pool(max_workers).map(one, entries))
        return list(map(one, entries))

    async def _map_async(self, do: Callable[[Any], Any], batch: list[Any]) -> list[Any]:
        async def one(entry: Any) -> Any:
            with located_entries(self.array_bytes_codec, [entry]):
                return await do(entry)

        limit = config.get("async.concurrency")
        return await concurrent_map([(entry,) for entry in batch], one, limit)


_pipeline_registry.register(LocatingFusedPipeline, NAME)
