"""Trains the LoRAs with peft: ``python -m examples.tiny.train_loras WORK_FOLDER [NAME ...]``.

A picture can be drawn in a style at any strength, so the LoRA is trained at many strengths, too:
at -1 it has to make the opposite of its style. It is a dial, and not only a switch.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict

from .files import NAMES
from .pictures import Drawn, drawn
from .train_transformer import conditions, encoded, encoder, flow_loss
from .transformer import DEPTH, new_transformer

RANK = 8
PICTURES = 1000
STRENGTHS = (-1.0, -0.5, 0.5, 1.0)
STEPS = 2000
BATCH = 48
RATE = 3e-3

TARGETS = [
    *(
        f"transformer_blocks.{block}.{layer}"
        for block in range(DEPTH)
        for layer in (
            "norm1.linear",
            "attn.to_q",
            "attn.to_k",
            "attn.to_v",
            "attn.to_out.0",
            "ff.net.0.proj",
            "ff.net.2",
        )
    ),
    "proj_out",
]
"""The layers of images: what is drawn changes, not what is asked for."""


def train(folder: Path, name: str, pictures: Drawn, steps: int = STEPS) -> dict[str, torch.Tensor]:
    """peft's state dict of the trained adapter; its alpha is the rank."""
    latents = _latents(folder, name, pictures)
    tokens, pooled = conditions(list(pictures.scenes))
    torch.manual_seed(6)
    generator = torch.Generator().manual_seed(7)
    transformer = new_transformer()
    transformer.load_state_dict(torch.load(folder / "transformer.pt"))
    transformer.requires_grad_(False)
    transformer.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TARGETS))
    trained = [p for p in transformer.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.05)
    shown = 0.0
    for step in range(steps):
        which = step % len(STRENGTHS)
        _set_strength(transformer, STRENGTHS[which])
        chosen = torch.randint(PICTURES, (BATCH,), generator=generator)
        loss = flow_loss(
            transformer, latents[which][chosen], tokens[chosen], pooled[chosen], generator
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        shown += loss.item()
        if step % 200 == 199:
            print(f"{name} {step + 1:5d}  loss {shown / 200:.4f}", flush=True)
            shown = 0.0
    return {k: v.detach().contiguous() for k, v in get_peft_model_state_dict(transformer).items()}


def _latents(folder: Path, name: str, pictures: Drawn) -> list[torch.Tensor]:
    """Returns the latents of all pictures, for each strength."""
    model = encoder(folder)
    count = len(pictures.pictures)
    return [
        encoded(model, pictures.in_style(name, np.full(count, strength))) for strength in STRENGTHS
    ]


def _set_strength(model: torch.nn.Module, strength: float) -> None:
    for layer in model.modules():
        if isinstance(layer, BaseTunerLayer):
            layer.scaling["default"] = strength


def main(folder: str, *names: str) -> None:
    torch.set_num_threads(1)
    work = Path(folder)
    started = time.monotonic()
    pictures = drawn(PICTURES, seed=8)
    for name in names or NAMES:
        torch.save(train(work, name, pictures), work / f"{name}.pt")
        print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
