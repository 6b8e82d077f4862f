"""All calls of the C library.

Arrays and bytes go in and out without copies; error codes become exceptions
here and nowhere else. A chunk holds *streams*, runs along the last axis of an
array; ``docs/format.md`` has its bytes.
"""

from flaccodec.core.decode import check_streams, decode_chunk, decode_spans
from flaccodec.core.dtypes import (
    DEFAULT_FRAME_SIZE,
    DEFAULT_LEVEL,
    FORMAT_VERSION,
    FRAME_SIZE_MASK,
    HEADER_SIZE,
    MAX_FRAME_SIZE,
    MAX_LEVEL,
    MAX_MARKS,
    MIN_FRAME_SIZE,
    SPAN_DTYPE,
    STREAM_HEADER_SIZE,
    Buffer,
    QuantaRule,
    check_dtype,
    stream_shape,
)
from flaccodec.core.encode import encode_chunk, warn_of_quanta
from flaccodec.core.header import (
    ChunkHeader,
    check_chunk,
    check_expected,
    check_head,
    check_length,
    head_bound,
    read_header,
    stream_tables,
)
from flaccodec.core.streams import (
    SMALLEST_STREAM,
    crc32c,
    decode_streams,
    gather_streams,
    most_samples,
)

__all__ = [
    "DEFAULT_FRAME_SIZE",
    "DEFAULT_LEVEL",
    "FORMAT_VERSION",
    "FRAME_SIZE_MASK",
    "HEADER_SIZE",
    "MAX_FRAME_SIZE",
    "MAX_LEVEL",
    "MAX_MARKS",
    "MIN_FRAME_SIZE",
    "SMALLEST_STREAM",
    "SPAN_DTYPE",
    "STREAM_HEADER_SIZE",
    "Buffer",
    "ChunkHeader",
    "QuantaRule",
    "check_chunk",
    "check_dtype",
    "check_expected",
    "check_head",
    "check_length",
    "check_streams",
    "crc32c",
    "decode_chunk",
    "decode_spans",
    "decode_streams",
    "encode_chunk",
    "gather_streams",
    "head_bound",
    "most_samples",
    "read_header",
    "stream_shape",
    "stream_tables",
    "warn_of_quanta",
]
