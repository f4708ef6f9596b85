"""What can be made of each of many files: the same LoRA written differently, or its analysis."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..algebra import FileId, Recipe
from ..workbench import analyse_loras, plain, save_lora


@dataclass(frozen=True, slots=True)
class Taken:
    """How a file is taken.

    Attributes:
        strength: Its strength.
        blocks: Its block weights, as lines.
        model: The checkpoint that it is for, in one state; None if it is not needed.
    """

    strength: float = 1.0
    blocks: str = ""
    model: FileId | None = None

    def recipe(self, source: FileId) -> Recipe:
        """Returns the LoRA in ``source``."""
        return Recipe.of(source, self.strength).blocks(self.blocks)

    @property
    def checkpoint(self) -> str | None:
        """Where the model is."""
        return self.model and self.model.path


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Writes a LoRA with another rank, type or names; rank, dtype and names are as in ``save_lora``."""

    taken: Taken
    rank: str = "exact"
    dtype: str | None = None
    names: str | None = None
    suffix: str = ".safetensors"

    def __call__(self, source: FileId, out: Path) -> Mapping[str, Any]:
        """Writes the new file."""
        made = save_lora(
            self.taken.recipe(source),
            out,
            model=self.taken.checkpoint,
            rank=self.rank,
            dtype=self.dtype,
            names=self.names,
        )
        told = {"layers": made.layers, "bytes": out.stat().st_size, "error": made.errors.total}
        return {**told, "report": str(made.report)}


@dataclass(frozen=True, slots=True)
class Analyse:
    """Writes what a LoRA changes, as JSON."""

    taken: Taken
    suffix: str = ".analysis.json"

    def __call__(self, source: FileId, out: Path) -> Mapping[str, Any]:
        """Writes the analysis."""
        found = analyse_loras(self.taken.recipe(source), model=self.taken.checkpoint)
        part = out.with_name(f".{out.name}.{os.getpid()}.part")
        try:
            part.write_text(json.dumps(plain(found)), encoding="utf-8")
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
        return {"size": found.total}
