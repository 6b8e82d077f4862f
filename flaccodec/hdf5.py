"""HDF5 groups in the flacarray package's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import h5py
except ImportError as error:
    raise ImportError("flaccodec.hdf5 needs h5py: pip install 'flaccodec[hdf5]'") from error

from flaccodec import group_io

if TYPE_CHECKING:
    import numpy.typing as npt

    from flaccodec.group_io import Indices
    from flaccodec.group_layout import GroupStreams

__all__ = ["read_streams", "write_streams"]


def _place(hgrp: h5py.Group) -> str:
    """Return what to call a group in messages."""
    if not isinstance(hgrp, h5py.Group):
        raise TypeError(f"hgrp must be an h5py.Group. Got {type(hgrp).__name__}.")
    return f"{hgrp.name} of {hgrp.file.filename}"


def write_streams(hgrp: h5py.Group, streams: GroupStreams) -> None:
    """Write compressed streams to an HDF5 group, where flacarray 0.3 and later reads them.

    Parameters
    ----------
    hgrp : h5py.Group
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

    def create(name: str, array: npt.NDArray[Any]) -> h5py.Dataset:
        return hgrp.create_dataset(name, data=array)

    group_io.write_group(hgrp, _place(hgrp), streams, create)


def read_streams(
    hgrp: h5py.Group, keep: npt.ArrayLike | None = None
) -> tuple[GroupStreams, Indices | None]:
    """Read compressed streams from an HDF5 group that flaccodec or flacarray wrote.

    Parameters
    ----------
    hgrp : h5py.Group
    keep : array_like of bool, optional
        Which streams to read, of the array's leading shape; others' bytes are not touched.

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
    return group_io.read_group(hgrp, _place(hgrp), keep)
