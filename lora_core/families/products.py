"""Deltas that multiply the weight from its input side: W · left · right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..naming import Shape
from .base_weight import BaseWeight
from .delta import LowRank, Slot, Static, shape_text
from .linear_algebra import kron, norm
from .weight_dependent import WeightDependent


@dataclass(frozen=True, slots=True, eq=False)
class Through(WeightDependent):
    """W · left · right, at every place of a kernel separately.

    Attributes:
        left: (in, rank), or (in · kernel, rank).
        right: (rank, in), or (rank, in · kernel).
    """

    left: torch.Tensor
    right: torch.Tensor
    slot: Slot = "weight"

    @property
    def follows(self) -> bool:
        return True

    @property
    def rank(self) -> int:
        return len(self.right)

    @property
    def inputs(self) -> int:
        return self.right.shape[1]

    def fits(self, shape: Shape) -> bool:
        inputs = len(self.left)
        known = len(shape) > 1 and inputs in (shape[1], torch.Size(shape[1:]).numel())
        return known and self.right.shape[1] == inputs

    def text(self) -> str:
        return f"W · {shape_text(self.left)} · {shape_text(self.right)}"

    def max_abs_bound(self) -> float:
        """Returns the length of the longest column of left · right, from leftᵀ · left (rank, rank)."""
        if self.left.is_meta:
            return 0.0
        left, right = self.left.double(), self.right.double()
        if len(right) > len(left):
            return float(norm(left @ right, 0).max())
        squares = (right * (left.T @ left @ right)).sum(0)
        return math.sqrt(max(float(squares.max()), 0.0))

    def cut(self, rows: slice) -> Through:
        del rows
        return self

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        left, right = weight.like(self.left), weight.like(self.right)
        places = weight.size[1] // len(left)
        if places > 1:
            # the same for every place of the kernel, which is the last index of a weight's row
            one = torch.eye(places, dtype=left.dtype, device=left.device)
            left, right = kron(left, one), kron(right, one)
        return (LowRank(weight.times(left), right, 1.0),)
