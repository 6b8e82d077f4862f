"""kerchunk's references keep the codec of FLAC chunks.

They are Zarr of format 2, for which VirtualiZarr leaves out all codecs from arrays to bytes: it
takes them for codecs that only order bytes. Without FLAC the chunks would be read as samples.
"""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from virtualizarr.writers import kerchunk

from flaccodec.numcodecs import Flac
from flaccodec.zarr_codec import FlacCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

    Conversion = Callable[..., ArrayV2Metadata]

_CONVERSION = "convert_v3_to_v2_metadata"
"""What VirtualiZarr's writer calls for the metadata of each array."""


def teach_writer() -> None:
    """Have VirtualiZarr write FLAC as the compressor that it is in format 2."""
    convert = getattr(kerchunk, _CONVERSION, None)
    if convert is not None:  # a later one may write format 3, which keeps all codecs
        setattr(kerchunk, _CONVERSION, _with_flac(convert))


def _with_flac(convert: Conversion) -> Conversion:
    @wraps(convert)
    def converted(v3_metadata: ArrayV3Metadata, *args: Any, **kwargs: Any) -> ArrayV2Metadata:
        metadata = convert(v3_metadata, *args, **kwargs)
        for codec in v3_metadata.codecs:
            if isinstance(codec, FlacCodec):
                return replace(metadata, compressor=Flac(**codec.options.to_dict()))
        return metadata

    return converted
