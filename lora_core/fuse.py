"""Fusing: all that a stack adds to one weight, as one low-rank pair with a gate.

    W  ->  keep · W  +  up · diag(gate) · down  +  residue

The gate is the one place where strength lives. The factors of several files stay where they are
in memory until the moment they are multiplied: a fused stack costs no memory of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from .families import Pair, Replacement, Residue
from .match import Addend

Rows = tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What a stack does to some rows of one weight.

    Attributes:
        rows: (start, length) along the first dimension; None for all of them.
        keep: Factor on the weight itself; 1 unless something replaces it.
        ups: Of each adapter (rows, rank); side by side they are the up (rows, R).
        gate: (R,), strength · alpha / rank of each column.
        downs: Of each adapter (rank, in); on top of each other they are the down (R, in).
        residue: Dense sum of what has no pair, of the target's shape; None without any.
    """

    rows: Rows
    keep: float = 1.0
    ups: tuple[torch.Tensor, ...] = ()
    gate: torch.Tensor | None = None
    downs: tuple[torch.Tensor, ...] = ()
    residue: torch.Tensor | None = None


def fuse(addends: Iterable[Addend], dtype: torch.dtype = torch.float32) -> tuple[Patch, ...]:
    """One patch for each set of rows that ``addends`` of one weight aim at.

    Args:
        addends: All of one weight.
        dtype: In which sums are formed, float32 or float64; factors of lower precision keep
            their own type.
    """
    by_rows: dict[Rows, list[Addend]] = {}
    for addend in addends:
        by_rows.setdefault(addend.target.rows, []).append(addend)
    return tuple(_patch(rows, group, dtype) for rows, group in by_rows.items())


def _patch(rows: Rows, addends: Sequence[Addend], dtype: torch.dtype) -> Patch:
    pairs = [(a.strength, a.delta) for a in addends if isinstance(a.delta, Pair)]
    replaced = sum(a.strength for a in addends if isinstance(a.delta, Replacement))
    return Patch(
        rows,
        1.0 - replaced,
        tuple(_no_wider(pair.up, dtype) for _, pair in pairs),
        _gate(pairs, dtype) if pairs else None,
        tuple(_no_wider(pair.down, dtype) for _, pair in pairs),
        _residue(addends, dtype),
    )


def _gate(pairs: Sequence[tuple[float, Pair]], dtype: torch.dtype) -> torch.Tensor:
    ranks = torch.tensor([len(pair.down) for _, pair in pairs])
    factors = torch.tensor([strength * pair.scale for strength, pair in pairs], dtype=dtype)
    return factors.repeat_interleave(ranks)


def _no_wider(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.dtype.itemsize > dtype.itemsize else tensor


def _residue(addends: Sequence[Addend], dtype: torch.dtype) -> torch.Tensor | None:
    total: torch.Tensor | None = None
    for addend in addends:
        match addend.delta:
            case Residue(dense) | Replacement(dense):
                part = dense.to(dtype) * addend.strength
                total = part if total is None else total.add_(part)
            case Pair():
                pass
    return total
