"""What VirtualiZarr writes for kerchunk, with FLAC as the codec and HDF5's meaning of fill values.

kerchunk's references are Zarr of format 2, for which VirtualiZarr leaves out all codecs from arrays
to bytes: it takes them for codecs that only order bytes. Without FLAC the chunks would be read as
samples.

In format 2 xarray takes an array's fill value for the number that missing samples are stored as,
which in HDF5 and in format 3 is the attribute ``_FillValue``. HDF5's fill value, mostly 0, is what
chunks hold that were never written: in format 2 all zeros would be missing samples.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import warnings
from collections import Counter, defaultdict
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from virtualizarr import accessor
from virtualizarr.writers import kerchunk

from flaccodec.hdf5.as_zarr.attributes import FILL
from flaccodec.numcodecs import Flac
from flaccodec.zarr.codec import FlacCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

    Conversion = Callable[..., ArrayV2Metadata]
    Writer = Callable[..., dict[str, Any]]

_CONVERSION = "convert_v3_to_v2_metadata"
"""What VirtualiZarr's writer calls for the metadata of each array."""

_WRITER = "dataset_to_kerchunk_refs"
"""What makes the references of a dataset."""


def teach_writer() -> None:
    """Have VirtualiZarr write FLAC as the compressor that it is in format 2, and fill values."""
    convert = getattr(kerchunk, _CONVERSION, None)
    if convert is not None:  # a later one may write format 3, which keeps all codecs
        setattr(kerchunk, _CONVERSION, _with_flac(convert))
    write = getattr(kerchunk, _WRITER, None)
    if write is not None:
        taught = _with_fill_values(write)
        for module in (kerchunk, accessor):
            if getattr(module, _WRITER, None) is write:
                setattr(module, _WRITER, taught)


def _with_flac(convert: Conversion) -> Conversion:
    @wraps(convert)
    def converted(v3_metadata: ArrayV3Metadata, *args: Any, **kwargs: Any) -> ArrayV2Metadata:
        metadata = convert(v3_metadata, *args, **kwargs)
        for codec in v3_metadata.codecs:
            if isinstance(codec, FlacCodec):
                return replace(metadata, compressor=Flac(**codec.options.to_dict()))
        return metadata

    return converted


def _with_fill_values(write: Writer) -> Writer:
    @wraps(write)
    def written(*args: Any, **kwargs: Any) -> dict[str, Any]:
        references = write(*args, **kwargs)
        _mend_fill_values(references["refs"])
        return references

    return written


# -- fill values ---------------------------------------------------------------------------


def _mend_fill_values(refs: dict[str, Any]) -> None:
    """Have the fill values of arrays say which samples are missing, where no chunk needs them.

    Where chunks are missing, and would be read as another number, they stay as they are.
    """
    for name, n_chunks in _arrays_in_files_with_flac(refs).items():
        array = json.loads(refs[f"{name}/.zarray"])
        attributes = json.loads(refs[f"{name}/.zattrs"])
        mask = _mask(attributes.get(FILL), _kind(array))
        if n_chunks == _size_of_grid(array):
            refs[f"{name}/.zarray"] = json.dumps({**array, "fill_value": mask})
        elif not _is_harmless(array, mask):
            warnings.warn(
                f"{name}: xarray takes the fill value of kerchunk's references for missing "
                f"samples. It must stay {array['fill_value']!r}, as chunks that were never written "
                "are read: open them with mask_and_scale=False, or keep references in icechunk.",
                stacklevel=4,
            )


def _arrays_in_files_with_flac(refs: Mapping[str, Any]) -> dict[str, int]:
    """Return how many chunks each array has that has a fill value and is of our files.

    In the references of others, such as kerchunk's own, fill values may mean what they do in
    format 2.
    """
    paths: dict[str, set[str]] = defaultdict(set)
    n_chunks: Counter[str] = Counter()
    arrays = {}
    for key, ref in refs.items():
        name, _, last = key.rpartition("/")
        if last == ".zarray":
            arrays[name] = json.loads(ref)
        elif not last.startswith("."):
            n_chunks[name] += 1
            paths[name] |= {ref[0]} if isinstance(ref, list) else set()
    ours = set[str]().union(*(paths[name] for name in arrays if _is_flac(arrays[name])))
    return {
        name: n_chunks[name]
        for name, array in arrays.items()
        if array["fill_value"] is not None and paths[name] <= ours
    }


def _is_flac(array: Mapping[str, Any]) -> bool:
    return bool((array["compressor"] or {}).get("id") == Flac.codec_id)


def _size_of_grid(array: Mapping[str, Any]) -> int:
    shape, chunks = array["shape"], array["chunks"]
    return math.prod(-(-n // chunk) for n, chunk in zip(shape, chunks, strict=True))


def _kind(array: Mapping[str, Any]) -> str:
    dtype = array["dtype"]
    return np.dtype(dtype).kind if isinstance(dtype, str) else "V"


def _mask(attribute: Any, kind: str) -> Any:
    """Return what ``_FillValue`` is as a fill value of format 2; floats are base64 in format 3."""
    if isinstance(attribute, list):  # a complex number
        return [_mask(part, kind) for part in attribute]
    if kind not in "fc" or not isinstance(attribute, str):
        return attribute
    (number,) = struct.unpack("<d", base64.standard_b64decode(attribute))
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else f"{'-' * (number < 0)}Infinity"


def _is_harmless(array: Mapping[str, Any], mask: Any) -> bool:
    """Whether a fill value masks no more than ``_FillValue`` does, and no less."""
    fill = array["fill_value"]
    if _kind(array) != "f":
        return bool(fill == mask)
    as_stored = np.dtype(array["dtype"]).type
    number = math.nan if mask is None else float(mask)  # where NaN is masked nothing changes
    return bool(np.array_equal(as_stored(float(fill)), as_stored(number), equal_nan=True))
