"""Courses: what a strength does over the steps of sampling and the images of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

from .curve import Curve
from .spread import Range, Values, same_length
from .strength import bounded


@dataclass(frozen=True, slots=True, order=True)
class Course:
    """A product of factors on a strength; the empty one is 1 always and everywhere.

    Attributes:
        curves: Factors over progress, sorted.
        spread: A factor for each image of the batch; empty if all images are alike.
        ranges: Factors over the images of a batch of any size, sorted. A spread says the size, so that
            they are multiplied into it.

    Raises:
        LoraInputError: Two spreads that are multiplied differ in length.
    """

    curves: tuple[Curve, ...] = ()
    spread: Values = ()
    ranges: tuple[Range, ...] = ()

    def __post_init__(self) -> None:
        if self.spread and self.ranges:
            over = (each.over(len(self.spread)) for each in self.ranges)
            object.__setattr__(self, "spread", reduce(_product, over, self.spread))
            object.__setattr__(self, "ranges", ())

    def __bool__(self) -> bool:
        return bool(self.curves or self.spread or self.ranges)

    def times(self, other: Course) -> Course:
        """The product of both, at every step and for every image."""
        curves = tuple(sorted(self.curves + other.curves))
        ranges = tuple(sorted(self.ranges + other.ranges))
        if not (self.spread and other.spread):
            return Course(curves, self.spread or other.spread, ranges)
        same_length(self.spread, other.spread)
        return Course(curves, _product(self.spread, other.spread), ranges)

    def at(self, progress: float, images: int = 1) -> tuple[float, ...]:
        """The factor for each image, or a single one for all of them.

        Args:
            progress: From 0 to 1, as ComfyUI counts it: by the noise that is left.
            images: How many there are, where ``spread`` does not say it.
        """
        factor = math.prod(curve.at(progress) for curve in self.curves)
        return tuple(factor * float(value) for value in self._over(images))

    def _over(self, images: int) -> Values:
        if not self.ranges:
            return self.spread or (Fraction(1),)
        return reduce(_product, (each.over(images) for each in self.ranges))

    def most(self) -> float:
        """The greatest factor at any step and for any image, without its sign."""
        factors = [curve.most() for curve in self.curves]
        factors += [float(max(abs(each.first), abs(each.last))) for each in self.ranges]
        return math.prod(factors) * float(max(map(abs, self.spread), default=Fraction(1)))

    def __str__(self) -> str:
        texts = [*map(_curve_text, self.curves), *_spread_text(self.spread), *map(str, self.ranges)]
        return ", ".join(texts)


def images_of(courses: Iterable[Course]) -> int | None:
    """How many images the courses are for; None if for any number.

    Raises:
        LoraInputError: They contradict each other.
    """
    spreads = [course.spread for course in courses if course.spread]
    for spread in spreads[1:]:
        same_length(spreads[0], spread)
    return len(spreads[0]) if spreads else None


def _curve_text(curve: Curve) -> str:
    window = f" from {float(curve.start):g} to {float(curve.end):g}"
    return f"scheduled {curve}{'' if (curve.start, curve.end) == (0, 1) else window}"


def _product(one: Values, other: Values) -> Values:
    return tuple(bounded(a * b) for a, b in zip(one, other, strict=True))


def _spread_text(spread: Values) -> list[str]:
    if not spread:
        return []
    low, high = float(min(spread)), float(max(spread))
    return [f"spread over {len(spread)} images, {low:g} to {high:g}"]
