"""LoRA (Hu et al. 2021, arXiv:2106.09685) and LoCon, its form for convolutions (LyCORIS,
Yeh et al. 2023, arXiv:2309.14859)."""

from __future__ import annotations

import math

import torch

from .family import Pair, Tensors, refuse, shape_text

HIGHEST_RANK = 4096


def read(name: str, tensors: Tensors) -> Pair:
    """W + (alpha / rank) · up · down.

    up is (out, rank[, 1, …]), down is (rank, in[, kernel…]); with a Tucker core ``mid``
    (rank, rank, kernel…) the down is (rank, in[, 1, …]).
    """
    up, down, mid = tensors["up"], tensors["down"], tensors.get("mid")
    _check(name, up, down)
    flat = down.flatten(1) if mid is None else _tucker(name, down, mid)
    kernel = tuple((down if mid is None else mid).shape[2:])
    return Pair(up.flatten(1), flat, _scale(name, tensors.get("alpha"), len(down)), kernel)


def _check(name: str, up: torch.Tensor, down: torch.Tensor) -> None:
    shapes = f"up {shape_text(up)}, down {shape_text(down)}"
    if up.ndim < 2 or down.ndim < 2 or up.shape[2:].numel() != 1:
        raise refuse(
            f"{name} is no pair of matrices: {shapes}.",
            key=name,
            expected="up (out, rank), down (rank, in)",
            found=shapes,
        )
    if up.shape[1] != down.shape[0]:
        raise refuse(
            f"{name}: ranks differ: {shapes}.", key=name, expected="one rank", found=shapes
        )
    if not 1 <= down.shape[0] <= HIGHEST_RANK or not up.numel() or not down.numel():
        raise refuse(
            f"{name} has rank {down.shape[0]}: {shapes}.",
            key=name,
            expected=f"rank 1 to {HIGHEST_RANK}",
            found=shapes,
        )


def _tucker(name: str, down: torch.Tensor, mid: torch.Tensor) -> torch.Tensor:
    """The core folded into the down: (rank, in · kernel)."""
    rank = down.shape[0]
    if mid.ndim < 3 or tuple(mid.shape[:2]) != (rank, rank) or down.shape[2:].numel() != 1:
        found = f"mid {shape_text(mid)}, down {shape_text(down)}"
        raise refuse(
            f"{name}: the Tucker core does not fit: {found}.",
            key=name,
            expected=f"mid ({rank}, {rank}, kernel…), down ({rank}, in)",
            found=found,
        )
    core, narrow = mid.flatten(2).double(), down.flatten(1).double()
    return torch.einsum("mnk,ni->mik", core, narrow).flatten(1)


def _scale(name: str, alpha: torch.Tensor | None, rank: int) -> float:
    """alpha / rank; a file without alpha was trained with alpha = rank."""
    if alpha is None:
        return 1.0
    if alpha.numel() != 1:
        raise refuse(
            f"{name}: alpha has shape {shape_text(alpha)}.",
            key=name,
            expected="one number",
            found=shape_text(alpha),
        )
    value = float(rank) if alpha.is_meta else float(alpha)
    if not math.isfinite(value):
        raise refuse(
            f"{name}: alpha is {value}.", key=name, expected="a finite number", found=str(value)
        )
    return value / rank
