"""The layers of a new file: each a name, and the matrix that stands behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from ..combining import Matrix, Product
from ..families import Slot
from ..naming import Shape, WrittenName
from .change import Change, ModelChanges
from .source import NamesInFile


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """What a new file holds for one layer.

    Attributes:
        name: The layer's name in the file.
        slot: The weight or the bias.
        shape: The shape of the layer's weight or bias.
        matrix: (out, in · kernel).
    """

    name: str
    slot: Slot
    shape: Shape
    matrix: Matrix

    @property
    def can_be_pair(self) -> bool:
        """Whether a pair of factors can stand for it."""
        return self.slot == "weight" and len(self.shape) > 1

    @property
    def cost(self) -> int:
        """How many numbers each rank takes."""
        return self.matrix.shape[0] + self.matrix.shape[1]

    @property
    def largest_rank(self) -> int:
        """The largest rank with which it is kept as a pair.

        A product stays one as long as its rank is one; a matrix only becomes one that is smaller.
        """
        if not self.can_be_pair:
            return 0
        height, width = self.matrix.shape
        if isinstance(self.matrix, Product):
            return min(height, width)
        return (height * width - 1) // (height + width)


def units_of(
    changes: ModelChanges, names: NamesInFile, shapes: Mapping[str, Shape]
) -> Iterator[Unit]:
    """Yields the layers of a file for what is added to some weights; layers that get nothing are
    left out."""
    for change in map(changes.of, changes.keys):
        weight = weight_of_bias(change.key, shapes)
        layer = change.key.removesuffix(".bias")
        for name in names.of(weight or change.key):
            is_bias = weight is not None or name.name == layer != change.key
            unit = _unit(change, name, "bias" if is_bias else "weight")
            if unit is not None:
                yield unit


def weight_of_bias(key: str, shapes: Mapping[str, Shape]) -> str | None:
    """Returns the weight of the layer that a bias belongs to, as a file names both alike."""
    layer = key.removesuffix(".bias")
    weight = f"{layer}.weight"
    return weight if layer != key and weight in shapes else None


def _unit(change: Change, name: WrittenName, slot: Slot) -> Unit | None:
    start, length = name.target.rows or (0, change.height)
    matrix = change.rows(start, length)
    if matrix is None:
        return None
    if name.target.halves_swapped:
        matrix = _with_halves_swapped(matrix)
    return Unit(name.name, slot, (length, *change.shape[1:]) if change.shape else (), matrix)


def _with_halves_swapped(matrix: Matrix) -> Matrix:
    if isinstance(matrix, Product):
        return replace(matrix, up=matrix.up.roll(len(matrix.up) // 2, 0))
    return matrix.roll(len(matrix) // 2, 0)


def is_zero(matrix: Matrix) -> bool:
    """Tells whether a matrix is 0 because it or one of its factors is."""
    parts = (matrix.up, matrix.down) if isinstance(matrix, Product) else (matrix,)
    return any(not torch.count_nonzero(part) for part in parts)
