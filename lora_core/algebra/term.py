"""One file of a recipe, and how strongly it is added."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce
from typing import TypeAlias

from ..naming import Layer, Layers
from ..text import printable
from ..warning import LoraWarning, united
from .file_id import FileId
from .modifier import Axis, Moment
from .modulation import Modulation, images_of
from .strength import bounded

Modulated: TypeAlias = "tuple[tuple[Modulation, Fraction], ...]"
"""Strengths with their modulations; together they mean Σ strength · modulation."""


@dataclass(frozen=True, slots=True)
class Term:
    """One file of a recipe, with the exact strengths for the denoiser and the text encoders.

    Attributes:
        file: The file.
        strength_model: The strength for the denoiser, without modifiers.
        strength_clip: The strength for the text encoders.
        modulated: What is added to ``strength_model``: strengths with their modulations, each
            modulation once, without zeros, sorted. Text encoders have none.
        apart: Whether somebody asked for ``strength_clip`` itself; it was not asked for if it only
            differs because the other strength was changed, scheduled or spread. Not part of the
            identity.
        warnings: Warnings about where the file comes from. Not part of the identity.

    Raises:
        LoraInputError: A strength is beyond ``LARGEST_STRENGTH``.
    """

    file: FileId
    strength_model: Fraction
    strength_clip: Fraction
    modulated: Modulated = ()
    apart: bool = field(default=False, compare=False)
    warnings: tuple[LoraWarning, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        constant = sum(strength for modulation, strength in self.modulated if not modulation)
        object.__setattr__(self, "strength_model", bounded(self.strength_model + constant))
        object.__setattr__(self, "strength_clip", bounded(self.strength_clip))
        object.__setattr__(self, "modulated", _collected(self.modulated))

    @classmethod
    def given(
        cls, file: FileId, model: Fraction, clip: Fraction, warnings: tuple[LoraWarning, ...] = ()
    ) -> Term:
        """Returns the term of two strengths that somebody has written down."""
        return cls(file, model, clip, apart=_is_apart(model, clip), warnings=warnings)

    def __str__(self) -> str:
        """Writes the strengths times the file's name; the strength for text encoders only if it
        differs."""
        name = printable(self.file.label)
        parts = [f"{float(s):g}·{name} ({modulation})" for modulation, s in self.modulated]
        if self.strength_model or not parts:
            parts.insert(0, f"{float(self.strength_model):g}·{name}")
        if self.strength_clip != self.strength_model + sum(s for _, s in self.modulated):
            parts[0] += f" (text {float(self.strength_clip):g})"
        return " + ".join(parts)

    @property
    def axes(self) -> frozenset[Axis]:
        """What the strength for the denoiser depends on."""
        return frozenset(axis for modulation, _ in self.modulated for axis in modulation.axes)

    @property
    def needs_live(self) -> bool:
        """Whether no merged weight can have the strength."""
        return any(modulation.needs_live for modulation, _ in self.modulated)

    def times(self, model: Fraction, clip: Fraction) -> Term:
        """Returns the same term with its strengths times two factors."""
        modulated = tuple((modulation, s * model) for modulation, s in self.modulated)
        apart = self.apart or _is_apart(model, clip)
        strengths = self.strength_model * model, self.strength_clip * clip
        return Term(self.file, *strengths, modulated, apart=apart, warnings=self.warnings)

    def with_file(self, state: Callable[[FileId], FileId]) -> Term:
        """Returns the same strengths for the file that ``state`` gives; for what is made of others,
        of their files."""
        made = self.file.made
        return replace(self, file=made.with_files(state) if made else state(self.file))

    def plus(self, other: Term) -> Term:
        """Returns the sum with a term of the same file."""
        return Term(
            self.file,
            self.strength_model + other.strength_model,
            self.strength_clip + other.strength_clip,
            self.modulated + other.modulated,
            apart=self.apart or other.apart,
            warnings=united((*self.warnings, *other.warnings)),
        )

    def modulated_by(self, modulation: Modulation) -> Term:
        """Returns the term with its whole effect on the denoiser times ``modulation``."""
        products = [(known.times(modulation), strength) for known, strength in self.modulated]
        modulated = (*products, (modulation, self.strength_model))
        return replace(self, strength_model=Fraction(0), modulated=modulated)

    def max_strength(self, layer: Layer | None = None) -> float:
        """Returns the largest magnitude of the strength for the denoiser, or for one layer of it,
        whatever else it depends on."""
        most = sum(
            abs(float(strength)) * known.max_abs(layer) for known, strength in self.modulated
        )
        return abs(float(self.strength_model)) + most


def normal(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Returns the normal form of a sum: every file once, in a fixed order, and no zeros."""
    by_file: dict[FileId, list[Term]] = {}
    for term in terms:
        by_file.setdefault(term.file, []).append(term)
    sums = (reduce(Term.plus, same) for same in by_file.values())
    left = (t for t in sums if t.strength_model or t.strength_clip or t.modulated)
    return tuple(sorted(left, key=lambda term: term.file))


def check_layers(terms: Iterable[Term], model: Layers) -> None:
    """Refuses terms whose modifiers make no sense for a model (LoraInputError)."""
    for term in terms:
        for modulation, _ in term.modulated:
            modulation.check(model)


def strength_of(term: Term, moment: Moment, layer: Layer | None = None) -> tuple[float, ...]:
    """Returns the strength of a term for the denoiser: one for each image, or a single one for all
    of them.

    Args:
        term: A term of a recipe.
        moment: The moment of sampling.
        layer: The weight of the model; None if the strength is the same for all of them.
    """
    if not term.modulated:  # this runs for every layer of every file
        return (float(term.strength_model),)
    images = images_of(modulation for modulation, _ in term.modulated)
    at = moment if images is None else replace(moment, images=images)
    parts = [(float(s), known.factors(at, layer)) for known, s in term.modulated]
    count = max((len(factors) for _, factors in parts), default=1)
    constant = float(term.strength_model)
    return tuple(constant + sum(s * own[n % len(own)] for s, own in parts) for n in range(count))


def _is_apart(model: Fraction, clip: Fraction) -> bool:
    """Tells whether a strength or factor for text encoders was asked for in its own right.

    1 is the default, 0 asks for nothing, and one equal to the model's belongs to the LoRA as a
    whole.
    """
    return clip not in (0, 1, model)


def _collected(modulated: Modulated) -> Modulated:
    sums: dict[Modulation, Fraction] = {}
    for modulation, strength in modulated:
        if modulation:
            sums[modulation] = sums.get(modulation, Fraction(0)) + strength
    return tuple(sorted((known, bounded(total)) for known, total in sums.items() if total))
