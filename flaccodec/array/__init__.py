"""`FlacArray`, compressed arrays in memory."""

from flaccodec.array.flacarray import FlacArray

__all__ = ["FlacArray"]
