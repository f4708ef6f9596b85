"""Orthogonal deltas: blocks of rotations along the outputs or the inputs of a weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from ..naming import Shape
from .base_weight import BaseWeight, widest_type
from .delta import Dense, Diagonal, Slot, Static, shape_text
from .finite import largest_magnitude
from .linear_algebra import norm, solve
from .weight_dependent import WeightDependent

EXACT: Final = -1
"""A number of terms that means the Cayley transform itself instead of a series."""


@dataclass(frozen=True, slots=True, eq=False)
class Rotation(WeightDependent):
    """rescale · R · W - W, or rescale · W · R - W, with R a product of stages.

    Every stage is block diagonal in an order of its own: R = Pᵀ · diag(blocks) · P. The blocks are
    Cayley transforms (Qiu et al. 2023, arXiv:2306.07280), made when they meet the weight.

    Attributes:
        skews: (stages, blocks, size, size), Q = -Qᵀ.
        by_input: Which side of W is rotated.
        rescale: One number for each output; None if there is none.
        butterfly: The order of stage i; None if all blocks stay as they are.
        terms: The number of terms of a series that replaces the exact transform; ``EXACT`` for the
            transform.
        last: The factor on the last term of the series.
        shared: Whether a single block stands for all blocks.
        back_in_kernels: Whether convolutions are rotated in the opposite direction.
    """

    skews: torch.Tensor
    by_input: bool
    rescale: torch.Tensor | None = None
    butterfly: Callable[[int, int, int], torch.Tensor] | None = None
    terms: int = EXACT
    last: int = 1
    shared: bool = False
    back_in_kernels: bool = False
    slot: Slot = "weight"

    @property
    def follows(self) -> bool:
        return True

    @property
    def made_wide(self) -> bool:
        return True

    def fits(self, shape: Shape) -> bool:
        if not shape or (self.rescale is not None and len(self.rescale) != shape[0]):
            return False
        length = torch.Size(shape[1:]).numel() if self.by_input else shape[0]
        blocks, size = self.skews.shape[1:3]
        return length % size == 0 if self.shared else length == blocks * size

    def text(self) -> str:
        rescale = "" if self.rescale is None else f" and {len(self.rescale)} factors for outputs"
        return f"a set of rotations {shape_text(self.skews)}{rescale}"

    def max_abs_bound(self) -> float:
        """Returns a number that no entry exceeds.

        Rows of length 1 keep their length when they are rotated, except by a series, which may grow
        without limit.
        """
        if self.terms == EXACT:
            return self._rescaled(2.0)
        size = self.skews.shape[-1] * largest_magnitude("Q", self.skews)
        try:
            return self._rescaled(2 * self.last * max(size, 1.0) ** max(self.terms - 1, 1))
        except OverflowError:
            return math.inf

    def max_abs(self) -> float:
        if self.terms == EXACT:
            return self.max_abs_bound()
        moved = rotation_minus_identity(self.skews.double(), self.terms, self.last)
        return self._rescaled(float(norm(moved, -1).max()))

    def _rescaled(self, size: float) -> float:
        """Returns the size of s · (R - I) + (s - 1), for an R - I of this size."""
        if self.rescale is None:
            return size
        largest = largest_magnitude("rescale", self.rescale)
        return largest * size + largest + 1

    def cut(self, rows: slice) -> Rotation | None:
        if not self.by_input:
            return None
        return self if self.rescale is None else replace(self, rescale=self.rescale[rows])

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        matrix = weight.matrix()
        moved = self._moved(matrix.T if self.by_input else matrix, len(weight.shape) > 2)
        delta = moved.T if self.by_input else moved
        if self.rescale is None:
            return (Dense(delta),)
        factor = weight.like(self.rescale)
        return Dense(delta * factor[:, None]), Diagonal(row=factor - 1)

    def _moved(self, rows: torch.Tensor, kernel: bool) -> torch.Tensor:
        """Computes R · rows - rows as the sum of what each stage adds, so that no digits are lost."""
        turning = self.skews.to(rows.device, widest_type(rows.device))
        total = torch.zeros_like(rows)
        for stage, skews in enumerate(-turning if self.back_in_kernels and kernel else turning):
            added = self._added(
                rows + total,
                stage,
                rotation_minus_identity(skews, self.terms, self.last).to(rows.dtype),
            )
            total += added
        return total

    def _added(self, rows: torch.Tensor, stage: int, blocks: torch.Tensor) -> torch.Tensor:
        """Computes (R - I) · rows of one stage."""
        if self.shared:
            blocks = blocks.expand(len(rows) // blocks.shape[-1], -1, -1)
        order = None
        if self.butterfly is not None:
            order = self.butterfly(stage, len(rows), blocks.shape[-1]).to(rows.device)
            rows = rows[order]
        added = torch.bmm(blocks, rows.reshape(len(blocks), -1, rows.shape[1])).flatten(0, 1)
        return added if order is None else torch.empty_like(added).index_copy_(0, order, added)


def rotation_minus_identity(skews: torch.Tensor, terms: int = EXACT, last: int = 1) -> torch.Tensor:
    """Computes R - I of each Q (…, b, b), with R = (I + Q) · (I - Q)⁻¹, or peft's series for it.

    The series is I + 2Q + 2Q² + … + last · Qⁿ (Qiu et al. 2025, arXiv:2506.19847), where n is one less
    than the ``terms``, but 3 for three of them, and two terms are I + 2Q.
    """
    if terms == EXACT:
        one = torch.eye(skews.shape[-1], dtype=skews.dtype, device=skews.device)
        return solve(one - skews, 2 * skews)
    if terms < 3:
        return 2 * (terms - 1) * skews
    total, power = 2 * skews, skews
    for _ in range(2, max(terms - 1, 3)):
        power = power @ skews
        total = total + 2 * power
    return total + last * (power @ skews)


def strided(stage: int, length: int, size: int) -> torch.Tensor:
    """Returns LyCORIS' order of rows in stage i: pairs that are 2ⁱ · size / 2 apart become
    neighbours."""
    half = 2**stage * (size // 2)
    return torch.arange(length).view(-1, 2, half).transpose(1, 2).flatten()


def halves_apart(stage: int, length: int, size: int) -> torch.Tensor:
    """Returns peft's order of rows in stage i.

    It is the inverse of sorting, in stretches of 2ⁱ blocks, even half blocks before odd ones.
    """
    stretch = 2**stage * size
    halves = torch.arange(length).view(length // stretch, -1, 2, size // 2)
    return halves.transpose(1, 2).flatten().argsort()
