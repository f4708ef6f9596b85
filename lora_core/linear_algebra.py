"""The library's linear algebra, with the types that its own declarations lack."""

from __future__ import annotations

from typing import Any, cast

import torch

_linalg = cast(Any, torch.linalg)


def norm(tensor: torch.Tensor, dim: int | tuple[int, ...] | None = None) -> torch.Tensor:
    """The Euclidean norm over ``dim``, over everything without one."""
    return _linalg.vector_norm(tensor, dim=dim)


def solve(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """left⁻¹ · right, for batches of square matrices."""
    return _linalg.solve(left, right)
