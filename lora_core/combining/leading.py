"""The largest singular values of a large matrix, without all the others."""

from __future__ import annotations

from typing import Final

import torch

from ..families import norm, qr, svd
from .product import Decomposition

OVERSAMPLED: Final = 8
"""How many more directions than asked for are followed."""

WORTH_IT: Final = 4
"""All singular values are computed where fewer than one of so many would be left out."""

MOST_ITERATIONS: Final = 40

SETTLED: Final = 2e-4
"""When an iteration lowers the error by less than this share of it, the next ones hardly matter:
what is left is within 1 % of the least error there is."""


def leading(matrix: torch.Tensor, rank: int) -> Decomposition:
    """Returns the ``rank`` largest singular values of (m, n) and their vectors, or all that there are.

    By a randomised range finder with power iterations (Halko, Martinsson, Tropp 2011,
    arXiv:0909.4061), until the error that is left has settled. The same matrix always gives the
    same result.
    """
    least = min(matrix.shape)
    followed = rank + OVERSAMPLED
    if followed * WORTH_IT >= least:
        return _first(Decomposition.of(matrix), rank)
    random = torch.Generator().manual_seed(0)
    start = torch.randn(matrix.shape[1], followed, generator=random).to(matrix)
    whole, error = float(norm(matrix)) ** 2, float("inf")
    found = _iterated(matrix, qr(matrix @ start)[0])
    for _ in range(MOST_ITERATIONS):
        left = whole - float(found.values[:rank].cpu().double().square().sum())
        if left >= error * (1 - SETTLED):
            break
        error, found = left, _iterated(matrix, found.left)
    return _first(found, rank)


def _iterated(matrix: torch.Tensor, out: torch.Tensor) -> Decomposition:
    """Returns the decomposition of a matrix within a better subspace than the columns of ``out``."""
    into = qr(matrix.T @ out)[0]
    better, core = qr(matrix @ into)
    u, values, vh = svd(core)
    return Decomposition(better @ u, values, vh @ into.T)


def _first(whole: Decomposition, rank: int) -> Decomposition:
    return Decomposition(whole.left[:, :rank], whole.values[:rank], whole.right[:rank])
