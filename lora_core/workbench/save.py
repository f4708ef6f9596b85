"""Makes a file of a recipe: exactly what it adds to a model, or as near as was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from ..algebra import Recipe
from ..combining import Product, RankRule
from ..errors import LoraInputError
from ..families import LowRank
from ..matching import ModelView, Plan, Report, make_plan
from ..naming import NameStyle
from ..reading import FileCache, LoraFile, dialects_of, identify, shared_cache
from .accuracy import Errors, errors_of
from .change import Changes, ModelChanges
from .keep import kept
from .metadata import ERROR, metadata_of
from .new_file import NewFile
from .source import Source
from .steps import Progress, watched
from .tensors import tensors_of
from .unit import Unit, units_of
from .varying import refuse_varying

DTYPES: Final = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
}

_STYLES: Final[Mapping[str, NameStyle]] = {
    "ComfyUI": "ComfyUI",
    "kohya": "kohya",
    "diffusers": "diffusers",
    "peft": "diffusers",
}
"""The style of our own for the dialects that files have."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is written.

    Attributes:
        rule: How much is kept; None for all of it.
        dtype: The type of its numbers; None for the widest of the parts.
        style: Whose names it has; None for those of the parts if all agree, else ComfyUI's.
    """

    rule: RankRule | None = None
    dtype: torch.dtype | None = None
    style: NameStyle | None = None


EXACT: Final = Format()
"""All of it, in the type and with the names of the parts."""


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A file that was made.

    Attributes:
        path: Where it is.
        layers: How many layers it has.
        errors: How far it is from the recipe, measured on the file.
        report: What became of the parts.
    """

    path: Path
    layers: int
    errors: Errors
    report: Report


def save(
    recipe: Recipe,
    models: Sequence[Source],
    out: Path,
    form: Format = EXACT,
    progress: Progress | None = None,
    *,
    cache: FileCache = shared_cache,
) -> Saved:
    """Writes what a recipe adds to some models as a new LoRA file.

    Args:
        recipe: What to keep.
        models: The models that it is for; their weights are only asked for where something depends
            on them.
        out: The new file.
        form: How the file is written.
        progress: Is called before each weight; what it raises ends the work.
        cache: The cache that keeps files.

    Raises:
        LoraInputError: The recipe cannot be in a file, ``out`` cannot be a new one, or its type
            cannot hold the numbers.
        LoraError: A part is damaged or does not fit.
        OSError: The file cannot be written. Then there is none.
    """
    NewFile.check(out)
    refuse_varying(recipe, "a file")
    plan = make_plan(recipe, [model.view for model in models], cache, progress=progress)
    files = [cache.read(file) for file in recipe.files]
    form = replace(form, style=form.style or _style_of(files), dtype=form.dtype or _widest(files))

    def notes(ranks: Collection[int]) -> dict[str, str]:
        return metadata_of(recipe, files, ranks, _base(models), out.stem)

    layers, errors = write_changes(_changes(plan, models), models, out, form, notes, progress)
    return Saved(out, layers, errors, plan.report)


def write_changes(
    changes: Sequence[ModelChanges],
    models: Sequence[Source],
    out: Path,
    form: Format,
    notes: Callable[[Collection[int]], dict[str, str]],
    progress: Progress | None = None,
    empty: str = "There is nothing to save: no layer of the model would change.",
) -> tuple[int, Errors]:
    """Writes what is added to some models as a new file; returns how many layers it has, and how
    far it is from that, measured on the file.

    Args:
        changes: What is added to each model.
        models: The models.
        out: The new file.
        form: How the file is written; without a style it is ComfyUI's, without a type float32.
        notes: Returns the metadata for the ranks that the file's pairs have.
        progress: Is called before each weight; what it raises ends the work.
        empty: What to say if there would be no layer in the file.
    """
    NewFile.check(out)
    style = form.style or "ComfyUI"
    looked_at = 2 if form.rule is None or form.rule.fixed is not None else 3
    changes = watched(changes, looked_at, progress) if progress else changes
    found = _Layers()
    for unit in kept(lambda: _units(changes, models, style), form.rule):
        found.add(unit, style, form.dtype or torch.float32)
    _refuse_empty(found, empty)
    told = notes(found.ranks)
    views = [model.view for model in models]
    with NewFile(out) as new:
        new.write(found.tensors, told)
        errors = errors_of(changes, _changes(_plan_of(new.path, views), models))
        new.write(found.tensors, {**told, ERROR: f"{errors.total:.3g}"})
    return found.count, errors


class _Layers:
    """The layers of a new file, each of them already in its type, since that takes the least memory."""

    def __init__(self) -> None:
        self.count = 0
        self.ranks: set[int] = set()
        self.tensors: dict[str, torch.Tensor] = {}

    def add(self, unit: Unit, style: NameStyle, dtype: torch.dtype) -> None:
        """Adds a layer."""
        self.count += 1
        if isinstance(unit.matrix, Product):
            self.ranks.add(unit.matrix.rank)
        self.tensors |= tensors_of(unit, style, dtype)


def _base(models: Sequence[Source]) -> str | None:
    return next((model.view.base for model in models if model.view.base), None)


def _changes(plan: Plan, models: Sequence[Source]) -> list[Changes]:
    return [
        Changes(own, model.view.shapes, model.weight_of)
        for own, model in zip(plan.models, models, strict=True)
    ]


def _units(
    changes: Sequence[ModelChanges], models: Sequence[Source], style: NameStyle
) -> Iterator[Unit]:
    for own, model in zip(changes, models, strict=True):
        yield from units_of(own, model.names(style), model.view.shapes)


def _plan_of(path: Path, views: Sequence[ModelView]) -> Plan:
    """Plans to add a file that was just written; no cache keeps it."""
    return make_plan(Recipe.of(identify(path)), views, FileCache())


def _refuse_empty(layers: _Layers, problem: str) -> None:
    if not layers.count:
        raise LoraInputError(
            problem,
            key="lora",
            expected="a LoRA that changes something",
            found="no changes",
        )


def _style_of(files: Sequence[LoraFile]) -> NameStyle:
    """Returns the style of the parts if all have the same, else ComfyUI's."""
    dialects = {dialect for file in files for dialect in dialects_of(file.modules)[:1]}
    styles: set[NameStyle] = {_STYLES.get(dialect, "ComfyUI") for dialect in dialects}
    return styles.pop() if len(styles) == 1 else "ComfyUI"


def _widest(files: Sequence[LoraFile]) -> torch.dtype:
    """Returns the type that holds the numbers of all parts: float32 if they have different ones."""
    types = {
        delta.down.dtype
        for file in files
        for module in file.modules.values()
        for delta in module.deltas
        if isinstance(delta, LowRank)
    }
    only = types.pop() if len(types) == 1 else torch.float32
    return only if only in DTYPES.values() else torch.float32
