"""What is in LoRAs: how much they change where, how alike they are, and what they do to each other.

All of it follows from the factors; no matrix as large as a weight is made, unless a file has one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from ..algebra import Recipe
from ..combining import Matrix, Product, Spectrum, overlap_of, read_rule
from ..errors import LoraInputError
from ..families import numbers_of
from ..matching import Progress, make_plan
from ..naming import KINDS
from ..reading import FileCache, shared_cache
from .change import Changes
from .places import OTHER, Place, places_in
from .source import Source
from .varying import refuse_varying

ERRORS: Final = ("1%", "5%")
"""The errors for which it is said how small a file can be."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What LoRAs do to all layers of one kind in one block.

    Attributes:
        place: The block.
        kind: The kind of layer, of ``KINDS``, or "other".
        sizes: ‖ΔW‖ of each LoRA.
        total: ‖ΔW‖ of all of them together.
        weight: ‖W‖; None if the model's weights are not known.
    """

    place: Place
    kind: str
    sizes: tuple[float, ...]
    total: float
    weight: float | None = None

    @property
    def agreement(self) -> float:
        """How much larger the sum is than of changes that have nothing in common: −1 where they
        cancel out, 0 where they are orthogonal."""
        apart = math.hypot(*self.sizes)
        return self.total / apart - 1 if apart else 0.0


@dataclass(frozen=True, slots=True)
class Smaller:
    """How small a LoRA can be.

    Attributes:
        error: ‖lost‖ / ‖all‖, as text.
        share: How many of its numbers are left.
        rank: The largest rank of a layer then.
    """

    error: str
    share: float
    rank: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is in the LoRAs of a recipe, at their strengths in it.

    Attributes:
        names: What the LoRAs are called.
        cells: What they do, by block and kind, in the order of the model.
        sizes: ‖ΔW‖ of each over the whole model.
        total: ‖ΔW‖ of all of them together.
        cosines: For each pair, the cosine between what they add.
        outputs: For each pair, how much of the smaller one's output space they share, from 0 to 1.
        inputs: The same for what they look at.
        smaller: For each LoRA how small it could be, for each of ``ERRORS``.
    """

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    sizes: tuple[float, ...]
    total: float
    cosines: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]
    inputs: tuple[tuple[float, ...], ...]
    smaller: tuple[tuple[Smaller, ...], ...]


def analyse(
    recipe: Recipe,
    model: Source,
    progress: Progress | None = None,
    *,
    cache: FileCache = shared_cache,
) -> Analysis:
    """Analyses every LoRA of a recipe, and all of them together, on one model.

    Args:
        recipe: The LoRAs, with their strengths.
        model: The model; its weights are only asked for to compare with, and where something
            depends on them.
        progress: Is called before each weight; what it raises ends the work.
        cache: The cache that keeps files.

    Raises:
        LoraInputError: There is no LoRA.
        LoraError: A file is damaged or does not fit, or depends on weights that are not there.
    """
    if not recipe:
        raise LoraInputError(
            "There is nothing to analyse: the strengths cancel out, or there is no LoRA.",
            key="lora",
            expected="one LoRA or more",
            found="none",
        )
    refuse_varying(recipe, "an analysis")
    norm_of = model.norm_of
    parts = [_changes(Recipe((term,)), model, cache) for term in recipe.terms]
    keys = dict.fromkeys(key for part in parts for key in part.keys)
    if not keys:
        raise LoraInputError(
            "There is nothing to analyse: the LoRA changes nothing in this model.",
            key="lora",
            expected="a LoRA that changes something",
            found="no changes",
        )
    sums, place_of = _Sums(len(parts)), places_in(model.view)
    for done, key in enumerate(keys):
        if progress:
            progress(done, len(keys))
        found = [part.of(key).whole() for part in parts]
        sums.add(place_of(key), found, norm_of(key) if norm_of else None)
    return sums.analysis(tuple(term.file.label for term in recipe.terms))


def _changes(recipe: Recipe, model: Source, cache: FileCache) -> Changes:
    (plan,) = make_plan(recipe, [model.view], cache).models
    return Changes(plan, model.view.shapes, model.weight_of)


class _Sums:
    """Sums over the layers of a model, one layer after the other."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._products: dict[tuple[Place, str], torch.Tensor] = {}
        self._weights: defaultdict[tuple[Place, str], float] = defaultdict(float)
        self._shared = {
            side: torch.zeros(count, count, dtype=torch.float64) for side in ("out", "in")
        }
        self._measure = torch.zeros(count, count, dtype=torch.float64)
        self._spectra: list[list[Spectrum]] = [[] for _ in range(count)]

    def add(
        self, where: tuple[Place, str], found: Sequence[Matrix | None], weight: float | None
    ) -> None:
        """Adds what each LoRA does to one weight."""
        there = [index for index, matrix in enumerate(found) if matrix is not None]
        own = overlap_of([_single(matrix) for matrix in found if matrix is not None])
        at = torch.tensor(there)
        products = self._products.setdefault(
            where, torch.zeros(self._count, self._count, dtype=torch.float64)
        )
        products[at[:, None], at] += own.products
        sizes = own.products.diagonal().clamp(min=0).sqrt()
        measure = sizes[:, None] * sizes
        self._measure[at[:, None], at] += measure
        self._shared["out"][at[:, None], at] += own.outputs * measure
        self._shared["in"][at[:, None], at] += own.inputs * measure
        for index, values in zip(there, own.values, strict=True):
            matrix = found[index]
            cost = sum(matrix.shape) if matrix is not None else 0
            self._spectra[index].append(Spectrum(values, cost))
        if weight is not None:
            self._weights[where] += weight * weight

    def analysis(self, names: tuple[str, ...]) -> Analysis:
        """Returns what was found."""
        whole = sum(
            self._products.values(), torch.zeros(self._count, self._count, dtype=torch.float64)
        )
        sizes = whole.diagonal().clamp(min=0).sqrt()
        return Analysis(
            names,
            tuple(self._cells()),
            tuple(numbers_of(sizes)),
            _root(whole),
            _rows(_divided(whole, sizes[:, None] * sizes)),
            _rows(_divided(self._shared["out"], self._measure)),
            _rows(_divided(self._shared["in"], self._measure)),
            tuple(tuple(_smaller(own)) for own in self._spectra),
        )

    def _cells(self) -> Iterator[Cell]:
        order = {kind: number for number, kind in enumerate((*KINDS, OTHER))}
        for (place, kind), products in sorted(
            self._products.items(), key=lambda item: (item[0][0], order[item[0][1]])
        ):
            sizes = numbers_of(products.diagonal().clamp(min=0).sqrt())
            squares = self._weights.get((place, kind))
            weight = None if squares is None else math.sqrt(squares)
            yield Cell(place, kind, tuple(sizes), _root(products), weight)


def _single(matrix: Matrix) -> Matrix:
    """Returns a matrix in float32: what follows is for people to see."""
    if isinstance(matrix, Product):
        return replace(matrix, up=matrix.up.float(), down=matrix.down.float())
    return matrix.float()


def _root(products: torch.Tensor) -> float:
    """Returns the norm of the sum."""
    return math.sqrt(max(0.0, float(products.sum())))


def _divided(above: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    return torch.where(below > 0, above / below.clamp(min=1e-300), torch.zeros_like(above))


def _rows(matrix: torch.Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(numbers_of(row)) for row in matrix)


def _smaller(spectra: Sequence[Spectrum]) -> Iterator[Smaller]:
    all_of_it = sum(spectrum.cost * len(spectrum.values) for spectrum in spectra)
    for error in ERRORS:
        rule = read_rule(error)
        ranks = rule.ranks(spectra) if rule else []
        left = sum(rank * spectrum.cost for rank, spectrum in zip(ranks, spectra, strict=True))
        yield Smaller(error, left / all_of_it if all_of_it else 0.0, max(ranks, default=0))


def fights(
    cells: Iterable[Cell], least: float = 0.1
) -> Iterator[tuple[str, Sequence[Place], float]]:
    """Yields (kind, blocks, agreement) where LoRAs cancel a part of each other.

    Neighbouring blocks of a list are put together; the agreement is that of all their layers.

    Args:
        cells: What LoRAs do, by block and kind.
        least: How much smaller than of orthogonal changes the sum has to be, as a share.
    """
    by_kind: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_kind[cell.kind].append(cell)
    for kind, own in by_kind.items():
        run: list[Cell] = []
        for cell in [*own, None]:
            fits = cell is not None and cell.agreement <= -least
            if run and not (fits and cell is not None and _next(run[-1].place, cell.place)):
                yield kind, [each.place for each in run], _together(run)
                run = []
            if fits and cell is not None:
                run.append(cell)


def _next(one: Place, other: Place) -> bool:
    return one[0] == other[0] and other[1] == one[1] + 1


def _together(cells: Sequence[Cell]) -> float:
    total = math.hypot(*(cell.total for cell in cells))
    apart = math.hypot(*(size for cell in cells for size in cell.sizes))
    return total / apart - 1 if apart else 0.0


def plain(analysis: Analysis) -> Mapping[str, object]:
    """Returns an analysis as plain values, ready for JSON."""
    return {
        "names": analysis.names,
        "sizes": analysis.sizes,
        "total": analysis.total,
        "cosines": analysis.cosines,
        "outputs": analysis.outputs,
        "inputs": analysis.inputs,
        "cells": [
            {
                "list": cell.place[0],
                "block": cell.place[1],
                "kind": cell.kind,
                "sizes": cell.sizes,
                "total": cell.total,
                "weight": cell.weight,
            }
            for cell in analysis.cells
        ],
        "smaller": [
            [{"error": s.error, "share": s.share, "rank": s.rank} for s in own]
            for own in analysis.smaller
        ],
    }
