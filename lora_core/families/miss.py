"""MiSS, earlier called Bone: one block repeated over the inputs (Kang and Yin 2025,
arXiv:2409.15371), as peft writes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from ..naming import Shape
from .base_weight import BaseWeight
from .delta import Delta, Dense, LowRank, Slot, Static, shape_text
from .family import Family, Form
from .finite import largest_magnitude
from .source import Source
from .weight_dependent import WeightDependent


@dataclass(frozen=True, slots=True, eq=False)
class Repeated(WeightDependent):
    """delta[o, i] = block[i mod rank, o]: a low-rank pair as wide as the weight that it meets.

    Attributes:
        block: (rank, out), or (rank, some) that is repeated over the outputs, too.
        mini: Whether it may be repeated over the outputs.
    """

    block: torch.Tensor
    mini: bool = False
    slot: Slot = "weight"

    @property
    def rank(self) -> int:
        return len(self.block)

    @property
    def needs_weight(self) -> bool:
        return False

    def fits(self, shape: Shape) -> bool:
        if len(shape) != 2:
            return False
        return shape[0] == self.block.shape[1] or (
            self.mini and shape[0] % self.block.shape[1] == 0
        )

    def text(self) -> str:
        return f"a repeated block of {shape_text(self.block)}"

    def max_abs_bound(self) -> float:
        return largest_magnitude("block", self.block)

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        out, width = weight.size
        up = weight.like(self.block).repeat(1, out // self.block.shape[1]).T
        one = torch.eye(self.rank, dtype=up.dtype, device=up.device)
        return (LowRank(up, one.repeat(1, -(-width // self.rank))[:, :width], 1.0),)


@dataclass(frozen=True, slots=True, eq=False)
class BlockAffine(WeightDependent):
    """W_block · B + B for every square block of W, with the same B along the inputs ("bat").

    Attributes:
        block: (out / rank, rank, rank).
    """

    block: torch.Tensor
    slot: Slot = "weight"

    @property
    def follows(self) -> bool:
        return True

    @property
    def rank(self) -> int:
        return self.block.shape[-1]

    def fits(self, shape: Shape) -> bool:
        rows = len(self.block) * self.rank
        return len(shape) == 2 and shape[0] == rows and shape[1] % self.rank == 0

    def text(self) -> str:
        return f"blocks of {shape_text(self.block)}"

    def max_abs_bound(self) -> float:
        return (1 + math.sqrt(self.rank)) * largest_magnitude("block", self.block)

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        blocks, rank = weight.like(self.block)[:, None], self.rank
        matrix = weight.matrix().view(len(self.block), rank, -1, rank).transpose(1, 2)
        delta = matrix @ blocks + blocks
        return (Dense(delta.transpose(1, 2).reshape(weight.size)),)


def read(source: Source) -> Sequence[Delta]:
    """Reads W + the repeated block (rank, out), or W_block · (I + B) + B for blocks (n, rank, rank)."""
    block = source["miss_block"]
    if not block.numel() or block.ndim not in (2, 3):
        found = shape_text(block)
        raise source.refuse(f": not a block: {found}.", expected="(rank, out)", found=found)
    if block.ndim == 2:
        mini = source.settings.config is None or bool(source.settings.option("mini_r", 0))
        return (Repeated(block, mini),)
    if block.shape[1] != block.shape[2]:
        found = shape_text(block)
        raise source.refuse(
            f": the blocks are not square: {found}.", expected="(n, r, r)", found=found
        )
    return (BlockAffine(block),)


MISS: Final = Family(
    "MiSS",
    spellings={".miss_block*": "miss_block", ".bone_block*": "miss_block"},
    forms=(Form(needs={"miss_block"}, read=read),),
    peft_types={"MISS", "BONE"},
)
