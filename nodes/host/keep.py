"""Gives the core the host's models as they are patched now, to make files for them and of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import comfy.lora
import comfy.utils
import folder_paths
import torch
from comfy.quant_ops import QuantizedTensor

from ...lora_core.algebra import Recipe
from ...lora_core.errors import LoraInputError, LoraMismatchError
from ...lora_core.naming import ModelNames, Part
from ...lora_core.reading import identify, shared_cache
from ...lora_core.workbench import (
    Analysis,
    Extracted,
    Format,
    Saved,
    Source,
    WeightOf,
    analyse,
    extract,
    save,
)
from .apply import earlier_on
from .files import current
from .progress import shown_progress
from .view import view_of

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP

SUFFIX = ".safetensors"


def save_recipe(
    recipe: Recipe, model: ModelPatcher | None, clip: CLIP | None, prefix: str, form: Format
) -> Saved:
    """Writes what a recipe adds to the host's models into the output folder.

    The name is the host's: the prefix, and a number that no file there has.

    Raises:
        LoraError: Something is wrong; then there is no file.
        OSError: The file cannot be written. Then there is none.
    """
    sources = [_source(part, patcher) for part, patcher in _sides(model, clip).items()]
    return save(current(recipe), sources, _new_path(prefix), form, shown_progress())


def extract_recipe(
    tuned: ModelPatcher | CLIP, base: ModelPatcher | CLIP, form: Format
) -> tuple[Recipe, Extracted]:
    """Writes the difference of two models of the host into its temporary folder, and returns it as a
    LoRA."""
    part: Part = "clip" if hasattr(base, "patcher") else "model"
    pair = [getattr(each, "patcher", each) for each in (tuned, base)]
    sources = [_source(part, patcher) for patcher in pair]
    weights = _weights(pair[0]), _weights(pair[1])
    out = _temporary(pair, form)
    out.unlink(missing_ok=True)
    shapes = [source.view.shapes for source in sources]
    found = extract(shapes[0], shapes[1], weights, sources[1], out, form, shown_progress())
    return Recipe.of(identify(out)), found


def analyse_recipe(recipe: Recipe, model: ModelPatcher | None) -> Analysis:
    """Analyses the LoRAs of a recipe, on a model of the host or by the names in the files alone."""
    recipe = current(recipe)
    if model is None:
        files = [shared_cache.read(file) for file in recipe.files]
        return analyse(recipe, Source.of_files(files), shown_progress())
    return analyse(recipe, _source("model", model), shown_progress())


def _sides(model: ModelPatcher | None, clip: CLIP | None) -> dict[Part, ModelPatcher]:
    sides: dict[Part, ModelPatcher] = {}
    if model is not None:
        sides["model"] = model
    if clip is not None:
        sides["clip"] = clip.patcher
    if not sides:
        raise LoraInputError(
            "Save LoRA needs the model that the LoRA is for: connect a MODEL, a CLIP, or both.",
            key="model",
            expected="MODEL or CLIP",
            found="neither",
        )
    return sides


def _source(part: Part, patcher: ModelPatcher) -> Source:
    """Returns a model of the host without what we have put on it ourselves."""
    own = earlier_on(patcher)
    view = view_of(part, patcher, own)
    return Source.of_model(view, ModelNames(view.shapes), _weights(patcher, own))


def _weights(patcher: ModelPatcher, without: Mapping[str, object] | None = None) -> WeightOf:
    """Gives weights as the host patches them, except for the patches in ``without``, in float32."""
    left_out = without or {}

    def weight_of(key: str) -> torch.Tensor:
        weight = _plain(key, _stored(patcher, key)).to("cpu", torch.float32)
        patches = [p for p in patcher.patches.get(key, ()) if p is not left_out.get(key)]
        return comfy.lora.calculate_weight(patches, weight.clone(), key) if patches else weight

    return weight_of


def _stored(patcher: ModelPatcher, key: str) -> torch.Tensor:
    """Returns a weight as it was loaded, also while it is patched."""
    backup = patcher.backup.get(key)
    return comfy.utils.get_attr(patcher.model, key) if backup is None else backup.weight


def _plain(key: str, weight: torch.Tensor) -> torch.Tensor:
    """Returns a weight as numbers; LoraMismatchError if another pack has packed it."""
    plain = weight.dequantize() if isinstance(weight, QuantizedTensor) else weight
    if not plain.is_floating_point():
        kind = str(weight.dtype).removeprefix("torch.")
        raise LoraMismatchError(
            f"{key} is packed as {kind}, which only the pack that loaded it can read.",
            key=key,
            expected="numbers",
            found=kind,
        )
    return plain


def _new_path(prefix: str) -> Path:
    """Returns a path in the output folder that no file has, by the host's own rules for names."""
    try:
        folder, name, counter, _, _ = folder_paths.get_save_image_path(
            prefix, folder_paths.get_output_directory()
        )
    except OSError as error:
        raise LoraInputError(
            f"There can be no folder for {prefix}: {error.strerror}.",
            key="filename_prefix",
            expected="a folder that files can be written to",
            found=prefix,
        ) from error
    while True:
        path = Path(folder, f"{name}_{counter:05}_{SUFFIX}")
        if not path.exists():
            return path
        counter += 1


def _temporary(pair: list[ModelPatcher], form: Format) -> Path:
    """Returns where the difference of two models is kept until the host ends."""
    facts = [(str(p.patches_uuid), id(p.model)) for p in pair], repr(form)
    name = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    folder = Path(folder_paths.get_temp_directory(), "lora-algebra")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"extracted_{name}{SUFFIX}"
