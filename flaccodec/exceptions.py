"""What flaccodec raises.

Every class is a ``ValueError``, so that code which knows nothing of flaccodec
catches them as it would numpy's. Out of memory stays ``MemoryError``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class FlacCodecError(ValueError):
    """The root of the tree."""

    def __str__(self) -> str:
        """Return the message, which can be printed whatever the names in it."""
        return printable(super().__str__())


class ConfigurationError(FlacCodecError):
    """An option has a value that it cannot have, or options contradict."""


class UnsupportedDtypeError(FlacCodecError):
    """FLAC cannot hold arrays of this dtype; the message says what could."""


class EmptyArrayError(FlacCodecError):
    """An array without samples cannot be encoded."""


class ChunkTooLargeError(FlacCodecError):
    """The array has more streams, samples or frames than a chunk can hold."""


class QuantaError(FlacCodecError):
    """Quanta are not positive and finite."""


class QuantaTooFineError(QuantaError):
    """A sample is 2**63 quanta or more from zero, and `strict` is asked for.

    Attributes
    ----------
    stream, sample : int
        Where the sample is.
    smallest : float
        The smallest quanta that would do, in the units of the data.
    """

    def __init__(self, message: str, stream: int, sample: int, smallest: float) -> None:
        super().__init__(message)
        self.stream = stream
        self.sample = sample
        self.smallest = smallest

    def __reduce__(self) -> tuple[type, tuple[str, int, int, float]]:
        return type(self), (self.args[0], self.stream, self.sample, self.smallest)


class QuantaWarning(UserWarning):
    """Quanta are too fine for some samples, which are stored exactly.

    Nothing is lost, but it takes bytes: these samples are kept beside the FLAC streams or, where
    they are many, the whole chunk is stored without loss.

    Attributes
    ----------
    stream, sample : int
        Where the sample is that needs the coarsest quanta.
    smallest : float
        The smallest quanta that would do, in the units of the data.
    is_lossless : bool
        Whether the whole chunk is stored without loss.
    """

    def __init__(
        self, message: str, stream: int, sample: int, smallest: float, is_lossless: bool
    ) -> None:
        super().__init__(message)
        self.stream = stream
        self.sample = sample
        self.smallest = smallest
        self.is_lossless = is_lossless

    def __reduce__(self) -> tuple[type, tuple[str, int, int, float, bool]]:
        return type(self), (self.args[0], self.stream, self.sample, self.smallest, self.is_lossless)


class ChunkMismatchError(FlacCodecError):
    """A chunk is sound, but not of the dtype or shape that its reader wants."""


class CorruptChunkError(FlacCodecError):
    """A chunk's bytes are not as they were written."""


class TruncatedChunkError(CorruptChunkError):
    """A chunk is cut short."""


class NotAChunkError(CorruptChunkError):
    """These bytes do not begin as a chunk does."""


class UnknownVersionError(CorruptChunkError):
    """A chunk of a format version, dtype or mode, or with a header bit, that is not known here."""


class ChecksumError(CorruptChunkError):
    """A part of a chunk does not match its checksum."""


class FrameError(CorruptChunkError):
    """A FLAC frame is damaged.

    Attributes
    ----------
    stream, frame : int
        Which one, from 0.
    """

    def __init__(self, message: str, stream: int, frame: int) -> None:
        super().__init__(message)
        self.stream = stream
        self.frame = frame

    def __reduce__(self) -> tuple[type, tuple[str, int, int]]:
        return type(self), (self.args[0], self.stream, self.frame)


class CorruptStreamError(FlacCodecError):
    """A FLAC stream is damaged, or not of the size and place that was declared.

    Attributes
    ----------
    stream : int or None
        Which one, from 0.
    frame : int or None
        The first of its frames that could not be decoded, from 0; None where no frame is
        to blame, or its number cannot be told.
    """

    def __init__(self, message: str, stream: int | None = None, frame: int | None = None) -> None:
        super().__init__(message)
        self.stream = stream
        self.frame = frame

    def __reduce__(self) -> tuple[type, tuple[str, int | None, int | None]]:
        return type(self), (self.args[0], self.stream, self.frame)


class EncoderError(FlacCodecError):
    """libFLAC's encoder failed, or was called in a way that it cannot be."""


class GroupError(FlacCodecError):
    """A group cannot be read or written as one of flacarray's layout."""


class NoGroupError(GroupError):
    """A group holds no flacarray data."""


class UnknownGroupVersionError(GroupError):
    """A group of a format version that is not known here."""


class CorruptGroupError(GroupError):
    """A group lacks datasets or attributes of its format, or they contradict each other."""


class GroupExistsError(GroupError):
    """A group already holds datasets where new ones should go."""


class RankError(FlacCodecError):
    """Something else than an error of flaccodec went wrong on an MPI rank.

    The message has the rank, and what was raised there; on that rank it is the cause.
    """


def printable(text: str) -> str:
    r"""Return text with bytes of names that are not UTF-8 written out, such as ``\xe4``.

    Python keeps such bytes as lone surrogates, which no terminal and no log file takes.
    """
    try:
        return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode(errors="backslashreplace").decode()


def add_place(error: FlacCodecError, place: str) -> None:
    """Have an error's message say where it happened; its other arguments stay."""
    message, *rest = error.args
    error.args = (f"{place}: {message}", *rest)


@contextlib.contextmanager
def located(place: str) -> Iterator[None]:
    """Have what is raised inside say where it happened, such as in which chunk."""
    try:
        yield
    except FlacCodecError as error:
        add_place(error, place)
        raise
