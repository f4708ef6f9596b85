"""Flow matching: a straight way from a latent (noise level 0) to noise (level 1)."""

from __future__ import annotations

import torch

SHIFT = 3.0
"""The host's for SD 3: noise levels are bent towards the noisy end."""

LEVELS = 1000


def shifted(level: torch.Tensor) -> torch.Tensor:
    return SHIFT * level / (1 + (SHIFT - 1) * level)


def sigmas(steps: int) -> torch.Tensor:
    """The noise levels that the host's "simple" scheduler visits, and 0 at the end."""
    table = shifted(torch.arange(1, LEVELS + 1) / LEVELS)
    chosen = [table[-(1 + int(step * LEVELS / steps))] for step in range(steps)]
    return torch.tensor([*chosen, 0.0])


def random_levels(count: int, generator: torch.Generator) -> torch.Tensor:
    """Half of them as the sampler visits them, half evenly."""
    levels = torch.rand(count, generator=generator)
    return torch.where(torch.arange(count) % 2 == 0, shifted(levels), levels)


def on_the_way(
    latents: torch.Tensor, noise: torch.Tensor, levels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model sees at these levels, and the direction it should find."""
    share = levels[:, None, None, None]
    return latents + (noise - latents) * share, noise - latents
