"""Curves: a strength over the progress of sampling, written as text that a person can type.

0:0, 0.3:1, 1:0.5          points, joined by straight lines
cosine                     a named shape from 0 to 1
0:1, 1:0 ease-out          points, joined by a named shape
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias

from ..errors import LoraInputError
from ..naming import Layer
from ..strict_json import Json
from .json_fields import field_of, objects_of
from .modifier import Axis, Modifier, Moment
from .strength import read_strength, written

Point: TypeAlias = "tuple[Fraction, Fraction]"
"""A progress within the window, from 0 to 1, and the strength there."""

MOST_POINTS: Final = 1000
LARGEST_VALUE: Final = 1000

SHAPES: Final[Mapping[str, Callable[[float], float]]] = MappingProxyType(
    {
        "linear": lambda t: t,
        "cosine": lambda t: (1 - math.cos(math.pi * t)) / 2,
        "ease-in": lambda t: t * t,
        "ease-out": lambda t: 1 - (1 - t) * (1 - t),
        "constant": lambda t: 1.0,  # noqa: ARG005 (the next value, from the start on)
        "step": lambda t: float(t >= 0.5),
    }
)
"""The named shapes: the share of the way from one point to the next, at a share t of the distance."""

RAMP: Final[tuple[Point, ...]] = ((Fraction(0), Fraction(0)), (Fraction(1), Fraction(1)))
"""The points that a shape uses if it is given without any."""

NUMBER: Final = r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?"
"""The form of a number. Its length is limited, so that no text keeps the matcher busy."""
_POINT: Final = re.compile(rf"({NUMBER})\s*:\s*({NUMBER})(?=[\s,;]|$)", re.ASCII)
_SHAPE: Final = re.compile(r"[a-z]+(?:[-_][a-z]+)?(?=[\s,;]|$)", re.ASCII | re.IGNORECASE)
_GAP: Final = re.compile(r"[\s,;]*", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Curve(Modifier):
    """A factor on a strength over the progress of sampling; 0 outside of a window.

    Attributes:
        points: Points from left to right. The first value holds before them, the last value after
            them. Of two points at the same place, the later one counts there.
        shape: A name of ``SHAPES``: how the curve runs from each point to the next.
        start, end: The window of progress over which the points are spread.
    """

    axes: ClassVar[frozenset[Axis]] = frozenset(("step",))

    points: tuple[Point, ...] = RAMP
    shape: str = "linear"
    start: Fraction = Fraction(0)
    end: Fraction = Fraction(1)

    @classmethod
    def parse(cls, text: str, start: float = 0.0, end: float = 1.0) -> Curve:
        """Reads the curve written as ``text``; LoraInputError says what is wrong in it."""
        window = _window(start, end)
        points, at = _points(text)
        shape, at = _shape(text, at)
        if at < len(text):
            raise _refused(f"{text[at : at + 20]!r} is neither a point nor a shape")
        if not points and not shape:
            raise _refused("it is empty")
        return cls(tuple(points) or RAMP, shape or "linear", *window)

    def at(self, progress: float) -> float:
        """Returns the factor at a progress from 0 to 1."""
        start, end = float(self.start), float(self.end)
        if progress < start or (progress >= end and end < 1):
            return 0.0
        return self._value((progress - start) / (end - start))

    def factors(self, moment: Moment, layer: Layer | None) -> tuple[float, ...]:
        """Returns the factor at a moment."""
        return (self.at(moment.progress),)

    def max_abs(self, layer: Layer | None = None) -> float:
        """Returns the largest magnitude of the factor. Shapes stay between their points."""
        return float(max(abs(value) for _, value in self.points))

    @property
    def constant(self) -> Fraction | None:
        """The one value that the curve has everywhere; None if it has several."""
        values = {y for _, y in self.points}
        if self.shape == "constant" and self.points[0][0] == 0 and len(self.points) > 1:
            values = {y for _, y in self.points[1:]}
        if len(values) == 1 and (self.start, self.end) == (0, 1):
            return values.pop()
        return Fraction(0) if values == {Fraction(0)} else None

    @property
    def json_version(self) -> int:
        return 2

    @property
    def words(self) -> str:
        window = f" from {float(self.start):g} to {float(self.end):g}"
        return f"scheduled {self}{'' if (self.start, self.end) == (0, 1) else window}"

    def times(self, other: Modifier) -> Modifier | None:
        return None

    def to_json(self) -> dict[str, list[Json]]:
        start, end = written(self.start), written(self.end)
        return {"curves": [{"curve": str(self), "start": start, "end": end}]}

    @classmethod
    def from_json(cls, entry: dict[str, Json]) -> list[Curve]:
        return [*map(_read, objects_of(entry, "curves"))]

    def __str__(self) -> str:
        """Returns the text that ``parse`` reads, without the window."""
        points = ", ".join(f"{_decimal(x)}:{_decimal(y)}" for x, y in self.points)
        return f"{points} {self.shape}"

    def _value(self, place: float) -> float:
        index = bisect.bisect_right(self.points, place, key=lambda point: float(point[0]))
        if index == 0 or index == len(self.points):
            return float(self.points[max(0, index - 1)][1])
        (left, low), (right, high) = (
            (float(x), float(y)) for x, y in self.points[index - 1 : index + 1]
        )
        done = SHAPES[self.shape]((place - left) / (right - left))
        return low + (high - low) * done


def _read(entry: dict[str, Json]) -> Curve:
    start, end = (float(read_strength(entry, key)) for key in ("start", "end"))
    return Curve.parse(field_of(entry, "curve", str), start, end)


def _points(text: str) -> tuple[list[Point], int]:
    """Reads the points at the beginning of a text, and returns where they end."""
    points: list[Point] = []
    at = _past_gap(text, 0)
    while found := _POINT.match(text, at):
        points.append((number(found[1]), number(found[2])))
        _check_last(points)
        at = _past_gap(text, found.end())
    return points, at


def _shape(text: str, at: int) -> tuple[str | None, int]:
    """Reads the name of a shape at a place in a text, and returns where it ends."""
    found = _SHAPE.match(text, at)
    if found is None:
        return None, at
    name = found[0].lower().replace("_", "-")
    if name not in SHAPES:
        raise _refused(f"there is no shape {name[:20]!r}", f"one of {', '.join(SHAPES)}")
    return name, _past_gap(text, found.end())


def _past_gap(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _check_last(points: Sequence[Point]) -> None:
    """Refuses the last point if it cannot follow those before it."""
    (place, value), count = points[-1], len(points)
    if not 0 <= place <= 1:
        raise _refused(f"point {count} is at {float(place):g}", "places from 0 to 1")
    if abs(value) > LARGEST_VALUE:
        raise _refused(f"point {count} has the value {float(value):g}", f"at most {LARGEST_VALUE}")
    if count > 1 and place < points[-2][0]:
        before = float(points[-2][0])
        raise _refused(
            f"point {count} is at {float(place):g}, before the point at {before:g}",
            "points from left to right",
        )
    if count > 2 and place == points[-3][0]:
        raise _refused(f"there are three points at {float(place):g}", "at most two")
    if count > MOST_POINTS:
        raise _refused("there are too many points", f"at most {MOST_POINTS}")


def _window(start: float, end: float) -> tuple[Fraction, Fraction]:
    if not (0 <= start < end <= 1):
        raise LoraInputError(
            f"the schedule goes from {start:g} to {end:g}: expected a start before the end, both "
            "from 0 to 1.",
            key="start_percent",
            expected="0 <= start < end <= 1",
            found=f"{start:g} to {end:g}",
        )
    return Fraction(repr(float(start))), Fraction(repr(float(end)))


def number(text: str) -> Fraction:
    """Returns the decimal that a match of ``NUMBER`` means, as exact as floating point numbers are."""
    return Fraction(repr(max(-1e300, min(float(text), 1e300))))


def _decimal(value: Fraction) -> str:
    return repr(float(value)).removesuffix(".0")


def _refused(
    problem: str, expected: str = 'points like "0:0, 0.5:1" or a shape like "cosine"'
) -> LoraInputError:
    return LoraInputError(
        f"curve: {problem}; expected {expected}.", key="curve", expected=expected, found=problem
    )
