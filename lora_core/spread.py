"""Strengths for the images of a batch, one for each, as a text that a person can type.

0, 0.25, 0.5, 1            one after the other
0..1 x 5                   five, evenly spaced, both ends among them
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, TypeAlias

from .curve import LARGEST_VALUE, NUMBER, number
from .errors import LoraInputError

Spread: TypeAlias = "tuple[Fraction, ...]"
"""A factor for each image of a batch."""

MOST_VALUES: Final = 4096

_VALUE: Final = re.compile(NUMBER, re.ASCII)
_RANGE: Final = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})\s*[x×*]\s*(\d{{1,4}})", re.ASCII)


def parse_spread(text: str) -> Spread:
    """The values written as ``text``; LoraInputError says what is wrong in it."""
    values: list[Fraction] = []
    for part in filter(None, map(str.strip, re.split(r"[,;\n]", text))):
        values += _part(part)
        if len(values) > MOST_VALUES:
            raise _refused(f"more than {MOST_VALUES} values", f"at most {MOST_VALUES}")
    if not values:
        raise _refused("nothing", 'values like "0, 0.5, 1" or "0..1 x 5"')
    return tuple(values)


def same_length(one: Spread, other: Spread) -> None:
    """Refuses two sets of values for batches of different sizes (LoraInputError)."""
    if len(one) != len(other):
        raise LoraInputError(
            f"one Spread LoRA has {len(one)} values, another {len(other)}: all of them are for "
            "the images of the same batch.",
            key="values",
            expected=f"{len(one)} values",
            found=f"{len(other)} values",
        )


def _part(text: str) -> list[Fraction]:
    if found := _RANGE.fullmatch(text):
        return _range(_number(found[1]), _number(found[2]), int(found[3]))
    if not _VALUE.fullmatch(text):
        raise _refused(repr(text[:30]), 'numbers, or ranges like "0..1 x 5"')
    return [_number(text)]


def _range(first: Fraction, last: Fraction, count: int) -> list[Fraction]:
    if count < 2:
        raise _refused(f"a range of {count}", "a range of at least 2 values")
    return [first + (last - first) * index / (count - 1) for index in range(count)]


def _number(text: str) -> Fraction:
    value = number(text)
    if abs(value) > LARGEST_VALUE:
        raise _refused(text, f"values of at most {LARGEST_VALUE}")
    return value


def _refused(found: str, expected: str) -> LoraInputError:
    return LoraInputError(
        f"values: found {found}; expected {expected}.", key="values", expected=expected, found=found
    )
