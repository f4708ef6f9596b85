"""AdaLoRA: a LoRA whose rank training prunes layer by layer (Zhang et al. 2023, arXiv:2303.10512), as
peft writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from .balance import balanced
from .delta import Delta, LowRank
from .family import Family, Form
from .finite import largest_magnitude
from .source import Source, check_pair


def read(source: Source) -> Sequence[Delta]:
    """Reads W + alpha / (rank + 1e-5) · up · diag(values) · down.

    up is (out, rank), down (rank, in), and the values are lora_E (rank, 1). The rank is what pruning
    has left, and the 1e-5 is peft's. Without a noted alpha the scale is taken as 1.
    """
    if source["up"].shape[1:] == source["down"].shape[:1] == source["lora_E"].shape[:1] == (0,):
        return ()  # pruned completely
    check_pair(source, "up", "down")
    up, down, values = source["up"].flatten(1), source["down"].flatten(1), source["lora_E"]
    if values.numel() != len(down):
        shapes = source.shapes("up", "down", "lora_E")
        raise source.refuse(f": ranks differ: {shapes}.", expected="one rank", found=shapes)
    alpha = source.settings.alpha
    scale = (alpha if alpha is not None and alpha > 0 else len(down)) / (len(down) + 1e-5)
    rows = down.double() * values.double().view(-1, 1)
    factors, scale = balanced(
        (up, rows), [*source.largest("up"), largest_magnitude("product", rows)], scale
    )
    exact = torch.float64 in (down.dtype, values.dtype)
    return (LowRank(factors[0], factors[1] if exact else factors[1].float(), scale),)


ADALORA: Final = Family(
    "AdaLoRA",
    spellings={".lora_E*": "lora_E"},
    forms=(Form(needs={"up", "down", "lora_E"}, takes={"alpha"}, read=read),),
    peft_types={"ADALORA"},
)
