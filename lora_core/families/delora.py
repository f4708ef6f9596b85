"""DeLoRA: a LoRA of normalised factors, whose strength is trained apart (Bini et al. 2025,
arXiv:2503.18225), as peft writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from .balance import balanced
from .delta import Delta, LowRank
from .family import Family, Form
from .finite import largest_magnitude
from .linear_algebra import norm
from .source import Source, check_pair, wide

SMALLEST_NORM: Final = 1e-4
"""The smallest number that peft divides by."""


def read(source: Source) -> Sequence[Delta]:
    """Reads W + λ / rank · (up / |up|) · (down / |down|) ∘ w.

    up is (out, rank), each column divided by its norm, down (rank, in), each row by its own, λ a
    number, and w (in,) the norms that the base weight's columns had.
    """
    check_pair(source, "delora_up", "delora_down")
    up, down = (source[role].flatten(1).double() for role in ("delora_up", "delora_down"))
    norms = source["delora_w_norm"].double()
    if norms.numel() != down.shape[1]:
        found = source.shapes("delora_down", "delora_w_norm")
        raise source.refuse(
            f": norms and inputs differ in number: {found}.",
            expected="a norm for each input",
            found=found,
        )
    lengths = norm(up, 0).clamp(min=SMALLEST_NORM), norm(down, 1).clamp(min=SMALLEST_NORM)
    factors = up / lengths[0], down / lengths[1][:, None] * norms.flatten()
    sizes = [largest_magnitude("factor", factor) for factor in factors]
    strength = (source.number("delora_lambda") or 0.0) / len(down)
    (up, down), strength = balanced(factors, sizes, strength)
    return (LowRank(_like(up, source["delora_up"]), _like(down, source["delora_down"]), strength),)


def _like(made: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    return made.to(wide(read).dtype)


DELORA: Final = Family(
    "DeLoRA",
    spellings={
        ".delora_A*": "delora_down",
        ".delora_B*": "delora_up",
        ".delora_lambda*": "delora_lambda",
        ".delora_w_norm*": "delora_w_norm",
    },
    forms=(
        Form(
            needs={"delora_up", "delora_down", "delora_lambda", "delora_w_norm"},
            read=read,
        ),
    ),
    peft_types={"DELORA"},
)
