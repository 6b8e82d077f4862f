"""What marks missing samples, as the attributes of CF and netCDF say.

CF's ``missing_value`` may be one number or several; ``_FillValue`` is one. (``valid_min``,
``valid_max`` and ``valid_range`` say what is valid, and mark nothing.) Attributes have them as the
samples are stored, before ``scale_factor`` and ``add_offset``.
"""

from __future__ import annotations

import base64
import math
import numbers
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flaccodec.chunks.options import CodecOptions

FILL = "_FillValue"
ATTRIBUTES = ("missing_value", FILL)


def marks_named(attributes: Mapping[str, Any] | None) -> tuple[float, ...]:
    """Return the numbers that attributes say mark missing samples.

    Text and whatever else is no number is left out: it cannot be a sample.
    """
    attributes = attributes or {}
    values = _flat(attributes.get("missing_value"))
    values += [_of_xarray(v) if isinstance(v, str) else v for v in _flat(attributes.get(FILL))]
    found = [v for v in map(_finite, values) if v is not None]
    return tuple(dict.fromkeys(found))


def with_marks(
    options: CodecOptions, attributes: Mapping[str, Any] | None, fill_value: Any = None
) -> CodecOptions:
    """Return options that keep what attributes name, too, where quanta would round it.

    Parameters
    ----------
    options : CodecOptions
    attributes : mapping or None
        Of an array.
    fill_value : number, optional
        The array's, which is kept without being named.

    Raises
    ------
    ConfigurationError
        There are too many of them.
    """
    marks = marks_named(attributes) if options.has_quanta else ()
    marks = tuple(mark for mark in marks if mark != fill_value)
    return replace(options, missing_value=(*options.marks, *marks)) if marks else options


def _flat(value: Any) -> list[Any]:
    flat: list[Any] = np.ravel(np.asarray(value, dtype=object)).tolist()
    return flat


def _finite(value: Any) -> float | None:
    """Return a number as a float; None if it is none, or needs no mark, as NaN."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _of_xarray(text: str) -> float | None:
    """Return the fill value that xarray writes so to Zarr, where JSON would not have all floats."""
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return float(struct.unpack("<d", packed)[0]) if len(packed) == struct.calcsize("<d") else None
