"""A plan: all that a recipe does to some models, known before anything is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..algebra import Recipe
from ..reading import FileCache, LoraFile
from .divide import Halves, Layers, Weights, divide, halves
from .fit import NONE_KNOWN, Fit, Fits
from .match import Model
from .overflow import check_beside, check_range
from .replaced import check_replaced
from .report import Report


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a recipe does to some models.

    Attributes:
        addends: For each model, by weight, what is added to it.
        live: For each model, by weight, what goes beside its layer.
        report: What became of every file.
        fits: By file, for the next plan for the very same models. Holding them keeps their files
            in the shared cache.
    """

    addends: tuple[Weights, ...]
    live: tuple[Layers, ...]
    report: Report
    fits: Fits

    @property
    def files(self) -> tuple[LoraFile, ...]:
        """All that was read; holding them keeps them in the shared cache."""
        return tuple(fit.file for fit in self.fits.values())


def make_plan(
    recipe: Recipe | Halves, models: Sequence[Model], cache: FileCache, known: Fits = NONE_KNOWN
) -> Plan:
    """Reads the recipe's files and matches them to ``models``; both stay untouched.

    Args:
        recipe: What to merge (LoraInputError if its strengths vary); ``Halves`` say what goes live
            instead.
        models: What it is added to.
        cache: Reads the files.
        known: What is known already of files on the very same ``models``.

    Raises:
        LoraFileError: A file is damaged or ambiguous.
        LoraMismatchError: A file does not fit, would overflow a weight, or cannot vary as asked.
    """
    parts = recipe if isinstance(recipe, Halves) else halves(recipe, "merge", quantised=False)
    terms = parts.whole.terms
    files = [known[t.file].file if t.file in known else cache.read(t.file) for t in terms]
    fits = {file.id: known.get(file.id) or Fit.of(file, models) for file in files}
    division = divide(fits.values(), parts, models)
    for model, weights in zip(models, division.merged, strict=True):
        check_replaced(weights)
        check_range(weights, model.dtypes)
    for model, weights in zip(models, division.strongest, strict=True):
        check_beside(weights, model.dtypes)
    reports = (
        fit.report.at(term, division.counts.get(term.file, 0))
        for term, fit in zip(terms, fits.values(), strict=True)
    )
    return Plan(division.merged, division.live, Report(tuple(reports)), fits)
