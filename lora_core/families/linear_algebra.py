"""The library's linear algebra, with the types that its own declarations lack."""

from __future__ import annotations

from typing import Any, Final, cast

import torch

_linalg = cast(Any, torch.linalg)

LARGE_SIZE: Final = 128
"""Matrices with this many rows or more are solved one by one."""


def norm(tensor: torch.Tensor, dim: int | tuple[int, ...] | None = None) -> torch.Tensor:
    """Computes the Euclidean norm over ``dim``, or over everything without one."""
    return _linalg.vector_norm(tensor, dim=dim)


def product_norm(left: torch.Tensor, right: torch.Tensor) -> float:
    """Computes the Frobenius norm of left · right, and makes no matrix larger than these are.

    It is the root of the trace of leftᵀ · left · right · rightᵀ. Not exact: it is for people to see.
    """
    left, right = (m if m.dtype == torch.float64 else m.float() for m in (left, right))
    if len(right) > min(len(left), right.shape[1]):
        return float(norm(left @ right))
    return float(((left.T @ left) * (right @ right.T)).sum().clamp(min=0).sqrt())


def kron(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Computes the Kronecker product (a · c, b · d) of (a, b) and (c, d).

    Both may have any strides: the library's own function fails on some.
    """
    size = len(left) * len(right), left.shape[1] * right.shape[1]
    return (left[:, None, :, None] * right[None, :, None, :]).reshape(size)


def solve(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Computes left⁻¹ · right, for batches of square matrices (…, n, n).

    Large ones are solved one by one: on some processors the library's own batches of them fail or
    never end.
    """
    if left.ndim < 3 or left.shape[-1] < LARGE_SIZE or left.device.type != "cpu":
        return _linalg.solve(left, right)
    pairs = zip(left.flatten(0, -3), right.flatten(0, -3), strict=True)
    return torch.stack([_linalg.solve(one, other) for one, other in pairs]).view(right.shape)


def qr(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Computes the reduced QR decomposition of (m, n): (m, k) orthonormal and (k, n), k = min(m, n)."""
    q, r = _linalg.qr(matrix)
    return q, r


def triangle(matrix: torch.Tensor) -> torch.Tensor:
    """Computes the triangular side of the QR decomposition of (m, n) alone: (k, n), k = min(m, n)."""
    return _linalg.qr(matrix, mode="r")[1]


def svd(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Computes the reduced singular value decomposition of (m, n): (m, k), (k,), (k, n)."""
    try:
        u, values, vh = _linalg.svd(matrix, full_matrices=False)
    except RuntimeError:  # now and then one does not converge, and its transpose does
        v, values, uh = _linalg.svd(matrix.T, full_matrices=False)
        return uh.T, values, v.T
    return u, values, vh


def singular_values(matrix: torch.Tensor) -> torch.Tensor:
    """Computes the min(m, n) singular values of (m, n), the largest first."""
    return _linalg.svdvals(matrix)


def numbers_of(vector: torch.Tensor) -> list[float]:
    """Returns the entries of (n,) as numbers of Python."""
    return cast(Any, vector).tolist()
