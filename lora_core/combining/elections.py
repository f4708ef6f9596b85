"""Methods that decide entry by entry: TIES and DARE. Their results have no low rank.

They look at the matrices themselves, a few rows at a time, so that no more than one of them is in
memory beside the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch

from ..families import CHUNK_ENTRIES
from .product import Matrix, rows_of, size_of

ENTRIES_AT_ONCE: Final = CHUNK_ENTRIES
"""How many entries of each matrix are looked at together."""


def ties(parts: Sequence[Matrix], density: float) -> torch.Tensor:
    """Merges matrices (m, n) as TIES does: trim, elect a sign, average those that agree.

    Each is trimmed to its largest entries by itself, as peft does it. (Yadav et al. 2023,
    arXiv:2306.01708, trim all layers together.)

    Args:
        parts: The matrices, with their strengths.
        density: The share of the entries of each that is kept, above 0 and at most 1.
    """
    least = [_threshold(part, density) for part in parts]
    merged = [
        elected(
            torch.stack(
                [_trimmed(rows_of(part, rows), own) for part, own in zip(parts, least, strict=True)]
            )
        )
        for rows in _chunks(parts)
    ]
    return torch.cat(merged)


def elected(stacked: torch.Tensor) -> torch.Tensor:
    """Returns for each entry the mean of those whose sign is that of the sum; (k, …) → (…)."""
    sign = torch.where(stacked.sum(0) >= 0, 1.0, -1.0)
    agree = stacked.sign() == sign
    return (stacked * agree).sum(0) / agree.sum(0).clamp(min=1)


def dare(parts: Sequence[Matrix], density: float, seeds: Sequence[int]) -> torch.Tensor:
    """Adds matrices (m, n) of which random entries are dropped, and the others grow to make up for
    it (DARE, Yu et al. 2023, arXiv:2311.03099).

    Args:
        parts: The matrices, with their strengths.
        density: The probability of an entry to be kept, above 0 and at most 1.
        seeds: One for each of them. The same seeds drop the same entries on every device.
    """
    random = [torch.Generator().manual_seed(seed) for seed in seeds]
    merged: list[torch.Tensor] = []
    for rows in _chunks(parts):
        kept = [
            own * _kept(own, density, generator)
            for own, generator in zip((rows_of(part, rows) for part in parts), random, strict=True)
        ]
        merged.append(torch.stack(kept).sum(0) / density)
    return torch.cat(merged)


def _kept(like: torch.Tensor, density: float, generator: torch.Generator) -> torch.Tensor:
    chance = torch.rand(like.shape, generator=generator)
    return (chance < density).to(like.device)


def _chunks(parts: Sequence[Matrix]) -> Iterator[slice]:
    height, width = size_of(parts[0])
    step = max(1, ENTRIES_AT_ONCE // max(1, width))
    for start in range(0, height, step):
        yield slice(start, start + step)


def _threshold(part: Matrix, density: float) -> float:
    """Returns the magnitude of the smallest entry that is kept."""
    height, width = size_of(part)
    dropped = height * width - max(1, int(density * height * width))
    if dropped <= 0:
        return 0.0
    magnitudes = rows_of(part, slice(None)).abs().flatten()
    return float(magnitudes.kthvalue(dropped + 1).values)


def _trimmed(rows: torch.Tensor, least: float) -> torch.Tensor:
    return torch.where(rows.abs() >= least, rows, torch.zeros_like(rows))
