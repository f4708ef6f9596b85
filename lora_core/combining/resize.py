"""Cuts matrices to the ranks that a rule gives them, looking at all of them together."""

from __future__ import annotations

from collections.abc import Sequence

from .leading import leading
from .product import Decomposition, Matrix, Product, singular_values_of, size_of
from .ranks import RankRule, Spectrum


def resized(matrices: Sequence[Matrix], rule: RankRule | None) -> list[Matrix]:
    """Returns the nearest matrices of the ranks that ``rule`` chooses (Eckart and Young 1936).

    A product of no higher rank stays as it is; without a rule all of them do.
    """
    if rule is None:
        return [*matrices]
    spectra = [Spectrum(singular_values_of(each), sum(size_of(each))) for each in matrices]
    return [cut(each, rank) for each, rank in zip(matrices, rule.ranks(spectra), strict=True)]


def cut(matrix: Matrix, rank: int) -> Matrix:
    """Returns the nearest matrix of at most this rank."""
    if isinstance(matrix, Product) and matrix.rank <= rank:
        return matrix
    return leading_of(matrix, rank).truncated(rank)


def leading_of(matrix: Matrix, rank: int) -> Decomposition:
    """Returns the largest singular values of a matrix, the cheap way where there is one."""
    return matrix.decomposed() if isinstance(matrix, Product) else leading(matrix, rank)
