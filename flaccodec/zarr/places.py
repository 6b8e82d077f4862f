"""What errors call a chunk in a Zarr store, or in a shard."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import zarr
from zarr.storage import StorePath

from flaccodec.exceptions import ConfigurationError, FlacCodecError, add_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zarr.abc.store import ByteGetter
    from zarr.storage import StoreLike

__all__ = ["check_chunks", "located", "open_array", "place_of", "place_of_all"]


def check_chunks(chunks: Sequence[Any], shape: Sequence[int]) -> None:
    """Check that chunks of an array have samples, where the array has any.

    Raises
    ------
    ConfigurationError
        Their size is 0 along an axis: zarr would divide by it.
    """
    if any(c == 0 and n for c, n in zip(chunks, shape, strict=False)):
        raise ConfigurationError(
            f"chunks must be 1 or more along each axis of an array of shape {tuple(shape)}. "
            f"Got {tuple(chunks)}: mend chunk_shape in the array's zarr.json (chunks in .zarray), "
            "or make the array with other chunks."
        )


def open_array(source: zarr.Array[Any] | StoreLike) -> zarr.Array[Any]:
    """Open an array to read it, unless it is open.

    Raises
    ------
    ConfigurationError
        Its chunks, or those in its shards, have no samples.
    """
    if isinstance(source, zarr.Array):
        array = source
    else:
        try:
            array = zarr.open_array(source, mode="r")
        except ZeroDivisionError as error:
            raise ConfigurationError(
                "the chunks in an array's shards must be 1 or more along each axis. Got 0 in the "
                f"metadata of {source}: mend chunk_shape in its zarr.json."
            ) from error
    # A rectilinear grid has no one shape of chunks, and zarr takes no size of 0 in it.
    with contextlib.suppress(NotImplementedError):
        check_chunks(array.chunks, array.shape)
    return array


def place_of(byte_getter: ByteGetter, what: str = "chunk") -> str:
    """Say where a chunk is.

    Parameters
    ----------
    byte_getter : zarr ByteGetter
        What it is read from, or written to.
    what : str
        What to call it.

    Returns
    -------
    str
        With its address in a store, or, inside of a shard, its numbers there.
    """
    if isinstance(byte_getter, StorePath):
        return f"{what} {byte_getter}"
    # zarr's class for what is in a shard is not public: without the numbers, leave them out.
    numbers = getattr(byte_getter, "chunk_coords", None)
    at = "" if numbers is None else f" ({', '.join(map(str, numbers))})"
    return f"inner {what}{at}"


def place_of_all(byte_getters: Sequence[ByteGetter], what: str = "chunk") -> str:
    """Say where one of some chunks is: of more than one, the first and the last are named."""
    first = place_of(byte_getters[0], what)
    if len(byte_getters) == 1:
        return first
    return f"one of {len(byte_getters):,}, from {first} to {place_of(byte_getters[-1], what)}"


@contextlib.contextmanager
def located(byte_getters: Sequence[ByteGetter], what: str = "chunk") -> Iterator[None]:
    """Add the place of a chunk to what is raised inside, unless it has that already.

    Of more than one chunk, the first and the last are named.
    """
    try:
        yield
    except FlacCodecError as error:
        places = [place_of(byte_getter, what) for byte_getter in byte_getters]
        if not error.args[0].startswith(tuple(f"{place}: " for place in places)):
            add_place(error, place_of_all(byte_getters, what))
        raise
