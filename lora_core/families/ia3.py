"""IA³: learned factors on a layer's outputs or inputs (Liu et al. 2022, arXiv:2205.05638)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from ..formats import PlainParameter
from .delta import Delta, Diagonal
from .family import Family, Form, Scalar
from .source import Source, wide


def read_lycoris(source: Source) -> Sequence[Delta]:
    """Reads W ∘ (1 + w), w (in,) by inputs where ``on_input`` says so, else (out,) by outputs."""
    share = source["ia3_weight"].flatten()
    by_input = bool(source.number("on_input"))
    return (Diagonal(column=share) if by_input else Diagonal(row=share),)


def read_peft(source: Source) -> Sequence[Delta]:
    """Reads W ∘ l: l (1, in) on the inputs, l (out, 1) on all that the layer gives, its bias included.

    For convolutions l is (1, n, 1, …) either way: only the config tells which, outputs without it.
    """
    factors = source["ia3_l"]
    share = wide(factors.flatten()) - 1
    if _on_inputs(source, factors):
        return (Diagonal(column=share),)
    return Diagonal(row=share), Diagonal(row=share, slot="bias")


def _on_inputs(source: Source, factors: torch.Tensor) -> bool:
    if factors.ndim == 2:
        return len(factors) == 1
    return source.settings.names_module("feedforward_modules")


IA3: Final = Family(
    "IA3",
    spellings={".on_input": "on_input", ".ia3_l*": "ia3_l"},
    forms=(
        Form(needs={"ia3_weight", "on_input"}, read=read_lycoris),
        Form(needs={"ia3_l"}, read=read_peft),
    ),
    peft_types={"IA3"},
    scalars=(Scalar("on_input"),),
    plain_parameters=(PlainParameter("weight", "ia3_weight", companion="on_input"),),
)
