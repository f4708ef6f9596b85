"""Writes a checkpoint with a recipe merged into it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import safetensors
import safetensors.torch
import torch

from ..algebra import Recipe, Term
from ..errors import LoraFileError, LoraInputError, LoraMismatchError
from ..families import sum_type
from ..fusing import fuse, merged
from ..matching import Report, make_plan
from ..reading import (
    LARGEST_HEADER_BYTES,
    SNIFFED_BYTES,
    check_beginning,
    explain,
    header_end,
    identify,
    shared_cache,
)
from .apply import model_of

PROVENANCE: Final = "lora_algebra.loras"
"""The metadata key that lists what was added: names, strengths and hashes, never paths."""

SCALES: Final = ("scale_weight", "weight_scale", "weight_scale_2", "scale_input", "comfy_quant")
"""Names of the tensors next to a quantised weight."""

Progress = Callable[[int, int], None]
"""A function that is called with (weights done, weights to do)."""


def bake(base: Path, recipe: Recipe, out: Path, progress: Progress | None = None) -> Report:
    """Writes the checkpoint ``base``, with ``recipe`` added, to ``out``; both are .safetensors.

    ``out`` is either complete or missing: it is written next to its place and then renamed.
    Metadata is kept, and also lists what was added.

    Raises:
        LoraError: A file is damaged, does not fit, or is not a .safetensors file.
        OSError: ``out`` cannot be written.
    """
    _check_place(out)
    weights, metadata = _read(base)
    computable = {key: w for key, w in weights.items() if w.dtype.is_floating_point}
    plan = make_plan(recipe, [model_of(computable)], shared_cache)
    (own,) = plan.models
    changes = own.merged
    _refuse_scaled(changes, weights)
    for done, (key, weight_terms) in enumerate(changes.items()):
        _step(progress, done, len(changes))
        weight = weights[key].clone()  # the tensor that was read still belongs to the file
        weights[key] = merged(weight, fuse(weight_terms, sum_type(weight.dtype)))
    _step(progress, len(changes), len(changes))
    _write(weights, {**metadata, PROVENANCE: _provenance(recipe, metadata)}, out)
    return plan.report


def _check_place(out: Path) -> None:
    if out.suffix.lower() != ".safetensors":
        problem = f"the result is written as .safetensors, not as {out.name}."
    elif out.is_dir():
        problem = f"{out} is a folder."
    elif not out.parent.is_dir():
        problem = f"there is no folder {out.parent}."
    else:
        return
    raise LoraInputError(problem, key="out", expected="a new .safetensors file", found=str(out))


def _refuse_scaled(changes: Iterable[str], weights: Mapping[str, torch.Tensor]) -> None:
    """Refuses weights that only have a meaning together with a scale next to them."""
    for key in changes:
        layer = key.removesuffix("weight")
        for scale in SCALES:
            if layer + scale in weights:
                raise LoraMismatchError(
                    f"{key} is stored with a scale ({scale}); only ComfyUI can add to such weights.",
                    key=key,
                    expected="plain weights",
                    found=layer + scale,
                )


def _step(progress: Progress | None, done: int, total: int) -> None:
    if progress:
        progress(done, total)


def _read(base: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    file = identify(base)
    beginning = _beginning(base)
    try:
        check_beginning(beginning, file.size)
        with cast(Any, safetensors.safe_open)(base, framework="pt") as opened:
            keys: list[str] = opened.keys()
            return {key: opened.get_tensor(key) for key in keys}, opened.metadata() or {}
    except LoraFileError as error:
        raise error.in_file(base.name) from error
    except (safetensors.SafetensorError, KeyError) as error:
        raise explain(beginning, file.size, error).in_file(base.name) from error


def _beginning(base: Path) -> bytes:
    with base.open("rb") as opened:
        beginning = opened.read(SNIFFED_BYTES)
        return beginning + opened.read(min(header_end(beginning), LARGEST_HEADER_BYTES))


def _provenance(recipe: Recipe, metadata: Mapping[str, str]) -> str:
    """Returns the list of what is added, after what had been added before."""
    return json.dumps([*_earlier(metadata), *map(_entry, recipe.terms)])


def _earlier(metadata: Mapping[str, str]) -> list[object]:
    try:
        earlier = json.loads(metadata.get(PROVENANCE, "[]"))
    except (ValueError, RecursionError):
        return []
    return cast("list[object]", earlier) if isinstance(earlier, list) else []


def _entry(term: Term) -> dict[str, object]:
    return {
        "name": term.file.name,
        "strength_model": float(term.strength_model),
        "strength_clip": float(term.strength_clip),
        "sha256": hashlib.sha256(Path(term.file.path).read_bytes()).hexdigest(),
    }


def _write(weights: Mapping[str, torch.Tensor], metadata: Mapping[str, str], out: Path) -> None:
    """Writes next to the final place first: if the disk is full, the earlier file is still there."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    save = cast(Any, safetensors.torch).save_file
    try:
        save({key: weight.contiguous() for key, weight in weights.items()}, partial, dict(metadata))
        partial.chmod(0o666 & ~_umask())  # the library makes files that only their owner can read
        partial.replace(out)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    """Returns the umask. The only way to read it is to set it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
