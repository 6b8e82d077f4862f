"""Zarr groups in the flacarray package's layout, ``zarr_format`` 3 and 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import zarr
except ImportError as error:
    raise ImportError("flaccodec.group_zarr needs zarr: pip install 'flaccodec[zarr]'") from error

from flaccodec import group_io
from flaccodec.group_layout import COMPRESSED

if TYPE_CHECKING:
    import numpy.typing as npt

    from flaccodec.group_io import Indices
    from flaccodec.group_layout import GroupStreams

__all__ = ["read_streams", "write_streams"]


def _place(zgrp: zarr.Group) -> str:
    """Return what to call a group in messages."""
    if not isinstance(zgrp, zarr.Group):
        raise TypeError(f"zgrp must be a zarr.Group. Got {type(zgrp).__name__}.")
    return str(zgrp.store_path)


def write_streams(zgrp: zarr.Group, streams: GroupStreams) -> None:
    """Write compressed streams to a Zarr group, where flacarray 0.3 and later reads them.

    The FLAC streams are chunked as Zarr sees fit, and not compressed once more.

    Parameters
    ----------
    zgrp : zarr.Group
        It may hold other things, but none of the layout's datasets.
    streams : GroupStreams
        Of format 1.

    Raises
    ------
    GroupExistsError
        The group has datasets of these names.
    ConfigurationError
        The streams cannot be written as format 1.
    """

    def create(name: str, array: npt.NDArray[Any]) -> zarr.Array[Any]:
        if name == COMPRESSED:
            return zgrp.create_array(name, data=array, compressors=None)
        return zgrp.create_array(name, data=array)

    group_io.write_group(zgrp, _place(zgrp), streams, create)


def read_streams(
    zgrp: zarr.Group, keep: npt.ArrayLike | None = None
) -> tuple[GroupStreams, Indices | None]:
    """Read compressed streams from a Zarr group that flaccodec or flacarray wrote.

    Parameters
    ----------
    zgrp : zarr.Group
    keep : array_like of bool, optional
        Which streams to read, of the array's leading shape; chunks that hold none of their
        bytes are not touched.

    Returns
    -------
    streams : GroupStreams
        With `keep`, of shape (number kept, stream_size).
    indices : list of tuple of int, or None
        Where in the leading shape each stream kept is; None without `keep`.

    Raises
    ------
    GroupError
        The group holds no flacarray data, or data that contradict each other.
    ConfigurationError
        `keep` is not of bool, or of another shape.
    """
    return group_io.read_group(zgrp, _place(zgrp), keep)
