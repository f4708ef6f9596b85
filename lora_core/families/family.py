"""What every family gives: deltas, each aimed at a module's weight or its bias."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch

from ..errors import LoraFileError
from ..finite import largest_magnitude
from ..targets import Shape

Slot = Literal["weight", "bias"]
Tensors: TypeAlias = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A low-rank delta: scale · up · down.

    Attributes:
        up: (out, rank).
        down: (rank, in), convolutions flattened to in · kernel.
        scale: alpha / rank.
        kernel: The kernel it was made for; empty or of ones where the factors are flat.
    """

    up: torch.Tensor
    down: torch.Tensor
    scale: float
    kernel: Shape = ()
    slot: Slot = "weight"


@dataclass(frozen=True, slots=True, eq=False)
class Residue:
    """A dense delta of the weight's own shape."""

    diff: torch.Tensor
    slot: Slot = "weight"


@dataclass(frozen=True, slots=True, eq=False)
class Replacement:
    """A weight to go to: the delta is value - weight."""

    value: torch.Tensor
    slot: Slot = "weight"


Delta: TypeAlias = Pair | Residue | Replacement

Reader: TypeAlias = Callable[[str, Tensors], Delta]
"""From a module's name, for messages, and its tensors by role, to its delta."""


@dataclass(frozen=True, slots=True)
class Family:
    """A row of the table.

    Attributes:
        name: As the report calls it.
        needs: The roles that make it this family.
        takes: The roles it reads besides, if they are there.
        read: Makes the delta.
    """

    name: str
    needs: Set[str]
    takes: Set[str]
    read: Reader


def refuse(message: str, *, key: str, expected: str, found: str) -> LoraFileError:
    """The error for a module that makes no sense; the reader of the file adds the file's name."""
    return LoraFileError(message, key=key, expected=expected, found=found)


def shape_text(tensor: torch.Tensor) -> str:
    """A shape as messages write it: (640, 16)."""
    return str(tuple(tensor.shape))


def delta_text(delta: Delta) -> str:
    """A delta's shapes, as messages write them."""
    match delta:
        case Pair(up, down):
            return f"up {shape_text(up)} with down {shape_text(down)}"
        case Residue(diff):
            return f"a difference of {shape_text(diff)}"
        case Replacement(value):
            return f"a weight of {shape_text(value)}"


def fits(delta: Delta, shape: Shape) -> bool:
    """Whether a delta can be added to a weight of this shape."""
    match delta:
        case Pair(up, down, _, kernel):
            flat = math.prod(kernel) == 1 or kernel == shape[2:]
            return flat and (len(up), down.shape[1]) == (*shape[:1], math.prod(shape[1:]))
        case Residue(dense) | Replacement(dense):
            return tuple(dense.shape) == shape


def swap_halves(delta: Delta) -> Delta:
    """The same delta with the two halves of its rows exchanged."""
    match delta:
        case Pair(up):
            return replace(delta, up=up.roll(up.shape[0] // 2, 0))
        case Residue(diff):
            return replace(delta, diff=diff.roll(diff.shape[0] // 2, 0))
        case Replacement(value):
            return replace(delta, value=value.roll(value.shape[0] // 2, 0))


def entry_bound(delta: Delta) -> float:
    """No entry of the delta is larger; for a pair, the bound by its largest factors."""
    match delta:
        case Pair(up, down, scale):
            return (
                abs(scale)
                * len(down)
                * largest_magnitude("up", up)
                * largest_magnitude("down", down)
            )
        case Residue(dense) | Replacement(dense):
            return largest_magnitude("difference", dense)
