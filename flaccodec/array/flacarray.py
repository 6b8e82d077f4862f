"""`FlacArray`, a compressed array in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.array.doors import Doors
from flaccodec.array.ranks import OverRanks
from flaccodec.chunks.options import CodecOptions, explains_options
from flaccodec.chunks.packed import Packed
from flaccodec.exceptions import ConfigurationError, EmptyArrayError
from flaccodec.groups.parts import packed_of
from flaccodec.mpi.distribution import is_comm
from flaccodec.mpi.packed import encode_rows
from flaccodec.runtime.threads import choose_threads
from flaccodec.samples.keep import check_keep, check_samples, kept_indices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    import numpy.typing as npt

    from flaccodec.mpi.distribution import Distribution

__all__ = ["FlacArray"]


class FlacArray(Doors, OverRanks):
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

    _packed: Packed
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
            self._packed, self._mpi = packed_of(parts, mpi_comm, mpi_dist)
            return
        if not isinstance(other, FlacArray):
            raise ConfigurationError(
                "FlacArray(other) copies a FlacArray; make one with FlacArray.from_array(array) "
                f"or FlacArray.from_chunk(chunk). Got {type(other).__name__}."
            )
        self._packed = other._packed.copy()
        self._mpi = other._mpi

    @classmethod
    def _of(cls, packed: Packed, mpi: Distribution | None = None) -> Self:
        """Make one of what is packed, without a copy."""
        new = cls.__new__(cls)
        new._packed, new._mpi = packed, mpi
        return new

    # -- making --------------------------------------------------------------------

    @classmethod
    @explains_options(but=("quanta", "precision"))
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
        options
            Those of `flaccodec.chunks.options.Options`.

        Returns
        -------
        FlacArray

        Raises
        ------
        FlacCodecError
            The array, or an option for it, cannot be. With `mpi_comm` this is raised on all
            ranks, whichever rank's part it is.
        """
        given: dict[str, Any] = {
            "level": level,
            "quanta": quanta,
            "precision": precision,
            "use_threads": use_threads,
            "lossless": lossless,
            "missing_value": missing_value,
            "strict": strict,
        }
        if is_comm(mpi_comm):
            return cls._of(*encode_rows(arr, mpi_comm, given))
        return cls._of(Packed.encode(arr, **given))

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
        return cls._of(Packed.own(data.copy() if _may_change(chunk) else data, shape))

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
        return cls._of(Packed.own(data, shape, level, fill_value, missing_value))

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
        return self._packed.chunk.tobytes()

    def __reduce__(self) -> tuple[Any, tuple[bytes, tuple[int, ...], int, Any, Any]]:
        """Pickle the streams; a communicator of one rank is left out, as it adds nothing."""
        if self._mpi is not None and self._mpi.comm.size > 1:
            raise TypeError(
                "a FlacArray over several MPI ranks does not pickle, as no rank has all of it. "
                "Pickle this rank's streams by themselves: "
                "FlacArray.from_chunk(fa.to_chunk(), fa.shape)."
            )
        remembered = self._packed.level, self._packed.fill_value, self._packed.missing_value
        return type(self)._restore, (self.to_chunk(), self._packed.shape, *remembered)

    def __dask_tokenize__(self) -> tuple[str, tuple[int, ...], npt.NDArray[np.uint8]]:
        return "FlacArray", self._packed.shape, self._packed.chunk

    def __copy__(self) -> Self:
        new = type(self).__new__(type(self))
        FlacArray.__init__(new, self)  # a subclass's may want other arguments
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    # -- shape and type --------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._packed.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        return self._packed.dtype

    @property
    def typestr(self) -> str:
        """Name of the type of the samples, such as "float64"."""
        return self.dtype.name

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._packed.shape)

    @property
    def size(self) -> int:
        """Number of samples."""
        return self.nstreams * self.stream_size

    @property
    def stream_size(self) -> int:
        """Samples of each stream."""
        return self._packed.stream_size

    @property
    def nstreams(self) -> int:
        """Number of streams."""
        return self._packed.nstreams

    @property
    def leading_shape(self) -> tuple[int, ...]:
        """Shape of the leading axes, (1,) for one stream without any."""
        return self._packed.leading_shape

    @property
    def level(self) -> int:
        """FLAC's level, with which streams are encoded where they are written anew.

        That given to `from_array`; 5 where it is not known, as of a chunk.
        """
        return self._packed.level

    @property
    def fill_value(self) -> Any:
        """Fill value of the Zarr array or HDF5 dataset that the array came from; else None.

        Where such an array has quanta, its samples of this value are exact, whether they are whole
        quanta or not. They stay so in what `to_zarr` and `write_hdf5` make, which have the
        fill value too unless they are given another.
        """
        return self._packed.fill_value

    @property
    def missing_value(self) -> float | Sequence[float] | None:
        """Numbers that mark missing samples, besides the fill value; None where none are known.

        Those given to `from_array`, or what the codec and the attributes (CF's ``missing_value``)
        of the Zarr array or HDF5 dataset say that the array came from. They are exact, and what
        `to_zarr` and `write_hdf5` make keeps them so.
        """
        return CodecOptions(missing_value=self._packed.missing_value).missing_value

    # -- compressed data ---------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes of the FLAC streams."""
        return self._packed.nbytes

    @property
    def compressed(self) -> npt.NDArray[np.uint8]:
        """The FLAC streams, end to end; read-only."""
        return self._packed.compressed

    @property
    def stream_starts(self) -> npt.NDArray[np.int64]:
        """Where each stream begins in `compressed`; shape of the leading axes."""
        return self._packed.stream_starts

    @property
    def stream_nbytes(self) -> npt.NDArray[np.int64]:
        """Bytes of each stream; shape of the leading axes."""
        return self._packed.stream_nbytes

    @property
    def stream_offsets(self) -> npt.NDArray[Any] | None:
        """What is added to each stream's integers, in the units of the data.

        For quantized floats, of their dtype: a whole number of quanta. For integers that
        are stored less an offset, the offsets. None where nothing is added.
        """
        return self._packed.stream_offsets

    @property
    def stream_gains(self) -> npt.NDArray[Any] | None:
        """1 / quanta of each stream, of the dtype of the data; None unless quantized.

        Infinite where quanta are so small that the dtype does not hold it.
        """
        return self._packed.stream_gains

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
            shape = self._packed.shape[:-1]
            numbers = np.arange(self.nstreams).reshape(shape)
            array = self._packed.decode(numbers, samples, threads)
            return array if self._packed.shape else array.reshape(())
        mask = check_keep(keep, self.leading_shape)
        array = self._packed.decode(np.flatnonzero(mask), samples, threads)
        return (array, kept_indices(mask)) if keep_indices else array

    def __getitem__(self, key: Any) -> Any:
        """Decompress what numpy's indexing would pick.

        Any basic index on any axis; boolean masks and integer arrays on the leading axes.
        """
        if not self._packed.shape:
            return self.to_array()[key]
        return self._packed[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("a FlacArray does not change: change fa.to_array() and compress it anew")

    def __delitem__(self, key: Any) -> None:
        raise TypeError("a FlacArray does not change: compress the rest of fa.to_array() anew")

    def __len__(self) -> int:
        if not self._packed.shape:
            raise TypeError("len() of a FlacArray without axes")
        return self._packed.shape[0]

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
            self._packed.shape == other._packed.shape
            and self.global_shape == other.global_shape
            and self.dtype == other.dtype
            and self._packed.has_samples_of(other._packed)
        )

    def __repr__(self) -> str:
        rank = ""
        if self._mpi is not None:
            first, stop = self._mpi.own
            rows = f"{first}-{stop - 1}" if first < stop else "no rows"
            rank = f" | Rank {self._mpi.comm.rank:04d} {rows} |"
        return f"<FlacArray{rank} {self.typestr} shape={self._packed.shape} bytes={self.nbytes}>"


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
