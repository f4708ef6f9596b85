"""Cuts matrices to the ranks that a rule gives them, looking at all of them together (Eckart and Young
1936)."""

from __future__ import annotations

from collections.abc import Iterable

from .leading import leading
from .product import Decomposition, Matrix, Product, singular_values_of, size_of
from .ranks import RankRule, Spectrum


def ranks_of(matrices: Iterable[Matrix], rule: RankRule) -> list[int]:
    """Returns the ranks that ``rule`` chooses; the matrices are looked at one after the other."""
    return rule.ranks([Spectrum(singular_values_of(each), sum(size_of(each))) for each in matrices])


def cut(matrix: Matrix, rank: int) -> Matrix:
    """Returns the nearest matrix of at most this rank; one that is no product as it is, where a product
    would not be smaller."""
    height, width = size_of(matrix)
    worth = (
        matrix.rank if isinstance(matrix, Product) else (height * width - 1) // (height + width) + 1
    )
    if rank >= worth:
        return matrix
    return leading_of(matrix, rank).truncated(rank)


def leading_of(matrix: Matrix, rank: int) -> Decomposition:
    """Returns the largest singular values of a matrix, the cheap way where there is one."""
    return matrix.decomposed() if isinstance(matrix, Product) else leading(matrix, rank)
