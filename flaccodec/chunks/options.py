"""What shapes the bytes of a chunk: the configuration that all codecs share."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from flaccodec import core
from flaccodec.exceptions import (
    ConfigurationError,
    FlacCodecError,
    QuantaError,
    add_place,
)
from flaccodec.samples import quanta_warnings
from flaccodec.samples.quanta import MAX_PRECISION

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt


MOST_MISSING = 7
"""Numbers that mark missing samples, besides the fill value: as many as HDF5's filter takes."""


def _check_integer(name: str, value: Any, low: int, high: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise ConfigurationError(f"{name} must be an integer from {low} to {high}. Got {value!r}.")
    return number


def _of_json(value: Any) -> Any:
    """Return a number as Python has it: JSON knows one kind, and 5.0 is an integer there."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_float(value: Any) -> float:
    """Return a number as a float, NaN where it is none or too large for one."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _check_quanta(value: Any) -> float:
    quanta = _as_float(value)
    if not math.isfinite(quanta) or quanta <= 0:
        raise QuantaError(f"quanta must be a positive finite number. Got {value!r}.")
    return quanta


def _check_precision(value: Any) -> int | float:
    number = _as_float(value)
    if not abs(number) <= MAX_PRECISION:  # nor where it is NaN
        raise ConfigurationError(
            f"precision must be a number of decimal digits from -{MAX_PRECISION} to "
            f"{MAX_PRECISION}. Got {value!r}."
        )
    return int(number) if number.is_integer() else number


def _check_missing(value: Any) -> float | tuple[float, ...] | None:
    """Return the numbers that mark missing samples, each once; NaN and infinities need no mark."""
    if value is None:
        return None
    values = value.tolist() if isinstance(value, np.ndarray) else value
    listed = list(values) if isinstance(values, list | tuple) else [values]
    marks = []
    for item in listed:
        if not isinstance(item, numbers.Real) or isinstance(item, bool | np.bool_):
            raise ConfigurationError(
                f"missing_value must be a number, or a list of numbers. Got {value!r}."
            )
        mark = _as_float(item)
        if math.isfinite(mark) and mark not in marks:
            marks.append(mark)
    if len(marks) > MOST_MISSING:
        raise ConfigurationError(
            f"missing_value must be at most {MOST_MISSING} numbers. Got {len(marks)}: {value!r}."
        )
    return tuple(marks) if len(marks) > 1 else (marks[0] if marks else None)


@dataclass(frozen=True, repr=False)
class CodecOptions:
    """The options of a codec, checked.

    Parameters
    ----------
    level : int
        FLAC's level, 0 (fast) to 8 (small).
    quanta : float, optional
        For floats: the largest error allowed is half of this, in the units of the data.
    precision : int or float, optional
        For floats: decimal digits of each stream's RMS to keep.
    frame_size : int
        Samples of a FLAC frame, 16 to 65535.
    missing_value : float or sequence of float, optional
        For floats: numbers that mark missing samples, `MOST_MISSING` at most. With quanta or
        precision they come back exactly, and have no part in the quanta.
    strict : bool
        Refuse finite samples that quanta cannot hold, instead of storing them exactly with a
        warning. A matter of this process: it is not stored with an array.

    Raises
    ------
    ConfigurationError
        A value is out of its range, or both quanta and precision are given.
    QuantaError
        Quanta are not a positive finite number.
    """

    level: int = core.DEFAULT_LEVEL
    quanta: float | None = None
    precision: int | float | None = None
    frame_size: int = core.DEFAULT_FRAME_SIZE
    missing_value: float | Sequence[float] | None = None
    strict: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        checked = {
            "level": _check_integer("level", self.level, 0, core.MAX_LEVEL),
            "quanta": None if self.quanta is None else _check_quanta(self.quanta),
            "precision": None if self.precision is None else _check_precision(self.precision),
            "frame_size": _check_integer(
                "frame_size", self.frame_size, core.MIN_FRAME_SIZE, core.MAX_FRAME_SIZE
            ),
            "missing_value": _check_missing(self.missing_value),
        }
        if self.quanta is not None and self.precision is not None:
            raise ConfigurationError(
                "give quanta or precision, not both. "
                f"Got quanta={self.quanta!r} and precision={self.precision!r}."
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_json(cls, configuration: Any, what: str) -> Self:
        """Make options of what JSON says of a codec, by whatever writer.

        Parameters
        ----------
        configuration : mapping or None
            Options that are left out have their defaults.
        what : str
            What to call it in messages.

        Raises
        ------
        ConfigurationError
            It is no mapping, has options that are not known here, or values that they cannot have.
        """
        if configuration is None:
            configuration = {}
        if not isinstance(configuration, Mapping):
            raise ConfigurationError(f"{what} must be an object of options. Got {configuration!r}.")
        known = [option.name for option in fields(cls) if option.compare]
        unknown = sorted(str(name) for name in configuration if name not in known)
        if unknown:
            raise ConfigurationError(
                f"{what} may have {', '.join(known)}. "
                f"Got {', '.join(map(repr, unknown))}; a later flaccodec may know it."
            )
        try:
            return cls(**{name: _of_json(value) for name, value in configuration.items()})
        except FlacCodecError as error:
            add_place(error, what)
            raise

    def to_dict(self) -> dict[str, Any]:
        """Return the options that are stored, defaults too, as JSON has them.

        `missing_value` is there only if it was given.
        """
        stored = {option.name: getattr(self, option.name) for option in fields(self)}
        del stored["strict"]
        if self.missing_value is None:
            del stored["missing_value"]
        elif isinstance(self.missing_value, tuple):
            stored["missing_value"] = list(self.missing_value)
        return stored

    def __repr__(self) -> str:
        return f"CodecOptions({self.arguments()})"

    def arguments(self) -> str:
        """Return the options as they are given to a codec; those that are rare only if given."""
        given = self.to_dict() | ({"strict": True} if self.strict else {})
        return ", ".join(f"{name}={value!r}" for name, value in given.items())

    @property
    def marks(self) -> tuple[float, ...]:
        """The numbers of `missing_value`."""
        given = self.missing_value
        return () if given is None else (given,) if isinstance(given, float) else tuple(given)

    @property
    def has_quanta(self) -> bool:
        """Whether floats lose something."""
        return self.quanta is not None or self.precision is not None

    def check_dtype(self, dtype: npt.DTypeLike) -> np.dtype[Any]:
        """Check that arrays of a dtype can be encoded with these options.

        Raises
        ------
        UnsupportedDtypeError
            FLAC cannot hold the dtype.
        ConfigurationError
            Quanta or precision are given for integers.
        """
        checked = core.check_dtype(dtype)
        if checked.kind != "f":
            for name in ("quanta", "precision"):
                if getattr(self, name) is not None:
                    raise ConfigurationError(
                        f"{name} is for float32 and float64; integers are stored exactly. "
                        f"Got dtype {checked} and {name}={getattr(self, name)!r}: leave it "
                        "out, or, if the data are floats, do not give the array an integer dtype."
                    )
        return checked

    def encode(
        self,
        array: npt.NDArray[Any],
        *,
        fill_value: Any = None,
        keep_byte_order: bool = False,
        num_threads: int = 1,
    ) -> npt.NDArray[np.uint8]:
        """Encode an array as one chunk; see `core.encode_chunk`."""
        self.check_dtype(array.dtype)
        rule, parameters = core.QuantaRule.NONE, None
        if self.quanta is not None:
            rule, parameters = core.QuantaRule.GIVEN, self.quanta
        elif self.precision is not None:
            rule, parameters = core.QuantaRule.PRECISION, self.precision
        return core.encode_chunk(
            array,
            level=self.level,
            frame_size=self.frame_size,
            rule=rule,
            parameters=parameters,
            fill_value=fill_value,
            marks=self.marks,
            strict=self.strict,
            warn=quanta_warnings.warn,
            keep_byte_order=keep_byte_order,
            num_threads=num_threads,
        )


def check_level(level: int) -> int:
    """Check a level of FLAC's encoders.

    Raises
    ------
    ConfigurationError
        Where it is none.
    """
    number = operator.index(level)
    if not 0 <= number <= core.MAX_LEVEL:
        raise ConfigurationError(f"level must be from 0 to {core.MAX_LEVEL}. Got {level}.")
    return number
