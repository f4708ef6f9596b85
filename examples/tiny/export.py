"""Writes what was trained as files: ``python -m examples.tiny.export WORK_FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from diffusers import StableDiffusion3Pipeline
from safetensors.torch import save_file

from .autoencoder import Autoencoder, as_taesd
from .files import LORAS, NAMES, TRANSFORMER, VAE, lora_file
from .transformer import fused_layers, host_name, new_transformer, to_host

Weights = dict[str, torch.Tensor]

DOWN, UP = ".lora_A.weight", ".lora_B.weight"


def export_models(work: Path) -> None:
    autoencoder = Autoencoder()
    autoencoder.load_state_dict(torch.load(work / "autoencoder.pt"))
    _save(as_taesd(autoencoder), VAE)
    transformer = new_transformer()
    transformer.load_state_dict(torch.load(work / "transformer.pt"))
    _save(to_host(transformer.state_dict()), TRANSFORMER)


def export_lora(work: Path, name: str) -> None:
    """The adapter in the three dialects."""
    trained = {key: value.half() for key, value in torch.load(work / f"{name}.pt").items()}
    notes = {"modelspec.title": f"{name}, for tiny landscapes"}
    save_file(as_kohya(trained), lora_file(name, "kohya"), notes)
    save_file(as_lycoris(trained), lora_file(name, "lycoris"), notes)
    StableDiffusion3Pipeline.save_lora_weights(
        str(LORAS), trained, weight_name=lora_file(name, "diffusers").name
    )


def as_kohya(trained: Weights) -> Weights:
    """Returns the adapter by the names of the original layout, where q, k and v are one layer.

    Their three adapters become one of three times the rank, with zeros in between.
    """
    pairs = {key.removesuffix(DOWN): _pair(trained, key) for key in trained if key.endswith(DOWN)}
    found: Weights = {}
    for layer, parts in fused_layers().items():
        inside = [pairs.pop(part) for part in parts if part in pairs]
        if inside:
            down = torch.cat([down for down, _ in inside])
            up = torch.block_diag(*(up for _, up in inside))
            found |= _named(f"lora_unet_{_flat(layer)}", down, up)
    for layer, (down, up) in pairs.items():
        found |= _named(f"lora_unet_{_flat(host_name(layer))}", down, up)
    return found


def as_lycoris(trained: Weights) -> Weights:
    """Returns the adapter by the names of diffusers' layers, as LyCORIS writes them."""
    found: Weights = {}
    for key in trained:
        if key.endswith(DOWN):
            found |= _named(f"lycoris_{_flat(key.removesuffix(DOWN))}", *_pair(trained, key))
    return found


def _pair(trained: Weights, key: str) -> tuple[torch.Tensor, torch.Tensor]:
    return trained[key], trained[key.removesuffix(DOWN) + UP]


def _named(layer: str, down: torch.Tensor, up: torch.Tensor) -> Weights:
    return {
        f"{layer}.lora_down.weight": down.contiguous(),
        f"{layer}.lora_up.weight": up.contiguous(),
        f"{layer}.alpha": torch.tensor(float(down.shape[0]), dtype=down.dtype),
    }


def _flat(layer: str) -> str:
    return layer.replace(".", "_")


def _save(weights: Weights, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {key: value.half() if value.ndim else value for key, value in weights.items()}
    save_file({key: value.contiguous() for key, value in half.items()}, path)


def main(folder: str) -> None:
    work = Path(folder)
    LORAS.mkdir(exist_ok=True)
    export_models(work)
    for name in NAMES:
        if (work / f"{name}.pt").is_file():
            export_lora(work, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
