"""HDF5 files as Zarr stores, by references to their chunks where they lie.

The references, and the store over them, are VirtualiZarr's. Its parser of HDF5 files reads
all that is not ours; datasets with the flaccodec filter are added to what it finds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import h5py
import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.hdf5.virtual_zarr", "virtual", "virtualizarr", "obstore"):
    import obstore.store
    from obspec_utils.readers import BlockStoreReader
    from obspec_utils.registry import ObjectStoreRegistry
    from virtualizarr import parsers
    from virtualizarr.manifests import (
        ChunkManifest,
        ManifestArray,
        ManifestGroup,
        ManifestStore,
    )
    from zarr.core.metadata import ArrayV3Metadata

from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5.as_zarr.arrays import create_like
from flaccodec.hdf5.as_zarr.attributes import FILL, to_json
from flaccodec.hdf5.as_zarr.kerchunk import teach_writer
from flaccodec.hdf5.as_zarr.misread import check_is_read_right
from flaccodec.hdf5.as_zarr.phony_names import PhonyNames
from flaccodec.hdf5.as_zarr.virtual_places import (
    WatchedFile,
    chunks_of,
    teach_parser,
    watched_by_virtualizarr,
)
from flaccodec.hdf5.chunks import fletcher32 as hdf5_fletcher32
from flaccodec.hdf5.chunks.stored import FlacChunks
from flaccodec.hdf5.filter import FILTER_ID, has_numbers, options_of
from flaccodec.hdf5.members import check_is_no_cycle, group_of, member_place, members_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from virtualizarr.parsers.typing import ReaderFactory

_VIRTUALIZARR_FAILS = (AttributeError, LookupError, NotImplementedError, TypeError, ValueError)
"""What its parser raises for what it does not know."""

teach_writer()
teach_parser()


def virtual_zarr(
    path: str | os.PathLike[str],
    *,
    group: str | None = None,
    drop_variables: str | Iterable[str] | None = None,
    **options: Any,
) -> VirtualStore:
    """Show an HDF5 file as a Zarr store, whose chunks are read in place.

    ``zarr.open_group`` and ``xarray.open_zarr`` (with ``consolidated=False``) take the store.
    A slice fetches the frames that hold it, by ranged requests, as from any Zarr array of
    FLAC chunks. The file must not change while the store is in use. Datasets without the
    flaccodec filter are there as VirtualiZarr has them, but for their attributes and names of
    dimensions, which are as `to_zarr` has them. Dimensions without a name are ``phony_dim_0``
    and so on, those of one length alike.

    Parameters
    ----------
    path : str or Path
        Of a file, or the URL of one: ``https://``, ``s3://`` and others that obstore knows.
    group : str, optional
        What becomes the store's root; by default the file's.
    drop_variables : str or iterable of str, optional
        A name, or names, that are left out of all groups, such as of datasets that Zarr cannot
        express. Names of which there is nothing are passed by, as xarray does.
    **options
        What `obstore.store.from_url` takes, for URLs: ``region``, ``skip_signature``,
        ``client_options`` and so on.

    Returns
    -------
    VirtualStore
        A `virtualizarr.manifests.ManifestStore`. Its ``to_virtual_dataset()`` gives what
        VirtualiZarr writes to icechunk or kerchunk.

    Raises
    ------
    ConfigurationError
        A dataset has chunks that are no FLAC chunks, something cannot be read by VirtualiZarr
        (strings of variable length, for instance), an attribute has no form in JSON, a name is
        not UTF-8, or a link leads nowhere, in a circle or to another file; the message names it
        and says what to do.
    ImportError
        VirtualiZarr is missing: ``pip install 'flaccodec[virtual]'``.
    """
    local = _local_path(path)
    if local is not None:
        url = _local_url(local)
        registry = ObjectStoreRegistry({"file://": obstore.store.LocalStore()})
    else:
        url = str(path)
        root = f"{urlparse(url).scheme}://{urlparse(url).netloc}"
        registry = ObjectStoreRegistry({root: _open_root(root, options)})
    return VirtualParser(group=group, drop_variables=drop_variables)(url, registry)


def _local_path(path: str | os.PathLike[str]) -> Path | None:
    """Return the path of a file; None where it is a URL of another kind."""
    if isinstance(path, str) and path.startswith("file:"):
        return Path(unquote(urlparse(path).path, errors="surrogateescape"))
    return None if isinstance(path, str) and "://" in path else Path(path)


def _check_is_text(path: str) -> None:
    """Refuse names that are not UTF-8, which neither obstore nor VirtualiZarr takes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"path must be in UTF-8, as obstore takes it. Got {path}: rename the file or folder, "
            "or copy its datasets with flaccodec.hdf5.to_zarr, which takes it as it is."
        ) from None


def _local_url(path: Path) -> str:
    """Return a URL as VirtualiZarr takes it: it looks for its path as it is, nothing quoted."""
    absolute = str(path.resolve())
    _check_is_text(absolute)
    for character in "#?":
        if character in absolute:
            raise ConfigurationError(
                f"path must be without {character!r}, at which VirtualiZarr ends it. "
                f"Got {absolute}: rename the file or folder."
            )
    return f"file://{absolute}"


def _open_root(root: str, options: dict[str, Any]) -> Any:
    if root.startswith("http://"):
        options = {"client_options": {"allow_http": True}, **options}
    return obstore.store.from_url(root, **options)


class VirtualStore(ManifestStore):
    """A store of references into one file.

    Parameters
    ----------
    group : virtualizarr.manifests.ManifestGroup
    registry : obspec_utils.registry.ObjectStoreRegistry
    url : str
        Of the file: what messages call the store.
    """

    def __init__(
        self, group: ManifestGroup, *, registry: ObjectStoreRegistry[Any], url: str
    ) -> None:
        super().__init__(group, registry=registry)
        self.url = url

    def __str__(self) -> str:
        return self.url


class VirtualParser:
    """VirtualiZarr's parser of HDF5 files, taught the flaccodec filter.

    For what takes a parser: ``virtualizarr.open_virtual_dataset(url, registry, parser)``.

    Parameters
    ----------
    group : str, optional
        What becomes the root; by default the file's.
    drop_variables : str or iterable of str, optional
        A name, or names, that are left out of all groups.
    reader_factory : callable, optional
        What opens a file in an object store, as for `virtualizarr.parsers.HDFParser`.
    """

    def __init__(
        self,
        group: str | None = None,
        drop_variables: str | Iterable[str] | None = None,
        reader_factory: ReaderFactory = BlockStoreReader,
    ) -> None:
        self.group = group
        self.drop_variables = _names(drop_variables)
        self.reader_factory = reader_factory

    def __call__(self, url: str, registry: ObjectStoreRegistry[Any]) -> VirtualStore:
        """Make the references.

        Parameters
        ----------
        url : str
        registry : obspec_utils.registry.ObjectStoreRegistry
            Of the object stores that URLs lie in.

        Returns
        -------
        VirtualStore
        """
        _check_is_text(url)
        store, path = registry.resolve(url)
        reader = WatchedFile(self.reader_factory(store, path))
        with h5py.File(reader, "r") as file:
            root = group_of(file, self.group or "/", url)
            parsed = _Parsing(url, registry, reader, self.drop_variables).group(root)
            return VirtualStore(parsed, registry=registry, url=url)


def _names(given: str | Iterable[str] | None) -> frozenset[str]:
    """Return names that are given, one or several, checked."""
    names = frozenset([given] if isinstance(given, str) else given or ())
    for name in names:
        if not isinstance(name, str) or "/" in name:
            raise ConfigurationError(
                "drop_variables must be names in a group, which are without '/'. "
                f"Got {name!r}: give the last part of a path, which is left out of all groups."
            )
    return names


@dataclass(frozen=True)
class _Parsing:
    """One file on its way into references."""

    url: str
    registry: ObjectStoreRegistry[Any]
    reader: WatchedFile
    dropped: frozenset[str]

    def group(
        self,
        group: h5py.Group,
        above: tuple[h5py.Group, ...] = (),
        phony_above: PhonyNames | None = None,
    ) -> ManifestGroup:
        """Make the references of a group, and of all below.

        Names that are made up for dimensions are as in the groups above, as DataTree needs them.
        """
        members = members_of(group, self.url, self.dropped)
        ours = {k: v for k, v in members.items() if _has_filter(v)}
        groups = {k: v for k, v in members.items() if isinstance(v, h5py.Group)}
        for name, member in groups.items():
            place = member_place(group, name, self.url)
            check_is_no_cycle(member, (*above, group), place)
        attributes = to_json(group, f"{group.name}, in {self.url}")
        datasets = (v for v in members.values() if isinstance(v, h5py.Dataset))
        phony = (phony_above or PhonyNames()).below(datasets)
        described = self._descriptions(group, members, phony)
        rest = self._rest(group, {k: v for k, v in members.items() if k not in ours | groups})
        arrays = {k: _described(v, members[k], described[k]) for k, v in rest.arrays.items()}
        arrays |= {k: self._reference(v, described[k]) for k, v in ours.items()}
        return ManifestGroup(
            arrays=arrays,
            groups={k: self.group(v, (*above, group), phony) for k, v in groups.items()},
            attributes=attributes,
        )

    def _descriptions(
        self, group: h5py.Group, members: Mapping[str, Any], phony: PhonyNames
    ) -> dict[str, dict[str, Any]]:
        """Return attributes and names of dimensions of the datasets among a group's members."""
        return {
            k: {
                "attributes": to_json(v, member_place(group, k, self.url)),
                "dimension_names": phony.complete(v),
            }
            for k, v in members.items()
            if isinstance(v, h5py.Dataset)
        }

    def _rest(self, group: h5py.Group, members: Mapping[str, Any]) -> ManifestGroup:
        """Have VirtualiZarr read what is not ours; its own errors do not say what it is."""
        for key, member in members.items():
            if isinstance(member, h5py.Dataset):
                check_is_read_right(member, key, member_place(group, key, self.url))
        names = list(members)
        try:
            return self._read(group, names)
        except _VIRTUALIZARR_FAILS as error:
            name = self._culprit(group, names)
            if name is None:
                raise ConfigurationError(
                    f"{group.name}, in {self.url}: VirtualiZarr must be able to read the group. It "
                    f"raised {error!r}: change the group in a copy of the file."
                ) from error
            raise ConfigurationError(
                f"{member_place(group, name, self.url)}: VirtualiZarr must be able to read what "
                f"has no FLAC chunks. It raised {error!r}, for dtype {group[name].dtype}: leave it "
                f"out with drop_variables=[{name!r}]."
            ) from error

    def _culprit(self, group: h5py.Group, names: list[str]) -> str | None:
        """Return the first that cannot be read; None where it is the group."""
        if not self._reads(group, []):
            return None
        return next((name for name in names if not self._reads(group, [name])), None)

    def _reads(self, group: h5py.Group, names: list[str]) -> bool:
        try:
            self._read(group, names)
        except _VIRTUALIZARR_FAILS:
            return False
        return True

    def _read(self, group: h5py.Group, names: list[str]) -> ManifestGroup:
        parser = parsers.HDFParser(
            group=group.name,
            drop_variables=[name for name in group if name not in names],
            reader_factory=lambda *_: self.reader,
        )
        with watched_by_virtualizarr(self.reader):
            return parser(self.url, self.registry)._group

    def _reference(self, dataset: h5py.Dataset, description: dict[str, Any]) -> ManifestArray:
        chunks = FlacChunks.need(dataset)
        metadata = create_like(chunks, {}, **description).metadata
        assert isinstance(metadata, ArrayV3Metadata)
        return ManifestArray(metadata=metadata, chunkmanifest=self._manifest(chunks))

    def _manifest(self, chunks: FlacChunks) -> ChunkManifest:
        dataset = chunks.dataset
        behind = _bytes_behind(chunks, self.url)
        grid = tuple(-(-n // c) for n, c in zip(dataset.shape, chunks.shape, strict=True))
        paths = np.full(grid, "", dtype=np.dtypes.StringDType())
        offsets, lengths = np.zeros(grid, dtype=np.uint64), np.zeros(grid, dtype=np.uint64)
        for info in chunks_of(dataset, self.reader, f"{chunks.name}, in {self.url}"):
            number = tuple(i // c for i, c in zip(info.chunk_offset, chunks.shape, strict=True))
            if info.filter_mask:
                raise _no_reference(
                    f"{chunks.place(number)}, in {self.url}", f"filter mask {info.filter_mask}"
                )
            paths[number] = self.url
            offsets[number], lengths[number] = info.byte_offset, info.size - behind
        return ChunkManifest.from_arrays(paths=paths, offsets=offsets, lengths=lengths)


def _has_filter(member: Any) -> bool:
    return isinstance(member, h5py.Dataset) and options_of(member) is not None


def _described(
    array: ManifestArray, dataset: h5py.Dataset, description: dict[str, Any]
) -> ManifestArray:
    """Give what VirtualiZarr read attributes and names as ours have them.

    VirtualiZarr takes attributes that are no JSON, and names dimensions by their axes.
    """
    theirs = array.metadata.attributes
    if FILL in theirs and not has_numbers(dataset):
        fill = {FILL: theirs[FILL]}
        description = {**description, "attributes": {**description["attributes"], **fill}}
    metadata = replace(array.metadata, **description)
    return ManifestArray(metadata=metadata, chunkmanifest=array.manifest)


def _bytes_behind(chunks: FlacChunks, url: str) -> int:
    """Return how many bytes follow the FLAC chunk in what is stored of a chunk."""
    if chunks.filters == [FILTER_ID]:
        return 0
    if chunks.has_fletcher32:
        return hdf5_fletcher32.NBYTES
    raise _no_reference(f"{chunks.name}, in {url}", f"filters {chunks.filters}")


def _no_reference(place: str, got: str) -> ConfigurationError:
    return ConfigurationError(
        f"{place}: chunks must be FLAC chunks as they are, to be read in place. Got {got}: "
        "copy the dataset with flaccodec.hdf5.to_zarr, or leave it out with drop_variables=."
    )
