"""A small model with a layer of every kind, and names that mean all or some rows of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import nn

from lora_core.applying.apply import model_of
from lora_core.applying.branches import takes_branch
from lora_core.matching.match import ModelView
from lora_core.naming.targets import Target

PREFIXES = ("", "transformer.", "diffusion_model.", "base_model.model.", "lora_unet_", "lycoris_")
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def _layers() -> dict[str, nn.Module]:
    return {
        "linear": nn.Linear(4, 6),
        "square": nn.Linear(4, 4),
        "large": nn.Linear(6, 12),
        "fused": nn.Linear(4, 12),
        "turned": nn.Linear(4, 6),
        "top": nn.Linear(4, 4),
        "bottom": nn.Linear(4, 2),
        "conv1": nn.Conv1d(4, 6, 3),
        "point": nn.Conv2d(6, 4, 1),
        "conv2": nn.Conv2d(6, 6, 2, padding=1),
        "conv3": nn.Conv3d(2, 4, (1, 2, 1)),
        "norm": nn.LayerNorm(6),
    }


INPUTS = {"conv1": (5,), "point": (3, 3), "conv2": (3, 3), "conv3": (2, 3, 2)}
"""What is behind the channels of a convolution's input."""

TARGETS = {
    # what a name in a file means where it is not the layer of that name
    "q": Target("fused.weight", rows=(0, 4)),
    "k": Target("fused.weight", rows=(4, 4)),
    "v": Target("fused.weight", rows=(8, 4)),
    "halves": Target("turned.weight", halves_swapped=True),
    "whole": Target("top.weight", source=(0, 4), rest=Target("bottom.weight", source=(4, 2))),
}
OWN_SHAPES = {"q": (4, 4), "k": (4, 4), "v": (4, 4), "halves": (6, 4), "whole": (6, 4)}


@dataclass(frozen=True)
class Names:
    """Those of the layers, and of ``TARGETS``."""

    plain: object

    def find(self, name: str) -> Target | None:
        own = TARGETS.get(re.sub("|".join(map(re.escape, filter(None, PREFIXES))), "", name))
        return own or self.plain.find(name)


@cache
def net(dtype: torch.dtype) -> nn.ModuleDict:
    """The model; nobody writes to it, layers for that are copies."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = nn.ModuleDict(_layers()).to(dtype)
    return made.requires_grad_(False)


@cache
def model(dtype: torch.dtype) -> ModelView:
    """What a plan has to know of it; every layer takes branches that can."""
    layers = net(dtype)
    weights = dict(layers.named_parameters())
    known = model_of(weights)
    branches = frozenset(
        key
        for key, weight in weights.items()
        if takes_branch(layers[key.split(".")[0]], key.split(".")[1], tuple(weight.shape))
    )
    return replace(known, names=Names(known.names), branches=branches)


def shape_of(name: str) -> tuple[int, ...]:
    """Of the weight that a name means."""
    return OWN_SHAPES.get(name) or tuple(net(torch.float32)[name].weight.shape)


NAMES = (
    *OWN_SHAPES,
    *(name for name in _layers() if name not in ("fused", "turned", "top", "bottom")),
)


@cache
def example(layer: str, dtype: torch.dtype) -> torch.Tensor:
    """An input of the layer, with numbers of about 1."""
    own = net(dtype)[layer]
    generator = torch.Generator().manual_seed(7)
    if isinstance(own, nn.Linear):
        shape = (2, 3, own.in_features)
    elif isinstance(own, nn.LayerNorm):
        shape = (2, 3, *own.normalized_shape)
    else:
        shape = (2, own.in_channels, *INPUTS[layer])
    return torch.randn(shape, generator=generator).to(dtype)
