"""Writing a checkpoint with a recipe in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import safetensors
import safetensors.torch
import torch

from .apply import model_of
from .errors import LoraFileError, LoraInputError
from .file_faults import LARGEST_HEADER, explain
from .files import shared_cache
from .fuse import fuse
from .merge import merge_, sum_type
from .plan import make_plan
from .recipe import Recipe
from .report import Report

PROVENANCE: Final = "lora_algebra.loras"
"""The metadata key that says what was added: names, strengths and hashes, never paths."""

Progress = Callable[[int, int], None]
"""Called with (weights done, weights to do)."""


def bake(base: Path, recipe: Recipe, out: Path, progress: Progress | None = None) -> Report:
    """Writes the checkpoint ``base`` with ``recipe`` added to ``out``, both .safetensors.

    ``out`` is whole or not there at all: it is written beside its place, then renamed. Metadata is
    kept, and says afterwards what was added.

    Raises:
        LoraError: A file is damaged, does not fit, or is no .safetensors.
        OSError: ``out`` cannot be written.
    """
    if out.suffix.lower() != ".safetensors":
        raise LoraInputError(
            f"the result is written as .safetensors, not as {out.name}.",
            key="out",
            expected=".safetensors",
            found=out.suffix,
        )
    weights, metadata = _read(base)
    computable = {key: w for key, w in weights.items() if w.dtype.is_floating_point}
    plan = make_plan(recipe, [model_of(computable)], shared_cache)
    (changes,) = plan.addends
    for done, (key, addends) in enumerate(changes.items()):
        _step(progress, done, len(changes))
        weights[key] = weights[key].clone()  # what was read is still the file's
        merge_(weights[key], fuse(addends, sum_type(weights[key].dtype)))
    _step(progress, len(changes), len(changes))
    _write(weights, {**metadata, PROVENANCE: _provenance(recipe)}, out)
    return plan.report


def _step(progress: Progress | None, done: int, total: int) -> None:
    if progress:
        progress(done, total)


def _read(base: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with cast(Any, safetensors.safe_open)(base, framework="pt") as opened:
            keys: list[str] = opened.keys()
            return {key: opened.get_tensor(key) for key in keys}, opened.metadata() or {}
    except OSError as error:
        raise LoraFileError(f"cannot be opened: {error.strerror}.", file=base.name) from error
    except (safetensors.SafetensorError, KeyError) as error:
        with base.open("rb") as damaged:
            beginning = damaged.read(LARGEST_HEADER)
        raise explain(beginning, base.stat().st_size, error).in_file(base.name) from error


def _provenance(recipe: Recipe) -> str:
    return json.dumps(
        [
            {
                "name": term.file.name,
                "strength_model": float(term.model),
                "strength_clip": float(term.clip),
                "sha256": hashlib.sha256(Path(term.file.path).read_bytes()).hexdigest(),
            }
            for term in recipe.terms
        ]
    )


def _write(weights: Mapping[str, torch.Tensor], metadata: Mapping[str, str], out: Path) -> None:
    """Beside its place first: a full disk or a lost power line leaves what was there before."""
    beside = out.with_name(f".{out.name}.{os.getpid()}.part")
    save = cast(Any, safetensors.torch).save_file
    try:
        save({key: weight.contiguous() for key, weight in weights.items()}, beside, dict(metadata))
        beside.replace(out)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        beside.unlink(missing_ok=True)
