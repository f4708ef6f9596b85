"""Dividing a stack: what is merged into the weights, and what goes live beside the layers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, TypeVar

from ..algebra import FileId, Recipe, Term
from ..errors import LoraInputError, LoraMismatchError
from .fit import Fit
from .lanes import Lane, can_go_live
from .match import Addend, Hit, Model

T = TypeVar("T")

Mode: TypeAlias = Literal["auto", "merge", "live"]

MODES: Final[tuple[Mode, ...]] = ("auto", "merge", "live")

Weights: TypeAlias = "Mapping[str, tuple[Addend, ...]]"
"""What is merged, by weight."""

Layers: TypeAlias = "Mapping[str, tuple[Lane, ...]]"
"""What goes beside the layers, by weight."""


@dataclass(frozen=True, slots=True)
class Halves:
    """A recipe in two: what is to be merged, and what is to go live wherever it can."""

    merge: Recipe = field(default_factory=Recipe)
    live: Recipe = field(default_factory=Recipe)

    @property
    def whole(self) -> Recipe:
        return self.merge + self.live

    def plus(self, other: Halves) -> Halves:
        return Halves(self.merge + other.merge, self.live + other.live)


def halves(recipe: Recipe, mode: Mode, *, quantised: bool) -> Halves:
    """Which of a recipe's files go live: with ``auto``, those that have to vary, or all of them where
    merging would round every weight to a few bits again.

    Raises:
        LoraInputError: Strengths vary, which nothing merged can.
    """
    if mode == "live" or (mode == "auto" and quantised):
        return Halves(live=recipe)
    varying = Recipe(tuple(term for term in recipe.terms if term.varying))
    if varying and mode == "merge":
        (course, _), name = varying.terms[0].varying[0], varying.terms[0].file.name
        raise LoraInputError(
            f"{name} is {course}, which a merged weight cannot be. Set the mode to auto or live.",
            key="mode",
            expected="auto or live",
            found="merge",
        )
    return Halves(Recipe(tuple(t for t in recipe.terms if not t.varying)), varying)


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """What becomes of the layers of some models.

    Attributes:
        merged: For each model, by weight, what is added to it.
        live: For each model, by weight, what goes beside its layer.
        counts: Of each file, how many of its layers go live.
        strongest: For each model, by weight, what goes beside its layer, at its greatest strength.
    """

    merged: tuple[Weights, ...]
    live: tuple[Layers, ...]
    counts: Mapping[FileId, int]
    strongest: tuple[Weights, ...]


def divide(fits: Iterable[Fit], recipe: Halves, models: Sequence[Model]) -> Division:
    """Puts the strengths on what was matched at strength 1.

    Raises:
        LoraMismatchError: A strength varies of what cannot go live.
    """
    merge, live = ({t.file: t for t in half.terms} for half in (recipe.merge, recipe.live))
    merged: list[defaultdict[str, list[Addend]]] = [defaultdict(list) for _ in models]
    lanes: list[defaultdict[str, list[Lane]]] = [defaultdict(list) for _ in models]
    strongest: list[defaultdict[str, list[Addend]]] = [defaultdict(list) for _ in models]
    counts: Counter[FileId] = Counter()
    for fit in fits:
        file = fit.file.id
        strong, own = merge.get(file), live.get(file)
        stuck: list[Hit] = []
        for hit in fit.hits:
            addend = hit.addend
            strength = _strength(strong, hit)
            if own is not None and _acts(own, hit) and goes_live(hit, models[hit.model]):
                lane = Lane(file, addend.target.rows, addend.delta)
                lanes[hit.model][addend.target.key].append(lane)
                strongest[hit.model][addend.target.key].append(addend.times(own.most()))
                counts[file] += 1
            elif own is not None:
                strength += _strength(own, hit)
                stuck += [hit] if own.varying and _acts(own, hit) else []
            if strength:  # a strength of 0 is gone before any arithmetic
                merged[hit.model][addend.target.key].append(addend.times(strength))
        _refuse_stuck(file, own, stuck)
    return Division(
        tuple(map(_fixed, merged)),
        tuple(map(_fixed, lanes)),
        counts,
        tuple(map(_fixed, strongest)),
    )


def goes_live(hit: Hit, model: Model) -> bool:
    """Whether a delta can be a branch beside its layer."""
    addend = hit.addend
    keeps_shape = addend.width is None and addend.shape is None
    return (
        addend.target.key in model.branches and keeps_shape and can_go_live(addend.delta, hit.shape)
    )


def _acts(term: Term, hit: Hit) -> bool:
    return hit.addend.target.part == "model" and bool(term.model or term.varying)


def _strength(term: Term | None, hit: Hit) -> float:
    if term is None:
        return 0.0
    return float(term.model if hit.addend.target.part == "model" else term.clip)


def _fixed(lists: Mapping[str, list[T]]) -> dict[str, tuple[T, ...]]:
    return {key: tuple(items) for key, items in lists.items()}


def _refuse_stuck(file: FileId, term: Term | None, stuck: Sequence[Hit]) -> None:
    if not stuck or term is None:
        return
    first = stuck[0]
    raise LoraMismatchError(
        f"is {term.varying[0][0]}, which {len(stuck)} of its layers cannot be: they change no bias "
        f"or norm and are no low-rank pairs (first: {first.name}, {first.addend.delta.text()}). Use one strength for it.",
        key=first.name,
        expected="low-rank pairs, biases and norms",
        found=first.addend.delta.text(),
        file=file.name,
    )
