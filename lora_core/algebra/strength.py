"""Strengths as exact decimals, so that the laws of the algebra hold to the last bit."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from numbers import Real
from typing import Final

from ..errors import LoraInputError
from ..strict_json import Json

LARGEST_STRENGTH: Final = 10**30
MOST_DIGITS: Final = 1000
"""Digits that an exact strength may have; a longer one becomes the nearest floating point number."""

LARGEST_TYPED: Final = 100
"""The largest strength that people can write into rows and tags."""

NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)

FRACTION: Final = re.compile(r"-?[0-9]{1,1000}/[1-9][0-9]{0,999}")
"""How an exact strength is written if no floating point number equals it."""


def exact_strength(value: object, name: str = "strength") -> Fraction:
    """Returns the decimal that a person meant by ``value``: 0.1 is one tenth, not the nearest
    binary number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _not_finite(value, name)
    try:
        number = float(value)
    except OverflowError:
        raise _too_large(name) from None
    if not math.isfinite(number):
        raise _not_finite(value, name)
    return Fraction(repr(number))


def typed_strength(value: object, name: str = "strength") -> Fraction:
    """Returns the strength that a number, or text of a number, means; from -100 to 100."""
    number = float(value) if isinstance(value, str) and NUMBER.fullmatch(value.strip()) else value
    try:
        exact = exact_strength(number, name)
    except LoraInputError as error:
        raise _not_typed(value, name) from error
    if abs(exact) > LARGEST_TYPED:
        raise _not_typed(value, name)
    return exact


def _not_typed(value: object, name: str) -> LoraInputError:
    expected = f"a number from {-LARGEST_TYPED} to {LARGEST_TYPED}"
    found = repr(value)[:40]
    return LoraInputError(
        f"{name} must be {expected}, not {found}", key=name, expected=expected, found=found
    )


def _not_finite(value: object, name: str) -> LoraInputError:
    return LoraInputError(
        f"{name} must be a finite number, not {value!r}",
        key=name,
        expected="a finite number",
        found=repr(value),
    )


def _too_large(name: str) -> LoraInputError:
    return LoraInputError(
        f"{name} is too large: expected at most {LARGEST_STRENGTH:.0e}",
        key=name,
        expected=f"at most {LARGEST_STRENGTH:.0e}",
        found="a larger number",
    )


def bounded(strength: Fraction) -> Fraction:
    """Returns ``strength`` with no more digits than are worth keeping."""
    if abs(strength) > LARGEST_STRENGTH:
        raise _too_large("strength")
    if max(abs(strength.numerator), strength.denominator) >= 10**MOST_DIGITS:
        return Fraction(repr(float(strength)))
    return strength


def written(strength: Fraction) -> float | str:
    """Returns a plain number if it is exact, otherwise a fraction as text."""
    number = float(strength)
    return number if Fraction(repr(number)) == strength else str(strength)


def read_strength(entry: dict[str, Json], key: str) -> Fraction:
    """Reads the strength written as ``key``; LoraInputError if it is not one."""
    value = entry.get(key)
    if not isinstance(value, str):
        return exact_strength(value, key)
    if not FRACTION.fullmatch(value):
        raise _not_finite(value[:40], key)
    return Fraction(value)
