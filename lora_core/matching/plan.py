"""A plan: all that a recipe does to some models, known before anything is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..algebra import FileId, Recipe, check_layers
from ..naming import Part
from ..reading import FileCache, LoraFile
from .assign import Assignment, LiveTerms, MergeLiveSplit, Mode, WeightTerms, assign, split_recipe
from .file_match import NONE_KNOWN, FileMatch, FileMatches
from .made import Progress, match_made
from .match import ModelView
from .overflow import check_live_range, check_range
from .replaced import check_replaced
from .report import Report

NOTHING: Final = MergeLiveSplit()

BOTH: Final[frozenset[Part]] = frozenset(("model", "clip"))
"""The parts that a model may have if only names can tell."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelPlan:
    """What will happen to one model.

    Attributes:
        split: Everything of ours that will be on it, with the strengths for its own parts only.
        merged: What is added to each weight.
        live: What goes next to the layer of each weight.
        changes: Whether anything happens to it, even if something is only taken away.
    """

    split: MergeLiveSplit
    merged: WeightTerms
    live: LiveTerms
    changes: bool


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a recipe does to some models.

    Attributes:
        models: What will happen to each model.
        report: What became of every file.
        matches: The match of each file, for the next plan for the same models. Holding them keeps
            their files in the shared cache.
    """

    models: tuple[ModelPlan, ...]
    report: Report
    matches: FileMatches

    @property
    def files(self) -> tuple[LoraFile, ...]:
        """All files that were read; holding them keeps them in the shared cache."""
        return tuple(match.file for match in self.matches.values())


def make_plan(
    recipe: Recipe,
    views: Sequence[ModelView],
    cache: FileCache,
    *,
    mode: Mode = "merge",
    earlier: Sequence[MergeLiveSplit] = (),
    known: FileMatches = NONE_KNOWN,
    progress: Progress | None = None,
) -> Plan:
    """Reads the files of a recipe and matches them to models, which stay unchanged.

    Args:
        recipe: The recipe to add.
        views: The views of the models.
        cache: Reads the files.
        mode: What goes live. Text encoders, which know neither steps nor images, are always merged.
        earlier: For each model, what of ours is on it already; nothing by default.
        known: What is known of files on the same ``views``.
        progress: Is called before each weight that a method works on; what it raises ends the work.

    Raises:
        LoraInputError: No merged weight can have a strength, and the mode is ``merge``; or block
            weights name what a model does not have.
        LoraFileError: A file is damaged or ambiguous.
        LoraMismatchError: A file does not fit, would overflow a weight, or cannot vary as asked.
    """
    for view in views:
        if "model" in (view.parts or BOTH):
            check_layers(recipe.terms, view.layers)
    added = [_split_for(view, recipe, mode) for view in views]
    before = [*earlier] or [NOTHING for _ in views]
    splits = [old.plus(new) for old, new in zip(before, added, strict=True)]
    terms = Recipe.sum([*(old.whole for old in before), recipe]).terms
    matches = {t.file: known.get(t.file) or _match(t.file, views, cache, progress) for t in terms}
    assigned = [
        assign(matches.values(), split, index, view)
        for index, (split, view) in enumerate(zip(splits, views, strict=True))
    ]
    for view, own in zip(views, assigned, strict=True):
        check_replaced(own.merged)
        check_range(own.merged, view.dtypes)
        check_live_range(own.strongest, view.dtypes)
    live, untouched = Counter[FileId](), Counter[FileId]()
    for own in assigned:
        live.update(own.counts)
        untouched.update(own.untouched)
    reports = (
        match.report.at(term, live[term.file], untouched[term.file])
        for term, match in zip(terms, matches.values(), strict=True)
    )
    models = (
        ModelPlan(split, own.merged, own.live, _changes(new, own, old))
        for split, own, new, old in zip(splits, assigned, added, before, strict=True)
    )
    return Plan(tuple(models), Report(tuple(reports)), matches)


def _match(
    file: FileId, views: Sequence[ModelView], cache: FileCache, progress: Progress | None
) -> FileMatch:
    """Matches a file, or what is made of others."""
    if file.made is None:
        return FileMatch.of(cache.read(file), views)

    def plan(part: Recipe) -> Plan:
        return make_plan(part, views, cache, progress=progress)

    return match_made(file, file.made, views, plan, progress)


def _changes(new: MergeLiveSplit, own: Assignment, old: MergeLiveSplit) -> bool:
    """Tells whether a model changes. A recipe that cancels what was there takes it away."""
    return bool(new.whole) and bool(own.merged or own.live or old.whole)


def _split_for(view: ModelView, recipe: Recipe, mode: Mode) -> MergeLiveSplit:
    """Returns the recipe with the strengths for one model's parts only."""
    parts = view.parts or BOTH
    own = recipe.scaled(float("model" in parts), float("clip" in parts))
    if "model" not in parts:
        return MergeLiveSplit(own)
    return split_recipe(own, mode, quantised=view.quantised)
