"""One file of a recipe, and how strongly it is added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from .course import Course
from .strength import bounded


@dataclass(frozen=True, slots=True, order=True)
class FileId:
    """Which file, and which state of it; a rewritten file is another file.

    Attributes:
        path: Where the file lies.
        mtime_ns: Time of its last change, in nanoseconds.
        size: Bytes.
        inode: The file system's number of it.
        beside: Time of the last change of peft's config beside the file, 0 without one.
        name: How to call it in messages; no part of the identity.
    """

    path: str
    mtime_ns: int
    size: int
    inode: int
    name: str = field(default="", compare=False)
    beside: int = 0


Varying: TypeAlias = "tuple[tuple[Course, Fraction], ...]"
"""Strengths that follow a course each: together Σ strength · course."""


@dataclass(frozen=True, slots=True)
class Term:
    """One file of a recipe, with the exact strengths for the denoiser and the text encoders.

    Attributes:
        varying: What is added to ``model`` over the steps and the images; the text encoders know
            neither. Every course once, zeros gone, sorted.

    Raises:
        LoraInputError: A strength is beyond ``LARGEST_STRENGTH``.
    """

    file: FileId
    model: Fraction
    clip: Fraction
    varying: Varying = ()

    def __post_init__(self) -> None:
        constant = sum(strength for course, strength in self.varying if not course)
        object.__setattr__(self, "model", bounded(self.model + constant))
        object.__setattr__(self, "clip", bounded(self.clip))
        object.__setattr__(self, "varying", _collected(self.varying))

    def times(self, model: Fraction, clip: Fraction) -> Term:
        varying = tuple((course, strength * model) for course, strength in self.varying)
        return Term(self.file, self.model * model, self.clip * clip, varying)

    def plus(self, other: Term) -> Term:
        """The sum with a term of the same file."""
        varying = self.varying + other.varying
        return Term(self.file, self.model + other.model, self.clip + other.clip, varying)

    def along(self, course: Course) -> Term:
        """All of its effect on the denoiser times ``course``."""
        varying = [(known.times(course), strength) for known, strength in self.varying]
        return Term(self.file, Fraction(0), self.clip, (*varying, (course, self.model)))

    def most(self) -> float:
        """The greatest strength for the denoiser, whatever the step and the image, without its sign."""
        varying = sum(abs(float(strength)) * course.most() for course, strength in self.varying)
        return abs(float(self.model)) + varying

    def at(self, progress: float) -> list[float]:
        """The strength for the denoiser at a progress, for each image or for all of them."""
        factors = [(float(strength), course.at(progress)) for course, strength in self.varying]
        images = max((len(values) for _, values in factors), default=1)
        each = [(s, values * (images // len(values))) for s, values in factors]
        return [
            float(self.model) + sum(s * values[image] for s, values in each)
            for image in range(images)
        ]


def _collected(varying: Iterable[tuple[Course, Fraction]]) -> Varying:
    sums: dict[Course, Fraction] = {}
    for course, strength in filter(_varies, varying):
        sums[course] = sums.get(course, Fraction(0)) + strength
    return tuple(sorted((course, bounded(total)) for course, total in sums.items() if total))


def _varies(entry: tuple[Course, Fraction]) -> bool:
    return bool(entry[0])
