"""Courses: what a strength does over the steps of sampling and the images of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from .curve import Curve
from .spread import Spread, same_length
from .strength import bounded


@dataclass(frozen=True, slots=True, order=True)
class Course:
    """A product of factors on a strength; the empty one is 1 always and everywhere.

    Attributes:
        curves: Factors over progress, sorted.
        spread: A factor for each image of the batch; empty if all images are alike.

    Raises:
        LoraInputError: Two spreads that are multiplied differ in length.
    """

    curves: tuple[Curve, ...] = ()
    spread: Spread = ()

    def __bool__(self) -> bool:
        return bool(self.curves or self.spread)

    def times(self, other: Course) -> Course:
        """The product of both, at every step and for every image."""
        curves = tuple(sorted(self.curves + other.curves))
        if not (self.spread and other.spread):
            return Course(curves, self.spread or other.spread)
        same_length(self.spread, other.spread)
        pairs = zip(self.spread, other.spread, strict=True)
        return Course(curves, tuple(bounded(one * two) for one, two in pairs))

    def at(self, progress: float) -> tuple[float, ...]:
        """The factor for each image, or a single one for all of them.

        Args:
            progress: From 0 to 1, as ComfyUI counts it: by the noise that is left.
        """
        factor = math.prod(curve.at(progress) for curve in self.curves)
        return tuple(factor * float(value) for value in self.spread or (Fraction(1),))

    def most(self) -> float:
        """The greatest factor at any step and for any image, without its sign."""
        factor = math.prod(curve.most() for curve in self.curves)
        return factor * float(max(map(abs, self.spread), default=Fraction(1)))

    def __str__(self) -> str:
        return ", ".join([*map(_curve_text, self.curves), *_spread_text(self.spread)])


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


def _spread_text(spread: Spread) -> list[str]:
    if not spread:
        return []
    low, high = float(min(spread)), float(max(spread))
    return [f"spread over {len(spread)} images, {low:g} to {high:g}"]
