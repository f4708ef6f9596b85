"""Measures how much of a file is applied: by us, with the pack's own functions, and by the host."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import lora_core
from lora_core.applying import model_of
from lora_core.errors import LoraError, LoraFileError
from lora_core.matching import ModelView, make_plan
from lora_core.reading import FileCache

from .dialects import Tensors
from .host import ask_host
from .layouts import Layout


@dataclass(frozen=True)
class Applied:
    """The result for one file.

    Attributes:
        found: Keys in the file.
        applied: Keys with an effect on the model.
        missed: The first names that have no effect.
        refusal: Why the whole file was refused, if it was.
        names_why: Whether the refusal names the unsupported part, and does not only call the file
            unknown.
        weights: The weights that change.
    """

    found: int
    applied: int
    missed: tuple[str, ...] = ()
    refusal: str = ""
    names_why: bool = False
    weights: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        """Whether all of it is applied, or a refusal says why not."""
        return self.applied == self.found or self.names_why


class Ours:
    """Our side: files are written, read, and planned onto the small models."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._models: dict[int, ModelView] = {}

    def model(self, layout: Layout) -> ModelView:
        """Returns what a plan knows of a model; computed once for each, since names are tables."""
        if id(layout) not in self._models:
            weights = {k: torch.empty(s, device="meta") for k, s in layout.shapes.items()}
            self._models[id(layout)] = model_of(weights)
        return self._models[id(layout)]

    def applied(self, layout: Layout, tensors: Tensors, metadata: Any = None) -> Applied:
        """Returns the result for a file of these tensors."""
        path = self._folder / "dialect.safetensors"
        save_file(tensors, path, metadata)
        try:
            recipe = lora_core.load(path)
            plan = make_plan(recipe, [self.model(layout)], FileCache())
        except LoraError as error:
            by_name = isinstance(error, LoraFileError)
            return Applied(len(tensors), 0, refusal=str(error), names_why=by_name)
        missed = plan.report.loras[0].unknown
        lost = [key for key in tensors if any(_belongs(key, name) for name in missed)]
        kept = len(tensors) - len(lost)
        return Applied(len(tensors), kept, tuple(missed), weights=frozenset(plan.models[0].merged))


def _belongs(key: str, name: str) -> bool:
    """Tells whether a key is one of a module's, or the name itself."""
    return key == name or (key.startswith(name) and key[len(name)] in "._")


def host_applied(files: Iterable[tuple[str, Layout, Tensors]]) -> list[Applied] | None:
    """Returns the results of the host's own loader for files; None if there is no host.

    Args:
        files: The kind of model ("models" or "texts"), the model, the tensors.
    """
    with tempfile.TemporaryDirectory() as folder:
        question: list[Mapping[str, str]] = []
        sizes: list[int] = []
        for index, (kind, layout, tensors) in enumerate(files):
            path = Path(folder) / f"{index}.safetensors"
            save_file(tensors, path)
            question.append({"kind": kind, "model": layout.name, "file": str(path)})
            sizes.append(len(tensors))
        answers = ask_host("dialects", question)
    if answers is None:
        return None
    return [
        Applied(size, size - len(missed), tuple(missed), refusal=error)
        for size, (missed, error) in zip(sizes, answers, strict=True)
    ]
