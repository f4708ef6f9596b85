"""The only module that touches ComfyUI's models: a recipe in, patches on a clone out."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import comfy.lora
import comfy.model_management
import folder_paths
import torch

from ..lora_core.errors import LoraFileError, LoraInputError, LoraMismatchError
from ..lora_core.filenames import choose_name
from ..lora_core.files import LoraFile, identify, shared_cache
from ..lora_core.held import held_for
from ..lora_core.match import Addend, Model
from ..lora_core.naming import ModelNames
from ..lora_core.plan import make_plan
from ..lora_core.recipe import FileId, Recipe
from ..lora_core.report import Report
from ..lora_core.targets import Part, Shape
from .adapter import FusedAdapter
from .host_names import HostNames, HostTarget

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP

LORAS = "loras"
ATTACHMENT = "lora_algebra"

log = logging.getLogger("lora-algebra")

Patched: TypeAlias = "tuple[Any, ...]"
"""A patch as the host holds it: (strength, adapter, strength of the model, offset, function)."""


def lora_names() -> list[str]:
    """What the host lists in its loras folders."""
    return folder_paths.get_filename_list(LORAS)


def find_lora(asked: object) -> FileId:
    """The listed file that is meant by ``asked``; LoraError if there is none."""
    name = choose_name(asked, lora_names())
    path = folder_paths.get_full_path(LORAS, name)
    if path is None:
        raise LoraFileError(
            "is listed but not there: it has been removed, or is a link that leads nowhere.",
            file=name,
            expected="a file",
            found="nothing",
        )
    return identify(path, name)


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What we have done to a model, remembered on it so that a later node can add to it.

    Attributes:
        recipe: All of it, with the strengths of this part only.
        before: The host's identity of the weights without it.
        after: The same with it; another identity now means somebody patched after us.
        entries: The recipe's patches, as the host holds them, by weight.
        files: Kept in the shared cache while the patched model is in use.
    """

    recipe: Recipe
    before: uuid.UUID
    after: uuid.UUID
    entries: Mapping[str, Patched] = field(default_factory=dict[str, Patched])
    files: tuple[LoraFile, ...] = ()

    def is_last_on(self, patcher: ModelPatcher) -> bool:
        """Whether nobody has touched the model's patches since."""
        return self.after == patcher.patches_uuid and all(
            (patcher.patches.get(key) or [None])[-1] is entry for key, entry in self.entries.items()
        )


def apply_recipe(
    recipe: Recipe, model: ModelPatcher | None, clip: CLIP | None
) -> tuple[ModelPatcher | None, CLIP | None, Report]:
    """Adds ``recipe`` to clones of ``model`` and ``clip``.

    What the recipe does not change comes back as the same object.

    Raises:
        LoraError: Both stay untouched.
    """
    recipe = recipe.with_files(_current)
    if model is None and clip is None:
        raise LoraInputError(
            "Apply LoRA To Model has nothing to apply to: connect a MODEL, a CLIP, or both.",
            key="model",
            expected="MODEL or CLIP",
            found="neither",
        )
    if not recipe:
        return model, clip, Report(())
    sides = _sides(model, clip)
    earlier = {part: _applied(patcher) for part, patcher in sides.items()}
    total = Recipe.sum([recipe, *(applied.recipe for applied in earlier.values())])
    views = tuple(_view(part, patcher, earlier[part]) for part, patcher in sides.items())
    held = held_for(next(iter(sides.values())).model)
    plan = make_plan(total, views, shared_cache, held.fits(views))
    held.keep(views, plan.fits)
    for lora in plan.report.loras:
        log.info("%s", lora.headline)
    changes: dict[Part, _Change] = {
        part: _Change(_own(total, part), earlier[part], addends, plan.files)
        for part, addends in zip(sides, plan.addends, strict=True)
        if _own(recipe, part) and (addends or earlier[part].recipe)
    }
    return (*_changed(model, clip, changes), plan.report)


def _changed(
    model: ModelPatcher | None, clip: CLIP | None, changes: Mapping[Part, _Change]
) -> tuple[ModelPatcher | None, CLIP | None]:
    new_model, new_clip = model, clip
    if model is not None and "model" in changes:
        new_model = model.clone()
        _change(new_model, changes["model"])
    if clip is not None and "clip" in changes:
        new_clip = clip.clone()
        _change(new_clip.patcher, changes["clip"])
    return new_model, new_clip


def _sides(model: ModelPatcher | None, clip: CLIP | None) -> dict[Part, ModelPatcher]:
    sides: dict[Part, ModelPatcher] = {}
    if model is not None:
        sides["model"] = model
    if clip is not None:
        sides["clip"] = clip.patcher
    return sides


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """All that is to become of one patcher: ``recipe`` in place of what was applied earlier."""

    recipe: Recipe
    earlier: Applied
    addends: Mapping[str, tuple[Addend, ...]]
    files: tuple[LoraFile, ...]


def _own(recipe: Recipe, part: Part) -> Recipe:
    """The recipe with the strengths of one part only."""
    return recipe.scaled(float(part == "model"), float(part == "clip"))


def _current(file: FileId) -> FileId:
    """The file as it is now: a loader whose name is linked may have run before it changed."""
    return identify(file.path, file.name)


def _applied(patcher: ModelPatcher) -> Applied:
    """Our earlier work on a model, if its patches are still the last ones."""
    known = patcher.get_attachment(ATTACHMENT)
    if isinstance(known, Applied) and known.is_last_on(patcher):
        return known
    return Applied(Recipe(), patcher.patches_uuid, patcher.patches_uuid)


def _view(part: Part, patcher: ModelPatcher, earlier: Applied) -> Model:
    """What a plan has to know of a host model, without our earlier work on it.

    All that it depends on is gathered in a fraction of the time that making it takes.
    """
    named = patcher.model.named_parameters(remove_duplicate=False)
    loaded = {key: _unpatched(patcher, key, weight) for key, weight in named}
    widened = _widened(patcher, earlier, loaded)
    facts = (
        (part, patcher.is_dynamic(), _computed(patcher)),
        [type(module) for module in patcher.model.modules()],
        [(key, weight.shape, weight.dtype) for key, weight in loaded.items()],
        widened,
    )
    return held_for(patcher.model).view(facts, lambda: _new_view(part, patcher, widened))


def _widened(
    patcher: ModelPatcher, earlier: Applied, loaded: Mapping[str, torch.Tensor]
) -> dict[str, Shape]:
    """The shapes of weights as others' patches will make them."""
    shapes: dict[str, Shape] = {}
    for key in patcher.patches.keys() & loaded.keys():
        others = [p for p in patcher.patches[key] if p is not earlier.entries.get(key)]
        if others:
            shapes[key] = tuple(comfy.lora.calculate_shape(others, loaded[key], key))
    return shapes


def _computed(patcher: ModelPatcher) -> torch.dtype:
    """The type in which the host patches."""
    return comfy.model_management.lora_compute_dtype(patcher.load_device)


def _new_view(part: Part, patcher: ModelPatcher, widened: Mapping[str, Shape]) -> Model:
    weights = {key: _unpatched(patcher, key, weight) for key, weight in _patchable(patcher)}
    shapes = {key: widened.get(key, tuple(weight.shape)) for key, weight in weights.items()}
    computed = _computed(patcher)
    dtypes = {key: _narrower(weight.dtype, computed) for key, weight in weights.items()}
    ours = ModelNames(shapes)
    names = HostNames(_key_map(part, patcher.model), part, ours)
    base = ours.architecture or _host_word(part, patcher.model)
    return Model(names, shapes, dtypes, frozenset((part,)), base)


def _patchable(patcher: ModelPatcher) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The weights that the host will patch; the others would be said to be applied and are not.

    It passes over what a module holds beside modules of its own, and with dynamic VRAM over
    modules that are none of its own classes.
    """
    for name, module in patcher.model.named_modules():
        holds_modules = any(True for child in module.children() for _ in child.parameters())
        foreign = patcher.is_dynamic() and not hasattr(module, "comfy_cast_weights")
        if not (holds_modules or foreign):
            yield from module.named_parameters(name, recurse=False)


def _unpatched(patcher: ModelPatcher, key: str, weight: torch.Tensor) -> torch.Tensor:
    """The weight as it was loaded: while it is patched, a control LoRA may have widened it."""
    backup = patcher.backup.get(key)
    return weight if backup is None else backup.weight


def _host_word(part: Part, model: torch.nn.Module) -> str | None:
    """What the host calls the architecture of a denoiser that we have no name for."""
    return type(model.model_config).__name__ if part == "model" else None


def _key_map(part: Part, model: torch.nn.Module) -> Mapping[str, HostTarget]:
    if part == "clip":
        return comfy.lora.model_lora_keys_clip(model, {})
    return comfy.lora.model_lora_keys_unet(model, {})


def _narrower(stored: torch.dtype, computed: torch.dtype) -> torch.dtype:
    """The host patches in ``computed``, then stores: a delta has to fit into both."""
    if not stored.is_floating_point:
        return computed
    return min(stored, computed, key=lambda dtype: torch.finfo(dtype).max)


def _change(clone: ModelPatcher, change: _Change) -> None:
    """Patches a fresh clone: ours in place of ours, behind whatever others have added."""
    _take_back(clone, change.earlier)
    if not change.addends:
        return
    others = _strengths(clone)
    adapters = {key: FusedAdapter.of(addends) for key, addends in change.addends.items()}
    refused = adapters.keys() - set(clone.add_patches(adapters))
    if refused:
        raise LoraMismatchError(
            f"ComfyUI did not take the patches of {len(refused)} weights.", key=min(refused)
        )
    before = change.earlier.before
    after = uuid.uuid5(before, f"{change.recipe.fingerprint} {others}")
    entries = {key: clone.patches[key][-1] for key in adapters}
    clone.patches_uuid = after
    clone.set_attachments(ATTACHMENT, Applied(change.recipe, before, after, entries, change.files))


def _strengths(patcher: ModelPatcher) -> list[tuple[object, ...]]:
    """What others have added, as far as it can be told from outside.

    Some packs change patches in place without giving the model a new identity.
    """
    return [
        (key, *((patch[0], patch[2], patch[3]) for patch in patches))
        for key, patches in sorted(patcher.patches.items())
    ]


def _take_back(clone: ModelPatcher, earlier: Applied) -> None:
    """Makes a clone what it was before our latest patches."""
    for key in earlier.entries:
        clone.patches[key].pop()
        if not clone.patches[key]:
            del clone.patches[key]
    clone.patches_uuid = earlier.before
    clone.remove_attachments(ATTACHMENT)
