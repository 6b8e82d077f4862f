"""The chunks of an HDF5 dataset as they are stored, past HDF5's filters."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5d, h5fd, h5t

from flaccodec import core
from flaccodec.chunks.index import ChunkIndex
from flaccodec.chunks.missing import ATTRIBUTES, with_marks
from flaccodec.chunks.ranges import needed_ranges
from flaccodec.chunks.selection import plan_read, total_frames
from flaccodec.exceptions import ConfigurationError, CorruptChunkError, located
from flaccodec.hdf5.chunks import fletcher32 as hdf5_fletcher32
from flaccodec.hdf5.chunks.edges import are_past_filters, has_edges_past_filters
from flaccodec.hdf5.chunks.places import has_chunks, queries_are_right, read_chunk
from flaccodec.hdf5.filter import (
    FILTER_ID,
    client_data_of,
    fill_of,
    has_numbers,
    name_of,
    options_of,
)
from flaccodec.hdf5.low_level.driver import is_parallel
from flaccodec.runtime import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from flaccodec.chunks.options import CodecOptions
    from flaccodec.chunks.selection import ReadPlan

Number = tuple[int, ...]
"""A chunk's place in the grid of chunks."""

PASSED_NBYTES = 256
"""Bytes that are read in the time in which HDF5's chunk query passes one chunk."""


@dataclass(frozen=True)
class StoredChunk:
    """A chunk in a file.

    Attributes
    ----------
    place : str
        What to call it in messages.
    is_flac : bool
        Whether it went through the filter; else it is the samples.
    nbytes : int
    fetch : callable
        Gives some of its bytes, from one position to another. From any thread.
    """

    place: str
    is_flac: bool
    nbytes: int
    fetch: Callable[[int, int], core.Buffer]

    def all_bytes(self) -> core.Buffer:
        """Fetch all of it."""
        return self.fetch(0, self.nbytes)


class FlacChunks:
    """The chunks of a dataset that has the filter in front.

    Parameters
    ----------
    dataset : h5py.Dataset
    options : CodecOptions
        What its chunks are written with.

    Attributes
    ----------
    shape : tuple of int
        Of a chunk.
    dtype : numpy.dtype
    fill : scalar
        What reading gives where no chunk is.
    """

    def __init__(self, dataset: h5py.Dataset, options: CodecOptions) -> None:
        self.dataset = dataset
        self.shape: tuple[int, ...] = tuple(dataset.chunks)
        self.dtype: np.dtype[Any] = np.dtype(dataset.dtype)
        self.name = name_of(dataset)
        self._plist = dataset.id.get_create_plist()
        self._fill_value = fill_of(client_data_of(dataset) or ())
        attributes = _marking(dataset) if options.has_quanta else {}
        self.options = with_marks(options, attributes, self._fill_value)

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> FlacChunks | None:
        """Return the chunks of a dataset; None where it is without the filter.

        None too for strings and other objects of variable length, which HDF5 keeps beside the
        filter.

        Raises
        ------
        TypeError
            It is no dataset.
        ConfigurationError
            Its client data are not what the filter writes.
        """
        if not isinstance(dataset, h5py.Dataset):
            raise TypeError(f"dataset must be an h5py.Dataset. Got {type(dataset).__name__}.")
        options = options_of(dataset)
        return None if options is None else cls(dataset, options)

    @classmethod
    def need(cls, dataset: h5py.Dataset) -> FlacChunks:
        """Return the chunks of a dataset.

        Raises
        ------
        ConfigurationError
            It is without the filter, or its samples are no numbers.
        """
        chunks = cls.of(dataset)
        if chunks is None and not has_numbers(dataset):
            raise ConfigurationError(
                f"{name_of(dataset)} must be of numbers, to have FLAC chunks. Its dtype is "
                f"{dataset.dtype}: read and write it with h5py."
            )
        if chunks is None:
            raise ConfigurationError(
                f"{name_of(dataset)} must have the flaccodec filter (create_dataset(..., "
                f"compression=Flac())). Its filters are {dict(dataset._filters) or 'none'}."
            )
        return chunks

    @cached_property
    def filters(self) -> list[int]:
        """The numbers of the filters, ours first."""
        return [self._plist.get_filter(i)[0] for i in range(self._plist.get_nfilters())]

    @cached_property
    def is_plain(self) -> bool:
        """Whether all stored chunks are FLAC chunks, unless their filter masks say otherwise."""
        is_ours = self.filters == [FILTER_ID] and self._has_numpys_dtype
        return is_ours and not has_edges_past_filters(self.dataset)

    @cached_property
    def has_fletcher32(self) -> bool:
        """Whether a checksum is behind FLAC chunks, and nothing else."""
        return self.filters == [FILTER_ID, hdf5_fletcher32.FILTER]

    @cached_property
    def _has_numpys_dtype(self) -> bool:
        return bool(h5t.py_create(self.dtype) == self.dataset.id.get_type())

    @cached_property
    def _are_edges_past_filters(self) -> bool:
        return are_past_filters(self._plist)

    def _is_past_filters(self, number: Number) -> bool:
        """Whether a chunk is stored as samples since it is partly beyond the dataset's edge."""
        return self._are_edges_past_filters and self.inside(number) != self.shape

    @cached_property
    def is_ours_alone(self) -> bool:
        """Whether no other process may be at work on the file, as with MPI or SWMR."""
        file = self.dataset.file
        return not is_parallel(file) and not file.swmr_mode

    @cached_property
    def fill(self) -> Any:
        """What reading gives where no chunk is."""
        never = self._plist.get_fill_time() == h5d.FILL_TIME_NEVER
        undefined = self._plist.fill_value_defined() == h5d.FILL_VALUE_UNDEFINED
        return self.dtype.type(0) if never or undefined else self.dataset.fillvalue

    def numbers(self) -> Iterator[Number]:
        """Yield the places in the grid."""
        counts = [-(-n // c) for n, c in zip(self.dataset.shape, self.shape, strict=True)]
        return itertools.product(*map(range, counts))

    def offset(self, number: Number) -> tuple[int, ...]:
        """Return where a chunk's first sample is in the dataset."""
        return tuple(i * c for i, c in zip(number, self.shape, strict=True))

    def inside(self, number: Number) -> tuple[int, ...]:
        """Return how much of a chunk lies inside the dataset, along each axis."""
        sizes = zip(self.dataset.shape, self.offset(number), self.shape, strict=True)
        return tuple(min(c, n - first) for n, first, c in sizes)

    def place(self, number: Number) -> str:
        """Return what to call a chunk in messages."""
        return f"{self.name}, chunk at {self.offset(number)}"

    @cached_property
    def _descriptor(self) -> int | None:
        """The file's descriptor, where all that HDF5 knows of the chunks is in the file."""
        file = self.dataset.file
        if is_parallel(file):
            return None
        is_a_file = file.id.get_access_plist().get_driver() == h5fd.SEC2
        if is_a_file and file.mode == "r" and not file.swmr_mode and not file.userblock_size:
            return int(file.id.get_vfd_handle())
        return None

    @cached_property
    def _parts_descriptor(self) -> int | None:
        """The file's descriptor, if parts of chunks are to be read from their places.

        HDF5's query for a place goes through the chunks, one by one: if these are many and small,
        the whole chunk is read sooner.
        """
        grid = math.prod(-(-n // c) for n, c in zip(self.dataset.shape, self.shape, strict=True))
        nbytes = math.prod(self.shape) * self.dtype.itemsize
        if grid * PASSED_NBYTES > nbytes or not queries_are_right(self.dataset):
            return None
        return self._descriptor

    @cached_property
    def _has_chunks(self) -> bool:
        return has_chunks(self.dataset)

    def stored(self, number: Number) -> StoredChunk | None:
        """Return a chunk of a dataset with our filter; None where there is none."""
        offset = self.offset(number)
        descriptor = self._parts_descriptor
        if descriptor is not None:
            info = self.dataset.id.get_chunk_info_by_coord(offset)
            if info.byte_offset is None:
                return None
            start = info.byte_offset

            def fetch(first: int, stop: int) -> core.Buffer:
                return _read_file(descriptor, stop - first, start + first)

            return StoredChunk(self.place(number), info.filter_mask == 0, info.size, fetch)
        found = self._read(number)
        if found is None:
            return None
        mask, chunk = found
        view = np.frombuffer(chunk, dtype=np.uint8)
        return StoredChunk(
            self.place(number), mask == 0, len(view), lambda first, stop: view[first:stop]
        )

    def _read(self, number: Number) -> tuple[int, bytes] | None:
        return read_chunk(self.dataset, self.offset(number)) if self._has_chunks else None

    def decode(
        self,
        stored: StoredChunk | None,
        local: tuple[Any, ...],
        out: npt.NDArray[Any],
        num_threads: int = 1,
    ) -> None:
        """Decode what a selection of a chunk needs.

        Parameters
        ----------
        stored : StoredChunk or None
        local : tuple of slice or ndarray of int64
            For each axis; not empty.
        out : ndarray
            Of the selection's shape and of the dataset's dtype.
        num_threads : int

        Raises
        ------
        CorruptChunkError, ChunkMismatchError
            With the place of the chunk.
        """
        if stored is None:
            out[...] = self.fill
            return
        with located(stored.place):
            if not stored.is_flac:
                out[...] = self._raw(stored)[local]
            elif out.shape == self.shape:
                core.decode_chunk(stored.all_bytes(), out, num_threads=num_threads)
            else:
                self._decode_part(stored, local, out, num_threads)

    def _raw(self, stored: StoredChunk) -> npt.NDArray[Any]:
        data = np.frombuffer(stored.all_bytes(), np.uint8)
        expected = int(np.prod(self.shape)) * self.dtype.itemsize
        if len(data) != expected:
            raise CorruptChunkError(
                f"expected {expected:,} bytes of samples, since the chunk's filter mask says that "
                f"it did not go through the filter. Got {len(data):,}."
            )
        return data.view(self.dtype).reshape(self.shape)

    def _decode_part(
        self, stored: StoredChunk, local: tuple[Any, ...], out: npt.NDArray[Any], num_threads: int
    ) -> None:
        bound = core.head_bound(self.dtype, self.shape, self.options.frame_size)
        head = stored.fetch(0, min(bound, stored.nbytes))
        header = core.read_header(head)
        core.check_expected(header, self.dtype, self.shape)
        core.check_length(header, stored.nbytes)
        if len(head) < header.head_size:
            head = stored.fetch(0, header.head_size)
        plan = plan_read(local, self.shape, header.frame_size, self.dtype.itemsize)
        pieces = self._pieces(stored, head, header.frame_size, plan)
        compact = memory.empty(plan.compact_shape, self.dtype)
        core.decode_spans(head, pieces, plan.spans, compact, num_threads=num_threads)
        out[...] = plan.pick(compact)

    def _pieces(
        self, stored: StoredChunk, head: core.Buffer, frame_size: int, plan: ReadPlan
    ) -> list[tuple[int, core.Buffer]]:
        first, last = plan.frames(frame_size)
        if 2 * int((last - first + 1).sum()) >= total_frames(self.shape, frame_size):
            return [(0, stored.all_bytes())]
        index = ChunkIndex.from_head(np.frombuffer(head, dtype=np.uint8))
        return [(a, stored.fetch(a, b)) for a, b in needed_ranges(index, plan)]

    # -- whole chunks ------------------------------------------------------------------

    def samples(self, number: Number) -> npt.NDArray[Any]:
        """Return all samples of a chunk, those beyond the dataset's edge too where it is plain."""
        whole = np.full(self.shape, self.fill, dtype=self.dtype)
        if self.is_plain:
            self.decode(self.stored(number), (slice(None),) * len(self.shape), whole)
            return whole
        inside = self.inside(number)
        at = tuple(slice(i, i + n) for i, n in zip(self.offset(number), inside, strict=True))
        whole[tuple(slice(n) for n in inside)] = self.dataset[at]
        return whole

    def encode(self, samples: npt.NDArray[Any], num_threads: int = 1) -> npt.NDArray[np.uint8]:
        """Encode the samples of a whole chunk as the filter does; asks HDF5 nothing."""
        return self.options.encode(samples, fill_value=self._fill_value, num_threads=num_threads)

    def flac_source(self, number: Number) -> Callable[[], core.Buffer] | None:
        """Return what gives a chunk as the filter makes it; None where there is none.

        HDF5 is asked here; what is returned may run in any thread. A chunk that is stored so is
        not decoded, and its header and index are checked. Others are encoded, with precision bit
        for bit: quanta that are chosen anew would move samples that are multiples of the old.
        """
        is_ours = self.filters == [FILTER_ID] or self.has_fletcher32
        if is_ours and self._has_numpys_dtype and not self._is_past_filters(number):
            stored = self.stored(number)
            if stored is None:
                return None
            if stored.is_flac:
                return partial(self._checked, stored)
        elif self._read(number) is None:
            return None
        return partial(self._encode_again, self.samples(number))

    def _encode_again(self, samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Encode what was decoded: quanta that follow the data would change it."""
        return replace(self.options, precision=None).encode(samples, fill_value=self._fill_value)

    def _checked(self, stored: StoredChunk) -> core.Buffer:
        chunk = stored.all_bytes()
        with located(stored.place):
            if self.has_fletcher32:
                chunk = hdf5_fletcher32.take_off(chunk)
            core.check_chunk(chunk, self.dtype, self.shape)
        return chunk


def _marking(dataset: h5py.Dataset) -> dict[str, Any]:
    """Return the attributes that say what marks missing samples; those that h5py can read."""
    found = {}
    for name in ATTRIBUTES:
        with contextlib.suppress(OSError, TypeError, ValueError):
            found[name] = dataset.attrs.get(name)
    return found


def _read_file(descriptor: int, nbytes: int, offset: int) -> bytes:
    """Read all of a range of a file, of which the system may give only some at a time.

    Linux gives no more than 2 GiB at once.
    """
    parts = [os.pread(descriptor, nbytes, offset)]
    missing = nbytes - len(parts[0])
    while missing and parts[-1]:
        parts.append(os.pread(descriptor, missing, offset + nbytes - missing))
        missing -= len(parts[-1])
    return b"".join(parts) if len(parts) > 1 else parts[0]
