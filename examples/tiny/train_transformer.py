"""Trains the transformer on latents: ``python -m examples.tiny.train_transformer WORK_FOLDER``."""

from __future__ import annotations

import copy
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F  # noqa: N812

from .autoencoder import Autoencoder
from .draw import Scene
from .flow import LEVELS, on_the_way, random_levels
from .pictures import Drawn, drawn
from .scene_node.condition import condition
from .transformer import new_transformer

PICTURES = 6000
STEPS = 8000
BATCH = 64
RATE = 2e-3
AVERAGED = 0.999
"""How much of the averaged weights, which are the ones kept, stays at a step."""

WITHOUT = 0.1
"""How often the condition is left out, so that guidance works."""


def encoder(folder: Path) -> Autoencoder:
    """Good for encoding only: its decoder may still be in training."""
    model = Autoencoder()
    model.encoder.load_state_dict(torch.load(folder / "encoder.pt"))
    return model


def encoded(model: Autoencoder, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model.encode(part) for part in images.split(100)])


def conditions(scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, pooled = zip(*(condition(scene.values()) for scene in scenes), strict=True)
    return torch.cat(tokens), torch.cat(pooled)


def mirrored(scene: Scene) -> Scene:
    return Scene(1 - scene.sun, *scene.values()[1:])


def pool(model: Autoencoder, pictures: Drawn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents and conditions of all pictures, and of their mirror images."""
    images = pictures.plain()
    latents = torch.cat([encoded(model, images), encoded(model, images.flip(3))])
    scenes = [*pictures.scenes, *map(mirrored, pictures.scenes)]
    return latents, *conditions(scenes)


def train(folder: Path, steps: int = STEPS) -> torch.nn.Module:
    latents, tokens, pooled = pool(encoder(folder), drawn(PICTURES, seed=3, with_edges=False))
    print(f"latents: mean {latents.mean():.3f}, std {latents.std():.3f}", flush=True)
    torch.manual_seed(4)
    generator = torch.Generator().manual_seed(5)
    transformer = new_transformer()
    averaged = copy.deepcopy(transformer).requires_grad_(False)
    optimizer = torch.optim.AdamW(transformer.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.05)
    shown = 0.0
    for step in range(steps):
        chosen = torch.randint(len(latents), (BATCH,), generator=generator)
        kept = (torch.rand(BATCH, generator=generator) >= WITHOUT).float()
        given = tokens[chosen] * kept[:, None, None], pooled[chosen] * kept[:, None]
        loss = flow_loss(transformer, latents[chosen], *given, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(transformer.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        _average(averaged, transformer, min(AVERAGED, step / (step + 100)))
        shown += loss.item()
        if step % 200 == 199:
            print(f"{step + 1:5d}  loss {shown / 200:.4f}", flush=True)
            shown = 0.0
        if step % 1000 == 999:
            torch.save(averaged.state_dict(), folder / "transformer.pt")
    return averaged


def flow_loss(
    transformer: torch.nn.Module,
    latents: torch.Tensor,
    tokens: torch.Tensor,
    pooled: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    noise = torch.randn(latents.shape, generator=generator)
    levels = random_levels(len(latents), generator)
    seen, wanted = on_the_way(latents, noise, levels)
    return F.mse_loss(transformer(seen, tokens, pooled, levels * LEVELS).sample, wanted)


def _average(averaged: torch.nn.Module, model: torch.nn.Module, share: float) -> None:
    pairs = zip(averaged.parameters(), model.parameters(), strict=True)
    for kept, new in pairs:
        kept.lerp_(new.detach(), 1 - share)


if __name__ == "__main__":
    torch.set_num_threads(1)
    work = Path(sys.argv[1])
    started = time.monotonic()
    torch.save(train(work).state_dict(), work / "transformer.pt")
    print(f"{time.monotonic() - started:.0f} s")
