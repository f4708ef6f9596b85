"""A scene as SD 3 takes a prompt: a few context tokens and one pooled vector. Torch only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

ATTRIBUTES = ("sun", "height", "hour", "hills", "trees", "lake")
FREQUENCIES = 16
TOKEN_WIDTH = 2 * FREQUENCIES
POOLED_WIDTH = len(ATTRIBUTES) * FREQUENCIES


def condition(values: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 6, 32), a token for each attribute, and (1, 96). All zeros stand for any scene."""
    waves = torch.arange(FREQUENCIES, dtype=torch.float64) * math.pi
    features = torch.cos(torch.tensor(list(values), dtype=torch.float64)[:, None] * waves)
    which = torch.eye(len(ATTRIBUTES), FREQUENCIES, dtype=torch.float64)
    tokens = torch.cat([which, features], dim=1).float()
    return tokens[None], features.float().reshape(1, -1)
