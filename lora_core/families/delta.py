"""Deltas: what a file does to one weight, as data.

Four kinds are the normal form of one weight, and add up term by term:

    W  ->  (1 + row + column) · W  +  up · diag(gate) · down  +  dense

``Diagonal`` is the first term, ``LowRank`` the second, ``Dense`` the third; ``Replacement`` goes
into the first and the third. Every other delta is a function of the incoming weight, or too large
to be kept, and is turned into these kinds when it meets that weight.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch

from ..naming import Shape
from .base_weight import BaseWeight
from .finite import largest_magnitude
from .linear_algebra import norm, product_norm

Slot = Literal["weight", "bias"]

LARGEST_PAIR_RANK: Final = 64
"""The highest rank of a product that becomes one pair: multiplying a larger one costs more than its
entries."""


class Delta(ABC):
    """What strength 1 adds to a weight, or to its layer's bias.

    Attributes:
        slot: The weight or the bias.
    """

    __slots__ = ()

    slot: Slot

    @property
    def rank(self) -> int | None:
        """The rank of a low-rank adapter, as its trainer counts it; None for others."""
        return None

    @property
    def inputs(self) -> int | None:
        """How many inputs it is made for (in · kernel); None if it does not say."""
        return None

    @property
    def made_for(self) -> Shape | None:
        """The shape of the weight it is made for; None if only the weight can tell."""
        return None

    @property
    def is_zero(self) -> bool:
        """Whether it adds nothing, whatever the weight, since its alpha is 0."""
        return False

    @property
    def pair_rank(self) -> int | None:
        """The rank of the low-rank pair that it equals on any weight; None if it is not one."""
        return None

    def norm(self) -> float | None:
        """Returns its Frobenius norm; None if that takes the weight, or as long as to merge it."""
        return None

    @property
    def follows(self) -> bool:
        """Whether it grows with the weight; its bound then holds for rows of length 1."""
        return False

    @property
    def removes(self) -> bool:
        """Whether it also takes away the weight itself, which its bound leaves out."""
        return False

    @property
    def made_wide(self) -> bool:
        """Whether it is summed up in float64, so that narrower sums only see its largest entry."""
        return False

    @property
    def needs_weight(self) -> bool:
        """Whether only the weight itself tells what it adds, and not its shape alone."""
        return False

    @abstractmethod
    def fits(self, shape: Shape) -> bool:
        """Tells whether it can be added to a weight of this shape."""

    @abstractmethod
    def text(self) -> str:
        """Writes its shapes for messages."""

    @abstractmethod
    def max_abs_bound(self) -> float:
        """Returns a number that no entry exceeds; on a weight with rows of length 1 if it depends
        on that.

        LoraFileError if one of its tensors holds NaN or infinity.
        """

    @abstractmethod
    def max_abs(self) -> float:
        """Returns its largest entry if that is known without the weight; otherwise its bound."""

    @abstractmethod
    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        """Returns the same delta in the normal form, for this weight."""

    @abstractmethod
    def with_halves_swapped(self) -> Delta:
        """Returns the same delta for a weight whose rows have their two halves exchanged."""

    def cut(self, rows: slice) -> Delta | None:
        """Returns the same delta for some of the weight's rows; None if they depend on other rows."""
        del rows
        return None

    def to_low_rank(self) -> LowRank:
        """Returns the same delta as one exact pair, if it has a ``pair_rank``; TypeError otherwise."""
        raise TypeError(f"{self.text()} is not a low-rank pair")


class Static(Delta):
    """A delta that is a term of the normal form, whatever the weight."""

    __slots__ = ()

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        del weight
        return (self,)

    @abstractmethod
    def with_halves_swapped(self) -> Static: ...


@dataclass(frozen=True, slots=True, eq=False)
class LowRank(Static):
    """A low-rank delta: scale · up · down (Hu et al. 2021, arXiv:2106.09685).

    Attributes:
        up: (out, rank).
        down: (rank, in), or (rank, in · kernel) for a convolution.
        scale: alpha / rank.
        kernel: The kernel it was made for; empty or of ones where the factors are flat.
        widens: Whether it may read more inputs than the weight has.
        sizes: The largest magnitudes in up and down, if they are known. Parts of them may have less.
    """

    up: torch.Tensor
    down: torch.Tensor
    scale: float
    kernel: Shape = ()
    slot: Slot = "weight"
    widens: bool = False
    sizes: tuple[float, float] | None = None

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def pair_rank(self) -> int:
        return len(self.down)

    @property
    def inputs(self) -> int:
        return self.down.shape[1]

    @property
    def made_for(self) -> Shape:
        return shape_for(len(self.up), self.down.shape[1], self.kernel)

    @property
    def is_zero(self) -> bool:
        return self.scale == 0

    def fits(self, shape: Shape) -> bool:
        return is_matrix_of(shape, self.up.shape[0], self.down.shape[1], self.kernel)

    def text(self) -> str:
        return f"up {shape_text(self.up)} with down {shape_text(self.down)}"

    def max_abs_bound(self) -> float:
        up, down = self.sizes or (
            largest_magnitude("up", self.up),
            largest_magnitude("down", self.down),
        )
        return abs(self.scale) * self.down.shape[0] * up * down

    def max_abs(self) -> float:
        return float((self.up.double() @ self.down.double() * self.scale).abs().max())

    def norm(self) -> float:
        return abs(self.scale) * product_norm(self.up, self.down)

    def with_halves_swapped(self) -> LowRank:
        return replace(self, up=swap_halves(self.up))

    def cut(self, rows: slice) -> LowRank:
        return replace(self, up=self.up[rows])

    def to_low_rank(self) -> LowRank:
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Dense(Static):
    """A dense delta of as many numbers as the weight.

    Attributes:
        diff: The weight's shape, except for ones at its end.
    """

    diff: torch.Tensor
    slot: Slot = "weight"

    @property
    def made_for(self) -> Shape:
        return tuple(self.diff.shape)

    def fits(self, shape: Shape) -> bool:
        return _same_but_for_ones(tuple(self.diff.shape), shape)

    def text(self) -> str:
        return f"a difference of {shape_text(self.diff)}"

    def max_abs_bound(self) -> float:
        return largest_magnitude("difference", self.diff)

    def max_abs(self) -> float:
        return float(self.diff.abs().max())

    def norm(self) -> float:
        return float(norm(self.diff.float()))

    def with_halves_swapped(self) -> Dense:
        return replace(self, diff=swap_halves(self.diff))

    def cut(self, rows: slice) -> Dense:
        return replace(self, diff=self.diff[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Replacement(Static):
    """A new value for the weight: the delta is value - weight.

    Attributes:
        value: The weight's shape, except for ones at its end.
    """

    value: torch.Tensor
    slot: Slot = "weight"

    @property
    def made_for(self) -> Shape:
        return tuple(self.value.shape)

    @property
    def removes(self) -> bool:
        return True

    def fits(self, shape: Shape) -> bool:
        return _same_but_for_ones(tuple(self.value.shape), shape)

    def text(self) -> str:
        return f"a weight of {shape_text(self.value)}"

    def max_abs_bound(self) -> float:
        return largest_magnitude("weight", self.value)

    def max_abs(self) -> float:
        return float(self.value.abs().max())

    def with_halves_swapped(self) -> Replacement:
        return replace(self, value=swap_halves(self.value))

    def cut(self, rows: slice) -> Replacement:
        return replace(self, value=self.value[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Diagonal(Static):
    """A share of the weight itself: (row + column) · W.

    Attributes:
        row: (out,), for each row; None for none.
        column: (in,), for each input; None for none.
    """

    row: torch.Tensor | None = None
    column: torch.Tensor | None = None
    slot: Slot = "weight"

    @property
    def follows(self) -> bool:
        return True

    def fits(self, shape: Shape) -> bool:
        rows = bool(shape) and (self.row is None or len(self.row) == shape[0])
        return rows and (self.column is None or (len(shape) > 1 and len(self.column) == shape[1]))

    def text(self) -> str:
        sides = {"outputs": self.row, "inputs": self.column}
        parts = (f"factors for {len(v)} {side}" for side, v in sides.items() if v is not None)
        return f"a set of {' and '.join(parts)}"

    def max_abs_bound(self) -> float:
        sides = [side for side in (self.row, self.column) if side is not None]
        return sum(largest_magnitude("factors", side) for side in sides)

    def max_abs(self) -> float:
        return self.max_abs_bound()

    def with_halves_swapped(self) -> Diagonal:
        return self if self.row is None else replace(self, row=swap_halves(self.row))

    def cut(self, rows: slice) -> Diagonal:
        return self if self.row is None else replace(self, row=self.row[rows])


def shape_text(tensor: torch.Tensor) -> str:
    """Writes a shape for messages: (640, 16)."""
    return str(tuple(tensor.shape))


def shape_for(out: int, into: int, kernel: Shape) -> Shape:
    """Returns the shape of the weight that a matrix (out, in · kernel) is made for."""
    return (out, into // math.prod(kernel), *kernel)


def is_matrix_of(shape: Shape, out: int, into: int, kernel: Shape) -> bool:
    """Tells whether a matrix (out, in · kernel) made for ``kernel`` belongs to a weight of this
    shape."""
    flat = math.prod(kernel) == 1 or _without_last_ones(kernel) == _without_last_ones(shape[2:])
    return flat and bool(shape) and (out, into) == (shape[0], math.prod(shape[1:]))


def swap_halves(tensor: torch.Tensor) -> torch.Tensor:
    """Returns the rows with their two halves exchanged."""
    return tensor.roll(len(tensor) // 2, 0)


def _same_but_for_ones(found: Shape, wanted: Shape) -> bool:
    """Compares shapes without ones at their end: a 1x1 convolution is a matrix, however it is
    written."""
    return _without_last_ones(found) == _without_last_ones(wanted)


def _without_last_ones(shape: Shape) -> Shape:
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape
