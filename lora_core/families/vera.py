"""VeRA: trained vectors around projections that all layers share (Kopiczko et al. 2024,
arXiv:2310.11454), as peft writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from ..naming import Shape
from .base_weight import BaseWeight
from .delta import Delta, LowRank, Slot, Static, shape_text
from .family import Family, Form
from .finite import largest_magnitude
from .source import Source
from .weight_dependent import WeightDependent

LARGEST_PRODUCT: Final = 2.0**32
"""The largest number of a vector or a projection, and of their product."""


@dataclass(frozen=True, slots=True, eq=False)
class Shared(WeightDependent):
    """(outputs ∘ up) · (ranks ∘ down[:, :in]): only the weight says how wide the layer is.

    Attributes:
        outputs: (out,).
        up: (out, rank), the rows of the shared projection that this layer uses.
        ranks: (rank,).
        down: (rank, widest in), the shared projection itself.
    """

    outputs: torch.Tensor
    up: torch.Tensor
    ranks: torch.Tensor
    down: torch.Tensor
    slot: Slot = "weight"

    @property
    def rank(self) -> int:
        return len(self.ranks)

    @property
    def needs_weight(self) -> bool:
        return False

    def fits(self, shape: Shape) -> bool:
        return len(shape) == 2 and shape[0] == len(self.outputs) and shape[1] <= self.down.shape[1]

    def text(self) -> str:
        return f"{len(self.outputs)} outputs with a projection of {shape_text(self.down)}"

    def max_abs_bound(self) -> float:
        tensors = {"outputs": self.outputs, "up": self.up, "ranks": self.ranks, "down": self.down}
        size = float(len(self.ranks))
        for name, tensor in tensors.items():
            size *= largest_magnitude(name, tensor)
        return size

    def max_abs(self) -> float:
        up, down = (t.double() for t in (self.up, self.down))
        up, down = up * self.outputs.double()[:, None], down * self.ranks.double()[:, None]
        return float((up @ down).abs().max())

    def cut(self, rows: slice) -> Shared:
        return replace(self, outputs=self.outputs[rows], up=self.up[rows])

    def resolve_on(self, weight: BaseWeight) -> Sequence[Static]:
        down = weight.like(self.down)[:, : weight.size[1]] * weight.like(self.ranks)[:, None]
        return (LowRank(weight.like(self.up) * weight.like(self.outputs)[:, None], down, 1.0),)


def read(source: Source) -> Sequence[Delta]:
    """Reads W + (λ_b ∘ B[:out]) · (λ_d ∘ A[:, :in]).

    λ_b is (out,), λ_d (rank,); A (rank, widest in) and B (widest out, rank) stand once in the file.
    """
    if "vera_A" not in source.tensors or "vera_B" not in source.tensors:
        raise source.refuse(
            " is VeRA without its projections, which cannot be rebuilt from the file alone. "
            "Save it with save_projection.",
            expected="vera_A and vera_B in the file",
            found=", ".join(sorted(source.tensors)),
        )
    outputs, ranks = source["vera_lambda_b"].flatten(), source["vera_lambda_d"].flatten()
    up, down = source["vera_B"], source["vera_A"]
    if up.ndim != 2 or down.ndim != 2 or not len(ranks) == len(down) == up.shape[1]:
        found = source.shapes("vera_lambda_d", "vera_A", "vera_B")
        raise source.refuse(f": ranks differ: {found}.", expected="one rank", found=found)
    if len(up) < len(outputs):
        found = source.shapes("vera_lambda_b", "vera_B")
        raise source.refuse(
            f": its projection is too small: {found}.",
            expected="a row for each output",
            found=found,
        )
    _check_sizes(source)
    return (Shared(outputs, up[: len(outputs)], ranks, down),)


def _check_sizes(source: Source) -> None:
    """Refuses numbers that are far too large: what modules share cannot be balanced for one of
    them."""
    for vector, matrix in (("vera_lambda_b", "vera_B"), ("vera_lambda_d", "vera_A")):
        one, other = source.largest(vector, matrix)
        if max(one, other, one * other) > LARGEST_PRODUCT:
            found = f"{one:.3g} and {other:.3g}"
            raise source.refuse(
                f": {vector} and {matrix} hold numbers up to {found}, which no training produces.",
                expected=f"at most {LARGEST_PRODUCT:.3g}, and so their product",
                found=found,
            )


VERA: Final = Family(
    "VeRA",
    spellings={
        ".vera_lambda_b*": "vera_lambda_b",
        ".vera_lambda_d*": "vera_lambda_d",
        ".vera_A*": "vera_A",
        ".vera_B*": "vera_B",
    },
    forms=(Form(needs={"vera_lambda_b", "vera_lambda_d"}, takes={"vera_A", "vera_B"}, read=read),),
    peft_types={"VERA"},
    shared={"vera_A": "vera_lambda_b", "vera_B": "vera_lambda_b"},
)
