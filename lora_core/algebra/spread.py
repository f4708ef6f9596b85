"""Strengths for the images of a batch, one for each, as a text that a person can type.

0, 0.25, 0.5, 1            one after the other
0..1 x 5                   five, evenly spaced, both ends among them
0..1                       the same for as many images as there are
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from ..errors import LoraInputError
from .curve import LARGEST_VALUE, NUMBER, number

Values: TypeAlias = "tuple[Fraction, ...]"
"""A factor for each image of a batch of that size."""

MOST_VALUES: Final = 4096

_VALUE: Final = re.compile(NUMBER, re.ASCII)
_RANGE: Final = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})(?:\s*[x×*]\s*(\d{{1,4}}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Factors for a batch of any size, evenly from ``first`` to ``last``."""

    first: Fraction
    last: Fraction

    @property
    def constant(self) -> Fraction | None:
        """The factor, if it is the same for all images of any batch."""
        return self.first if self.first == self.last else None

    def over(self, images: int) -> Values:
        """Both ends are among them; a single image gets the last, so ``0..1`` is the plain LoRA there."""
        if images == 1:
            return (self.last,)
        step = (self.last - self.first) / (images - 1)
        return tuple(self.first + step * index for index in range(images))

    def __str__(self) -> str:
        return f"spread over all images, {float(self.first):g} to {float(self.last):g}"


Spread: TypeAlias = "Values | Range"


def parse_spread(text: str) -> Spread:
    """What is written as ``text``, a range without a number alone; LoraInputError says what is wrong in it."""
    found = _RANGE.fullmatch(text.strip())
    if found and not found[3]:
        return Range(_number(found[1]), _number(found[2]))
    return parse_list(text)


def parse_list(text: str) -> Values:
    """The values written as ``text``, as many as there are; LoraInputError says what is wrong in it."""
    values: list[Fraction] = []
    for part in filter(None, map(str.strip, re.split(r"[,;\n]", text))):
        values += _part(part)
        if len(values) > MOST_VALUES:
            raise _refused(f"more than {MOST_VALUES} values", f"at most {MOST_VALUES}")
    if not values:
        raise _refused("nothing", 'values like "0, 0.5, 1" or "0..1 x 5"')
    return tuple(values)


def same_length(one: Values, other: Values) -> None:
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
        return _range(text, Range(_number(found[1]), _number(found[2])), found[3])
    if not _VALUE.fullmatch(text):
        raise _refused(repr(text[:30]), 'numbers, or ranges like "0..1 x 5"')
    return [_number(text)]


def _range(text: str, values: Range, count: str | None) -> list[Fraction]:
    if count is None:
        raise _refused(repr(text[:30]), f"how many there are, like {repr(text[:30])[:-1]} x 5'")
    if int(count) < 2:
        raise _refused(f"a range of {int(count)}", "a range of at least 2 values")
    return [*values.over(int(count))]


def _number(text: str) -> Fraction:
    value = number(text)
    if abs(value) > LARGEST_VALUE:
        raise _refused(text, f"values of at most {LARGEST_VALUE}")
    return value


def _refused(found: str, expected: str) -> LoraInputError:
    return LoraInputError(
        f"values: found {found}; expected {expected}.", key="values", expected=expected, found=found
    )
