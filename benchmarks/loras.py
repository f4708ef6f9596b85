"""Random LoRAs, as factors in memory and as files, for us and for the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

STRENGTH = 0.7
PREFIX = "diffusion_model."

Sizes = Mapping[str, tuple[int, int]]
"""Sizes of weights as matrices (out, in · kernel), by their key in the host's model."""


@dataclass(frozen=True)
class Factors:
    """The factors of one layer: up (out, rank) and down (rank, in)."""

    up: torch.Tensor
    down: torch.Tensor


Lora = Mapping[str, Factors]
"""The factors by the weight's key; alpha equals the rank."""


def random_lora(sizes: Sizes, rank: int, device: str = "cpu") -> Lora:
    """Returns a random LoRA in half precision, as most files are."""
    return {
        key: Factors(_random(out, rank, device), _random(rank, into, device))
        for key, (out, into) in sizes.items()
    }


def _random(rows: int, columns: int, device: str) -> torch.Tensor:
    return (torch.randn(rows, columns, device=device) * 0.02).half()


def matrices(model: torch.nn.Module) -> Sizes:
    """Returns all weights of a model that a LoRA can change, in the model's own order."""
    return {
        key: (len(weight), weight[0].numel())
        for key, weight in model.named_parameters()
        if key.startswith(PREFIX) and key.endswith(".weight") and weight.ndim > 1
    }


def with_ours(base: ModelPatcher, loras: Sequence[Lora]) -> ModelPatcher:
    """Returns a clone with all of them as our patches, one for each weight."""
    from lora_algebra.lora_core.families import LowRank
    from lora_algebra.lora_core.matching import WeightTerm
    from lora_algebra.lora_core.naming import Target
    from lora_algebra.nodes.host.adapter import FusedAdapter

    def fused(key: str) -> FusedAdapter:
        pairs = [LowRank(lora[key].up, lora[key].down, 1.0) for lora in loras]
        return FusedAdapter.of(tuple(WeightTerm(Target(key), p, STRENGTH, 0.0, "") for p in pairs))

    clone = base.clone()
    clone.add_patches({key: fused(key) for key in loras[0]})
    return clone


def with_hosts(base: ModelPatcher, loras: Sequence[Lora]) -> ModelPatcher:
    """Returns a clone with what the host's loaders leave on it, one after the other."""
    from comfy.weight_adapter import LoRAAdapter

    clone = base.clone()
    for lora in loras:
        adapters = {
            key: LoRAAdapter(set(), (f.up, f.down, float(len(f.down)), None, None, None))
            for key, f in lora.items()
        }
        clone.add_patches(adapters, STRENGTH)
    return clone


def with_nothing(base: ModelPatcher, keys: Sequence[str]) -> ModelPatcher:
    """Returns a clone whose patches leave the weights unchanged: only the host's own work remains."""
    from comfy.weight_adapter import WeightAdapterBase

    class Nothing(WeightAdapterBase):
        name = "nothing"

        def __init__(self) -> None:
            self.loaded_keys, self.weights = set(), ()

        def calculate_weight(self, weight: torch.Tensor, *_args: object) -> torch.Tensor:
            return weight

    clone = base.clone()
    clone.add_patches(dict.fromkeys(keys, Nothing()))
    return clone


def write_lora(path: Path, sizes: Sizes, rank: int) -> Path:
    """Writes a LoRA in kohya's names, which the host reads for every model."""
    tensors: dict[str, torch.Tensor] = {}
    for key, factors in random_lora(sizes, rank).items():
        layer = key.removeprefix(PREFIX).removesuffix(".weight").replace(".", "_")
        tensors[f"lora_unet_{layer}.lora_up.weight"] = factors.up
        tensors[f"lora_unet_{layer}.lora_down.weight"] = factors.down
        tensors[f"lora_unet_{layer}.alpha"] = torch.tensor(float(rank))
    save_file(tensors, path)
    return path
