"""How alike low-rank matrices are: inner products, and the subspaces that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from ..families import qr
from .product import Matrix, Product, as_product, singular_values_of


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """What k matrices (m, n) of one weight have in common.

    Attributes:
        products: (k, k), their inner products ⟨Pᵢ, Pⱼ⟩.
        outputs: (k, k), ‖Qᵢᵀ · Qⱼ‖² / min(rᵢ, rⱼ) for orthonormal bases of their columns: the share
            of the smaller subspace that lies in the larger one.
        inputs: The same for their rows.
        values: The singular values of each.
    """

    products: torch.Tensor
    outputs: torch.Tensor
    inputs: torch.Tensor
    values: tuple[torch.Tensor, ...]


def overlap_of(matrices: Sequence[Matrix]) -> Overlap:
    """Compares matrices by their factors alone.

    With Pᵢ = Qᵢ · Cᵢ · Rᵢᵀ, ⟨Pᵢ, Pⱼ⟩ = Σ (Cᵢᵀ · QᵢᵀQⱼ · Cⱼ) ∘ RᵢᵀRⱼ: one product of all bases on each
    side is all that is as large as the matrices' sides.
    """
    each = [_Basis.of(as_product(matrix)) for matrix in matrices]
    ranks = [own.core.shape[0] for own in each]
    out = _blocks(torch.cat([own.out for own in each], 1), ranks)
    into = _blocks(torch.cat([own.into for own in each], 1), ranks)
    count = range(len(each))
    products = [
        [float(((each[i].core.T @ out[i][j] @ each[j].core) * into[i][j]).sum()) for j in count]
        for i in count
    ]
    return Overlap(
        torch.tensor(products, dtype=torch.float64),
        _shares(out, ranks),
        _shares(into, ranks),
        tuple(singular_values_of(own.core) for own in each),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Basis:
    """A matrix out · core · intoᵀ, with orthonormal columns on both sides."""

    out: torch.Tensor
    core: torch.Tensor
    into: torch.Tensor

    @classmethod
    def of(cls, product: Product) -> _Basis:
        out, above = qr(product.up * product.scale)
        into, below = qr(product.down.T)
        return cls(out, above @ below.T, into)


def _blocks(bases: torch.Tensor, ranks: Sequence[int]) -> list[list[torch.Tensor]]:
    """Returns QᵢᵀQⱼ for all pairs."""
    gram = bases.T @ bases
    ends = accumulate(ranks)
    places = [slice(end - rank, end) for end, rank in zip(ends, ranks, strict=True)]
    return [[gram[one, other] for other in places] for one in places]


def _shares(blocks: Sequence[Sequence[torch.Tensor]], ranks: Sequence[int]) -> torch.Tensor:
    return torch.tensor(
        [
            [
                float(block.square().sum()) / max(1, min(ranks[i], ranks[j]))
                for j, block in enumerate(row)
            ]
            for i, row in enumerate(blocks)
        ],
        dtype=torch.float64,
    )
