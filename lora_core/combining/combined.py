"""What a method makes of several parts, as a delta of one weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..families import BaseWeight, Dense, LowRank, Slot, Static, WeightDependent
from ..naming import Shape
from .method import Method, Options
from .part import PartTerm, matrix_of
from .product import Matrix, Product


@dataclass(frozen=True, slots=True, eq=False)
class Combined(WeightDependent):
    """A delta that is worked out when the weight is there: one of its parts depends on the weight,
    or the result is as large as the weight and is not kept.

    Attributes:
        method: The method.
        options: What it is told.
        layer: The weight's name, from which random choices follow.
        parts: The terms of each part.
        shape: The weight's shape.
        bound: A number that no entry of any of the parts together exceeds.
        slot: The weight or the bias.
        grows: Whether a part grows with the weight.
        replaces: Whether a part takes away the weight itself.
    """

    method: Method
    options: Options
    layer: str
    parts: tuple[tuple[PartTerm, ...], ...]
    shape: Shape
    bound: float
    slot: Slot = "weight"
    grows: bool = False
    replaces: bool = False

    @property
    def follows(self) -> bool:
        return self.grows

    @property
    def removes(self) -> bool:
        return self.replaces

    @property
    def needs_weight(self) -> bool:
        needed = (term.delta.needs_weight for part in self.parts for term in part)
        return self.grows or self.replaces or any(needed)

    def fits(self, shape: Shape) -> bool:
        return shape == self.shape

    def text(self) -> str:
        return f"{self.method.name} of {len(self.parts)} LoRAs for {self.shape}"

    def max_abs_bound(self) -> float:
        return self.bound

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        parts = [matrix_of(part, self.shape, weight) for part in self.parts]
        known = [part for part in parts if part is not None]
        made = self.method.combine(known, self.options, self.layer)
        return (as_delta(made, self.shape, self.slot),)


def as_delta(matrix: Matrix, shape: Shape, slot: Slot) -> Static:
    """Returns a matrix (out, in · kernel) as the delta of a weight of this shape."""
    if isinstance(matrix, Product):
        return LowRank(matrix.up, matrix.down, matrix.scale, shape[2:], slot)
    return Dense(matrix.reshape(shape), slot)
