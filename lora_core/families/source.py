"""What a family is read from: the tensors of one module, and checks that many families share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import torch

from ..errors import LoraFileError
from ..formats import ModuleConfig
from .delta import shape_text
from .finite import largest_magnitude

Tensors: TypeAlias = Mapping[str, torch.Tensor]
"""The tensors of one module by role."""

HIGHEST_RANK: Final = 4096

MOST_GROWTH: Final = 32
"""How many numbers a Tucker core may make of each in the file: a square 7 x 7 kernel makes 25."""


@dataclass(frozen=True, slots=True)
class Source:
    """All that a file says about one module.

    Attributes:
        name: The module's name, for messages.
        tensors: The module's tensors by role.
        settings: What the trainer has noted about the tensors.
        sizes: The largest magnitudes that are already known, by role.
    """

    name: str
    tensors: Tensors
    settings: ModuleConfig
    sizes: Mapping[str, float] = field(default_factory=dict[str, float])

    def __getitem__(self, role: str) -> torch.Tensor:
        return self.tensors[role]

    def get(self, role: str) -> torch.Tensor | None:
        return self.tensors.get(role)

    def refuse(self, problem: str, *, expected: str, found: str) -> LoraFileError:
        """Returns the error for a module that makes no sense; the file's name is added later."""
        message = f"{self.name}{problem}"
        return LoraFileError(message, key=self.name, expected=expected, found=found)

    def largest(self, *roles: str) -> list[float]:
        """Returns the largest magnitude in each of some tensors; 0 if there is no data."""
        known = self.sizes
        return [known[r] if r in known else largest_magnitude(r, self.tensors[r]) for r in roles]

    def shapes(self, *roles: str) -> str:
        """Writes the shapes of some tensors for messages."""
        there = [role for role in roles if role in self.tensors]
        return ", ".join(f"{role} {shape_text(self.tensors[role])}" for role in there)

    def number(self, role: str) -> float | None:
        """Reads a tensor of one finite number; None if it is missing, 1 if there is no data.

        LoraFileError if it is more than one number, or not finite.
        """
        tensor = self.tensors.get(role)
        if tensor is None:
            return None
        if tensor.numel() != 1:
            found = shape_text(tensor)
            raise self.refuse(f": {role} has shape {found}.", expected="one number", found=found)
        value = 1.0 if tensor.is_meta else float(tensor)
        if not math.isfinite(value):
            raise self.refuse(f": {role} is {value}.", expected="a finite number", found=str(value))
        return value

    def scale(self, rank: int) -> float:
        """Returns alpha / rank; without an alpha in tensors or notes, alpha is taken as the rank."""
        alpha = self.number("alpha")
        return self.settings.scale(rank) if alpha is None else alpha / rank


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """Returns the tensor in at least float32, so that results are not rounded to the file's type."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def check_pair(source: Source, up: str, down: str) -> None:
    """Refuses anything but a pair of matrices: up (out, rank[, 1, …]), down (rank, in[, kernel…])."""
    left, right = source[up], source[down]
    if left.ndim < 2 or right.ndim < 2 or left.shape[2:].numel() != 1:
        shapes, expected = source.shapes(up, down), f"{up} (out, rank), {down} (rank, in)"
        raise source.refuse(
            f" is not a pair of matrices: {shapes}.", expected=expected, found=shapes
        )
    rank = right.shape[0]
    if left.shape[1] != rank:
        shapes = source.shapes(up, down)
        raise source.refuse(f": ranks differ: {shapes}.", expected="one rank", found=shapes)
    if not 1 <= rank <= HIGHEST_RANK or not left.numel() or not right.numel():
        shapes, expected = source.shapes(up, down), f"rank 1 to {HIGHEST_RANK}"
        raise source.refuse(f" has rank {rank}: {shapes}.", expected=expected, found=shapes)


def tucker(source: Source, up: str, down: str, core: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Reads what LoHa and LoKr store with a core, as (out, rank) and (rank, in · kernel).

    The file has the up as (rank, out) and the down as (rank, in).
    """
    left, folded = source[up], fold_core(source, core, source[down])
    if left.ndim != 2 or len(left) != len(folded):
        found = source.shapes(up, down, core)
        raise source.refuse(f": ranks differ: {found}.", expected="one rank", found=found)
    return left.T, folded


def fold_core(source: Source, role: str, down: torch.Tensor) -> torch.Tensor:
    """Folds a Tucker core (rank, rank, kernel…) and a down (rank, in) into one down (rank, in · kernel).

    LyCORIS' convolutions are written so (Yeh et al. 2023, arXiv:2309.14859).
    """
    core = source[role]
    rank = len(down) if down.ndim > 1 else 0
    if core.ndim < 3 or tuple(core.shape[:2]) != (rank, rank) or down.shape[2:].numel() != 1:
        found = f"{role} {shape_text(core)}, down {shape_text(down)}"
        raise source.refuse(
            f": the Tucker core does not fit: {found}.",
            expected=f"{role} ({rank}, {rank}, kernel…), down ({rank}, in)",
            found=found,
        )
    own = sum(tensor.numel() for tensor in source.tensors.values())
    made = core.shape[2:].numel() * down.numel()
    if made > MOST_GROWTH * own:
        found = f"{role} {shape_text(core)}, down {shape_text(down)}"
        raise source.refuse(
            f": its Tucker core turns {own} numbers into {made}, more than any layer needs: {found}.",
            expected=f"at most {MOST_GROWTH} times as many",
            found=found,
        )
    folded = torch.einsum("mnk,ni->mik", core.flatten(2).double(), down.flatten(1).double())
    return folded.flatten(1)
