"""A plan: all that a recipe does to some models, known before anything is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from .divide import Halves, Layers, Weights, divide, halves
from .files import FileCache, LoraFile
from .match import Match, Model, match_file
from .overflow import check_range
from .recipe import Recipe, Term
from .report import Report, report_match


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a recipe does to some models.

    Attributes:
        addends: For each model, by weight, what is added to it.
        live: For each model, by weight, what goes beside its layer.
        report: What became of every file.
        files: Holding them keeps them in the shared cache for as long as the plan is in use.
    """

    addends: tuple[Weights, ...]
    live: tuple[Layers, ...]
    report: Report
    files: tuple[LoraFile, ...]


def make_plan(recipe: Recipe | Halves, models: Sequence[Model], cache: FileCache) -> Plan:
    """Reads the recipe's files and matches them to ``models``; both stay untouched.

    A recipe is merged (LoraInputError if its strengths vary); ``Halves`` say what goes live instead.

    Raises:
        LoraFileError: A file is damaged or ambiguous.
        LoraMismatchError: A file does not fit, would overflow a weight, or cannot vary as asked.
    """
    parts = recipe if isinstance(recipe, Halves) else halves(recipe, "merge", quantised=False)
    terms = parts.whole.terms
    files = tuple(cache.read(term.file) for term in terms)
    matches = [_matched(t, file, models) for t, file in zip(terms, files, strict=True)]
    division = divide(matches, parts, models)
    for model, weights in zip(models, division.merged, strict=True):
        check_range(weights, model.dtypes)
    reports = tuple(report_match(m, division.counts.get(m.file.id, 0)) for m in matches)
    return Plan(division.merged, division.live, Report(reports), files)


def _matched(term: Term, file: LoraFile, models: Sequence[Model]) -> Match:
    """Matched at strength 1, which what a file means does not depend on."""
    one = Fraction(1)
    return replace(match_file(Term(term.file, one, one), file, models), term=term)
