"""A plan: all that a recipe does to some models, known before anything is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .files import FileCache, LoraFile
from .match import Addend, Hit, Model, match_file
from .overflow import check_range
from .recipe import Recipe
from .report import Report, report_match


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a recipe does to some models.

    Attributes:
        addends: For each model, by weight, what is added to it.
        report: What became of every file.
        files: Holding them keeps them in the shared cache for as long as the plan is in use.
    """

    addends: tuple[Mapping[str, tuple[Addend, ...]], ...]
    report: Report
    files: tuple[LoraFile, ...]


def make_plan(recipe: Recipe, models: Sequence[Model], cache: FileCache) -> Plan:
    """Reads the recipe's files and matches them to ``models``; both stay untouched.

    Raises:
        LoraFileError: A file is damaged or ambiguous.
        LoraMismatchError: A file does not fit, or would overflow a weight.
    """
    files = tuple(cache.read(term.file) for term in recipe.terms)
    matches = [match_file(t, file, models) for t, file in zip(recipe.terms, files, strict=True)]
    hits = [hit for match in matches for hit in match.hits]
    addends = tuple(_by_weight(hits, index) for index in range(len(models)))
    for model, weights in zip(models, addends, strict=True):
        check_range(weights, model.dtypes)
    return Plan(addends, Report(tuple(map(report_match, matches))), files)


def _by_weight(hits: Iterable[Hit], model: int) -> dict[str, tuple[Addend, ...]]:
    """What has an effect on one model: a strength of 0 is gone before any arithmetic."""
    weights: defaultdict[str, list[Addend]] = defaultdict(list)
    for hit in hits:
        if hit.model == model and hit.addend.strength:
            weights[hit.addend.target.key].append(hit.addend)
    return {key: tuple(addends) for key, addends in weights.items()}
