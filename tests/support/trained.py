"""Adapters that LyCORIS itself has trained, as it were, on the weights of a model in the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.oracles.fill import fill
from harness.oracles.layers import CONVS, Layer, effective
from harness.oracles.lycoris_cases import in_float64, network_of

Weights = dict[str, torch.Tensor]

SPREAD = {
    # changes about as large as the weights of the tiny models, whose rows have a norm of 0.6
    "dora_scale": (1.0, 0.2),
    "oft_blocks": (0.0, 0.2),
    "rescale": (1.0, 0.2),
    "a1.weight": (0.0, 0.1),
    "a2.weight": (0.0, 0.1),
    "b1.weight": (0.0, 0.1),
    "b2.weight": (0.0, 0.1),
    "lora_mid": (0.0, 1.0),
    "lora_": (0.0, 0.15),
    "hada_": (0.0, 0.3),
    "lokr_": (0.0, 0.2),
}


@dataclass(frozen=True)
class Algorithm:
    """How LyCORIS is asked for an adapter."""

    algo: str
    dim: int = 4
    alpha: float = 2.0
    options: dict[str, Any] = field(default_factory=dict)


ALGORITHMS = {
    "LoRA": Algorithm("lora"),
    "LoRA, Tucker": Algorithm("lora", options={"use_tucker": True}),
    "DoRA": Algorithm("lora", options={"weight_decompose": True}),
    "DoRA, in axis": Algorithm("lora", options={"weight_decompose": True, "wd_on_out": False}),
    "LoHa": Algorithm("loha"),
    "LoHa, DoRA": Algorithm("loha", options={"weight_decompose": True}),
    "LoKr": Algorithm("lokr", dim=2),
    "LoKr, full": Algorithm("lokr", options={"full_matrix": True}),
    "LoKr, DoRA": Algorithm("lokr", dim=2, options={"weight_decompose": True}),
    "GLoRA": Algorithm("glora"),
    "IA3": Algorithm("ia3"),
    "IA3, on input": Algorithm("ia3", options={"train_on_input": True}),
    "OFT": Algorithm("diag-oft", options={"constraint": 0.05, "rescaled": True}),
    "BOFT": Algorithm("boft", dim=40, options={"constraint": 0.0}),
    "full": Algorithm("full"),
}


def train(algorithm: Algorithm, weights: Weights, file: Path) -> Weights:
    """Saves an adapter of all ``weights``; gives what LyCORIS' forward makes of each, minus it."""
    base = _tree(weights)
    asked = algorithm.algo, algorithm.dim, algorithm.alpha
    network = network_of(base, *asked, **algorithm.options)
    assert len(network.loras) == len(weights), "LyCORIS has not taken every layer"
    for seed, lora in enumerate(network.loras):
        if algorithm.algo != "full":
            fill(lora.named_parameters(), seed, SPREAD)
    if algorithm.algo == "full":
        for lora in network.loras:
            lora.weight.data += 0.01 * torch.randn_like(lora.weight)
    network.apply_to()
    network.save_weights(str(file), None, {})
    base.double()
    network.double().eval()
    network.set_multiplier(1.0)
    with in_float64():
        return {path: _moved(base, path, weight) for path, weight in weights.items()}


def _tree(weights: Weights) -> nn.Module:
    root = nn.Module()
    root.forward = lambda: None
    for path, weight in weights.items():
        *folders, name = path.split(".")
        parent = root
        for folder in folders:
            if not hasattr(parent, folder):
                parent.add_module(folder, nn.Module())
            parent = getattr(parent, folder)
        parent.add_module(name, _layer(weight))
    return root


def _layer(weight: torch.Tensor) -> nn.Module:
    out, inner, *kernel = weight.shape
    made = CONVS[len(kernel)](inner, out, kernel) if kernel else nn.Linear(inner, out)
    made.weight.data.copy_(weight)
    made.bias.data.zero_()
    return made


def _moved(base: nn.Module, path: str, weight: torch.Tensor) -> torch.Tensor:
    out, inner, *kernel = weight.shape
    found = effective(base.get_submodule(path), Layer(out, inner, tuple(kernel)))["weight"]
    return found - weight.double()
