"""FlacArrays whose rows are spread over MPI ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flaccodec.array.flacarray import FlacArray
from flaccodec.exceptions import ConfigurationError
from flaccodec.mpi.agreement import attempt, share
from flaccodec.mpi.distribution import distribution, layout_of
from flaccodec.samples.masks import unmasked

if TYPE_CHECKING:
    from collections.abc import Callable

    from flaccodec.mpi.distribution import Layout


def from_local(arr: Any, comm: Any, options: dict[str, Any]) -> FlacArray:
    """Compress each rank's rows of an array; `FlacArray.from_array` explains."""
    local = attempt(comm, lambda: None if arr is None else unmasked(arr))
    layout = layout_of(comm, local)

    def encode() -> FlacArray | None:
        if local is None or len(local) == 0:
            return None
        return FlacArray.from_array(local, **options)

    def again() -> FlacArray | None:
        if local is None or len(local) == 0:
            return None
        without = {**options, "quanta": None, "precision": None, "lossless": True}
        return FlacArray.from_array(local, **without)

    asked = any(share(comm, lambda: bool(options["lossless"])))
    return spread(comm, layout, encode, None if asked else again)


def spread(
    comm: Any,
    layout: Layout,
    encode: Callable[[], FlacArray | None],
    encode_lossless: Callable[[], FlacArray | None] | None = None,
) -> FlacArray:
    """Make a FlacArray of the ranks' parts.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    layout : Layout
    encode : callable () -> FlacArray or None
        Gives this rank's part; None for a rank without rows.
    encode_lossless : callable () -> FlacArray or None, optional
        Gives it without loss, which all ranks do where quanta cannot hold the samples of some.

    Returns
    -------
    FlacArray

    Raises
    ------
    Exception
        On all ranks what `encode` raised on one, as `flaccodec.mpi.agreement.share` says.
    ConfigurationError
        Some ranks have quanta, and others do not.
    """
    part = attempt(comm, encode)
    kinds = share(comm, lambda: None if part is None else part._index.header.lossless)
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
        part = FlacArray._without_streams(shape, layout.dtype, lossless)
    part._mpi = distribution(comm, layout, part.nbytes, part.stream_nbytes)
    return part
