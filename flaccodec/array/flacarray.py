"""`FlacArray`, a compressed array in memory."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.chunks.index import ChunkIndex, empty_index
from flaccodec.chunks.keys import full_key, has_ellipsis
from flaccodec.chunks.options import CodecOptions
from flaccodec.chunks.selection import plan_streams
from flaccodec.compress import check_level, choose_threads
from flaccodec.core import QuantaRule
from flaccodec.exceptions import (
    ChunkMismatchError,
    ConfigurationError,
    EmptyArrayError,
    FlacCodecError,
)
from flaccodec.mpi.agreement import attempt
from flaccodec.mpi.distribution import is_comm
from flaccodec.runtime import memory
from flaccodec.samples import quanta_warnings
from flaccodec.samples.blocks import (
    in_block,
    is_elsewhere,
    read_blocks,
    stream_blocks,
    warn_in_block,
)
from flaccodec.samples.masks import unmasked
from flaccodec.utils import (
    check_keep,
    check_precision,
    check_quanta,
    check_samples,
    kept_indices,
    per_stream,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    import numpy.typing as npt

    from flaccodec.chunks.selection import ReadPlan
    from flaccodec.mpi.distribution import Distribution

__all__ = ["FlacArray"]


class FlacArray:
    """An N-dimensional array, compressed in memory.

    Each run along the last axis, a *stream*, is compressed by itself, so that streams and
    ranges of samples are decompressed as they are asked for. The names and arguments are
    those of the flacarray package. Make one with `from_array` or `from_chunk`; calling the
    class with another FlacArray copies it, with None it takes streams and tables of flacarray's
    kind, which are decoded and encoded anew.

    Parameters
    ----------
    other : FlacArray or None
        What to copy; the rest is for None.
    shape, global_shape : tuple of int, optional
        Of the array; over MPI ranks of this rank's part, and of the whole.
    compressed : bytes-like, optional
        FLAC streams.
    dtype : dtype, optional
        int32, int64, float32 or float64.
    stream_starts, stream_nbytes, stream_offsets, stream_gains : array_like, optional
        One number for each stream, as the properties of these names are.
    mpi_comm, mpi_dist : optional
        As `from_array` and `read_hdf5` have them.

    Examples
    --------
    >>> import numpy as np
    >>> from flaccodec import FlacArray
    >>> fa = FlacArray.from_array(np.arange(12, dtype="int32").reshape(3, 4))
    >>> fa[1, 2:]
    array([6, 7], dtype=int32)
    """

    __hash__ = None  # type: ignore[assignment] # as numpy's arrays

    _mpi: Distribution | None

    def __init__(
        self,
        other: FlacArray | None,
        shape: tuple[int, ...] | None = None,
        global_shape: tuple[int, ...] | None = None,
        compressed: core.Buffer | None = None,
        dtype: npt.DTypeLike | None = None,
        stream_starts: npt.ArrayLike | None = None,
        stream_nbytes: npt.ArrayLike | None = None,
        stream_offsets: npt.ArrayLike | None = None,
        stream_gains: npt.ArrayLike | None = None,
        mpi_comm: Any = None,
        mpi_dist: Any = None,
    ) -> None:
        if other is None and shape is not None:
            from flaccodec.groups.parts import from_parts

            parts = {
                "shape": shape,
                "global_shape": global_shape,
                "compressed": compressed,
                "dtype": dtype,
                "stream_starts": stream_starts,
                "stream_nbytes": stream_nbytes,
                "stream_offsets": stream_offsets,
                "stream_gains": stream_gains,
            }
            other = from_parts(parts, mpi_comm, mpi_dist)
        if not isinstance(other, FlacArray):
            raise ConfigurationError(
                "FlacArray(other) copies a FlacArray; make one with FlacArray.from_array(array) "
                f"or FlacArray.from_chunk(chunk). Got {type(other).__name__}."
            )
        self._set(
            other._index,
            other._chunk.copy(),
            other._shape,
            other._level,
            other._fill_value,
            other._missing_value,
        )
        self._mpi = other._mpi

    def _set(
        self,
        index: ChunkIndex,
        chunk: npt.NDArray[np.uint8],
        shape: tuple[int, ...],
        level: int = core.DEFAULT_LEVEL,
        fill_value: Any = None,
        missing_value: Any = None,
    ) -> None:
        self._index = index
        self._chunk = chunk
        self._shape = shape
        self._level = level
        self._fill_value = fill_value
        self._missing_value = missing_value
        self._mpi = None
        self._is_checked = False

    # -- making --------------------------------------------------------------------

    @classmethod
    def from_array(
        cls,
        arr: npt.ArrayLike,
        level: int = core.DEFAULT_LEVEL,
        quanta: npt.ArrayLike | None = None,
        precision: npt.ArrayLike | None = None,
        mpi_comm: Any = None,
        use_threads: bool | None = None,
        lossless: bool = False,
        missing_value: float | Sequence[float] | None = None,
        strict: bool = False,
    ) -> FlacArray:
        """Compress an array.

        Parameters
        ----------
        arr : array_like, shape (..., n)
            int8 to int64, uint8 to uint64, float32 or float64. What is not in memory but can be
            sliced (``np.memmap``, datasets of h5py, arrays of zarr and dask) is read by blocks of
            streams.
        level : int
            FLAC's level, 0 (fast) to 8 (small).
        quanta : float or array_like, optional
            For floats: one number, or one for each stream, in the units of the data. No
            sample is off by more than half of it.
        precision : float or array_like, optional
            For floats: quanta = RMS of each stream about its mean / 10**precision. With
            neither, each stream's range spans 2**30 quanta.
        mpi_comm : mpi4py.MPI.Comm, optional
            All its ranks call this, each with its part of one array: their rows, along the
            leading axis, are joined in the order of the ranks. A part of one axis is one row;
            None, or a part without rows, is nothing. `quanta` and `precision` are of the
            rank's own streams.
        use_threads : bool, optional
            False for one thread, True for all processors; by default all of them too, but one
            thread in pools of workers such as dask's. `set_num_threads` changes both.
        lossless : bool
            Keep floats bit for bit.
        missing_value : float or sequence of float, optional
            For floats: up to 7 numbers that mark missing samples. They come back exactly, and
            have no part in the quanta.
        strict : bool
            Raise `QuantaTooFineError` for a finite sample that quanta cannot hold. By default it
            is stored exactly, with a `QuantaWarning`.

        Returns
        -------
        FlacArray

        Raises
        ------
        FlacCodecError
            The array, or an option for it, cannot be. With `mpi_comm` this is raised on all
            ranks, whichever rank's part it is.
        """
        if is_comm(mpi_comm):
            from flaccodec.array.ranks import from_local

            given = {
                "level": level,
                "quanta": quanta,
                "precision": precision,
                "use_threads": use_threads,
                "lossless": lossless,
                "missing_value": missing_value,
                "strict": strict,
            }
            return from_local(arr, mpi_comm, given)
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
        new = cls._own(chunk, array.shape, level, missing_value=options["marks"] or None)
        new._is_checked = True  # by whoever made it just now
        return new

    @classmethod
    def from_chunk(cls, chunk: core.Buffer, shape: tuple[int, ...] | None = None) -> FlacArray:
        """Take in a chunk, such as those of a FlacCodec array in Zarr.

        Parameters
        ----------
        chunk : bytes-like
            All of it. It is kept, not copied, where it is read-only, as bytes are; what can be
            written to, such as an array or a memory map open for writing, is copied, and so is
            a read-only view of it.
        shape : tuple of int, optional
            The array's; by default (number of streams, samples of each).

        Returns
        -------
        FlacArray

        Raises
        ------
        CorruptChunkError
            Header or index are damaged, or the length is wrong. Frames are checked when
            they are decoded, and the checksum of all streams when all are.
        ChunkMismatchError
            The chunk is not of this shape.
        """
        data = np.frombuffer(chunk, dtype=np.uint8)
        return cls._own(data.copy() if _may_change(chunk) else data, shape)

    @classmethod
    def _own(
        cls,
        data: npt.NDArray[np.uint8],
        shape: tuple[int, ...] | None = None,
        level: int = core.DEFAULT_LEVEL,
        fill_value: Any = None,
        missing_value: Any = None,
    ) -> Self:
        """Take in a chunk that nobody else writes to, without a copy; as `from_chunk`."""
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
        new = cls.__new__(cls)
        new._set(index, data, shape, level, fill_value, missing_value)
        return new

    @classmethod
    def _restore(
        cls,
        chunk: bytes,
        shape: tuple[int, ...],
        level: int,
        fill_value: Any = None,
        missing_value: Any = None,
    ) -> Self:
        """Make what was pickled."""
        data = np.frombuffer(chunk, dtype=np.uint8)
        return cls._own(data, shape, level, fill_value, missing_value)

    @classmethod
    def _without_streams(
        cls, shape: tuple[int, ...], dtype: np.dtype[Any], lossless: bool
    ) -> FlacArray:
        """Make the part of an array that an MPI rank without rows holds."""
        new = cls.__new__(cls)
        new._set(empty_index(dtype, shape[-1], lossless), np.empty(0, dtype=np.uint8), shape)
        return new

    def to_chunk(self) -> bytes:
        """Return the chunk, the same bytes that FlacCodec writes to Zarr.

        Over MPI ranks it is that of this rank's streams.

        Raises
        ------
        EmptyArrayError
            This rank has none.
        """
        if not self.nstreams:
            raise EmptyArrayError("this rank has no streams, and so no chunk.")
        return self._chunk.tobytes()

    def __reduce__(self) -> tuple[Any, tuple[bytes, tuple[int, ...], int, Any, Any]]:
        """Pickle the streams; a communicator of one rank is left out, as it adds nothing."""
        if self._mpi is not None and self._mpi.comm.size > 1:
            raise TypeError(
                "a FlacArray over several MPI ranks does not pickle, as no rank has all of it. "
                "Pickle this rank's streams by themselves: "
                "FlacArray.from_chunk(fa.to_chunk(), fa.shape)."
            )
        remembered = self._level, self._fill_value, self._missing_value
        return type(self)._restore, (self.to_chunk(), self._shape, *remembered)

    def __dask_tokenize__(self) -> tuple[str, tuple[int, ...], npt.NDArray[np.uint8]]:
        return "FlacArray", self._shape, self._chunk

    def __copy__(self) -> Self:
        new = type(self).__new__(type(self))
        FlacArray.__init__(new, self)  # a subclass's may want other arguments
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

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

        return to_zarr(self, store, progress=progress, **kwargs)

    @classmethod
    def from_zarr(cls, array: Any, *, progress: bool = False) -> FlacArray:
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

        return from_zarr(array, progress=progress)

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
        from flaccodec.groups.values import streams_of
        from flaccodec.hdf5 import write_streams
        from flaccodec.hdf5.datasets import write_dataset

        if self.mpi_comm is not None and self.mpi_comm.size > 1:
            from flaccodec.groups.ranks import write_flacarray
            from flaccodec.hdf5.distributed import HDF5Door

            attempt(
                self.mpi_comm, lambda: _check_layout_over_ranks(layout, name, chunks, fillvalue)
            )
            return write_flacarray(HDF5Door(), hgrp, self, "write_hdf5", progress)
        _check_layout(layout, name, chunks, fillvalue)
        if name is not None:
            write_dataset(self, hgrp, name, chunks, fillvalue, progress)
        else:
            write_streams(hgrp, streams_of(self, "write_hdf5", progress))

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
    ) -> FlacArray:
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
            `flaccodec.groups.values.grid_values` says.

        Raises
        ------
        EmptyArrayError
            `keep` selects no stream.
        GroupError
            The group holds no flacarray data, or data that contradict each other.
        CorruptChunkError, ChunkMismatchError
            A dataset's chunk is damaged, or not like the dataset; the message names it.
        """
        from flaccodec.groups.values import flacarray_of
        from flaccodec.hdf5 import read_streams
        from flaccodec.hdf5.datasets import is_dataset, member, read_dataset
        from flaccodec.mpi.distribution import check_dist_of_one

        if is_comm(mpi_comm):
            from flaccodec.groups.ranks import read_flacarray
            from flaccodec.hdf5.distributed import HDF5Door

            attempt(mpi_comm, lambda: _check_reads_no_dataset(name))
            options = {"no_flatten": no_flatten, "what": "read_hdf5", "progress": progress}
            return read_flacarray(HDF5Door(), hgrp, mpi_comm, keep, mpi_dist, options)
        source = hgrp if name is None else member(hgrp, name)
        if is_dataset(source):
            check_dist_of_one(mpi_dist, source.shape[:-1])
            return read_dataset(source, keep, no_flatten, progress)
        if name is not None:
            raise ConfigurationError(f"name must be that of a dataset. Got {name!r}, a group.")
        streams, _ = read_streams(hgrp, keep)
        check_dist_of_one(mpi_dist, streams.table_shape if keep is None else np.shape(keep))
        return flacarray_of(streams, no_flatten, "read_hdf5", progress)

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
        from flaccodec.groups.values import streams_of
        from flaccodec.zarr.groups.arrays import write_streams

        if self.mpi_comm is not None and self.mpi_comm.size > 1:
            from flaccodec.groups.ranks import write_flacarray
            from flaccodec.zarr.distributed import ZarrDoor

            return write_flacarray(ZarrDoor(), zgrp, self, "write_zarr", progress)
        return write_streams(zgrp, streams_of(self, "write_zarr", progress))

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
    ) -> FlacArray:
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
            `flaccodec.groups.values.grid_values` says.

        Raises
        ------
        EmptyArrayError
            `keep` selects no stream of the group.
        GroupError
            The group holds no flacarray data, or data that contradict each other.
        """
        from flaccodec.groups.values import flacarray_of
        from flaccodec.mpi.distribution import check_dist_of_one
        from flaccodec.zarr.groups.arrays import read_streams

        if is_comm(mpi_comm):
            from flaccodec.groups.ranks import read_flacarray
            from flaccodec.zarr.distributed import ZarrDoor

            options = {"no_flatten": no_flatten, "what": "read_zarr", "progress": progress}
            return read_flacarray(ZarrDoor(), zgrp, mpi_comm, keep, mpi_dist, options)
        streams, _ = read_streams(zgrp, keep)
        check_dist_of_one(mpi_dist, streams.table_shape if keep is None else np.shape(keep))
        return flacarray_of(streams, no_flatten, "read_zarr", progress)

    # -- shape and type --------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        return self._index.header.dtype

    @property
    def typestr(self) -> str:
        """Name of the type of the samples, such as "float64"."""
        return self.dtype.name

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """Number of samples."""
        return self._index.header.n_streams * self._index.header.stream_size

    @property
    def stream_size(self) -> int:
        """Samples of each stream."""
        return self._index.header.stream_size

    @property
    def nstreams(self) -> int:
        """Number of streams."""
        return self._index.header.n_streams

    @property
    def leading_shape(self) -> tuple[int, ...]:
        """Shape of the leading axes, (1,) for one stream without any."""
        return self._shape[:-1] or (1,)

    @property
    def level(self) -> int:
        """FLAC's level, with which streams are encoded where they are written anew.

        That given to `from_array`; 5 where it is not known, as of a chunk.
        """
        return self._level

    @property
    def fill_value(self) -> Any:
        """Fill value of the Zarr array or HDF5 dataset that the array came from; else None.

        Where such an array has quanta, its samples of this value are exact, whether they are whole
        quanta or not. They stay so in what `to_zarr` and `write_hdf5` make, which have the
        fill value too unless they are given another.
        """
        return self._fill_value

    @property
    def missing_value(self) -> float | Sequence[float] | None:
        """Numbers that mark missing samples, besides the fill value; None where none are known.

        Those given to `from_array`, or what the codec and the attributes (CF's ``missing_value``)
        of the Zarr array or HDF5 dataset say that the array came from. They are exact, and what
        `to_zarr` and `write_hdf5` make keeps them so.
        """
        return CodecOptions(missing_value=self._missing_value).missing_value

    # -- compressed data ---------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes of the FLAC streams."""
        return self._index.header.streams_size

    @property
    def compressed(self) -> npt.NDArray[np.uint8]:
        """The FLAC streams, end to end; read-only."""
        header = self._index.header
        view = self._chunk[header.head_size : header.head_size + header.streams_size].view()
        view.flags.writeable = False
        return view

    @property
    def stream_starts(self) -> npt.NDArray[np.int64]:
        """Where each stream begins in `compressed`; shape of the leading axes."""
        return self._index.streams()[0].reshape(self.leading_shape)

    @property
    def stream_nbytes(self) -> npt.NDArray[np.int64]:
        """Bytes of each stream; shape of the leading axes."""
        return self._index.streams()[1].reshape(self.leading_shape)

    @property
    def stream_offsets(self) -> npt.NDArray[Any] | None:
        """What is added to each stream's integers, in the units of the data.

        For quantized floats, of their dtype: a whole number of quanta. For integers that
        are stored less an offset, the offsets. None where nothing is added.
        """
        offsets, quanta = self._tables()
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
        _, quanta = self._tables()
        if quanta is None:
            return None
        with np.errstate(over="ignore"):
            return (1 / quanta).astype(self.dtype).reshape(self.leading_shape)

    def _tables(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64] | None]:
        """Return offset and quanta of each stream, as `core.stream_tables` does."""
        if self.nstreams:
            return core.stream_tables(self._chunk)
        lossless = self._index.header.lossless
        return np.zeros(0, dtype=np.int64), None if lossless else np.zeros(0)

    # -- over MPI ranks, or in one process -------------------------------------------------

    @property
    def mpi_comm(self) -> Any:
        """The MPI communicator over whose ranks the array is spread; None for one process."""
        return None if self._mpi is None else self._mpi.comm

    @property
    def mpi_dist(self) -> list[tuple[int, int]]:
        """The range of the leading axis on each rank."""
        if self._mpi is not None:
            return list(self._mpi.ranges)
        return [(0, self._shape[0] if self.ndim > 1 else 1)]

    @property
    def global_shape(self) -> tuple[int, ...]:
        """Shape of the array over all ranks."""
        return self._shape if self._mpi is None else self._mpi.shape

    @property
    def global_leading_shape(self) -> tuple[int, ...]:
        """Shape of the leading axes over all ranks."""
        return self.leading_shape if self._mpi is None else self._mpi.shape[:-1]

    @property
    def global_nbytes(self) -> int:
        """Bytes of the FLAC streams over all ranks."""
        return sum(self.global_process_nbytes)

    @property
    def global_process_nbytes(self) -> list[int]:
        """Bytes of the FLAC streams on each rank."""
        return [self.nbytes] if self._mpi is None else list(self._mpi.nbytes)

    @property
    def global_nstreams(self) -> int:
        """Number of streams over all ranks."""
        return math.prod(self.global_leading_shape)

    @property
    def global_stream_starts(self) -> npt.NDArray[np.int64]:
        """Where each of this rank's streams begins in the compressed data of all ranks."""
        return self.stream_starts + (0 if self._mpi is None else self._mpi.first_byte)

    @property
    def global_stream_nbytes(self) -> npt.NDArray[np.int64]:
        """Bytes of each stream over all ranks."""
        return self.stream_nbytes if self._mpi is None else self._mpi.stream_nbytes.copy()

    # -- decompressing ------------------------------------------------------------------------

    def to_array(
        self,
        keep: npt.ArrayLike | None = None,
        stream_slice: slice | None = None,
        keep_indices: bool = False,
        use_threads: bool | None = None,
    ) -> Any:
        """Decompress.

        Parameters
        ----------
        keep : array_like of bool, optional
            Which streams; of the shape of the leading axes.
        stream_slice : slice, optional
            Which samples of each, without a step.
        keep_indices : bool
            Also return the indices of the kept streams.
        use_threads : bool, optional
            False for one thread, True for all processors; by default all of them too, but one
            thread in pools of workers such as dask's. `set_num_threads` changes both.

        Returns
        -------
        ndarray
            Shape (..., samples); with `keep`, (number kept, samples).
        list of tuple of int
            Only with `keep` and `keep_indices`: the index of each kept stream.

        Raises
        ------
        ConfigurationError
            `keep` has another shape, or `stream_slice` is no slice or has a step.
        CorruptChunkError
            A frame that is needed is damaged.
        """
        threads = choose_threads(use_threads)
        samples = check_samples(stream_slice)
        if keep is None:
            shape = self._shape[:-1]
            numbers = np.arange(self.nstreams).reshape(shape)
            array = self._decode(numbers, samples, threads)
            return array if self._shape else array.reshape(())
        mask = check_keep(keep, self.leading_shape)
        array = self._decode(np.flatnonzero(mask), samples, threads)
        return (array, kept_indices(mask)) if keep_indices else array

    def _decode(
        self, numbers: npt.NDArray[Any], samples: Any, num_threads: int
    ) -> npt.NDArray[Any]:
        """Decompress streams by number, any number of times each and in any order."""
        header = self._index.header
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
        header = self._index.header
        if not self._is_checked and out.shape == (header.n_streams, header.stream_size):
            core.decode_chunk(self._chunk, out, num_threads=num_threads)
            self._is_checked = True
        else:
            pieces: list[tuple[int, core.Buffer]] = [(0, self._chunk)]
            core.decode_spans(self._chunk, pieces, plan.spans, out, num_threads=num_threads)

    def _checked_chunk(self) -> npt.NDArray[np.uint8]:
        """Return the chunk for its streams to be taken, which get checksums anew there.

        They are checked against the old one first, so that damage does not become sound.
        """
        if not self._is_checked:
            core.check_streams(self._chunk, num_threads=choose_threads(None))
            self._is_checked = True
        return self._chunk

    def __getitem__(self, key: Any) -> Any:
        """Decompress what numpy's indexing would pick.

        Any basic index on any axis; boolean masks and integer arrays on the leading axes.
        """
        if not self._shape:
            return self.to_array()[key]
        selectors = full_key(key, self._shape)
        last = selectors[-1]
        # Indexing the numbers of streams, spread over the samples without taking memory, has
        # numpy check the key and shape the result.
        numbers = np.arange(self.nstreams).reshape(*self._shape[:-1], 1)
        spread = np.broadcast_to(numbers, self._shape)
        if not isinstance(last, slice):
            picked = np.asarray(spread[tuple(selectors)])
            decoded = self._decode(picked, last % self.stream_size, choose_threads(None))
            # As numpy: a sample by itself, unless the key had an Ellipsis.
            return decoded if has_ellipsis(key) else decoded[()]
        picked = spread[(*selectors[:-1], slice(0, 1))][..., 0]
        return self._decode(np.asarray(picked), last, choose_threads(None))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("a FlacArray does not change: change fa.to_array() and compress it anew")

    def __delitem__(self, key: Any) -> None:
        raise TypeError("a FlacArray does not change: compress the rest of fa.to_array() anew")

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a FlacArray without axes")
        return self._shape[0]

    def __contains__(self, value: Any) -> bool:
        return value in self.to_array()

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("a FlacArray cannot become an array without decompressing a copy")
        array: npt.NDArray[Any] = self.to_array()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __eq__(self, other: object) -> bool:
        """Tell whether another has the same shape, dtype and samples, bit for bit.

        How they are compressed, such as with which level, makes no difference.
        """
        if not isinstance(other, FlacArray):
            return NotImplemented
        return (
            self._shape == other._shape
            and self.global_shape == other.global_shape
            and self.dtype == other.dtype
            and (np.array_equal(self._chunk, other._chunk) or self._has_samples_of(other))
        )

    def _has_samples_of(self, other: FlacArray) -> bool:
        for numbers, _ in stream_blocks((self.nstreams, self.stream_size)):
            rows = np.arange(self.nstreams)[numbers]
            mine, others = (
                fa._decode(rows, slice(None), choose_threads(None)) for fa in (self, other)
            )
            if not np.array_equal(mine.view(np.uint8), others.view(np.uint8)):
                return False
        return True

    def __repr__(self) -> str:
        rank = ""
        if self._mpi is not None:
            first, stop = self._mpi.own
            rows = f"{first}-{stop - 1}" if first < stop else "no rows"
            rank = f" | Rank {self._mpi.comm.rank:04d} {rows} |"
        return f"<FlacArray{rank} {self.typestr} shape={self._shape} bytes={self.nbytes}>"


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


def _may_change(chunk: Any) -> bool:
    """Whether a buffer can be written to, by itself or by what it is a view of."""
    owner = chunk
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable or owner.base is None:
            return bool(owner.flags.writeable)
        owner = owner.base
    if isinstance(owner, memoryview):
        return not owner.readonly or _may_change(owner.obj)
    try:
        return not memoryview(owner).readonly
    except TypeError:  # memory that numpy was shown by other means
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
