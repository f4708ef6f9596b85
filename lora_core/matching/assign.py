"""Assigns every matched delta: it is merged into a weight, or goes live next to its layer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from ..algebra import FileId, Moment, Recipe, Term, strength_of
from ..errors import LoraInputError, LoraMismatchError
from ..naming import Layer
from .file_match import FileMatch
from .live_term import LiveTerm, can_go_live
from .match import MatchedDelta, ModelView, WeightTerm

Mode: TypeAlias = Literal["auto", "merge", "live"]

MODES: Final[tuple[Mode, ...]] = ("auto", "merge", "live")

WeightTerms: TypeAlias = "Mapping[str, Sequence[WeightTerm]]"
"""What is merged, by weight."""

LiveTerms: TypeAlias = "Mapping[str, Sequence[LiveTerm]]"
"""What goes live, by weight."""

AT_ANY_MOMENT: Final = Moment()
"""The moment to ask for a strength that is always the same."""


@dataclass(frozen=True, slots=True)
class MergeLiveSplit:
    """A recipe in two parts: what is merged, and what goes live where it can."""

    merge: Recipe = field(default_factory=Recipe)
    live: Recipe = field(default_factory=Recipe)

    @property
    def whole(self) -> Recipe:
        """Both parts together."""
        return self.merge + self.live

    def plus(self, other: MergeLiveSplit) -> MergeLiveSplit:
        """Returns the sum of each part."""
        return MergeLiveSplit(self.merge + other.merge, self.live + other.live)


def split_recipe(recipe: Recipe, mode: Mode, *, quantised: bool) -> MergeLiveSplit:
    """Decides which files of a recipe go live.

    With ``auto`` these are the files whose strength no merged weight can have, or all files if
    merging would round every weight to a few bits again.

    Raises:
        LoraInputError: No merged weight can have a strength, and the mode is ``merge``.
    """
    if mode == "live" or (mode == "auto" and quantised):
        return MergeLiveSplit(live=recipe)
    live = tuple(term for term in recipe.terms if term.needs_live)
    if live and mode == "merge":
        name = live[0].file.name
        modulation = next(known for known, _ in live[0].modulated if known.needs_live)
        raise LoraInputError(
            f"{name} is {modulation}, so it cannot be merged. Set the mode to auto or live.",
            key="mode",
            expected="auto or live",
            found="merge",
        )
    return MergeLiveSplit(Recipe(tuple(t for t in recipe.terms if not t.needs_live)), Recipe(live))


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """What becomes of the layers of one model.

    Attributes:
        merged: What is added to each weight.
        live: What goes next to the layer of each weight.
        strongest: What goes next to the layer of each weight, at its largest strength.
        counts: How many deltas of each file go live.
        untouched: How many of them change nothing, since their blocks have the factor 0.
    """

    merged: WeightTerms
    live: LiveTerms
    strongest: WeightTerms
    counts: Mapping[FileId, int]
    untouched: Mapping[FileId, int]


def assign(
    matches: Iterable[FileMatch], split: MergeLiveSplit, index: int, view: ModelView
) -> Assignment:
    """Puts the strengths of a recipe on what was matched at strength 1.

    Args:
        matches: The matches of all files.
        split: What is merged and what goes live.
        index: The number of the model among those that were matched.
        view: The view of this model.

    Raises:
        LoraMismatchError: A delta cannot go live, and no merged weight can have its strength.
    """
    merge, live = ({t.file: t for t in half.terms} for half in (split.merge, split.live))
    merged: defaultdict[str, list[WeightTerm]] = defaultdict(list)
    live_terms: defaultdict[str, list[LiveTerm]] = defaultdict(list)
    strongest: defaultdict[str, list[WeightTerm]] = defaultdict(list)
    counts: Counter[FileId] = Counter()
    untouched: Counter[FileId] = Counter()
    for match in matches:
        file = match.file.id
        strong, own, stuck = merge.get(file), live.get(file), list[MatchedDelta]()
        for matched in match.deltas:
            if matched.model != index:
                continue
            weight_term, key = matched.weight_term, matched.weight_term.target.key
            strength = _merged_strength(strong, matched, view)
            nothing = not strength and _is_zero(strong, matched, view)
            if nothing and _is_zero(own, matched, view):
                untouched[file] += 1
            acts = own is not None and _acts(own, matched, view)
            if own is not None and acts and goes_live(matched, view):
                live_terms[key].append(LiveTerm(file, weight_term.target.rows, weight_term.delta))
                most = own.max_strength(_layer(own, key, view))
                strongest[key].append(weight_term.times(most))
                counts[file] += 1
            elif own is not None:
                strength += _merged_strength(own, matched, view)
                stuck += [matched] if own.needs_live and acts else []
            if strength:  # a strength of 0 is dropped before any arithmetic
                merged[key].append(weight_term.times(strength))
        _refuse_stuck(file, own, stuck)
    return Assignment(dict(merged), dict(live_terms), dict(strongest), counts, untouched)


def goes_live(matched: MatchedDelta, view: ModelView) -> bool:
    """Tells whether a delta can be a branch next to its layer."""
    weight_term = matched.weight_term
    keeps_shape = weight_term.width is None and weight_term.shape is None
    return (
        weight_term.target.key in view.branches
        and keeps_shape
        and can_go_live(weight_term.delta, matched.shape)
    )


def _acts(term: Term, matched: MatchedDelta, view: ModelView) -> bool:
    """Tells whether a term changes a weight of the denoiser at all."""
    return (
        matched.weight_term.target.part == "model"
        and bool(term.strength_model or term.modulated)
        and not _is_zero(term, matched, view)
    )


def _is_zero(term: Term | None, matched: MatchedDelta, view: ModelView) -> bool:
    """Tells whether a term's factor for a layer is 0; also if there is no term."""
    target = matched.weight_term.target
    if term is None:
        return True
    if target.part != "model" or "layer" not in term.axes:
        return False
    return term.max_strength(_layer(term, target.key, view)) == 0


def _layer(term: Term, key: str, view: ModelView) -> Layer | None:
    """Returns what a weight is, if the strength depends on it."""
    return view.layers[key] if "layer" in term.axes else None


def _merged_strength(term: Term | None, matched: MatchedDelta, view: ModelView) -> float:
    if term is None:
        return 0.0
    target = matched.weight_term.target
    if target.part == "clip":
        return float(term.strength_clip)
    return strength_of(term, AT_ANY_MOMENT, _layer(term, target.key, view))[0]


def _refuse_stuck(file: FileId, term: Term | None, stuck: Sequence[MatchedDelta]) -> None:
    if not stuck or term is None:
        return
    first = stuck[0]
    modulation = next(known for known, _ in term.modulated if known.needs_live)
    raise LoraMismatchError(
        f"is {modulation}, but {len(stuck)} of its layers cannot vary: they are not low-rank "
        f"pairs, biases or norms (first: {first.name}, {first.weight_term.delta.text()}). Use one strength for it.",
        key=first.name,
        expected="low-rank pairs, biases and norms",
        found=first.weight_term.delta.text(),
        file=file.name,
    )
