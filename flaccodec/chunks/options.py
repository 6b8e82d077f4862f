"""What shapes the bytes of a chunk: the configuration that all codecs share.

`Options` states each option once: its name, type, default, check and text. What a codec adds is
its signature, in which users and type checkers see the options;
tests/test_chunks/test_options.py compares.
"""

from __future__ import annotations

import inspect
import math
import numbers
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

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


def _check_integer(name: str, low: int, high: int, value: Any) -> int:
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


def _check_quanta(value: Any) -> float | None:
    if value is None:
        return None
    quanta = _as_float(value)
    if not math.isfinite(quanta) or quanta <= 0:
        raise QuantaError(f"quanta must be a positive finite number. Got {value!r}.")
    return quanta


def _check_precision(value: Any) -> int | float | None:
    if value is None:
        return None
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


# -- the options -----------------------------------------------------------------------


def option(
    default: Any,
    check: Callable[[Any], Any] | None = None,
    *,
    stored: bool = True,
    rare: bool = False,
) -> Any:
    """Make the field of an option.

    Parameters
    ----------
    default : object
        What it is if it is not given.
    check : callable, optional
        Returns the value to keep, or raises an error of ours.
    stored : bool
        Whether an array's metadata have it, and options that differ in it only are not equal.
    rare : bool
        Leave the default out of metadata and of `repr`: what is written without the option is
        then as it was before there was this option. All new ones are so.
    """
    return field(default=default, compare=stored, metadata={"check": check, "rare": rare})


@dataclass(frozen=True, repr=False, kw_only=True)
class Options:
    """The options of a codec as attributes, checked; what they mean, for all codecs.

    Parameters
    ----------
    level : int, default 5
        FLAC's level, 0 (fast) to 8 (small).
    quanta : float, optional
        For float32 and float64: values are rounded to multiples of this, in the units of
        the data, so that no sample is off by more than half of it. Writing what was read
        changes nothing more. Floats without quanta and precision are kept bit for bit.
    precision : int or float, optional
        For float32 and float64: quanta are each stream's RMS about its mean / 10**precision,
        as the flacarray package defines it. Writing what was read changes nothing more, unless
        the mean is very many quanta. New samples in a part of a chunk give their streams new
        quanta, by which their other samples are rounded again.
    frame_size : int, default 4096
        Samples of a FLAC frame, the least that is decoded for a slice; 16 to 65535.
    missing_value : float or sequence of float, optional
        For floats that are rounded to quanta: up to 7 numbers that mark missing samples, besides
        NaN and the fill value. They come back exactly, and have no part in the quanta, however
        large they are.
    strict : bool, default False
        Raise `QuantaTooFineError` for a finite sample that quanta cannot hold. By default it is
        stored exactly, with a `QuantaWarning`. This is not stored with an array: it holds for
        what this process writes.
    """

    level: int = option(core.DEFAULT_LEVEL, partial(_check_integer, "level", 0, core.MAX_LEVEL))
    quanta: float | None = option(None, _check_quanta)
    precision: int | float | None = option(None, _check_precision)
    frame_size: int = option(
        core.DEFAULT_FRAME_SIZE,
        partial(_check_integer, "frame_size", core.MIN_FRAME_SIZE, core.MAX_FRAME_SIZE),
    )
    missing_value: float | Sequence[float] | None = option(None, _check_missing, rare=True)
    strict: bool = option(False, stored=False, rare=True)

    def __post_init__(self) -> None:
        checks = {option.name: option.metadata["check"] for option in fields(self)}
        checked = {name: check(getattr(self, name)) for name, check in checks.items() if check}
        if self.quanta is not None and self.precision is not None:
            raise ConfigurationError(
                "give quanta or precision, not both. "
                f"Got quanta={self.quanta!r} and precision={self.precision!r}."
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)


_REFERENCE = "options\n    Those of `flaccodec.chunks.options.Options`.\n"
_ENTRY = r"((\w+) : .+\n(?: +.+\n)+)"

_Documented = TypeVar("_Documented", bound=Callable[..., Any])


def explains_options(*, but: Collection[str] = ()) -> Callable[[_Documented], _Documented]:
    """Put the texts of `Options` into a docstring, in place of its entry that refers to them.

    Parameters
    ----------
    but : collection of str
        Options that the docstring explains by itself. Others that a class or function takes, its
        signature says.
    """

    def explain(documented: _Documented) -> _Documented:
        if documented.__doc__ and Options.__doc__:  # not with python -OO
            taken = inspect.signature(documented).parameters.keys() - set(but)
            texts = re.findall(_ENTRY, inspect.cleandoc(Options.__doc__) + "\n")
            entries = "".join(text for text, name in texts if name in taken)
            documented.__doc__ = inspect.cleandoc(documented.__doc__).replace(_REFERENCE, entries)
        return documented

    return explain


@dataclass(frozen=True, repr=False, kw_only=True)
class CodecOptions(Options):
    """The options of a codec, checked, and what they do.

    Parameters
    ----------
    options
        Those of `Options`.

    Raises
    ------
    ConfigurationError
        A value is out of its range, or both quanta and precision are given.
    QuantaError
        Quanta are not a positive finite number.
    """

    @classmethod
    def among(cls, values: Mapping[str, Any]) -> Self:
        """Return the options among the arguments of a call, or the attributes of an object."""
        names = [option.name for option in fields(cls)]
        return cls(**{name: values[name] for name in names if name in values})

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
        """Return what is stored, as JSON has it: defaults too, but what is rare only if given."""
        return self._given(stored=True)

    def arguments(self) -> str:
        """Return the options as they are given to a codec; those that are rare only if given."""
        return ", ".join(f"{name}={value!r}" for name, value in self._given().items())

    def _given(self, *, stored: bool = False) -> dict[str, Any]:
        values = {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if (option.compare or not stored)
            and not (option.metadata["rare"] and getattr(self, option.name) == option.default)
        }
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    def __repr__(self) -> str:
        return f"CodecOptions({self.arguments()})"

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
