"""Groups of flacarray's layout, written alike through h5py and zarr."""

from __future__ import annotations

import contextlib
import json
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from flaccodec.exceptions import (
    ConfigurationError,
    GroupExistsError,
)
from flaccodec.groups.layout import (
    COMPRESSED,
    DATASETS,
    EXTRAS,
    FLAC_CHANNELS,
    FORMAT_VERSION,
    SOFTWARE_VERSION,
    STREAM_QUANTA,
    STREAM_SIZE,
    STREAM_STARTS,
    WRITTEN_VERSION,
    GroupStreams,
    GroupTables,
    flac_channels,
    stack_tables,
    table_shape,
    tables_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import numpy as np
    import numpy.typing as npt

    from flaccodec.groups.layout import ArrayParts

    Create = Callable[[str, npt.NDArray[Any]], Any]
    Append = AbstractContextManager[Callable[[npt.NDArray[np.uint8]], None]]
from flaccodec.groups.layout import QUANTA, WRITER

MAX_EXTRAS_BYTES = 60_000
"""HDF5 keeps no attribute of 64 KiB in its default format."""


ATTRIBUTES = (EXTRAS, FLAC_CHANNELS, SOFTWARE_VERSION, FORMAT_VERSION)
"""Of the group; the one that makes it a flacarray group is written last."""


def write_group(group: Any, place: str, streams: GroupStreams, create: Create) -> None:
    """Write streams to a group, all of them or, if something fails, none.

    Parameters
    ----------
    group : h5py.Group or zarr.Group
        It may hold other things, but none of the layout's datasets.
    place : str
        What to call the group in messages.
    streams : GroupStreams
        Of format 1.
    create : callable (name, array) -> dataset
        Creates a dataset of the group.

    Raises
    ------
    GroupExistsError
        The group has datasets of these names.
    ConfigurationError
        The streams are of format 0, or there are none, or the extras are no JSON, too long, or
        hold a shape.
    """
    attributes = attributes_of(streams)
    with _all_or_nothing(group, place):
        create(COMPRESSED, streams.compressed)
        _describe(group, streams, attributes, create)


def write_array_parts(
    group: Any, place: str, array: ArrayParts, create: Create, append: Append
) -> None:
    """Write an array's streams to a group as they come, all of them or, if something fails, none.

    Parameters
    ----------
    group, place, create
        As for `write_group`.
    array : ArrayParts
    append : context manager of a callable (bytes)
        Writes the dataset of compressed bytes, some after the other.

    Raises
    ------
    GroupExistsError, ConfigurationError
        As `write_group`.
    """
    with _all_or_nothing(group, place):
        columns: list[tuple[Any, ...]] = []
        size = 0
        with append as write:
            for compressed, starts, *others in array.parts:
                columns.append((starts + size, *others))
                size += len(compressed)
                write(compressed)
        starts, nbytes, *values = stack_tables(columns, table_shape(array.shape))
        offsets, gains, quanta = values
        tables = GroupTables(
            array.shape,
            array.dtype,
            starts,
            nbytes,
            offsets,
            gains,
            extras=array.extras,
            stream_quanta=quanta,
        )
        _describe(group, tables, attributes_of(tables), create)


@contextlib.contextmanager
def _all_or_nothing(group: Any, place: str) -> Iterator[None]:
    existing = [name for name in DATASETS if name in group]
    if existing:
        raise GroupExistsError(
            f"group {place} already has {', '.join(existing)}: delete them, or write to a new "
            "group."
        )
    attributes = {name: group.attrs[name] for name in ATTRIBUTES if name in group.attrs}
    try:
        if FORMAT_VERSION in attributes:  # written last: until then it is no flacarray group
            del group.attrs[FORMAT_VERSION]
        yield
    except BaseException as error:
        try:
            _remove(group, attributes)
        except Exception as failure:
            error.add_note(
                f"group {place} is incomplete, and what was written could not be removed: "
                f"{failure!r}. Delete its {', '.join(DATASETS)}."
            )
        raise


def attributes_of(streams: GroupStreams | GroupTables) -> dict[str, str]:
    """Return the group's attributes; the one that makes it a flacarray group is the last."""
    if streams.format_version != WRITTEN_VERSION:
        raise ConfigurationError(
            f"groups are written in format {WRITTEN_VERSION}. Got streams of format "
            f"{streams.format_version}: decode and encode them."
        )
    if 0 in streams.shape[:-1]:
        raise ConfigurationError("a group must have at least 1 stream. Got none.")
    return {
        EXTRAS: _encode_extras(streams),
        FLAC_CHANNELS: str(flac_channels(streams.dtype)),
        SOFTWARE_VERSION: f"{WRITER} {_version('flaccodec')}",
        FORMAT_VERSION: str(WRITTEN_VERSION),
    }


def _encode_extras(streams: GroupStreams | GroupTables) -> str:
    if "shape" in streams.extras:
        raise ConfigurationError("extras must not hold shape, which the streams have themselves.")
    own: dict[str, Any] = {"shape": list(map(int, streams.shape))}
    if streams.stream_quanta is not None:
        own[QUANTA] = STREAM_QUANTA
    try:
        text = json.dumps({**own, **streams.extras})
    except TypeError as error:
        raise ConfigurationError(f"extras must be what JSON can express: {error}.") from error
    if len(text) > MAX_EXTRAS_BYTES:
        raise ConfigurationError(
            f"extras must be at most {MAX_EXTRAS_BYTES:,} bytes of JSON. Got {len(text):,}."
        )
    return text


def _describe(
    group: Any,
    streams: GroupStreams | GroupTables,
    attributes: Mapping[str, str],
    create: Create,
) -> None:
    """Write tables and attributes."""
    for name, table in tables_of(streams).items():
        if table is not None:
            dataset = create(name, table)
            if name == STREAM_STARTS:
                dataset.attrs[STREAM_SIZE] = streams.shape[-1]
    for name, value in attributes.items():
        group.attrs[name] = value


def _remove(group: Any, attributes: Mapping[str, Any]) -> None:
    """Remove what was written of a group, and put back attributes that it had before."""
    for name in DATASETS:
        if name in group:
            del group[name]
    for name in ATTRIBUTES:
        if name in attributes:
            group.attrs[name] = attributes[name]
        elif name in group.attrs:
            del group.attrs[name]
