"""Fuses all that a stack adds to one weight into one low-rank pair with a gate.

    W  ->  (keep + row + column) · W  +  up · diag(gate) · down  +  dense

Strengths are only in the gate. The factors of several files stay where they are in memory until
they are multiplied: a fused stack takes no memory of its own. A delta that depends on the incoming
weight is kept as it is, and joins the rest when that weight is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from ..families import BaseWeight, Delta, Dense, Diagonal, LowRank, Replacement, Static
from ..matching import WeightTerm
from ..naming import Rows, Shape

Scaled = tuple[float, Delta]
"""A strength, and the delta that it multiplies."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What a stack does to some rows of one weight.

    Attributes:
        rows: (start, length) along the first dimension; None for all of them.
        keep: Factor on the weight itself; 1 unless something replaces it.
        ups: One up (rows, rank) for each adapter; side by side they are the up (rows, R).
        gate: (R,), strength · alpha / rank of each column.
        downs: One down (rank, in) for each adapter; on top of each other they are the down (R, in).
        dense: Dense sum (rows, in) of what has no pair; None if there is none.
        row: (rows,), the share of the weight that is added to each row; None if there is none.
        column: (in,), the same for each input.
        weight_dependent: Deltas that need the weight first.
        width: How many inputs the weight must have for it; None if it fits as it is.
        shape: The shape of the new weight, if ``dense`` replaces the weight by one of another shape.
    """

    rows: Rows
    keep: float = 1.0
    ups: tuple[torch.Tensor, ...] = ()
    gate: torch.Tensor | None = None
    downs: tuple[torch.Tensor, ...] = ()
    dense: torch.Tensor | None = None
    row: torch.Tensor | None = None
    column: torch.Tensor | None = None
    weight_dependent: tuple[Scaled, ...] = ()
    width: int | None = None
    shape: Shape | None = None


def fuse(
    weight_terms: Iterable[WeightTerm], dtype: torch.dtype = torch.float32
) -> tuple[Patch, ...]:
    """Returns one patch for each set of rows that the ``weight_terms`` of one weight change.

    Args:
        weight_terms: All terms of one weight.
        dtype: The type in which sums are formed, float32 or float64. Factors of lower precision
            keep their own type.
    """
    groups: dict[tuple[Rows, int | None, Shape | None], list[Scaled]] = {}
    for weight_term in weight_terms:
        group = groups.setdefault(
            (weight_term.target.rows, weight_term.width, weight_term.shape), []
        )
        group.append((weight_term.strength, weight_term.delta))
    patches: list[Patch] = []
    for (rows, width, shape), deltas in groups.items():
        static = [(s, delta) for s, delta in deltas if isinstance(delta, Static)]
        others = tuple((s, delta) for s, delta in deltas if not isinstance(delta, Static))
        own = _fused(rows, width, static, dtype)
        patches.append(replace(own, weight_dependent=others, shape=shape))
    return tuple(patches)


def resolved(patch: Patch, weight: torch.Tensor) -> Patch:
    """Returns the same patch resolved on this weight: nothing in it depends on the weight any more.

    Args:
        patch: Any patch.
        weight: The incoming weight, or the rows of it that the patch is for.
    """
    if not patch.weight_dependent:
        return patch
    incoming = BaseWeight(weight)
    terms = [
        (s, term) for s, delta in patch.weight_dependent for term in delta.resolve_on(incoming)
    ]
    own = _fused(patch.rows, patch.width, terms, incoming.dtype)
    return _joined(patch, own, incoming)


def _fused(
    rows: Rows, width: int | None, terms: Sequence[tuple[float, Static]], dtype: torch.dtype
) -> Patch:
    pairs = [(s, delta) for s, delta in terms if isinstance(delta, LowRank)]
    fused = Patch(
        rows,
        ups=tuple(_no_wider(pair.up, dtype) for _, pair in pairs),
        gate=_gate(pairs, dtype) if pairs else None,
        downs=tuple(_no_wider(pair.down, dtype) for _, pair in pairs),
        width=width,
    )
    if len(pairs) == len(terms):
        return fused
    diagonals = [(s, delta) for s, delta in terms if isinstance(delta, Diagonal)]
    replaced = sum(s for s, delta in terms if isinstance(delta, Replacement))
    return replace(
        fused,
        keep=1.0 - replaced,
        dense=_dense(terms, dtype),
        row=_total([s * d.row.to(dtype) for s, d in diagonals if d.row is not None]),
        column=_total([s * d.column.to(dtype) for s, d in diagonals if d.column is not None]),
    )


def _joined(one: Patch, other: Patch, weight: BaseWeight) -> Patch:
    """Joins two patches, where the weight is."""

    def both(left: torch.Tensor | None, right: torch.Tensor | None) -> list[torch.Tensor]:
        return [weight.like(tensor) for tensor in (left, right) if tensor is not None]

    gates = both(one.gate, other.gate)
    return Patch(
        one.rows,
        one.keep + other.keep - 1.0,
        one.ups + other.ups,
        torch.cat(gates) if gates else None,
        one.downs + other.downs,
        _total(both(one.dense, other.dense)),
        _total(both(one.row, other.row)),
        _total(both(one.column, other.column)),
        width=one.width,
    )


def _gate(pairs: Sequence[tuple[float, LowRank]], dtype: torch.dtype) -> torch.Tensor:
    factors = [factor for s, pair in pairs for factor in [s * pair.scale] * pair.rank]
    return torch.tensor(factors, dtype=dtype, device=pairs[0][1].up.device)


def _no_wider(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.dtype.itemsize > dtype.itemsize else tensor


def _dense(terms: Sequence[tuple[float, Static]], dtype: torch.dtype) -> torch.Tensor | None:
    parts: list[torch.Tensor] = []
    for strength, delta in terms:
        match delta:
            case Dense(dense) | Replacement(dense):
                parts.append(
                    dense.to(dtype).reshape(dense.shape[0] if dense.ndim else 1, -1) * strength
                )
            case _:
                pass
    return _total(parts)


def _total(parts: Sequence[torch.Tensor]) -> torch.Tensor | None:
    return sum(parts[1:], parts[0]) if parts else None
