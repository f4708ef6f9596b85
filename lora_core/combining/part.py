"""What a file adds to a weight as a matrix, where it is a function of the weight, too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..families import BaseWeight, Delta, Dense, Diagonal, LowRank, Replacement, Static
from ..naming import Shape
from .product import Matrix, Product


@dataclass(frozen=True, slots=True, eq=False)
class PartTerm:
    """strength · delta, on some rows of a weight.

    Attributes:
        start: The first row.
        length: How many.
    """

    strength: float
    delta: Delta
    start: int
    length: int


def matrix_of(
    terms: Sequence[PartTerm], shape: Shape, weight: BaseWeight | None = None
) -> Matrix | None:
    """Returns the sum of terms as a matrix (out, in · kernel); None if it takes the weight.

    Args:
        terms: One or more terms of one weight.
        shape: The weight's shape.
        weight: The weight itself, if it is there.
    """
    height = shape[0] if shape else 1
    parts: list[Matrix] = []
    for term in terms:
        own = None if weight is None else weight.rows(term.start, term.length)
        for static in _statics(term, shape, own):
            matrix = _matrix(static, own)
            if matrix is None:
                return None
            parts.append(_placed(matrix, term, height))
    products = [part for part in parts if isinstance(part, Product)]
    if len(products) == len(parts):
        return Product.sum(products)
    return torch.stack([_dense(part) for part in parts]).sum(0)


def _statics(term: PartTerm, shape: Shape, weight: BaseWeight | None) -> Sequence[Delta]:
    """Returns a term in the normal form, or as it is if that takes the weight."""
    delta = term.delta
    if weight is not None:
        return delta.resolve_on(weight)
    if isinstance(delta, Static) or delta.needs_weight:
        return (delta,)
    rank = delta.pair_rank
    if rank is not None and rank < min(term.length, math.prod(shape[1:])):
        return (delta.to_low_rank(),)
    rows = torch.zeros((), dtype=torch.float64).expand(term.length, *shape[1:])
    return delta.resolve_on(BaseWeight(rows))


def _matrix(delta: Delta, weight: BaseWeight | None) -> Matrix | None:
    """Returns a static delta as a matrix; None if it is another one, or takes the weight."""
    match delta:
        case LowRank(up, down, scale):
            if weight is None:
                return Product(up.double(), down.double(), scale)
            return Product(weight.like(up), weight.like(down), scale)
        case Dense(diff):
            return _flat(diff.double() if weight is None else weight.like(diff))
        case _:
            return None if weight is None or not isinstance(delta, Static) else _on(delta, weight)


def _on(delta: Static, weight: BaseWeight) -> Matrix:
    """Returns what a delta adds that looks at the weight: a new value, or shares of it."""
    base = weight.matrix()
    if isinstance(delta, Replacement):
        return _flat(weight.like(delta.value)) - base
    if not isinstance(delta, Diagonal):
        raise TypeError(f"{delta.text()} is no term of the normal form")
    share = torch.zeros_like(base)
    if delta.row is not None:
        share += weight.like(delta.row)[:, None] * base
    if delta.column is not None:
        column = weight.like(delta.column)
        share += column.repeat_interleave(base.shape[1] // len(column)) * base
    return share


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(len(tensor) if tensor.ndim else 1, -1)


def _dense(matrix: Matrix) -> torch.Tensor:
    return matrix.dense() if isinstance(matrix, Product) else matrix


def _placed(matrix: Matrix, term: PartTerm, height: int) -> Matrix:
    """Returns the term among all rows: zero in the others."""
    pad = (0, 0, term.start, height - term.start - term.length)
    if isinstance(matrix, Product):
        up = torch.nn.functional.pad(matrix.up, pad) if any(pad) else matrix.up
        return Product(up, matrix.down, matrix.scale * term.strength)
    return torch.nn.functional.pad(matrix, pad) * term.strength
