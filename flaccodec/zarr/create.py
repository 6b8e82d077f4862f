"""Making Zarr arrays of FLAC chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec.runtime.optional import needed

with needed("flaccodec.zarr", "zarr"):
    import zarr
    from zarr.abc.codec import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec
    from zarr.registry import get_codec_class

from flaccodec.chunks.where_it_goes import SaysWhereItGoes
from flaccodec.exceptions import ConfigurationError
from flaccodec.samples.blocks import chunk_blocks, is_elsewhere, read
from flaccodec.samples.masks import check_unmasked
from flaccodec.samples.quanta_warnings import WarnedOnce
from flaccodec.zarr.codec import FlacCodec
from flaccodec.zarr.grid import written_blocks, written_shape
from flaccodec.zarr.removal import Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    from zarr.abc.codec import Codec
    from zarr.storage import StoreLike

    from flaccodec.samples.blocks import Block

__all__ = ["create_array"]


def create_array(
    store: StoreLike,
    *,
    codecs: Iterable[Codec | dict[str, Any]] | None = None,
    **kwargs: Any,
) -> zarr.Array[Any]:
    """Create a Zarr v3 array whose chunks are FLAC.

    Parameters
    ----------
    store : str, Path, mapping or zarr store
        As `zarr.create_array` takes it.
    codecs : sequence of codecs, optional
        Filters, one serializer and compressors, in this order; ``[FlacCodec()]`` where
        neither this nor ``serializer`` is given. What ``attributes`` name as missing, CF's
        ``missing_value`` and ``_FillValue``, a FlacCodec gets as its `missing_value`, too.
    **kwargs
        All that `zarr.create_array` takes: ``name``, ``shape``, ``dtype``, ``data``,
        ``chunks``, ``shards``, ``fill_value``, ``dimension_names`` and so on. Without
        ``compressors`` there are none: zarr's default would put Zstd behind FLAC, which costs
        time, saves nothing and turns partial reading off.

        ``data`` may be anything that has ``shape`` and ``dtype`` and can be sliced, such as
        ``np.memmap``, an h5py dataset, another zarr array or a dask array. It is read and written
        by blocks of chunks (or shards) of about 4 million samples; memory holds no more of it.

    Returns
    -------
    zarr.Array

    Raises
    ------
    ConfigurationError
        `codecs` hold no serializer or more than one, or are given together with
        ``filters``, ``serializer`` or ``compressors``; or a FlacCodec stands where it cannot.
    UnsupportedDtypeError
        FLAC cannot hold the dtype.

    Examples
    --------
    >>> import numpy as np, flaccodec
    >>> a = flaccodec.create_array({}, data=np.linspace(0, 1, 5),
    ...                            codecs=[flaccodec.FlacCodec(quanta=0.5)])
    >>> a[:]
    array([0. , 0. , 0.5, 1. , 1. ])
    """
    if kwargs.get("zarr_format") not in (None, 3):
        raise ConfigurationError(
            "FlacCodec is for zarr_format=3. For zarr_format=2 use zarr.create_array with "
            "compressors=flaccodec.numcodecs.Flac(...)."
        )
    if codecs is not None:
        kwargs.update(_split_codecs(codecs, kwargs))
    kwargs.setdefault("serializer", FlacCodec())
    kwargs.setdefault("compressors", None)
    _check_places(kwargs)
    if isinstance(kwargs["serializer"], FlacCodec):
        kwargs["serializer"] = kwargs["serializer"].with_marks(
            kwargs.get("attributes"), kwargs.get("fill_value")
        )
    if not is_elsewhere(kwargs.get("data")):
        check_unmasked(kwargs.get("data"), "data")
    with WarnedOnce():
        if kwargs.get("data") is None or not kwargs.get("write_data", True):
            return zarr.create_array(store, **kwargs)
        return _create_whole(store, kwargs.pop("data"), kwargs)


def _create_whole(store: StoreLike, data: Any, kwargs: dict[str, Any]) -> zarr.Array[Any]:
    """Create an array with data, which opens when all of them are there."""
    place = Place.of(
        store,
        kwargs.pop("name", None),
        kwargs.pop("storage_options", None),
        kwargs.pop("overwrite", False),
    )
    if not is_elsewhere(data):
        values = np.asarray(data)
        kwargs |= {"data": values, "write_data": False}
        return place.make(
            lambda at: zarr.create_array(at, **kwargs), lambda array: _fill(array, values)
        )
    for name in ("shape", "dtype"):
        if kwargs.pop(name, None) is not None:
            raise ConfigurationError(f"{name} is that of data: leave it out.")
    kwargs |= {"shape": data.shape, "dtype": data.dtype}
    kwargs.pop("write_data", None)
    return place.make(
        lambda at: zarr.create_array(at, **kwargs), lambda array: _fill_by_blocks(array, data)
    )


def _fill(array: zarr.Array[Any], values: npt.NDArray[Any]) -> None:
    if values.size:
        array[...] = values


def _fill_by_blocks(array: zarr.Array[Any], source: Any) -> None:
    step = written_shape(array)
    if step is None:
        blocks: Iterable[Block] = written_blocks(array, "create_array", progress=False)
    else:
        blocks = chunk_blocks(array.shape, step)
    for block in blocks:
        array[block] = read(source, block)


def _resolve(codec: Codec | dict[str, Any]) -> Codec:
    if isinstance(codec, dict):
        if "name" not in codec:
            raise ConfigurationError(
                'a codec of zarr_format=3 must have a "name", as {"name": "flaccodec"}. '
                f"Got {codec!r}."
            )
        return get_codec_class(codec["name"]).from_dict(codec)
    _check_door(codec)
    return codec


def _split_codecs(
    codecs: Iterable[Codec | dict[str, Any]], kwargs: dict[str, Any]
) -> dict[str, Any]:
    clashing = [name for name in ("filters", "serializer", "compressors") if name in kwargs]
    if clashing:
        raise ConfigurationError(
            f"give codecs or {', '.join(clashing)}, not both: codecs hold all three."
        )
    resolved = [_resolve(codec) for codec in codecs]
    serializers = [c for c in resolved if isinstance(c, ArrayBytesCodec)]
    if len(serializers) != 1:
        raise ConfigurationError(
            "codecs must hold one array-to-bytes codec, such as FlacCodec. "
            f"Got {len(serializers)} in {resolved!r}."
        )
    order = (ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)
    places = [next((i for i, k in enumerate(order) if isinstance(c, k)), -1) for c in resolved]
    if places != sorted(places) or -1 in places:
        raise ConfigurationError(
            "codecs must be array-to-array codecs, one array-to-bytes codec and bytes-to-bytes "
            f"codecs, in this order. Got {resolved!r}."
        )
    return {
        "filters": [c for c in resolved if isinstance(c, ArrayArrayCodec)] or None,
        "serializer": serializers[0],
        "compressors": [c for c in resolved if isinstance(c, BytesBytesCodec)] or None,
    }


def _check_door(codec: Any) -> None:
    """Refuse the codecs of numcodecs and of h5py."""
    if isinstance(type(codec), SaysWhereItGoes) and not isinstance(codec, FlacCodec):
        right = FlacCodec(**codec.options.to_dict())
        raise ConfigurationError(f"use serializer={right!r}. Got {codec!r}, of {type(codec)!r}.")


def _check_places(kwargs: dict[str, Any]) -> None:
    _check_door(kwargs["serializer"])
    for name in ("filters", "compressors"):
        given = kwargs.get(name)
        for codec in given if isinstance(given, list | tuple) else (given,):
            if isinstance(codec, FlacCodec):
                raise ConfigurationError(
                    f"FlacCodec turns arrays into bytes: use serializer={codec!r}, not {name}=."
                )
            _check_door(codec)
