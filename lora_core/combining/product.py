"""A low-rank matrix as the product that it is: sums, norms and singular values, never multiplied out.

Everything here costs O((m + n) · R²) for a matrix (m, n) of rank R. Only where R is not below both
m and n is the matrix itself smaller than its factors, and used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from ..families import norm, qr, singular_values, svd, triangle


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """The matrix scale · up · down.

    Attributes:
        up: (m, R).
        down: (R, n), of the same type and on the same device.
        scale: A number, kept apart so that it costs no rounding.
    """

    up: torch.Tensor
    down: torch.Tensor
    scale: float = 1.0

    @classmethod
    def sum(cls, products: Sequence[Product]) -> Product:
        """Returns the sum of one or more matrices of one size: their factors side by side."""
        if len(products) == 1:
            return products[0]
        scales = {each.scale for each in products}
        ups = [each.up if len(scales) == 1 else each.up * each.scale for each in products]
        scale = scales.pop() if len(scales) == 1 else 1.0
        return cls(torch.cat(ups, 1), torch.cat([each.down for each in products]), scale)

    @property
    def shape(self) -> tuple[int, int]:
        """The matrix's size, (m, n)."""
        return self.up.shape[0], self.down.shape[1]

    @property
    def rank(self) -> int:
        """How many columns its factors have; the matrix's own rank may be lower."""
        return self.down.shape[0]

    @property
    def is_wide(self) -> bool:
        """Whether the factors are not smaller than the matrix."""
        return self.rank >= min(self.shape)

    def times(self, factor: float) -> Product:
        """Returns the matrix times a number."""
        return Product(self.up, self.down, self.scale * factor)

    def rows(self, rows: slice) -> Product:
        """Returns some rows of the matrix."""
        return Product(self.up[rows], self.down, self.scale)

    def dense(self) -> torch.Tensor:
        """Returns the matrix itself, (m, n)."""
        return (self.up * self.scale) @ self.down

    def norm(self) -> float:
        """Returns the Frobenius norm, as exact as the factors' type."""
        return float(norm(self._core()))

    def singular_values(self) -> torch.Tensor:
        """Returns min(R, m, n) singular values, the largest first."""
        return singular_values(self._core())

    def decomposed(self) -> Decomposition:
        """Returns the singular value decomposition."""
        if self.is_wide:
            return Decomposition.of(self.dense())
        left, above = qr(self.up * self.scale)
        right, below = qr(self.down.T)
        u, values, vh = svd(above @ below.T)
        return Decomposition(left @ u, values, vh @ right.T)

    def _core(self) -> torch.Tensor:
        """Returns a small matrix with the same singular values."""
        if self.is_wide:
            return self.dense()
        return triangle(self.up * self.scale) @ triangle(self.down.T).T


@dataclass(frozen=True, slots=True, eq=False)
class Decomposition:
    """A singular value decomposition left · diag(values) · right.

    Attributes:
        left: (m, k), with orthonormal columns.
        values: (k,), the largest first.
        right: (k, n), with orthonormal rows.
    """

    left: torch.Tensor
    values: torch.Tensor
    right: torch.Tensor

    @classmethod
    def of(cls, matrix: torch.Tensor) -> Decomposition:
        """Decomposes a matrix (m, n)."""
        return cls(*svd(matrix))

    @property
    def rank(self) -> int:
        """How many singular values are more than rounding."""
        if not len(self.values):
            return 0
        size = max(len(self.left), self.right.shape[1])
        least = self.values[0] * torch.finfo(self.values.dtype).eps * size
        return int((self.values > least).sum())

    def truncated(self, rank: int) -> Product:
        """Returns the nearest product of at most this rank (Eckart and Young 1936); both factors
        have the same norm."""
        root = self.values[:rank].sqrt()
        return Product(self.left[:, :rank] * root, root[:, None] * self.right[:rank])


Matrix: TypeAlias = Product | torch.Tensor
"""A matrix (m, n), as a product where that is known."""


def size_of(matrix: Matrix) -> tuple[int, int]:
    """Returns a matrix's size, (m, n)."""
    return matrix.shape[0], matrix.shape[1]


def rows_of(matrix: Matrix, rows: slice) -> torch.Tensor:
    """Returns some rows of a matrix, multiplied out."""
    return matrix.rows(rows).dense() if isinstance(matrix, Product) else matrix[rows]


def decomposed(matrix: Matrix) -> Decomposition:
    """Returns the singular value decomposition of a matrix, the cheap way where there is one."""
    return matrix.decomposed() if isinstance(matrix, Product) else Decomposition.of(matrix)


def singular_values_of(matrix: Matrix) -> torch.Tensor:
    """Returns the singular values of a matrix, the largest first."""
    if isinstance(matrix, Product):
        return matrix.singular_values()
    return singular_values(matrix)


def as_product(matrix: Matrix) -> Product:
    """Returns a matrix as a product, if need be that of its decomposition."""
    if isinstance(matrix, Product):
        return matrix
    whole = decomposed(matrix)
    return whole.truncated(whole.rank)


def difference_norm(one: Product, other: Product) -> float:
    """Returns ‖one − other‖, which is small against both without being lost in rounding."""
    return Product.sum((one, other.times(-1.0))).norm()


def inner_products(products: Iterable[Product]) -> torch.Tensor:
    """Returns ⟨Pᵢ, Pⱼ⟩ for all pairs: (k, k) in float64.

    ⟨a·b, c·d⟩ = Σ (aᵀ·c) ∘ (b·dᵀ), so norms, cosines and the norm of every weighted sum follow
    from one product of all ups and one of all downs.
    """
    each = list(products)
    whole = Product.sum([Product(own.up * own.scale, own.down) for own in each])
    grams = (whole.up.T @ whole.up).double() * (whole.down @ whole.down.T).double()
    place = torch.repeat_interleave(
        torch.arange(len(each)), torch.tensor([product.rank for product in each])
    ).to(grams.device)
    rows = grams.new_zeros(len(each), len(grams)).index_add_(0, place, grams)
    return rows.new_zeros(len(each), len(each)).index_add_(1, place, rows)
