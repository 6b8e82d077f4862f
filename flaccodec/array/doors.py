"""`Doors`: the ways of a FlacArray into files, and out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flaccodec.exceptions import ConfigurationError
from flaccodec.mpi.agreement import attempt
from flaccodec.mpi.distribution import check_dist_of_one, is_comm

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import numpy.typing as npt

    from flaccodec.chunks.packed import Packed
    from flaccodec.groups.door import Door
    from flaccodec.groups.layout import GroupStreams
    from flaccodec.mpi.distribution import Distribution
    from flaccodec.samples.keep import Indices


class Doors:
    """What `FlacArray` has of each kind of file.

    zarr and h5py are imported when they are first needed.
    """

    _packed: Packed
    _mpi: Distribution | None

    @classmethod
    def _of(cls, packed: Packed, mpi: Distribution | None = None) -> Self:
        raise NotImplementedError

    # -- Zarr ----------------------------------------------------------------------------

    def to_zarr(self, store: Any, *, progress: bool = False, **kwargs: Any) -> Any:
        """Make an ordinary Zarr array, whose chunks are FLAC.

        Where chunks hold whole streams (as they do by default), the streams are moved as
        they are, to shards too. Where chunks divide streams, or are partly beyond the array and
        so need streams of the fill value, chunk after chunk is decoded and encoded with `level`.
        Floats whose streams have quanta of their own (as with `precision`, by default, or one
        for each) are then encoded bit for bit, since the codec of a Zarr array has one quanta for
        all: that may take several times the bytes. To avoid it, choose chunks of whole streams
        that divide the leading axes evenly.

        Parameters
        ----------
        store : str, Path, mapping or zarr store
            As `zarr.create_array` takes it.
        progress : bool
            Show a bar; needs tqdm.
        **kwargs
            What `zarr.create_array` takes besides shape, dtype, data and codecs: ``name``,
            ``chunks``, ``shards``, ``attributes``, ``dimension_names``, ``overwrite`` and so on.
            ``fill_value`` is by default that of the array that this one came from. With
            another, samples that are no whole quanta are rounded where chunks are encoded anew.

        Returns
        -------
        zarr.Array

        Raises
        ------
        ConfigurationError
            The array has no axes or is spread over several MPI ranks, or options are not for it.
        CorruptChunkError
            A frame that is decoded is damaged. Whatever is raised while the array is filled, what
            was made of it is removed.
        """
        from flaccodec.zarr.arrays import to_zarr

        if self._mpi is not None and self._mpi.comm.size > 1:
            raise ConfigurationError(
                "a FlacArray over several MPI ranks has no to_zarr: have each rank write its part "
                "to an array of flaccodec.zarr.create_distributed, or use write_zarr."
            )
        return to_zarr(self._packed, store, progress=progress, **kwargs)

    @classmethod
    def from_zarr(cls, array: Any, *, progress: bool = False) -> Self:
        """Take in a Zarr array.

        Chunks that FlacCodec wrote, and that hold whole streams, are joined as they are, those
        in shards too. Of any other array, whole streams are read and encoded some at a time:
        floats with the codec's quanta where it has them, else bit for bit.

        Parameters
        ----------
        array : zarr.Array, or what `zarr.open_array` takes
        progress : bool
            Show a bar; needs tqdm.

        Returns
        -------
        FlacArray
        """
        from flaccodec.zarr.arrays import from_zarr

        return cls._of(from_zarr(array, progress=progress))

    # -- groups ------------------------------------------------------------------------

    def write_hdf5(
        self,
        hgrp: Any,
        *,
        name: str | None = None,
        layout: str = "flacarray",
        chunks: tuple[int, ...] | None = None,
        fillvalue: Any = None,
        progress: bool = False,
    ) -> None:
        """Write to an HDF5 group.

        Streams that the layout cannot take as they are, those of 64 bits, of floats and of
        integers less an offset, are encoded anew with `level`.

        Parameters
        ----------
        hgrp : h5py.Group
            Over MPI ranks: where the file is open with ``driver="mpio"`` on all of them, each
            writes its own streams; else rank 0 writes, and this may be None on the others.
        name : str, optional
            Of the new dataset, for layout "chunks".
        layout : str
            "flacarray": the datasets of the flacarray package's layout. "chunks": one ordinary
            dataset, compressed by flaccodec's HDF5 filter. Where its chunks hold whole streams
            (as they do by default), the streams are moved as they are. Where chunks divide
            streams, or are partly beyond the array and so need streams of the fill value, chunk
            after chunk is decoded and encoded with `level`. Floats whose streams have quanta of
            their own are then encoded bit for bit, as `to_zarr` explains, and may take several
            times the bytes.
        chunks : tuple of int, optional
            Shape of a chunk, for layout "chunks".
        fillvalue : scalar, optional
            Of the new dataset, for layout "chunks". By default that of the array that this one
            came from. With another, samples that are no whole quanta are rounded where chunks are
            encoded anew.
        progress : bool
            Show a bar; needs tqdm.

        Raises
        ------
        UnsupportedDtypeError
            The layout "flacarray" cannot express the array; the message says what can.
        GroupExistsError
            The group has datasets of this layout's names.
        ConfigurationError
            Options are not of the layout, or the layout is none.
        CorruptChunkError
            A frame that is decoded is damaged. Whatever is raised, the group is as it was.
        """
        from flaccodec.groups.packed import streams_of
        from flaccodec.hdf5.datasets import write_dataset
        from flaccodec.hdf5.groups import write_streams

        if self._mpi is not None and self._mpi.comm.size > 1:
            from flaccodec.groups.ranks import write_packed
            from flaccodec.hdf5.group_door import HDF5Door

            attempt(
                self._mpi.comm, lambda: _check_layout_over_ranks(layout, name, chunks, fillvalue)
            )
            return write_packed(HDF5Door(), hgrp, self._packed, self._mpi, "write_hdf5", progress)
        _check_layout(layout, name, chunks, fillvalue)
        if name is not None:
            write_dataset(self._packed, hgrp, name, chunks, fillvalue, progress)
        else:
            write_streams(hgrp, streams_of(self._packed, "write_hdf5", progress))

    @classmethod
    def read_hdf5(
        cls,
        hgrp: Any,
        keep: npt.ArrayLike | None = None,
        mpi_comm: Any = None,
        mpi_dist: Any = None,
        no_flatten: bool = False,
        *,
        name: str | None = None,
        progress: bool = False,
    ) -> Self:
        """Read an HDF5 group that flaccodec or flacarray wrote, or a dataset.

        Of a dataset, chunks that hold whole streams are joined as they are. Of any other
        dataset, whole streams are read and encoded some at a time: floats with the filter's
        quanta where it has them, else bit for bit.

        Parameters
        ----------
        hgrp : h5py.Group, or h5py.Dataset
        keep : array_like of bool, optional
            Which streams, of the leading shape; the result then has two axes.
        mpi_comm : mpi4py.MPI.Comm, optional
            All its ranks call this, and each gets some rows along the leading axis. `hgrp` may be
            None on all but rank 0, which then reads for them.
        mpi_dist : list of (int, int), optional
            The first row of each rank, and that after its last. By default rows are spread
            evenly.
        no_flatten : bool
            Whether an array of one axis gets a leading axis of 1.
        name : str, optional
            Of the dataset in the group, where there is one of layout "chunks".
        progress : bool
            Show a bar while streams are decoded; needs tqdm.

        Returns
        -------
        FlacArray
            Of a group's floats with quanta, and near what its `read_array` returns: as exactly as
            `flaccodec.groups.grid.grid_values` says.

        Raises
        ------
        EmptyArrayError
            `keep` selects no stream.
        GroupError
            The group holds no flacarray data, or data that contradict each other.
        CorruptChunkError, ChunkMismatchError
            A dataset's chunk is damaged, or not like the dataset; the message names it.
        """
        from flaccodec.hdf5.datasets import is_dataset, member, read_dataset
        from flaccodec.hdf5.group_door import HDF5Door
        from flaccodec.hdf5.groups import read_streams

        asked = _Asked(keep, mpi_comm, mpi_dist, no_flatten, "read_hdf5", progress)
        if is_comm(mpi_comm):
            attempt(mpi_comm, lambda: _check_reads_no_dataset(name))
            return cls._of(*_read_group(HDF5Door(), hgrp, read_streams, asked))
        source = hgrp if name is None else member(hgrp, name)
        if is_dataset(source):
            check_dist_of_one(mpi_dist, source.shape[:-1])
            return cls._of(read_dataset(source, keep, no_flatten, progress))
        if name is not None:
            raise ConfigurationError(f"name must be that of a dataset. Got {name!r}, a group.")
        return cls._of(*_read_group(HDF5Door(), hgrp, read_streams, asked))

    def write_zarr(self, zgrp: Any, *, progress: bool = False) -> None:
        """Write to a Zarr group in the flacarray package's layout.

        Streams that it cannot take as they are, those of 64 bits, of floats and of integers less
        an offset, are encoded anew with `level`.

        Parameters
        ----------
        zgrp : zarr.Group
            Over MPI ranks: where all of them have the group, each writes chunks of its own; else
            rank 0 writes, and this may be None on the others.
        progress : bool
            Show a bar while streams are encoded; needs tqdm.

        Raises
        ------
        UnsupportedDtypeError
            The layout cannot express the array; the message says what can.
        GroupExistsError
            The group has datasets of these names.
        """
        from flaccodec.groups.packed import streams_of
        from flaccodec.zarr.groups.arrays import write_streams

        if self._mpi is not None and self._mpi.comm.size > 1:
            from flaccodec.groups.ranks import write_packed
            from flaccodec.zarr.groups.door import ZarrDoor

            return write_packed(ZarrDoor(), zgrp, self._packed, self._mpi, "write_zarr", progress)
        return write_streams(zgrp, streams_of(self._packed, "write_zarr", progress))

    @classmethod
    def read_zarr(
        cls,
        zgrp: Any,
        keep: npt.ArrayLike | None = None,
        mpi_comm: Any = None,
        mpi_dist: Any = None,
        no_flatten: bool = False,
        *,
        progress: bool = False,
    ) -> Self:
        """Read a Zarr group that flaccodec or flacarray wrote.

        Parameters
        ----------
        zgrp : zarr.Group
        keep : array_like of bool, optional
            Which streams, of the leading shape; the result then has two axes.
        mpi_comm : mpi4py.MPI.Comm, optional
            All its ranks call this, and each gets some rows along the leading axis. `zgrp` may be
            None on all but rank 0, which then reads for them.
        mpi_dist : list of (int, int), optional
            The first row of each rank, and that after its last. By default rows are spread
            evenly.
        no_flatten : bool
            Whether an array of one axis gets a leading axis of 1.
        progress : bool
            Show a bar while streams are decoded; needs tqdm.

        Returns
        -------
        FlacArray
            Of a group's floats with quanta, and near what its `read_array` returns: as exactly as
            `flaccodec.groups.grid.grid_values` says.

        Raises
        ------
        EmptyArrayError
            `keep` selects no stream of the group.
        GroupError
            The group holds no flacarray data, or data that contradict each other.
        """
        from flaccodec.zarr.groups.arrays import read_streams
        from flaccodec.zarr.groups.door import ZarrDoor

        asked = _Asked(keep, mpi_comm, mpi_dist, no_flatten, "read_zarr", progress)
        return cls._of(*_read_group(ZarrDoor(), zgrp, read_streams, asked))


class _Asked(NamedTuple):
    """What is asked for of a group."""

    keep: npt.ArrayLike | None
    mpi_comm: Any
    mpi_dist: Any
    no_flatten: bool
    what: str
    progress: bool


def _read_group(
    door: Door,
    group: Any,
    read_streams: Callable[..., tuple[GroupStreams, Indices | None]],
    asked: _Asked,
) -> tuple[Packed, Distribution | None]:
    """Read a group of flacarray's layout, over ranks or in one process."""
    from flaccodec.groups.packed import packed_of
    from flaccodec.groups.ranks import read_packed

    keep, comm, dist, *rest = asked
    options: dict[str, Any] = dict(zip(("no_flatten", "what", "progress"), rest, strict=True))
    if is_comm(comm):
        return read_packed(door, group, comm, keep, dist, options)
    streams, _ = read_streams(group, keep)
    check_dist_of_one(dist, streams.table_shape if keep is None else np.shape(keep))
    return packed_of(streams, **options), None


def _check_layout(layout: str, name: Any, chunks: Any, fillvalue: Any) -> None:
    """Check options of `FlacArray.write_hdf5`."""
    if layout not in ("flacarray", "chunks"):
        raise ConfigurationError(f'layout must be "flacarray" or "chunks". Got {layout!r}.')
    is_one = layout == "chunks"
    has_options = chunks is not None or fillvalue is not None
    if is_one != (name is not None) or (has_options and not is_one):
        raise ConfigurationError(
            'layout="chunks" needs name= and may have chunks= and fillvalue=, "flacarray" '
            f"takes none of them. Got layout={layout!r}, name={name!r}, chunks={chunks!r}, "
            f"fillvalue={fillvalue!r}."
        )


def _check_layout_over_ranks(layout: str, name: Any, chunks: Any, fillvalue: Any) -> None:
    _check_layout(layout, name, chunks, fillvalue)
    if layout == "chunks":
        raise ConfigurationError(
            'layout="chunks" is of one process: have each rank write to a dataset of '
            "flaccodec.hdf5.create_distributed."
        )


def _check_reads_no_dataset(name: str | None) -> None:
    if name is not None:
        raise ConfigurationError(
            "a dataset is read in one process: have each rank read its rows of it."
        )
