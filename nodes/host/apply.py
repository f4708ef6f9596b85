"""A recipe in, patches on a clone of the host's model out."""

from __future__ import annotations

import itertools
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ...lora_core.algebra import Recipe
from ...lora_core.errors import LoraInputError, LoraMismatchError
from ...lora_core.matching import (
    Halves,
    Layers,
    Mode,
    Model,
    Plan,
    Report,
    Weights,
    halves,
    held_for,
    make_plan,
)
from ...lora_core.naming import Part, Shape
from ...lora_core.reading import LoraFile, shared_cache
from .adapter import FusedAdapter
from .files import current
from .live import Live, Reached, StackCache, put_beside, take_away
from .metadata import carry, restore, said_of_carried
from .view import view_of

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP

ATTACHMENT = "lora_algebra"

log = logging.getLogger("lora-algebra")
stacks = StackCache()

Patched: TypeAlias = "tuple[Any, ...]"
"""A patch as the host holds it: (strength, adapter, strength of the model, offset, function)."""


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What we have done to a model, remembered on it so that a later node can add to it.

    Attributes:
        recipe: All of it, with the strengths of this part only.
        before: The host's identity of the weights without it.
        after: The same with it; another identity now means somebody patched after us.
        entries: The recipe's patches, as the host holds them, by weight.
        files: Kept in the shared cache while the patched model is in use.
        beside: Under which key its live part is on the model.
        metadata: What the model carried of other LoRAs before.
    """

    recipe: Halves
    before: uuid.UUID
    after: uuid.UUID
    entries: Mapping[str, Patched] = field(default_factory=dict[str, Patched])
    files: tuple[LoraFile, ...] = ()
    beside: str = ATTACHMENT
    metadata: object = None

    def is_last_on(self, patcher: ModelPatcher) -> bool:
        """Whether nobody has touched the model's patches since."""
        return self.after == patcher.patches_uuid and all(
            (patcher.patches.get(key) or [None])[-1] is entry for key, entry in self.entries.items()
        )


def apply_recipe(
    recipe: Recipe,
    model: ModelPatcher | None,
    clip: CLIP | None,
    mode: Mode = "auto",
    tell: Callable[[Report], None] | None = None,
) -> tuple[ModelPatcher | None, CLIP | None, Report]:
    """Adds ``recipe`` to clones of ``model`` and ``clip``.

    What the recipe does not change comes back as the same object. The text encoder, which knows
    neither steps nor images, is always patched.

    Args:
        recipe: What to add.
        model: The denoiser, None for none.
        clip: The text encoders, None for none.
        mode: Merged or live.
        tell: Gets the report once more in each run of which there is more to say than before it.

    Raises:
        LoraError: Both stay untouched.
    """
    recipe = current(recipe)
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
    views = tuple(view_of(part, side, earlier[part].entries) for part, side in sides.items())
    added = {part: _own(recipe, part, mode, view) for part, view in zip(sides, views, strict=True)}
    whole = {part: earlier[part].recipe.plus(added[part]) for part in sides}
    held = held_for(next(iter(sides.values())).model)
    together = _together(whole.values(), recipe, sides)
    plan = make_plan(together, views, shared_cache, held.fits(views))
    held.keep(views, plan.fits)
    plan = replace(plan, report=said_of_carried(plan))
    for lora in plan.report.loras:
        log.info("%s", lora.headline)
    later = partial(_tell_reached, plan, tell) if tell else None
    changes: dict[Part, _Change] = {
        part: _Change(whole[part], earlier[part], weights, layers, view.shapes, plan.files, later)
        for part, weights, layers, view in zip(sides, plan.addends, plan.live, views, strict=True)
        if added[part].whole and (weights or layers or earlier[part].recipe.whole)
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

    recipe: Halves
    earlier: Applied
    weights: Weights
    layers: Layers
    shapes: Mapping[str, Shape]
    files: tuple[LoraFile, ...]
    later: Callable[[Reached], None] | None


def _tell_reached(plan: Plan, tell: Callable[[Report], None], reached: Reached) -> None:
    """The report of a plan, with what a run has shown of its live layers."""
    loras = zip(plan.fits, plan.report.loras, strict=True)
    tell(Report(tuple(lora.reaching(*reached.get(file, (0, 0))) for file, lora in loras)))


def _own(recipe: Recipe, part: Part, mode: Mode, view: Model) -> Halves:
    """The recipe with the strengths of one part only, divided for it."""
    own = recipe.scaled(float(part == "model"), float(part == "clip"))
    if part == "clip":
        return Halves(own)
    return halves(own, mode, quantised=view.quantised)


def _together(parts: Iterable[Halves], recipe: Recipe, sides: Mapping[Part, object]) -> Halves:
    """Of all parts; what there is nothing for is only told of in the report."""
    total = Halves()
    for part in parts:
        total = total.plus(part)
    missing = recipe.scaled(float("model" not in sides), float("clip" not in sides))
    return total.plus(Halves(missing))


def _applied(patcher: ModelPatcher) -> Applied:
    """Our earlier work on a model, if its patches are still the last ones."""
    known = patcher.get_attachment(ATTACHMENT)
    if isinstance(known, Applied) and known.is_last_on(patcher):
        return known
    key = next(k for k in _keys() if k not in patcher.injections)
    return Applied(Halves(), patcher.patches_uuid, patcher.patches_uuid, beside=key)


def _keys() -> Iterator[str]:
    """Names for what we put on a model; it takes a second one if somebody patched in between."""
    yield ATTACHMENT
    for number in itertools.count(2):
        yield f"{ATTACHMENT}_{number}"


def _change(clone: ModelPatcher, change: _Change) -> None:
    """Changes a fresh clone: ours in place of ours, behind whatever others have added."""
    earlier, key = change.earlier, change.earlier.beside
    _take_back(clone, earlier)
    if not (change.weights or change.layers):
        return
    entries = _patch(clone, change) if change.weights else {}
    if change.layers:
        beside = stacks.get(key, clone, change.layers, change.shapes)
        put_beside(clone, Live(beside, change.recipe.live, change.later))
    changed = {term.file for term in change.recipe.whole.terms}
    metadata = carry(clone, (file for file in change.files if file.id in changed))
    applied = Applied(
        change.recipe, earlier.before, clone.patches_uuid, entries, change.files, key, metadata
    )
    clone.set_attachments(ATTACHMENT, applied)


def _patch(clone: ModelPatcher, change: _Change) -> dict[str, Patched]:
    """Hands over what is merged; the patches as the host holds them, by weight."""
    others = _strengths(clone)
    adapters = {key: FusedAdapter.of(addends) for key, addends in change.weights.items()}
    refused = adapters.keys() - set(clone.add_patches(adapters))
    if refused:
        raise LoraMismatchError(
            f"ComfyUI did not take the patches of {len(refused)} weights.", key=min(refused)
        )
    identity = f"{change.recipe.merge.fingerprint} {_rest(change)}{others}"
    clone.patches_uuid = uuid.uuid5(change.earlier.before, identity)
    return {key: clone.patches[key][-1] for key in adapters}


def _rest(change: _Change) -> str:
    """Of what is live, the strengths of files with parts that had to be merged all the same."""
    names = {addend.file for addends in change.weights.values() for addend in addends}
    terms = [term for term in change.recipe.live.terms if term.file.name in names]
    rest = Recipe(tuple(replace(term, varying=()) for term in terms))
    return f"{rest.fingerprint} " if rest else ""


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
    take_away(clone, earlier.beside)
    if earlier.files:
        restore(clone, earlier.metadata)
    clone.remove_attachments(ATTACHMENT)
