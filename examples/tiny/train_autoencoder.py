"""Trains the decoder: ``python -m examples.tiny.train_autoencoder WORK_FOLDER``.

The encoder is written to encoder.pt within a minute: the transformer can be trained meanwhile.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F  # noqa: N812

from .autoencoder import Autoencoder
from .pictures import drawn

PICTURES = 3000
STEPS = 4000
WHOLE = 300
"""The last steps look at whole images in full precision, those before at quarters in bfloat16."""

CROP = 4
"""Latents on each side of a quarter."""

BATCH = 24
RATE = 2e-3
NOISE = 0.05
"""Added to latents, so that small errors of the transformer stay small."""


def train(folder: Path, steps: int = STEPS) -> Autoencoder:
    torch.manual_seed(1)
    pictures = drawn(PICTURES, seed=1)
    images = torch.cat([pictures.plain(), pictures.in_any_style(seed=2)])
    model = Autoencoder()
    model.encoder.fit(images / 2 + 0.5)
    torch.save(model.encoder.state_dict(), folder / "encoder.pt")
    with torch.no_grad():
        latents = torch.cat([model.encode(part) for part in images.split(100)])
    print(f"latents of size {latents.std(dim=(0, 2, 3)).numpy().round(2)}", flush=True)
    decoder = model.decoder.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(decoder.parameters(), RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.1)
    shown = 0.0
    for step in range(steps):
        whole = step >= steps - WHOLE
        with torch.autocast("cpu", torch.bfloat16, enabled=not whole):
            loss, error = _loss(model, *_batch(latents, images, whole))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        shown += error * 127.5 / 100
        if step % 100 == 99:
            print(f"{step + 1:5d}  mean error {shown:.2f} of 255", flush=True)
            shown = 0.0
        if step % 500 == 499:
            torch.save(model.state_dict(), folder / "autoencoder.pt")
    return model


def _batch(
    latents: torch.Tensor, images: torch.Tensor, whole: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    chosen = torch.randint(len(images), (BATCH // 4 if whole else BATCH,))
    if whole:
        return latents[chosen], images[chosen]
    corners = torch.randint(latents.shape[-1] - CROP + 1, (BATCH, 2)).tolist()
    seen, wanted = [], []
    for index, (y, x) in zip(chosen.tolist(), corners, strict=True):
        seen.append(latents[index, :, y : y + CROP, x : x + CROP])
        wanted.append(images[index, :, 8 * y : 8 * (y + CROP), 8 * x : 8 * (x + CROP)])
    return torch.stack(seen), torch.stack(wanted)


def _loss(
    model: Autoencoder, latents: torch.Tensor, images: torch.Tensor
) -> tuple[torch.Tensor, float]:
    seen = latents + NOISE * torch.randn_like(latents)
    again = model.decode(seen.contiguous(memory_format=torch.channels_last)).float()
    error = F.l1_loss(again, images)
    edges = sum(F.l1_loss(again.diff(dim=d), images.diff(dim=d)) for d in (2, 3))
    return error + 0.5 * edges, error.item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    work = Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    torch.save(train(work).state_dict(), work / "autoencoder.pt")
    print(f"{time.monotonic() - started:.0f} s")
