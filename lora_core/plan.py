"""A plan: all that a recipe does to some models, known before anything is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .files import FileCache, LoraFile
from .match import Addend, Hit, Model, match_file
from .overflow import check_range
from .recipe import FileId, Recipe, Term
from .report import LoraReport, Report, report_match


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What one file does to some models at strength 1, found and checked.

    Nothing in it depends on strengths, so that it holds for every recipe with that file.
    """

    file: LoraFile
    hits: tuple[Hit, ...]
    report: LoraReport

    @classmethod
    def of(cls, file: LoraFile, models: Sequence[Model]) -> Fit:
        match = match_file(file, models)
        return cls(file, match.hits, report_match(match))


Fits = Mapping[FileId, Fit]

NONE_KNOWN: Final[Fits] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a recipe does to some models.

    Attributes:
        addends: For each model, by weight, what is added to it.
        report: What became of every file.
        fits: By file, for the next plan for the very same models. Holding them keeps their files
            in the shared cache.
    """

    addends: tuple[Mapping[str, tuple[Addend, ...]], ...]
    report: Report
    fits: Fits

    @property
    def files(self) -> tuple[LoraFile, ...]:
        """All that was read; holding them keeps them in the shared cache."""
        return tuple(fit.file for fit in self.fits.values())


def make_plan(
    recipe: Recipe, models: Sequence[Model], cache: FileCache, known: Fits = NONE_KNOWN
) -> Plan:
    """Reads the recipe's files and matches them to ``models``; both stay untouched.

    Args:
        recipe: What to plan for.
        models: What it is added to.
        cache: Reads the files.
        known: What is known already of files on the very same ``models``.

    Raises:
        LoraFileError: A file is damaged or ambiguous.
        LoraMismatchError: A file does not fit, or would overflow a weight.
    """
    files = [known[t.file].file if t.file in known else cache.read(t.file) for t in recipe.terms]
    fits = {file.id: known.get(file.id) or Fit.of(file, models) for file in files}
    terms = list(zip(recipe.terms, fits.values(), strict=True))
    addends = _by_weight(terms, len(models))
    for model, weights in zip(models, addends, strict=True):
        check_range(weights, model.dtypes)
    return Plan(addends, Report(tuple(fit.report.at(term) for term, fit in terms)), fits)


def _by_weight(
    terms: Iterable[tuple[Term, Fit]], models: int
) -> tuple[dict[str, tuple[Addend, ...]], ...]:
    """What has an effect on each model: a strength of 0 is gone before any arithmetic."""
    weights = [defaultdict[str, list[Addend]](list) for _ in range(models)]
    for term, fit in terms:
        strengths = {"model": float(term.model), "clip": float(term.clip)}
        for hit in fit.hits:
            target = hit.addend.target
            if strengths[target.part]:
                weights[hit.model][target.key].append(hit.addend.times(strengths[target.part]))
    return tuple({key: tuple(addends) for key, addends in own.items()} for own in weights)
