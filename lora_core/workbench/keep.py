"""How much of each layer of a new file is kept: a pair of factors, or the matrix itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch

from ..combining import Matrix, RankRule, Spectrum, cut, singular_values_of
from .unit import Unit, is_zero


def kept(units: Callable[[], Iterable[Unit]], rule: RankRule | None) -> Iterator[Unit]:
    """Yields the layers as a file will hold them, one after the other.

    A product stays one, and its rank is cut where the rule says so; a matrix becomes one. Biases,
    norms, and what has no low rank stay matrices. Layers that get nothing are left out.

    Args:
        units: Gives what is added to each layer. Under most rules it is asked twice: they look at
            all layers first, and none of them has to stay in memory for that.
        rule: How the ranks are chosen; None for exactly what is added.
    """
    fixed = rule.fixed if rule else None
    cuts = _cuts(units(), rule) if rule and fixed is None else {}
    for unit in units():
        if not is_zero(unit.matrix):
            matrix = _kept(unit, cuts.get(unit.name, fixed) if unit.can_be_pair else None)
            if matrix is not None:
                yield replace(unit, matrix=matrix)


def _cuts(units: Iterable[Unit], rule: RankRule) -> dict[str, int]:
    """Returns the rank of each layer that a rule is for."""
    spectra = {
        unit.name: Spectrum(singular_values_of(unit.matrix), unit.cost)
        for unit in units
        if unit.can_be_pair and not is_zero(unit.matrix)
    }
    return dict(zip(spectra, rule.ranks([*spectra.values()]), strict=True))


def _kept(unit: Unit, rank: int | None) -> Matrix | None:
    if rank == 0:
        return None
    if rank is None or rank > unit.largest_rank:
        return _exact(unit)
    return cut(unit.matrix, rank)


def _exact(unit: Unit) -> Matrix:
    matrix = unit.matrix
    if isinstance(matrix, torch.Tensor) or (unit.can_be_pair and matrix.rank <= unit.largest_rank):
        return matrix
    return matrix.dense()
