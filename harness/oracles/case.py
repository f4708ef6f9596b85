"""One case to measure: a file and what its trainer's forward does to the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

Weights: TypeAlias = dict[str, torch.Tensor]
Builder: TypeAlias = Callable[[Path, int, torch.dtype], "Made"]


@dataclass(frozen=True, slots=True)
class Made:
    """A file and what it does.

    Attributes:
        file: The file as the oracle saved it, with its companions next to it.
        weights: The base weights and biases, in the requested type.
        deltas: For each strength that the oracle itself means as we do (always 1), its effective
            weight minus the base, float64, for each weight that changes.
    """

    file: Path
    weights: Weights
    deltas: dict[float, Weights]

    @property
    def delta(self) -> Weights:
        return self.deltas[1.0]


@dataclass(frozen=True)
class Case:
    """A row of the table of families.

    Attributes:
        family: "LoHa".
        oracle: The trainer whose forward counts: "LyCORIS", "peft", "kohya", "OneTrainer".
        kind: The layer: "linear", "linear square", "conv2d 3x2".
        variant: What is special about it: "Tucker", "rescale"; empty for the plain form.
        build: Writes the file into a folder; (folder, seed, dtype of file and weights).
    """

    family: str
    oracle: str
    kind: str
    variant: str
    build: Builder

    def __str__(self) -> str:
        return "-".join(filter(None, (self.oracle, self.family, self.kind, self.variant)))
