"""Strengths for the images of a batch, one for each, written as text that a person can type.

0, 0.25, 0.5, 1            one after the other
0..1 x 5                   five evenly spaced values, both ends included
0..1                       the same for as many images as there are
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import ClassVar, Final, TypeAlias

from ..errors import LoraInputError
from ..naming import Layer
from ..strict_json import Json
from .curve import LARGEST_VALUE, NUMBER, number
from .json_fields import list_of, objects_of
from .modifier import Axis, Modifier, Moment
from .strength import bounded, read_strength, written

Values: TypeAlias = "tuple[Fraction, ...]"
"""One factor for each image; the batch must have as many images."""

MOST_VALUES: Final = 4096

_VALUE: Final = re.compile(NUMBER, re.ASCII)
_RANGE: Final = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})(?:\s*[x×*]\s*(\d{{1,4}}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Factors for a batch of any size, evenly spaced from ``first`` to ``last``."""

    first: Fraction
    last: Fraction

    @property
    def constant(self) -> Fraction | None:
        """The factor, if it is the same for all images of any batch."""
        return self.first if self.first == self.last else None

    def over(self, images: int) -> Values:
        """Returns the factors for a batch of ``images``, both ends included.

        A single image gets the last value, so that ``0..1`` is the plain LoRA there.
        """
        if images == 1:
            return (self.last,)
        step = (self.last - self.first) / (images - 1)
        return tuple(self.first + step * index for index in range(images))

    def __str__(self) -> str:
        return f"spread over all images, {float(self.first):g} to {float(self.last):g}"


@dataclass(frozen=True, slots=True, order=True)
class Spread(Modifier):
    """A factor for each image of a batch.

    Attributes:
        values: One factor for each image of a batch of that size; empty if the spread fits any
            batch.
        ranges: Factors over a batch of any size, sorted. If there are values, they say the size,
            and the ranges are multiplied into them.
    """

    axes: ClassVar[frozenset[Axis]] = frozenset(("image",))

    values: Values = ()
    ranges: tuple[Range, ...] = ()

    def __post_init__(self) -> None:
        if self.values and self.ranges:
            over = (each.over(len(self.values)) for each in self.ranges)
            object.__setattr__(self, "values", reduce(_product, over, self.values))
            object.__setattr__(self, "ranges", ())
        object.__setattr__(self, "ranges", tuple(sorted(self.ranges)))

    @property
    def images(self) -> int | None:
        return len(self.values) or None

    @property
    def constant(self) -> Fraction | None:
        ends = [each.constant for each in self.ranges]
        if self.values or None in ends:
            return None
        return math.prod((end for end in ends if end is not None), start=Fraction(1))

    @property
    def json_version(self) -> int:
        return 3 if self.ranges else 2

    @property
    def words(self) -> str:
        if not self.values:
            return ", ".join(map(str, self.ranges))
        low, high = float(min(self.values)), float(max(self.values))
        return f"spread over {len(self.values)} images, {low:g} to {high:g}"

    def over(self, images: int) -> Values:
        """Returns the factor for each image of a batch of ``images``."""
        return self.values or reduce(_product, (each.over(images) for each in self.ranges))

    def factors(self, moment: Moment, layer: Layer | None) -> tuple[float, ...]:
        """Returns the factor for each image of the batch."""
        return tuple(map(float, self.over(moment.images)))

    def max_abs(self, layer: Layer | None = None) -> float:
        """Returns the largest magnitude of the factor for any image."""
        ends = [float(max(abs(each.first), abs(each.last))) for each in self.ranges]
        return math.prod(ends) * float(max(map(abs, self.values), default=Fraction(1)))

    def times(self, other: Modifier) -> Spread | None:
        """Returns the product of both for every image; LoraInputError if they are for different
        batches."""
        if not isinstance(other, Spread):
            return None
        ranges = self.ranges + other.ranges
        if not (self.values and other.values):
            return Spread(self.values or other.values, ranges)
        same_length(len(self.values), len(other.values))
        return Spread(_product(self.values, other.values), ranges)

    def to_json(self) -> dict[str, list[Json]]:
        if self.values:
            return {"spread": [written(value) for value in self.values]}
        ends = [(written(each.first), written(each.last)) for each in self.ranges]
        return {"ranges": [{"first": first, "last": last} for first, last in ends]}

    @classmethod
    def from_json(cls, entry: dict[str, Json]) -> list[Spread]:
        values = tuple(
            bounded(read_strength({"spread": value}, "spread"))
            for value in list_of(entry, "spread")
        )
        ranges = [cls(ranges=(_read(each),)) for each in objects_of(entry, "ranges")]
        return [*([cls(values)] if values else []), *ranges]


def parse_spread(text: str) -> Spread:
    """Reads a spread from ``text``, which may be a range without a number; LoraInputError says what
    is wrong in it."""
    found = _RANGE.fullmatch(text.strip())
    if found and not found[3]:
        return Spread(ranges=(Range(_number(found[1]), _number(found[2])),))
    return Spread(parse_list(text))


def parse_list(text: str) -> Values:
    """Reads the values written as ``text``; LoraInputError says what is wrong in it."""
    values: list[Fraction] = []
    for part in filter(None, map(str.strip, re.split(r"[,;\n]", text))):
        values += _part(part)
        if len(values) > MOST_VALUES:
            raise _refused(f"more than {MOST_VALUES} values", f"at most {MOST_VALUES}")
    if not values:
        raise _refused("nothing", 'values like "0, 0.5, 1" or "0..1 x 5"')
    return tuple(values)


def same_length(one: int, other: int) -> None:
    """Refuses values for two batches of different sizes (LoraInputError)."""
    if one != other:
        raise LoraInputError(
            f"one Spread LoRA has {one} values, another {other}: each needs one value for "
            "each image of the same batch.",
            key="values",
            expected=f"{one} values",
            found=f"{other} values",
        )


def _product(one: Values, other: Values) -> Values:
    return tuple(bounded(a * b) for a, b in zip(one, other, strict=True))


def _read(entry: dict[str, Json]) -> Range:
    return Range(*(bounded(read_strength(entry, key)) for key in ("first", "last")))


def _part(text: str) -> list[Fraction]:
    if found := _RANGE.fullmatch(text):
        return _range(text, Range(_number(found[1]), _number(found[2])), found[3])
    if not _VALUE.fullmatch(text):
        raise _refused(repr(text[:30]), 'numbers, or ranges like "0..1 x 5"')
    return [_number(text)]


def _range(text: str, values: Range, count: str | None) -> list[Fraction]:
    if count is None:
        raise _refused(repr(text[:30]), f"a count, like {repr(text[:30])[:-1]} x 5'")
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
