"""How far one set of changes is from another: what a file lost, measured and not estimated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..combining import Matrix, Product, difference_norm, rows_of
from ..families import norm
from .change import ModelChanges


@dataclass(frozen=True, slots=True)
class Errors:
    """How far a file is from what it stands for.

    Attributes:
        total: ‖file − truth‖ / ‖truth‖ over all weights together.
        by_weight: The same for each weight, relative to its own truth.
    """

    total: float
    by_weight: Mapping[str, float]

    @property
    def worst(self) -> tuple[str, float]:
        """The weight with the largest error of its own."""
        return max(self.by_weight.items(), key=lambda each: each[1], default=("", 0.0))


def errors_of(truth: Sequence[ModelChanges], found: Sequence[ModelChanges]) -> Errors:
    """Compares what is added to the same models, a weight at a time."""
    lost: dict[str, tuple[float, float]] = {}
    for own, other in zip(truth, found, strict=True):
        for key in dict.fromkeys((*own.keys, *other.keys)):
            lost[key] = _lost(own.of(key).whole(), other.of(key).whole())
    return Errors(
        _relative(math.hypot(*(away for away, _ in lost.values())), _size(lost)),
        {key: _relative(away, size) for key, (away, size) in lost.items()},
    )


def _size(lost: Mapping[str, tuple[float, float]]) -> float:
    return math.hypot(*(size for _, size in lost.values()))


def _relative(away: float, size: float) -> float:
    if size:
        return away / size
    return 0.0 if away == 0 else math.inf


def _lost(truth: Matrix | None, found: Matrix | None) -> tuple[float, float]:
    """Returns (‖found − truth‖, ‖truth‖)."""
    if truth is None or found is None:
        only = truth if found is None else found
        size = 0.0 if only is None else _norm(only)
        return size, 0.0 if truth is None else size
    if isinstance(truth, Product) and isinstance(found, Product):
        return difference_norm(found, truth), truth.norm()
    whole = rows_of(truth, slice(None))
    return float(norm(rows_of(found, slice(None)) - whole)), float(norm(whole))


def _norm(matrix: Matrix) -> float:
    return matrix.norm() if isinstance(matrix, Product) else float(norm(matrix))
