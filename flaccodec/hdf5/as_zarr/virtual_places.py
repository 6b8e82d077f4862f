"""Where HDF5 reads the chunks of a dataset, found by watching it.

References need a chunk's place in the file, which only HDF5's chunk queries tell. If these name
the wrong chunks, HDF5 is asked to read each chunk instead, and it is noted where it reads. What
it reads is not needed, so nothing is fetched.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

from h5py.h5d import StoreInfo
from virtualizarr.parsers.hdf import hdf

from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5.chunks.places import has_chunks, queries_are_right, read_chunk, told_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import h5py

    Offset = tuple[int, ...]
    Range = tuple[int, int]

_MANIFEST = "_dataset_chunk_manifest"
"""What VirtualiZarr's parser calls for the places of a dataset's chunks."""


class WatchedFile:
    """A file that HDF5 reads, which notes where it did so last.

    Parameters
    ----------
    file : file-like
        What h5py is to open.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._position = 0
        self._left_out: frozenset[Range] = frozenset()
        self.last: Range | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position."""
        self._position = self._file.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        """Read into a buffer; nothing at all if the range is to be left out."""
        nbytes = len(buffer)
        self.last = (self._position, nbytes)
        if self.last in self._left_out:
            self._position += nbytes
            return nbytes
        data = self._file.read(nbytes)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    @contextmanager
    def leaving_out(self, ranges: frozenset[Range]) -> Iterator[None]:
        """Have reads of some ranges, each as a whole, fetch nothing."""
        self._left_out = ranges
        try:
            yield
        finally:
            self._left_out = frozenset()


def chunks_of(dataset: h5py.Dataset, file: WatchedFile, place: str) -> Iterator[StoreInfo]:
    """Yield offset, filter mask, place and length of all chunks that are in a file.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of chunked layout.
    file : WatchedFile
        The file, which h5py has opened for the dataset.
    place : str
        What to call the dataset in messages.

    Raises
    ------
    ConfigurationError
        HDF5 does not read a chunk all at once.
    """
    if not has_chunks(dataset):
        return
    if queries_are_right(dataset):
        yield from told_chunks(dataset)
        return
    ranges = frozenset((info.byte_offset, info.size) for info in told_chunks(dataset))
    for chunk in dataset.iter_chunks():
        offset = tuple(part.start for part in chunk)
        with file.leaving_out(ranges):
            found = read_chunk(dataset, offset)
        if found is None:
            continue
        mask, data = found
        if file.last is None or file.last[1] != len(data):
            raise ConfigurationError(
                f"{place}, chunk at {offset}: HDF5 must read its {len(data):,} bytes all at once, "
                f"to be read in place. It read {file.last}: copy the file by h5repack."
            )
        yield StoreInfo(offset, mask, *file.last)


# -- VirtualiZarr --------------------------------------------------------------------------

_watched: ContextVar[WatchedFile] = ContextVar("_watched")


@contextmanager
def watched_by_virtualizarr(file: WatchedFile) -> Iterator[None]:
    """Have VirtualiZarr's parser find chunks as `chunks_of` does, in a file that it opens."""
    token = _watched.set(file)
    try:
        yield
    finally:
        _watched.reset(token)


def teach_parser() -> None:
    """Prepare VirtualiZarr's parser for `watched_by_virtualizarr`; nothing else changes."""
    manifest = getattr(hdf, _MANIFEST, None)
    if manifest is not None:
        setattr(hdf, _MANIFEST, _with_right_places(manifest))


def can_be_taught() -> bool:
    """Whether VirtualiZarr's parser has the function that finds the places of chunks."""
    return hasattr(hdf, _MANIFEST)


def _with_right_places(manifest: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(manifest)
    def made(filepath: str, dataset: h5py.Dataset, *args: Any, **kwargs: Any) -> Any:
        file = _watched.get(None)
        if file is not None and dataset.chunks is not None and not queries_are_right(dataset):
            chunks = list(chunks_of(dataset, file, f"{dataset.name}, in {filepath}"))
            dataset = _Stand(dataset, id=_Stand(dataset.id, **_queries(chunks)))
        return manifest(filepath, dataset, *args, **kwargs)

    return made


class _Stand:
    """Stands for an object, with some attributes of its own."""

    def __init__(self, stood_for: Any, **own: Any) -> None:
        self.__dict__.update(own)
        self._stood_for = stood_for

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stood_for, name)


def _queries(chunks: list[StoreInfo]) -> dict[str, Callable[..., Any]]:
    """Return HDF5's chunk queries, as VirtualiZarr uses them, with what they should tell."""
    return {
        "chunk_iter": lambda callback: [callback(chunk) for chunk in chunks] and None,
        "get_chunk_info": chunks.__getitem__,
        "get_num_chunks": lambda: len(chunks),
    }
