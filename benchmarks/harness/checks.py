"""Checks that contestants give back the samples they were given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from benchmarks.data.cases import Case
    from benchmarks.data.signals import Array


class WrongDataError(Exception):
    """A contestant did not give back what it was given."""


class Coder(Protocol):
    """What a check must know of a contestant.

    Attributes
    ----------
    takes_quanta : bool
        Whether it quantizes floats itself. Others are given rounded data.
    allowed_spacings : float
        Rounding of a quantized sample that is allowed beyond quanta / 2, in units of the
        spacing of the stream's largest value.
    """

    @property
    def name(self) -> str: ...

    @property
    def takes_quanta(self) -> bool: ...

    @property
    def allowed_spacings(self) -> float: ...


def given(case: Case, coder: Coder) -> Array:
    """Return the array that a contestant is given."""
    return case.array if coder.takes_quanta else case.rounded


def largest_error(case: Case, coder: Coder, decoded: Array) -> float:
    """Return the largest error against what was given, after checking that it is allowed.

    Raises
    ------
    WrongDataError
        If it is not: lossless contestants must give every bit back, others must be within
        quanta / 2 plus rounding.
    """
    expected = given(case, coder)
    if (decoded.shape, decoded.dtype) != (expected.shape, expected.dtype):
        raise WrongDataError(
            f"{coder.name} on {case.name}: expected shape {expected.shape} and dtype "
            f"{expected.dtype}. Got {decoded.shape} and {decoded.dtype}."
        )
    if not (case.is_quantized and coder.takes_quanta):
        if decoded.tobytes() != expected.tobytes():  # == takes -0.0 for 0.0
            raise WrongDataError(f"{coder.name} on {case.name}: samples differ")
        return 0.0
    errors = np.abs(decoded.astype(np.float64) - expected).max(axis=-1, keepdims=True)
    spacing = np.spacing(np.abs(expected).max(axis=-1, keepdims=True))
    # Quanta of a precision follow from an RMS that each contestant computes in its own way.
    allowed = case.stream_quanta / 2 * (1 + 1e-6) + coder.allowed_spacings * spacing
    if not (errors <= allowed).all():
        raise WrongDataError(
            f"{coder.name} on {case.name}: expected errors of at most "
            f"{allowed.max():g}. Got {errors.max():g}."
        )
    return float(errors.max())
