"""How much of a group's declared data is stored, as far as that can be told without reading it.

A dataset may declare any length and store nothing: readers get its fill value. What a group
declares is compared with what it stores before anything of that size is allocated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from flaccodec import core
from flaccodec.exceptions import CorruptGroupError
from flaccodec.groups.layout import COMPRESSED, STREAM_SIZE, STREAM_STARTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SMALL = 2**22
"""Bytes that may be declared without a look at what is stored, which costs Zarr requests."""


def check_number(starts: Any, stored: int) -> None:
    """Check that there may be as many streams as a dataset of their starts has elements.

    Raises
    ------
    CorruptGroupError
        The compressed bytes that are stored cannot hold so many.
    """
    count = math.prod(map(int, starts.shape))
    most = stored // core.SMALLEST_STREAM
    if count > max(most, 1):
        raise CorruptGroupError(
            f"{STREAM_STARTS} declares {count:,} streams, of at least {core.SMALLEST_STREAM} bytes "
            f"each. Got {stored:,} bytes of {COMPRESSED} that are stored."
        )


def check_sizes(nbytes: npt.NDArray[np.int64], stream_size: int, stored: int) -> None:
    """Check that streams of these sizes are stored, and can have as many samples as declared.

    Raises
    ------
    CorruptGroupError
        They are not, or cannot.
    """
    if not nbytes.size:
        return
    total = int(nbytes.sum(dtype=float))
    if total > stored:
        raise CorruptGroupError(
            f"streams of {total:,} bytes must be stored. Got {stored:,} bytes of {COMPRESSED} "
            "that are; the rest was never written, or its chunks are lost."
        )
    smallest = int(nbytes.min())
    most = core.most_samples(smallest)
    if stream_size > most:
        raise CorruptGroupError(
            f"{STREAM_SIZE} must be at most {most:,}, since a stream has {smallest:,} bytes. "
            f"Got {stream_size:,}."
        )
