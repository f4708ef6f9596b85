"""One file of a recipe, and how strongly it is added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias

from ..warning import LoraWarning, united
from .course import Course, images_of
from .file_id import FileId
from .strength import bounded

Varying: TypeAlias = "tuple[tuple[Course, Fraction], ...]"
"""Strengths that follow a course each: together Σ strength · course."""


@dataclass(frozen=True, slots=True)
class Term:
    """One file of a recipe, with the exact strengths for the denoiser and the text encoders.

    Attributes:
        varying: What is added to ``model`` over the steps and the images; the text encoders know
            neither. Every course once, zeros gone, sorted.
        apart: Whether somebody has asked for ``clip`` as such; what only differs because ``model`` was
            changed, scheduled or spread was not asked for. No part of the identity.
        said: What is to be said of the file for where it comes from. No part of the identity.

    Raises:
        LoraInputError: A strength is beyond ``LARGEST_STRENGTH``.
    """

    file: FileId
    model: Fraction
    clip: Fraction
    varying: Varying = ()
    apart: bool = field(default=False, compare=False)
    said: tuple[LoraWarning, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        constant = sum(strength for course, strength in self.varying if not course)
        object.__setattr__(self, "model", bounded(self.model + constant))
        object.__setattr__(self, "clip", bounded(self.clip))
        object.__setattr__(self, "varying", _collected(self.varying))

    @classmethod
    def given(
        cls, file: FileId, model: Fraction, clip: Fraction, said: tuple[LoraWarning, ...] = ()
    ) -> Term:
        """The term of two strengths that somebody has written down."""
        return cls(file, model, clip, apart=_is_apart(model, clip), said=said)

    def times(self, model: Fraction, clip: Fraction) -> Term:
        varying = tuple((course, strength * model) for course, strength in self.varying)
        apart = self.apart or _is_apart(model, clip)
        return Term(
            self.file, self.model * model, self.clip * clip, varying, apart=apart, said=self.said
        )

    def plus(self, other: Term) -> Term:
        """The sum with a term of the same file."""
        varying = self.varying + other.varying
        return Term(
            self.file,
            self.model + other.model,
            self.clip + other.clip,
            varying,
            apart=self.apart or other.apart,
            said=united((*self.said, *other.said)),
        )

    def along(self, course: Course) -> Term:
        """All of its effect on the denoiser times ``course``."""
        varying = [(known.times(course), strength) for known, strength in self.varying]
        return replace(self, model=Fraction(0), varying=(*varying, (course, self.model)))

    def most(self) -> float:
        """The greatest strength for the denoiser, whatever the step and the image, without its sign."""
        varying = sum(abs(float(strength)) * course.most() for course, strength in self.varying)
        return abs(float(self.model)) + varying

    def at(self, progress: float, images: int = 1) -> list[float]:
        """The strength for the denoiser at a progress, for each image or for all of them.

        ``images`` says how many there are, where no spread does.
        """
        images = images_of(course for course, _ in self.varying) or images
        factors = [(float(s), course.at(progress, images)) for course, s in self.varying]
        count = max((len(values) for _, values in factors), default=1)
        each = [(s, values * (count // len(values))) for s, values in factors]
        return [
            float(self.model) + sum(s * values[image] for s, values in each)
            for image in range(count)
        ]


def _is_apart(model: Fraction, clip: Fraction) -> bool:
    """Whether a strength or factor for text encoders says something that nothing else says.

    1 is what it is where nobody touches it, 0 asks for nothing, and one like the model's is the LoRA's.
    """
    return clip not in (0, 1, model)


def _collected(varying: Iterable[tuple[Course, Fraction]]) -> Varying:
    sums: dict[Course, Fraction] = {}
    for course, strength in filter(_varies, varying):
        sums[course] = sums.get(course, Fraction(0)) + strength
    return tuple(sorted((course, bounded(total)) for course, total in sums.items() if total))


def _varies(entry: tuple[Course, Fraction]) -> bool:
    return bool(entry[0])
