"""LyCORIS: every algorithm it trains, saved by its own network."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from . import layers
from .case import Case, Made
from .fill import fill
from .layers import Layer, effective, net, weights_of

EVERY_LAYER = {
    "enable_conv": True,
    "target_module": ["Linear", "Conv1d", "Conv2d", "Conv3d", "LayerNorm", "GroupNorm"],
    "target_name": [],
    "lora_prefix": "lycoris",
    "module_algo_map": {},
    "name_algo_map": {},
    "exclude_name": [],
}

LAW = (-1.0, 0.0, 0.5, 1.0, 2.0)
"""Strengths at which LyCORIS' multiplier means what ours does."""

AT_ONE = (1.0,)

SPREAD = {
    "dora_scale": (4.0, 1.0),
    "scalar": (0.5, 0.0),
    "oft_blocks": (0.0, 0.3),
    "rescale": (1.0, 0.2),
    "a1.weight": (0.0, 0.4),
    "a2.weight": (0.0, 0.4),
}


@dataclass(frozen=True)
class Recipe:
    """How LyCORIS is asked for an adapter.

    Attributes:
        algo: LyCORIS' name for the algorithm.
        layer: The layer that is adapted.
        dim: Rank, or factor of a rotation.
        alpha: The alpha it was trained with.
        options: All other options.
        law: Strengths at which its forward means what ours does.
        change: A change to the network before it is filled.
    """

    algo: str
    layer: Layer
    dim: int = 2
    alpha: float = 3.0
    options: dict[str, Any] = field(default_factory=dict)
    law: tuple[float, ...] = LAW
    change: Callable[[Any], None] | None = None


def network_of(base: torch.nn.Module, algo: str, dim: int, alpha: float, **options: Any) -> Any:
    """Makes LyCORIS' network of adapters of every layer of ``base``."""
    from lycoris.wrapper import LycorisNetwork

    LycorisNetwork.apply_preset(EVERY_LAYER)
    return LycorisNetwork(
        base,
        lora_dim=dim,
        conv_lora_dim=dim,
        alpha=alpha,
        conv_alpha=alpha,
        network_module=algo,
        warn_on_unmatched=False,
        **options,
    )


def build(recipe: Recipe, folder: Path, seed: int, dtype: torch.dtype) -> Made:
    base = net(dtype, layer=recipe.layer)
    weights = weights_of(base)
    network = network_of(base, recipe.algo, recipe.dim, recipe.alpha, **recipe.options)
    assert len(network.loras) == 1, "LyCORIS has not taken the layer"
    if recipe.change:
        recipe.change(network.loras[0])
    network.loras[0].to(dtype)
    fill(network.loras[0].named_parameters(), seed, SPREAD)
    network.apply_to()
    file = folder / "lycoris.safetensors"
    network.save_weights(str(file), None, {})
    base.double()
    network.double().eval()
    if recipe.algo == "full":
        _reload(network.loras[0], file)
    deltas = {strength: _delta(network, base, recipe, weights, strength) for strength in recipe.law}
    return Made(file, weights, deltas)


def _reload(module: Any, file: Path) -> None:
    """Reloads with LyCORIS' own loader: full training saves the difference of two rounded weights."""
    from safetensors.torch import load_file

    module.weight.data = module.org_weight.to(torch.float64, copy=True)
    module.bias.data = module.org_bias[0].to(torch.float64, copy=True)
    saved = load_file(file).items()
    module.load_state_dict({key.rpartition(".")[2]: value.double() for key, value in saved})


def _delta(
    network: Any, base: Any, recipe: Recipe, weights: dict[str, torch.Tensor], strength: float
) -> dict[str, torch.Tensor]:
    network.set_multiplier(strength)
    with in_float64():
        found = effective(base.layer, recipe.layer)
    changed = {f"layer.{name}": value for name, value in found.items()}
    deltas = {key: value - weights[key].double() for key, value in changed.items()}
    if recipe.algo != "full" and not recipe.layer.norm:
        assert deltas.pop("layer.bias").abs().max() < 1e-13, "LyCORIS has changed the bias"
    return deltas


@contextmanager
def in_float64() -> Generator[None]:
    """Makes LyCORIS invert in float64: it uses float32 for any input, and an oracle has to be more
    exact."""
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        yield


def with_bm(module: Any) -> None:
    """Adds GLoRA's Tucker form: its forward and save know it, but its constructor never makes it."""
    kernel = module.b2.kernel_size
    conv = type(module.b2)
    rank = module.lora_dim
    module.b2 = conv(module.b2.in_channels, rank, 1, bias=False)
    module.bm = conv(rank, rank, kernel, bias=False)
    module.tucker = True


def _case(family: str, variant: str, recipe: Recipe) -> Case:
    return Case(family, "LyCORIS", recipe.layer.kind, variant, partial(build, recipe))


def _rows(
    family: str, variant: str, algo: str, kinds: tuple[Layer, ...], **settings: Any
) -> list[Case]:
    special = ("dim", "alpha", "law", "change")
    chosen = {key: settings.pop(key) for key in special if key in settings}
    return [_case(family, variant, Recipe(algo, k, options=settings, **chosen)) for k in kinds]


LINEARS = (layers.LINEAR, layers.SQUARE)
KERNELS = (layers.CONV1, layers.CONV2, layers.CONV3)
POINTS = (layers.CONV1_POINT, layers.CONV2_POINT)
TALL = Layer(24, 10)
TALL_SQUARE = Layer(24, 24)
TALL_CONV = Layer(24, 4, (3, 2))
BOTH = (layers.LINEAR, layers.SQUARE, layers.CONV2)
WIDE = Layer(16, 18)
WIDE_CONVS = (Layer(16, 18, (3,)), Layer(16, 18, (3, 2)), Layer(16, 18, (1, 3, 2)))

LORA = [
    *_rows("LoRA", "", "lora", (*LINEARS, *POINTS, *KERNELS)),
    *_rows("LoRA", "Tucker", "lora", KERNELS, use_tucker=True),
    *_rows("LoRA", "rsLoRA", "lora", (layers.LINEAR, layers.CONV2), dim=4, rs_lora=True),
    *_rows("LoRA", "scalar", "lora", (layers.LINEAR, layers.CONV2), use_scalar=True),
    *_rows("DoRA", "out axis", "lora", (*LINEARS, *KERNELS), weight_decompose=True, law=AT_ONE),
    *_rows(
        "DoRA",
        "in axis",
        "lora",
        (*LINEARS, *KERNELS),
        weight_decompose=True,
        wd_on_out=False,
        law=AT_ONE,
    ),
    *_rows(
        "DoRA",
        "Tucker, out axis",
        "lora",
        (layers.CONV2,),
        weight_decompose=True,
        use_tucker=True,
        law=AT_ONE,
    ),
]

LOHA = [
    *_rows("LoHa", "", "loha", (*LINEARS, *POINTS, *KERNELS)),
    *_rows("LoHa", "Tucker", "loha", KERNELS, use_tucker=True),
    *_rows("LoHa", "rsLoRA", "loha", (layers.LINEAR,), dim=4, rs_lora=True),
    *_rows("LoHa", "scalar", "loha", (layers.LINEAR,), use_scalar=True),
    *_rows("LoHa", "DoRA, out axis", "loha", BOTH, weight_decompose=True, law=AT_ONE),
    *_rows(
        "LoHa", "DoRA, in axis", "loha", BOTH, weight_decompose=True, wd_on_out=False, law=AT_ONE
    ),
]

LOKR = [
    *_rows("LoKr", "factored", "lokr", (*LINEARS, *KERNELS), dim=1),
    *_rows("LoKr", "factored, rank 2", "lokr", WIDE_CONVS, dim=2),
    *_rows(
        "LoKr", "both factored", "lokr", (layers.LINEAR, WIDE_CONVS[1]), dim=1, decompose_both=True
    ),
    *_rows("LoKr", "both factored, wide", "lokr", (WIDE,), dim=1, decompose_both=True),
    *_rows("LoKr", "full", "lokr", (*LINEARS, *POINTS, *KERNELS), full_matrix=True),
    *_rows("LoKr", "full by rank", "lokr", (layers.LINEAR, layers.CONV2), dim=50),
    *_rows(
        "LoKr",
        "w1 factored, w2 full",
        "lokr",
        (Layer(14, 5),),
        dim=3,
        decompose_both=True,
        unbalanced_factorization=True,
    ),
    *_rows("LoKr", "factor 2", "lokr", (layers.LINEAR, layers.SQUARE), dim=1, factor=2),
    *_rows("LoKr", "unbalanced", "lokr", (WIDE,), dim=1, unbalanced_factorization=True),
    *_rows("LoKr", "Tucker", "lokr", WIDE_CONVS, dim=2, use_tucker=True),
    *_rows("LoKr", "rsLoRA", "lokr", (Layer(49, 121),), dim=4, rs_lora=True),
    *_rows("LoKr", "scalar", "lokr", (WIDE,), dim=2, use_scalar=True),
    *_rows("LoKr", "DoRA, out axis", "lokr", BOTH, dim=1, weight_decompose=True, law=AT_ONE),
    *_rows(
        "LoKr",
        "DoRA, in axis",
        "lokr",
        BOTH,
        dim=1,
        weight_decompose=True,
        wd_on_out=False,
        law=AT_ONE,
    ),
    *_rows(
        "LoKr",
        "full, DoRA, out axis",
        "lokr",
        (layers.LINEAR,),
        full_matrix=True,
        weight_decompose=True,
        law=AT_ONE,
    ),
]

OTHERS = [
    *_rows("GLoRA", "", "glora", (*LINEARS, *POINTS, *KERNELS)),
    *_rows("GLoRA", "scalar", "glora", (layers.LINEAR,), use_scalar=True),
    *_rows("GLoRA", "whole alpha", "glora", (layers.LINEAR,), alpha=3),
    *_rows("GLoRA", "Tucker", "glora", KERNELS, change=with_bm),
    *_rows("IA3", "", "ia3", (*LINEARS, layers.CONV2_SQUARE, *KERNELS)),
    *_rows(
        "IA3", "on input", "ia3", (*LINEARS, layers.CONV2_SQUARE, *KERNELS), train_on_input=True
    ),
    *_rows("full", "", "full", (layers.LINEAR, *KERNELS)),
    *_rows("norm", "", "lora", (layers.LAYER_NORM, layers.GROUP_NORM), train_norm=True),
]

REACHED = 1 / 16
"""A constraint that binds; a power of two, since the file holds it in float32."""

OFT = [
    *_rows("OFT", "", "diag-oft", (*LINEARS, *KERNELS), dim=3, constraint=0.0),
    *_rows("OFT", "constraint", "diag-oft", BOTH, dim=3, constraint=REACHED),
    *_rows("OFT", "constraint out of reach", "diag-oft", (layers.LINEAR,), dim=3, constraint=5.0),
    *_rows("OFT", "rescale", "diag-oft", BOTH, dim=3, constraint=0.0, rescaled=True, law=AT_ONE),
    *_rows(
        "OFT",
        "constraint, rescale",
        "diag-oft",
        BOTH,
        dim=3,
        constraint=REACHED,
        rescaled=True,
        law=AT_ONE,
    ),
    *_rows("BOFT", "one stage", "boft", (TALL, TALL_SQUARE, TALL_CONV), dim=24, constraint=0.0),
    *_rows("BOFT", "", "boft", (TALL, TALL_SQUARE, TALL_CONV), dim=6, constraint=0.0, law=AT_ONE),
    *_rows("BOFT", "constraint", "boft", (TALL,), dim=6, constraint=REACHED, law=AT_ONE),
    *_rows(
        "BOFT",
        "rescale",
        "boft",
        (TALL, TALL_CONV),
        dim=6,
        constraint=0.0,
        rescaled=True,
        law=AT_ONE,
    ),
]

LYCORIS: list[Case] = [*LORA, *LOHA, *LOKR, *OTHERS, *OFT]

LYCORIS_RARE: list[Case] = _rows("T-LoRA", "", "tlora", (layers.LINEAR,))
"""What may be refused, but never be applied wrongly: it leaves out what it was trained from."""
