"""The names and shapes of ComfyUI's models, and its own names for LoRA layers."""

from __future__ import annotations

from typing import Any

import comfy.lora
import host_models
import host_texts
import torch

_LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def dump(_: str) -> dict[str, Any]:
    """Returns every architecture: its denoiser and, if there is a row, its text encoders."""
    models = {name: _denoiser(name) for name in host_models.MODELS}
    return {"models": models, "texts": {name: _texts(name) for name in host_texts.TEXTS}}


def _denoiser(name: str) -> dict[str, Any]:
    model = host_models.build(name)
    return _described(model, comfy.lora.model_lora_keys_unet(model, {})) | {
        "class": type(model).__name__
    }


def _texts(name: str) -> dict[str, Any]:
    model = host_texts.build_texts(name)
    return _described(model, comfy.lora.model_lora_keys_clip(model, {}))


def _described(model: torch.nn.Module, key_map: dict[str, Any]) -> dict[str, Any]:
    shapes = {key: list(weight.shape) for key, weight in model.state_dict().items()}
    layers = {f"{n}.weight" for n, module in model.named_modules() if isinstance(module, _LAYERS)}
    return {
        "shapes": shapes,
        "layers": [key for key in shapes if key in layers],
        "names": {
            name: plain
            for name, target in key_map.items()
            if (plain := _target(target))[0] in shapes
        },
    }


def _target(target: Any) -> list[Any]:
    """Returns a target as [key], [key, dimension, start, length], or also whether halves are
    swapped."""
    if isinstance(target, str):
        return [target]
    key, offset, *function = target
    return [key, *(offset or (0, 0, 0)), *(["swapped"] if any(function) else [])]
