"""ComfyUI's own LoRA loader, run on files made elsewhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.lora_convert
import comfy.utils
import host_models
import host_texts
import torch
from safetensors.torch import load_file, save_file

NOT_LOADED = "lora key not loaded: "

DOTTED = ("", "transformer.", "base_model.model.", "diffusion_model.", "unet.")
UNDERSCORED = ("lora_unet_", "lycoris_", "lora_transformer_")
"""What the host knows in front of a layer's name, of one model or another."""


class _Misses(logging.Handler):
    """Collects what the host logs about keys that it leaves out; it says it nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(NOT_LOADED):
            self.names.append(text.removeprefix(NOT_LOADED))


def _load(file: str, key_map: dict[str, Any]) -> tuple[dict[Any, Any], list[str]]:
    """Returns the patches and the keys left out, with the calls of comfy.sd.load_lora_for_models."""
    misses = _Misses()
    logging.getLogger().handlers = [misses]
    tensors = comfy.lora_convert.convert_lora(comfy.utils.load_torch_file(file, safe_load=True))
    return comfy.lora.load_lora(tensors, key_map), misses.names


def dialects(file: str) -> list[tuple[list[str], str]]:
    """Returns for each file the keys that are left out, and the error if it raises."""
    logging.disable(logging.NOTSET)
    return [_misses(**question) for question in json.loads(Path(file).read_text())]


def _misses(kind: str, model: str, file: str) -> tuple[list[str], str]:
    try:
        return _load(file, _key_map(kind, model))[1], ""
    except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
        return list(load_file(file)), f"{type(error).__name__}: {error}"


@cache
def _key_map(kind: str, name: str) -> dict[str, Any]:
    if kind == "texts":
        return comfy.lora.model_lora_keys_clip(host_texts.build_texts(name), {})
    return comfy.lora.model_lora_keys_unet(host_models.build(name), {})


def families(file: str) -> list[tuple[int, str]]:
    """Returns for each adapter how many weights get a patch, and the error if it raises.

    The weights as patched at a strength go to the files that the question names.
    """
    logging.disable(logging.NOTSET)
    return [_patched(**question) for question in json.loads(Path(file).read_text())]


def _patched(adapter: str, weights: str, results: dict[str, str]) -> tuple[int, str]:
    base = load_file(weights)
    try:
        patches, _ = _load(adapter, dict(_generic_map(base)))
        for strength, path in results.items():
            save_file(_applied(base, patches, float(strength)), path)
    except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
        return 0, f"{type(error).__name__}: {error}"
    return len(patches), ""


def _generic_map(base: dict[str, torch.Tensor]) -> Iterator[tuple[str, str]]:
    for key in base:
        path = key.removesuffix(".weight")
        if path != key:
            yield from ((prefix + path, key) for prefix in DOTTED)
            yield from ((prefix + path.replace(".", "_"), key) for prefix in UNDERSCORED)


def _applied(
    base: dict[str, torch.Tensor], patches: dict[Any, Any], strength: float
) -> dict[str, torch.Tensor]:
    """Patches a weight as ModelPatcher does: in float32, on a copy."""
    after = {}
    for key, weight in base.items():
        entries = [(strength, patches[key], 1.0, None, None)] if key in patches else []
        patched = comfy.lora.calculate_weight(entries, weight.float().clone(), key)
        after[key] = patched.contiguous()
    return after
