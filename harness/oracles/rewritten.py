"""Trainers that no package index has: their forwards, rewritten from what their sources do.

kohya-ss/sd-scripts ``networks/oft.py`` (48d368fa) turns the outputs of a layer; OneTrainer's OFT v2
(23df3832, ``modules/module/LoRAModule.py`` and ``oft_utils.py``) the inputs of a linear layer and
the weight of a convolution; peft's before 0.18 (0.17.1, ``peft/tuners/oft/layer.py``) the inputs,
with another end of its series. Each is written as an action on what flows through the layer, with
another solver than theirs, and not as a formula for the weight: that formula is our own code's
task.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from . import layers
from .case import Case, Made, Weights
from .layers import Layer, effective, net, weights_of

LAW = (-1.0, 0.0, 0.5, 1.0, 2.0)
AT_ONE = (1.0,)

Forward = Callable[[nn.Module, dict[str, torch.Tensor], float], nn.Module]


class _Acts(nn.Module):
    """A function in place of a layer."""

    def __init__(self, act: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x)


def _made(
    layer: Layer,
    shapes: dict[str, tuple[int, ...]],
    spread: float,
    extra: dict[str, torch.Tensor],
    prefix: str,
    metadata: dict[str, str],
    config: dict[str, Any] | None,
    forward: Forward,
    law: tuple[float, ...],
    folder: Path,
    seed: int,
    dtype: torch.dtype,
) -> Made:
    generator = torch.Generator().manual_seed(1000 + seed)
    tensors = {
        name: (spread * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
        for name, shape in shapes.items()
    } | extra
    file = folder / ("adapter.safetensors" if config is None else "adapter_model.safetensors")
    named = {f"{prefix}layer.{name}": value for name, value in tensors.items()}
    save_file(named, file, metadata)
    if config is not None:
        (folder / "adapter_config.json").write_text(json.dumps(config))
    base = net(dtype, layer=layer)
    weights = weights_of(base)
    exact = {k: v.double() if v.dtype.is_floating_point else v for k, v in tensors.items()}
    deltas = {s: _delta(forward(base.double().layer, exact, s), layer, weights) for s in law}
    return Made(file, weights, deltas)


def _delta(adapted: nn.Module, layer: Layer, weights: Weights) -> Weights:
    weight = effective(adapted, layer)["weight"]
    return {"layer.weight": weight - weights["layer.weight"].double()}


def kohya_oft(base: nn.Module, tensors: dict[str, torch.Tensor], strength: float) -> nn.Module:
    """Turns blocks of output channels by the transpose of (I + Q)(I − Q)⁻¹."""
    blocks = tensors["oft_blocks"]
    skew = blocks - blocks.mT
    norm = skew.square().sum().sqrt()
    limit = tensors["alpha"] * base.weight.shape[0]
    skew = skew * (torch.minimum(norm, limit) + 1e-8) / (norm + 1e-8)
    eye = torch.eye(blocks.shape[1], dtype=blocks.dtype)
    turn = torch.linalg.solve(eye - skew, eye + skew, left=False)

    def act(x: torch.Tensor) -> torch.Tensor:
        bias = base.bias.reshape(-1, *[1] * len(base.weight.shape[2:]))
        plain = base(x) - bias
        split = plain.unflatten(1, (len(blocks), -1))
        turned = torch.einsum("knm,xkn...->xkm...", turn, split).flatten(1, 2)
        return plain + strength * (turned - plain) + bias

    return _Acts(act)


def onetrainer_oft(base: nn.Module, tensors: dict[str, torch.Tensor], _: float) -> nn.Module:
    """Turns blocks of inputs by I + 2Q + 2Q² + 2Q³ + Q⁴; the two layer kinds differ in direction."""
    skew = _skew(tensors["oft_R.weight"])
    if "oft_R.scaled_oft" in tensors:
        skew = skew / (2 * math.sqrt(len(skew[0]) - 1))
    turn = _series(skew, base, last=1.0)
    if isinstance(base, nn.Linear):
        return _Acts(lambda x: base(_blocks(x, turn)))
    weight = _blocks(base.weight.flatten(1), turn).reshape(base.weight.shape)
    return _Acts(lambda x: nn.functional.conv2d(x, weight, base.bias))


def early_peft_oft(base: nn.Module, tensors: dict[str, torch.Tensor], _: float) -> nn.Module:
    """Turns blocks of inputs by I + 2Q + 2Q² + 2Q³ + 2Q⁴."""
    turn = _series(_skew(tensors["oft_R.weight"]), base, last=2.0)
    return _Acts(lambda x: base(_blocks(x, turn)))


def _skew(flat: torch.Tensor) -> torch.Tensor:
    """Returns upper triangles, row by row, minus their transposes."""
    size = round((1 + math.sqrt(1 + 8 * flat.shape[1])) / 2)
    skew = torch.zeros(len(flat), size, size, dtype=flat.dtype)
    places = [(i, j) for i in range(size) for j in range(i + 1, size)]
    for place, (i, j) in enumerate(places):
        skew[:, i, j] += flat[:, place]
        skew[:, j, i] -= flat[:, place]
    return skew


def _series(skew: torch.Tensor, base: nn.Module, last: float) -> torch.Tensor:
    """Returns I + 2Q + 2Q² + 2Q³ + last · Q⁴, one for each block of inputs."""
    size = skew.shape[-1]
    eye = torch.eye(size, dtype=skew.dtype)
    turn = eye + skew @ (2 * eye + skew @ (2 * eye + skew @ (2 * eye + last * skew)))
    return turn.expand(base.weight[0].numel() // size, size, size)


def _blocks(rows: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Multiplies row vectors by a block-diagonal matrix."""
    parts = rows.unflatten(-1, (len(turn), -1)).unbind(-2)
    return torch.cat([part @ block for part, block in zip(parts, turn, strict=True)], dim=-1)


def onetrainer_loha(
    base: nn.Module, tensors: dict[str, torch.Tensor], strength: float
) -> nn.Module:
    """Runs LoHa with factors in the shape of layers: a convolution runs down, then up."""

    def half(number: int) -> torch.Tensor:
        up, down = tensors[f"hada_w{number}_a"], tensors[f"hada_w{number}_b"]
        return torch.einsum("or,ri...->oi...", up.flatten(1), down)

    scale = strength * tensors["alpha"] / len(tensors["hada_w1_b"])
    added = half(1) * half(2) * scale
    return _Acts(lambda x: base(x) + nn.functional.conv2d(x, added))


def _case(
    oracle: str,
    family: str,
    layer: Layer,
    variant: str,
    shapes: dict[str, tuple[int, ...]],
    prefix: str,
    forward: Forward,
    **rest: Any,
) -> Case:
    build = partial(
        _made,
        layer,
        shapes,
        rest.get("spread", 0.2),
        rest.get("extra", {}),
        prefix,
        {"ot_branch": "master"} if oracle == "OneTrainer" else {},
        rest.get("config"),
        forward,
        rest.get("law", AT_ONE),
    )
    return Case(family, oracle, layer.kind, variant, build)


def _kohya(layer: Layer, blocks: int, alpha: float, variant: str) -> Case:
    size = layer.out // blocks
    shapes = {"oft_blocks": (blocks, size, size)}
    extra = {"alpha": torch.tensor(alpha)}
    return _case(
        "kohya", "OFT", layer, variant, shapes, "oft_unet_", kohya_oft, extra=extra, law=LAW
    )


def _onetrainer(layer: Layer, size: int, variant: str, *, scaled: bool, share: bool) -> Case:
    blocks = 1 if share else layer.inner * math.prod(layer.kernel) // size
    shapes = {"oft_R.weight": (blocks, size * (size - 1) // 2)}
    extra = {"oft_R.scaled_oft": torch.tensor(True)} if scaled else {}
    return _case(
        "OneTrainer", "OFT", layer, variant, shapes, "lora_unet_", onetrainer_oft, extra=extra
    )


TALL = Layer(15, 14)
CONV = Layer(6, 4, (3, 3))
LOHA_SHAPES = {
    "hada_w1_a": (6, 2, 1, 1),
    "hada_w1_b": (2, 10, 3, 2),
    "hada_w2_a": (6, 2, 1, 1),
    "hada_w2_b": (2, 10, 3, 2),
}

EARLY_PEFT = {
    "peft_type": "OFT",
    "r": 0,
    "oft_block_size": 5,
    "block_share": False,
    "coft": False,
    "eps": 6e-05,
    "use_cayley_neumann": True,
    "num_cayley_neumann_terms": 5,
    "target_modules": ["layer"],
}
"""A config without the version, which peft only notes since 0.18."""

REWRITTEN: list[Case] = [
    *(_kohya(layer, 3, 5.0, "") for layer in (TALL, layers.SQUARE, layers.CONV2)),
    *(_kohya(layer, 3, 1 / 16, "constraint") for layer in (TALL, layers.SQUARE, layers.CONV2)),
    *(
        _onetrainer(layer, size, name, scaled=scaled, share=share)
        for layer, size in (
            (layers.LINEAR, 5),
            (layers.SQUARE, 4),
            (layers.CONV2_POINT, 5),
            (CONV, 6),
        )
        for name, scaled, share in (
            ("", False, False),
            ("scaled", True, False),
            ("block share", False, True),
        )
    ),
    _case(
        "peft 0.17",
        "OFT",
        layers.LINEAR,
        "",
        {"oft_R.weight": (3, 10)},
        "base_model.model.",
        early_peft_oft,
        config=EARLY_PEFT,
    ),
    _case(
        "OneTrainer",
        "LoHa",
        layers.CONV2,
        "",
        LOHA_SHAPES,
        "lora_unet_",
        onetrainer_loha,
        spread=1.0,
        extra={"alpha": torch.tensor(3.0)},
        law=LAW,
    ),
]
