"""DoRA: a delta whose sum with the weight gets its magnitudes from the file (Liu et al. 2024,
arXiv:2402.09353)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from ..naming import Shape
from .base_weight import BaseWeight, widest_type
from .delta import Delta, Dense, Diagonal, LowRank, Slot, Static, shape_text
from .family import Family
from .finite import largest_magnitude
from .source import Source
from .weight_dependent import WeightDependent

LARGEST_SQUARED: Final = 1e15
"""The largest entry whose squares can be added up in float32."""

LARGEST_MAGNITUDE: Final = 1e28
"""The largest magnitude: rows that cancel to the last digits of float64 can still be multiplied by
it."""

LARGEST_FACTOR: Final = 1e38
"""The largest factor on a row of which almost nothing is left."""


@dataclass(frozen=True, slots=True, eq=False)
class Decomposed(WeightDependent):
    """diag(d) · (W + inner) - W, with d = magnitude / |W + inner| for each output, or each input.

    Attributes:
        inner: The delta before its magnitudes are set.
        magnitude: (out,), or (in,) if ``by_input``.
        by_input: Whether it is one number for each input.
        eps: What the trainer adds to the norm.
    """

    inner: Delta
    magnitude: torch.Tensor
    by_input: bool
    eps: float
    slot: Slot = "weight"

    @property
    def removes(self) -> bool:
        return True

    @property
    def rank(self) -> int | None:
        return self.inner.rank

    @property
    def inputs(self) -> int | None:
        return self.inner.inputs

    def fits(self, shape: Shape) -> bool:
        axis = 1 if self.by_input else 0
        return self.inner.fits(shape) and len(shape) > axis and len(self.magnitude) == shape[axis]

    def text(self) -> str:
        side = "inputs" if self.by_input else "outputs"
        return f"{self.inner.text()} and magnitudes {shape_text(self.magnitude)} of {side}"

    def max_abs_bound(self) -> float:
        """Returns a number that no entry exceeds: none is larger than the magnitude of its row or
        column.

        It is infinite for factors so large that norms cannot be formed.
        """
        largest = largest_magnitude("magnitude", self.magnitude)
        if not (self.inner.max_abs_bound() <= LARGEST_SQUARED and largest <= LARGEST_MAGNITUDE):
            return math.inf
        return largest

    def cut(self, rows: slice) -> Decomposed | None:
        inner = self.inner.cut(rows)
        if inner is None or self.by_input:
            return None
        return replace(self, inner=inner, magnitude=self.magnitude[rows])

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        (inner,) = self.inner.resolve_on(weight)
        squares = self._squares(inner, weight)
        if self.by_input:
            squares = squares.view(len(self.magnitude), -1).sum(1)
        norm = squares.clamp_(min=0).sqrt_().add_(self.eps)
        factor = (self.magnitude.to(norm) / norm).clamp(-LARGEST_FACTOR, LARGEST_FACTOR)
        factor = weight.like(torch.where(norm > 0, factor, 0.0))
        return self._rescaled(inner, factor, weight)

    def _squares(self, inner: Static, weight: BaseWeight) -> torch.Tensor:
        """Returns the squared norm of every row or column of W + inner."""
        if isinstance(inner, LowRank):
            up, down = weight.like(inner.up) * inner.scale, weight.like(inner.down)
            return (
                _column_squares(weight, up, down)
                if self.by_input
                else _row_squares(weight, up, down)
            )
        if not isinstance(inner, Dense):
            raise TypeError(type(inner))
        moved = BaseWeight(weight.matrix() + weight.like(inner.diff))
        return moved.column_squares() if self.by_input else moved.row_squares()

    def _rescaled(
        self, inner: Static, factor: torch.Tensor, weight: BaseWeight
    ) -> Sequence[Static]:
        """Returns (factor - 1) · W + factor · inner, in the normal form."""
        if not self.by_input:
            return Diagonal(row=factor - 1), _scaled_rows(inner, factor)
        spread = factor.repeat_interleave(weight.size[1] // len(factor))
        return Diagonal(column=factor - 1), _scaled_columns(inner, spread)


def _row_squares(weight: BaseWeight, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Returns |W + up · down|² of each row, without computing up · down.

    Its square and twice the products of W with it need only W · downᵀ (out, rank) and down · downᵀ
    (rank, rank).
    """
    cross = 2 * weight.times(down.T) + up @ (down @ down.T)
    return weight.row_squares() + (cross * up).sum(1, dtype=widest_type(up.device))


def _column_squares(weight: BaseWeight, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Returns the same of each column, from Wᵀ · up (in, rank) and upᵀ · up (rank, rank)."""
    cross = 2 * weight.transposed_times(up).T + (up.T @ up) @ down
    return weight.column_squares() + (cross * down).sum(0, dtype=widest_type(up.device))


def _scaled_rows(inner: Static, factor: torch.Tensor) -> Static:
    if isinstance(inner, LowRank):
        up = inner.up.to(factor) * factor[:, None]
        return LowRank(up, inner.down, inner.scale)
    if isinstance(inner, Dense):
        return Dense(inner.diff.to(factor).flatten(1) * factor[:, None])
    raise TypeError(type(inner))


def _scaled_columns(inner: Static, factor: torch.Tensor) -> Static:
    if isinstance(inner, LowRank):
        return LowRank(inner.up, inner.down.to(factor) * factor, inner.scale)
    if isinstance(inner, Dense):
        return Dense(inner.diff.to(factor).flatten(1) * factor)
    raise TypeError(type(inner))


def decomposed(source: Source, inner: Delta) -> Delta:
    """Gives ``inner`` with the magnitudes that its module has; ``inner`` itself if there are none.

    ``dora_scale`` (out, 1, …) or (out,) is by outputs, (1, in, 1, …) by inputs; peft's magnitude is by
    outputs, however it is written, which are the columns of an embedding. LyCORIS adds the smallest
    step of its numbers to the norm.

    Raises:
        LoraFileError: There are two kinds of magnitudes, or not a vector, or none although the
            config says that it was trained with them.
    """
    if inner.slot != "weight":
        return inner
    magnitude = source.get("magnitude")
    if magnitude is not None and "dora_scale" in source.tensors:
        found = source.shapes("magnitude", "dora_scale")
        raise source.refuse(
            f" has two kinds of magnitudes: {found}.", expected="one of them", found=found
        )
    if magnitude is not None:
        of_embedding = "embedding_up" in source.tensors
        return Decomposed(inner, magnitude.flatten(), by_input=of_embedding, eps=0.0)
    scale = source.get("dora_scale")
    if scale is None:
        return _without_magnitudes(source, inner)
    if scale.numel() != max(scale.shape, default=1):
        found = source.shapes("dora_scale")
        raise source.refuse(
            f": its magnitudes are not a vector: {found}.",
            expected="(out, 1) or (1, in)",
            found=found,
        )
    by_input = scale.ndim > 1 and scale.shape[0] == 1
    step = torch.finfo(torch.float64 if scale.dtype == torch.float64 else torch.float32).eps
    return Decomposed(inner, scale.flatten(), by_input, step)


def _without_magnitudes(source: Source, inner: Delta) -> Delta:
    if source.settings.option("use_dora", False):
        raise source.refuse(
            " was trained as DoRA, but its magnitudes are not in the file.",
            expected="lora_magnitude_vector",
            found=", ".join(sorted(source.tensors)),
        )
    return inner


DORA: Final = Family(
    "DoRA",
    spellings={
        # LyCORIS
        ".dora_scale": "dora_scale",
        # peft
        ".lora_magnitude_vector*": "magnitude",
        ".lora_magnitude_vector*.weight": "magnitude",
    },
    forms=(),
)

MAGNITUDES: Final = frozenset(DORA.spellings.values())
"""The roles that turn the family next to them into a DoRA."""
