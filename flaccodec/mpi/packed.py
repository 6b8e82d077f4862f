"""Packed arrays whose rows are spread over MPI ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flaccodec.chunks.packed import Packed
from flaccodec.exceptions import ConfigurationError
from flaccodec.mpi.agreement import attempt, share
from flaccodec.mpi.distribution import distribution, layout_of
from flaccodec.samples.masks import unmasked

if TYPE_CHECKING:
    from collections.abc import Callable

    from flaccodec.mpi.distribution import Distribution, Layout


def encode_rows(arr: Any, comm: Any, options: dict[str, Any]) -> tuple[Packed, Distribution]:
    """Compress each rank's rows of an array; `FlacArray.from_array` explains."""
    local = attempt(comm, lambda: None if arr is None else unmasked(arr))
    layout = layout_of(comm, local)

    def encode() -> Packed | None:
        if local is None or len(local) == 0:
            return None
        return Packed.encode(local, **options)

    def again() -> Packed | None:
        if local is None or len(local) == 0:
            return None
        without = {**options, "quanta": None, "precision": None, "lossless": True}
        return Packed.encode(local, **without)

    asked = any(share(comm, lambda: bool(options["lossless"])))
    return spread(comm, layout, encode, None if asked else again)


def spread(
    comm: Any,
    layout: Layout,
    encode: Callable[[], Packed | None],
    encode_lossless: Callable[[], Packed | None] | None = None,
) -> tuple[Packed, Distribution]:
    """Have each rank make its part of an array, and agree on what the whole is.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    layout : Layout
    encode : callable () -> Packed or None
        Gives this rank's part; None for a rank without rows.
    encode_lossless : callable () -> Packed or None, optional
        Gives it without loss, which all ranks do where quanta cannot hold the samples of some.

    Returns
    -------
    Packed
        This rank's part.
    Distribution

    Raises
    ------
    Exception
        On all ranks what `encode` raised on one, as `flaccodec.mpi.agreement.share` says.
    ConfigurationError
        Some ranks have quanta, and others do not.
    """
    part = attempt(comm, encode)
    kinds = share(comm, lambda: None if part is None else part.index.header.lossless)
    held = [rank for rank, kind in enumerate(kinds) if kind is not None]
    other = [rank for rank in held if kinds[rank] != kinds[held[0]]]
    if other and encode_lossless is not None:
        return spread(comm, layout, encode_lossless)
    if other:
        raise ConfigurationError(
            "either all ranks have quanta, or none has, for floats kept bit for bit. Got them on "
            f"one of ranks {held[0]} and {other[0]} only."
        )
    if part is None:
        shape, lossless = layout.local_shape(comm.rank), bool(held) and bool(kinds[held[0]])
        part = Packed.without_streams(shape, layout.dtype, lossless)
    return part, distribution(comm, layout, part.nbytes, part.stream_nbytes)
