"""Methods that work in the subspaces of the matrices: their results have a low rank again."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..families import qr, svd
from .elections import ties
from .product import Decomposition, Matrix, Product, as_product, decomposed, size_of


def knots(parts: Sequence[Matrix], density: float) -> Product:
    """Merges matrices (m, n) by TIES in the basis that they share.

    [P₁ … Pₖ] = U · S · [V₁ … Vₖ], and the result is U · ties(S · V₁, …, S · Vₖ) (KnOTS, Stoica et
    al. 2024, arXiv:2410.19735). The rank is at most the sum of theirs.

    Args:
        parts: The matrices, with their strengths.
        density: See ``ties``.
    """
    side_by_side = [as_product(part) for part in parts]
    left, _ = qr(torch.cat([part.up for part in side_by_side], 1))
    inner = [(left.T @ part.up * part.scale) @ part.down for part in side_by_side]
    u, values, vh = svd(torch.cat(inner, 1))
    whole = Decomposition(left @ u, values, vh)
    weighted = values[: whole.rank, None] * vh[: whole.rank]
    each = weighted.chunk(len(parts), 1)
    return Product(whole.left[:, : whole.rank], ties(each, density) if whole.rank else each[0])


def tsv(parts: Sequence[Matrix]) -> Product:
    """Merges matrices (m, n) by their singular vectors, made orthogonal to each other.

    Each keeps at most min(m, n) / k singular values; those of all k together are replaced by the
    nearest orthonormal ones on both sides (TSV-M, Gargiulo et al. 2024, arXiv:2412.00081). Vectors
    without a singular value are left out. The authors' code, made for full ranks, fills up a low
    rank with arbitrary ones, which turn the others.

    Args:
        parts: The matrices, with their strengths.
    """
    most = max(1, min(size_of(parts[0])) // len(parts))
    each = [_leading(decomposed(part), most) for part in parts]
    left = _nearest_orthonormal(torch.cat([own.left for own in each], 1))
    right = _nearest_orthonormal(torch.cat([own.right for own in each]).T).T
    return Product(left * torch.cat([own.values for own in each]), right)


def orthogonal(parts: Sequence[Matrix]) -> Product:
    """Adds matrices (m, n), each without what an earlier one does already.

    P loses Q·Qᵀ · P · R·Rᵀ, where Q and R span the columns and rows of all that come before: what
    answers to the same inputs with the same outputs. So it is orthogonal to each of them, and the
    first one is whole. Exact on the factors.

    Args:
        parts: The matrices, with their strengths, in their order.
    """
    kept = [as_product(parts[0])]
    before = [_leading(decomposed(parts[0]))]
    for part in parts[1:]:
        kept.append(_without(as_product(part), before))
        before.append(_leading(decomposed(part)))
    return Product.sum(kept)


def _without(part: Product, before: Sequence[Decomposition]) -> Product:
    out = _basis(torch.cat([own.left for own in before], 1))
    into = _basis(torch.cat([own.right for own in before]).T)
    shared = Product(out @ (out.T @ part.up), (part.down @ into) @ into.T, part.scale)
    return Product.sum((part, shared.times(-1.0)))


def _basis(columns: torch.Tensor) -> torch.Tensor:
    """Returns orthonormal columns that span the same as unit vectors, of which some may depend on
    others."""
    whole = Decomposition.of(columns)
    return whole.left[:, : whole.rank]


def _leading(whole: Decomposition, most: int | None = None) -> Decomposition:
    count = whole.rank if most is None else min(most, whole.rank)
    return Decomposition(whole.left[:, :count], whole.values[:count], whole.right[:count])


def _nearest_orthonormal(columns: torch.Tensor) -> torch.Tensor:
    """Returns the orthonormal columns that are nearest to (m, k) ones (Procrustes)."""
    u, _, vh = svd(columns)
    return u @ vh
