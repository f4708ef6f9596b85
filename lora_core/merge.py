"""The arithmetic of applying: one read and one write of a weight for a whole stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .fuse import Patch

CHUNK = 4 * 2**20
"""Entries of a half-precision weight that are widened at once, so that no copy of it is needed."""


def merge_(weight: torch.Tensor, patches: Sequence[Patch], strength: float = 1.0) -> None:
    """Adds strength · (what ``patches`` do) to ``weight``, in place, with a single rounding.

    Every patch is taken against the weight as it comes in. Weights of less than float32 are
    summed in float32, a chunk of rows at a time.
    """
    rows = weight if weight.ndim else weight.view(1)
    wide = sum_type(weight.dtype)
    if wide == weight.dtype:
        _merge_rows(rows, 0, patches, strength)
        return
    step = max(1, CHUNK * len(rows) // max(1, rows.numel()))
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        widened = chunk.to(wide)
        _merge_rows(widened, start, patches, strength)
        chunk.copy_(widened)


def sum_type(dtype: torch.dtype) -> torch.dtype:
    """The type in which sums for a weight of ``dtype`` are formed."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _merge_rows(
    weight: torch.Tensor, start: int, patches: Sequence[Patch], strength: float
) -> None:
    """Merges into the rows of a weight from ``start`` on."""
    pieces = [
        (patch, *piece)
        for patch in patches
        if (piece := _overlap(patch, start, len(weight))) is not None
    ]
    if any(patch.keep != 1.0 for patch, *_ in pieces):
        _keep(weight, pieces, start, strength)
    for patch, first, last in pieces:
        origin = patch.rows[0] if patch.rows else 0
        own = slice(first - origin, last - origin)
        _add(weight[first - start : last - start], patch, own, strength)


def _overlap(patch: Patch, start: int, length: int) -> tuple[int, int] | None:
    """The rows [first, last) of the weight that a patch changes from ``start`` on."""
    begin, count = patch.rows if patch.rows else (start, length)
    first, last = max(begin, start), min(begin + count, start + length)
    return (first, last) if first < last else None


def _keep(
    weight: torch.Tensor,
    pieces: Sequence[tuple[Patch, int, int]],
    start: int,
    strength: float,
) -> None:
    """Scales each row by 1 + strength · Σ (keep - 1): all patches see the incoming weight."""
    factor = torch.ones(len(weight), dtype=weight.dtype, device=weight.device)
    for patch, first, last in pieces:
        factor[first - start : last - start] += strength * (patch.keep - 1.0)
    weight.mul_(factor.view(-1, *[1] * (weight.ndim - 1)))


def _add(part: torch.Tensor, patch: Patch, own: slice, strength: float) -> None:
    def like(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device=part.device, dtype=part.dtype)

    if patch.gate is not None:
        up = _joined([like(up[own]) for up in patch.ups], 1) * (like(patch.gate) * strength)
        down = _joined([like(down) for down in patch.downs], 0)
        if part.is_contiguous():
            part.view(len(part), -1).addmm_(up, down)
        else:
            part.add_((up @ down).view(part.shape))
    if patch.residue is not None:
        part.add_(like(patch.residue[own]), alpha=strength)


def _joined(tensors: list[torch.Tensor], dim: int) -> torch.Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim)
