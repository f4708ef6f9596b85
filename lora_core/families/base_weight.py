"""The incoming weight, for families whose delta depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch

from .linear_algebra import norm

CHUNK_ENTRIES: Final = 4 * 2**20
"""How many entries of a half-precision weight are widened at once, so that no copy of all of it is
needed."""

SQUARED_ENTRIES: Final = 2**20
"""How many squares are added up at once, so that the widened copy stays small."""


def sum_type(dtype: torch.dtype) -> torch.dtype:
    """Returns the type in which sums for a weight of ``dtype`` are formed."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def widest_type(device: torch.device) -> torch.dtype:
    """Returns the widest type that a device computes in: float64, but float32 on Apple's GPUs."""
    return torch.float32 if device.type == "mps" else torch.float64


class BaseWeight:
    """A weight that is read as a matrix (out, in · kernel), and never written to.

    Weights smaller than float32 are widened a chunk of rows at a time.

    Attributes:
        shape: The weight's own shape.
        dtype: The type in which sums are formed, float32 or float64.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        self.shape = tuple(weight.shape)
        self.dtype = sum_type(weight.dtype)
        self._matrix = weight.reshape(len(weight), -1) if weight.ndim else weight.view(1, 1)

    @property
    def size(self) -> tuple[int, int]:
        """The matrix's size, (out, in · kernel)."""
        return self._matrix.shape[0], self._matrix.shape[1]

    def matrix(self) -> torch.Tensor:
        """Gives all of it in ``dtype``: the weight itself where that is its type already."""
        return self._matrix.to(self.dtype)

    def like(self, tensor: torch.Tensor) -> torch.Tensor:
        """Gives ``tensor`` in ``dtype``, on the weight's device."""
        return tensor.to(device=self._matrix.device, dtype=self.dtype)

    def rows(self, start: int, length: int) -> BaseWeight:
        """Gives some rows of the weight."""
        own = self._matrix.narrow(0, start, length)
        return BaseWeight(own.view(length, *self.shape[1:]) if self.shape else own)

    def times(self, right: torch.Tensor) -> torch.Tensor:
        """Computes W · right (out, k), for a ``right`` of (in · kernel, k)."""
        return torch.cat([rows @ right for _, rows in self._chunks()])

    def transposed_times(self, right: torch.Tensor) -> torch.Tensor:
        """Computes Wᵀ · right (in · kernel, k), for a ``right`` of (out, k)."""
        parts = (rows.T @ right[start : start + len(rows)] for start, rows in self._chunks())
        return sum(parts, right.new_zeros(()))

    def row_squares(self) -> torch.Tensor:
        """Adds up the squares in each row: (out,), in the widest type."""
        return torch.cat([_squares_of_rows(rows) for _, rows in self._chunks(SQUARED_ENTRIES)])

    def column_squares(self) -> torch.Tensor:
        """Adds up the squares in each column: (in · kernel,), in the widest type."""
        device = self._matrix.device
        total = torch.zeros(self.size[1], dtype=widest_type(device), device=device)
        for _, rows in self._chunks(SQUARED_ENTRIES):
            total += rows.square().sum(0)
        return total

    def with_halves_swapped(self) -> BaseWeight:
        """Gives the weight with the two halves of its rows exchanged."""
        return BaseWeight(self._matrix.roll(len(self._matrix) // 2, 0).view(self.shape))

    def _chunks(self, most: int | None = None) -> Iterator[tuple[int, torch.Tensor]]:
        """Gives (first row, rows in ``dtype``) one after the other, of at most ``most`` entries each."""
        count, width = self.size
        if most is None:
            most = count * width if self._matrix.dtype == self.dtype else CHUNK_ENTRIES
        step = max(1, most // max(1, width))
        for start in range(0, count, step):
            yield start, self._matrix[start : start + step].to(self.dtype)


def _squares_of_rows(rows: torch.Tensor) -> torch.Tensor:
    return norm(rows.to(widest_type(rows.device)), dim=1).square()
