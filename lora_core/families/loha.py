"""LoHa: the entrywise product of two low-rank matrices (FedPara, Hyeon-Woo et al. 2022,
arXiv:2108.06098; as LyCORIS and peft write it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from ..naming import Shape
from .balance import balanced
from .base_weight import BaseWeight
from .delta import (
    LARGEST_PAIR_RANK,
    Delta,
    Dense,
    LowRank,
    Slot,
    Static,
    is_matrix_of,
    shape_for,
    shape_text,
)
from .family import Family, Form
from .finite import largest_magnitude
from .source import Source, check_pair, tucker, wide
from .weight_dependent import WeightDependent


@dataclass(frozen=True, slots=True, eq=False)
class Hadamard(WeightDependent):
    """scale · (up₁ · down₁) ∘ (up₂ · down₂).

    Attributes:
        ups: Two ups of (out, rank).
        downs: Two downs of (rank, in · kernel).
        scale: alpha / rank.
        kernel: The kernel it was made for; empty for a linear layer.
    """

    ups: tuple[torch.Tensor, torch.Tensor]
    downs: tuple[torch.Tensor, torch.Tensor]
    scale: float
    kernel: Shape = ()
    slot: Slot = "weight"

    @property
    def rank(self) -> int:
        return len(self.downs[0])

    @property
    def inputs(self) -> int:
        return self.downs[0].shape[1]

    @property
    def made_for(self) -> Shape:
        return shape_for(len(self.ups[0]), self.downs[0].shape[1], self.kernel)

    @property
    def is_zero(self) -> bool:
        return self.scale == 0

    @property
    def needs_weight(self) -> bool:
        return False

    def fits(self, shape: Shape) -> bool:
        return is_matrix_of(shape, len(self.ups[0]), self.downs[0].shape[1], self.kernel)

    def text(self) -> str:
        return f"{shape_text(self.ups[0])} with {shape_text(self.downs[0])}, twice"

    def max_abs_bound(self) -> float:
        size = abs(self.scale)
        for up, down in zip(self.ups, self.downs, strict=True):
            size *= len(down) * largest_magnitude("up", up) * largest_magnitude("down", down)
        return size

    def max_abs(self) -> float:
        left, right = (u.double() @ d.double() for u, d in zip(self.ups, self.downs, strict=True))
        return abs(self.scale) * float((left * right).abs().max())

    def cut(self, rows: slice) -> Hadamard:
        first, second = self.ups
        return replace(self, ups=(first[rows], second[rows]))

    @property
    def pair_rank(self) -> int:
        return len(self.downs[0]) * len(self.downs[1])

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        here = [*map(weight.like, self.ups)], [*map(weight.like, self.downs)]
        if self.pair_rank <= LARGEST_PAIR_RANK:
            return (self._pair(*here),)
        (up_1, up_2), (down_1, down_2) = here
        return (Dense((up_1 @ down_1).mul_(up_2 @ down_2).mul_(self.scale)),)

    def to_low_rank(self) -> LowRank:
        return self._pair([*map(wide, self.ups)], [*map(wide, self.downs)])

    def _pair(self, ups: Sequence[torch.Tensor], downs: Sequence[torch.Tensor]) -> LowRank:
        """Gives the exact pair, whose rank is the product of both: columns of the ups, rows of the
        downs, each with each (the row-wise Khatri-Rao product)."""
        up = ups[0][:, :, None] * ups[1][:, None, :]
        down = downs[0][:, None, :] * downs[1][None, :, :]
        rank = self.pair_rank
        return LowRank(up.reshape(-1, rank), down.reshape(rank, -1), self.scale, self.kernel)


def read(source: Source) -> Sequence[Delta]:
    """Reads W + (alpha / rank) · (w1_a · w1_b) ∘ (w2_a · w2_b).

    w_a is (out, rank), w_b is (rank, in · kernel). With Tucker cores t (rank, rank, kernel…), w_a is
    (rank, out) and w_b (rank, in).
    """
    sides = [_side(source, number) for number in ("1", "2")]
    (up_1, down_1, kernel), (up_2, down_2, _) = sides
    if len(up_1) != len(up_2) or down_1.shape[1] != down_2.shape[1]:
        found = source.shapes("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
        raise source.refuse(
            f": its two products differ in shape: {found}.", expected="equal shapes", found=found
        )
    scale = source.scale(len(source["hada_w1_b"]))
    factors = (up_1, up_2, down_1, down_2)
    sizes = [largest_magnitude("factor", factor) for factor in factors]
    (up_1, up_2, down_1, down_2), scale = balanced(factors, sizes, scale)
    return (Hadamard((up_1, up_2), (down_1, down_2), scale, kernel),)


def _side(source: Source, number: str) -> tuple[torch.Tensor, torch.Tensor, Shape]:
    """Gives one of the products: (out, rank), (rank, in · kernel) and the kernel, where it shows."""
    up, down, core = f"hada_w{number}_a", f"hada_w{number}_b", f"hada_t{number}"
    if core in source.tensors:
        return *tucker(source, up, down, core), tuple(source[core].shape[2:])
    check_pair(source, up, down)
    return source[up].flatten(1), source[down].flatten(1), tuple(source[down].shape[2:])


LOHA: Final = Family(
    "LoHa",
    spellings={
        ".hada_w1_a*": "hada_w1_a",
        ".hada_w1_b*": "hada_w1_b",
        ".hada_w2_a*": "hada_w2_a",
        ".hada_w2_b*": "hada_w2_b",
        ".hada_t1*": "hada_t1",
        ".hada_t2*": "hada_t2",
    },
    forms=(
        Form(
            needs={"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"},
            takes={"hada_t1", "hada_t2", "alpha"},
            read=read,
        ),
    ),
    peft_types={"LOHA"},
    decomposes=True,
)
