"""Turns a recipe into patches on a clone of the host's model."""

from __future__ import annotations

import itertools
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ...lora_core.algebra import Prompt, Recipe, Term
from ...lora_core.errors import LoraInputError, LoraMismatchError
from ...lora_core.matching import (
    MergeLiveSplit,
    Mode,
    ModelPlan,
    ModelView,
    Plan,
    Report,
    cache_of,
    make_plan,
)
from ...lora_core.naming import Layers, Part, Shape
from ...lora_core.reading import LoraFile, shared_cache
from .adapter import FusedAdapter
from .files import current
from .live import Live, Reached, attach, detach
from .live_stack import StackCache
from .metadata import carry, restore, said_of_carried
from .progress import shown_progress
from .view import view_of

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP

ATTACHMENT = "lora_algebra"

log = logging.getLogger("lora-algebra")
stacks = StackCache()

Patched: TypeAlias = "tuple[Any, ...]"
"""A patch as the host stores it: (strength, adapter, strength of the model, offset, function)."""


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What we have done to a model.

    It is remembered on the model so that a later node can add to it.

    Attributes:
        split: All of it, with the strengths for this part only.
        before: The host's identity of the weights without it.
        after: The host's identity of the weights with it; another identity now means that somebody
            patched after us.
        entries: The recipe's patches by weight, as the host stores them.
        files: The files, kept in the shared cache while the patched model is in use.
        live_key: The key of its live part on the model.
        metadata: What the model carried of other LoRAs before.
    """

    split: MergeLiveSplit
    before: uuid.UUID
    after: uuid.UUID
    entries: Mapping[str, Patched] = field(default_factory=dict[str, Patched])
    files: tuple[LoraFile, ...] = ()
    live_key: str = ATTACHMENT
    metadata: object = None

    def is_last_on(self, patcher: ModelPatcher) -> bool:
        """Tells whether nobody has touched the model's patches since."""
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

    What the recipe does not change is returned as the same object. The text encoder, which knows
    neither steps nor images, is always patched.

    Args:
        recipe: The recipe to add.
        model: The denoiser; None if there is none.
        clip: The text encoders; None if there are none.
        mode: Merged or live.
        tell: Receives the report again in each run that has more to say than before.

    Raises:
        LoraError: Something is wrong; both models stay unchanged.
    """
    recipe, sides = current(recipe), _sides(model, clip)
    if not recipe:
        return model, clip, Report(())
    return _add(recipe, model, clip, sides, mode, tell)


def apply_for_prompts(
    recipe: Recipe, model: ModelPatcher, tell: Callable[[Report], None] | None = None
) -> tuple[ModelPatcher, str, Report]:
    """Adds ``recipe`` to a clone of ``model`` for those conditionings only that carry a name.

    The same recipe is added once, however many prompts it is for.

    Returns:
        The model, the name that conditionings have to carry (see ``named``), and the report.

    Raises:
        LoraError: Something is wrong; the model stays unchanged.
    """
    recipe = current(recipe)
    prompt = Prompt(recipe.fingerprint)
    if not recipe:
        return model, prompt.name, Report(())
    own = _applied(model).split.live.terms
    known = {m for term in own for modulation, _ in term.modulated for m in modulation.modifiers}
    added = Recipe() if prompt in known else recipe.modulated(prompt)
    applied, _, report = _add(added, model, None, {"model": model}, "auto", tell)
    return applied or model, prompt.name, report


def _add(
    recipe: Recipe,
    model: ModelPatcher | None,
    clip: CLIP | None,
    sides: Mapping[Part, ModelPatcher],
    mode: Mode,
    tell: Callable[[Report], None] | None,
) -> tuple[ModelPatcher | None, CLIP | None, Report]:
    """Plans ``recipe`` as the sum with what of ours is there, and changes clones."""
    earlier = [_applied(side) for side in sides.values()]
    with shared_cache.ahead(term.file for term in recipe.terms if term.file.made is None):
        views = tuple(
            view_of(part, side, own.entries)
            for (part, side), own in zip(sides.items(), earlier, strict=True)
        )
        plan = _planned(recipe, views, sides, earlier, mode)
    for lora in plan.report.loras:
        log.info("%s", lora.headline)
    later = partial(_tell_reached, plan, tell) if tell else None
    changes: dict[Part, _Change] = {
        part: _Change(own, before, view.shapes, view.layers, plan.files, later)
        for part, own, before, view in zip(sides, plan.models, earlier, views, strict=True)
        if own.changes
    }
    if model is not None and "model" in changes:
        _change(model := model.clone(), changes["model"])
    if clip is not None and "clip" in changes:
        _change((clip := clip.clone()).patcher, changes["clip"])
    return model, clip, plan.report


def _planned(
    recipe: Recipe,
    views: tuple[ModelView, ...],
    sides: Mapping[Part, ModelPatcher],
    earlier: Sequence[Applied],
    mode: Mode,
) -> Plan:
    """Plans with what is known of the torch model, and keeps what has become known."""
    cache = cache_of(next(iter(sides.values())).model)
    plan = make_plan(
        recipe,
        views,
        shared_cache,
        mode=mode,
        earlier=[own.split for own in earlier],
        known=cache.matches(views),
        progress=shown_progress(),
    )
    cache.keep(views, plan.matches)
    return replace(plan, report=said_of_carried(plan))


def _sides(model: ModelPatcher | None, clip: CLIP | None) -> dict[Part, ModelPatcher]:
    sides: dict[Part, ModelPatcher] = {}
    if model is not None:
        sides["model"] = model
    if clip is not None:
        sides["clip"] = clip.patcher
    if not sides:
        raise LoraInputError(
            "Apply LoRA To Model has nothing to apply to: connect a MODEL, a CLIP, or both.",
            key="model",
            expected="MODEL or CLIP",
            found="neither",
        )
    return sides


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """Everything that will happen to one patcher: ``plan`` replaces what was applied earlier."""

    plan: ModelPlan
    earlier: Applied
    shapes: Mapping[str, Shape]
    layers: Layers
    files: tuple[LoraFile, ...]
    later: Callable[[Reached], None] | None


def _tell_reached(plan: Plan, tell: Callable[[Report], None], reached: Reached) -> None:
    """Adds to a plan's report what a run has shown of its live layers."""
    loras = zip(plan.matches, plan.report.loras, strict=True)
    tell(Report(tuple(lora.reaching(*reached.get(file, (0, 0))) for file, lora in loras)))


def _applied(patcher: ModelPatcher) -> Applied:
    """Returns our earlier work on a model, if its patches are still the last ones."""
    known = patcher.get_attachment(ATTACHMENT)
    if isinstance(known, Applied) and known.is_last_on(patcher):
        return known
    key = next(k for k in _keys() if k not in patcher.injections)
    return Applied(MergeLiveSplit(), patcher.patches_uuid, patcher.patches_uuid, live_key=key)


def earlier_on(patcher: ModelPatcher) -> Mapping[str, object]:
    """Returns our patches on a model by weight, as the host stores them."""
    return _applied(patcher).entries


def _keys() -> Iterator[str]:
    """Yields names for what we put on a model; a second one if somebody patched in between."""
    yield ATTACHMENT
    for number in itertools.count(2):
        yield f"{ATTACHMENT}_{number}"


def _change(clone: ModelPatcher, change: _Change) -> None:
    """Changes a fresh clone: our new work replaces our old work, after what others have added."""
    plan, earlier, key = change.plan, change.earlier, change.earlier.live_key
    _take_back(clone, earlier)
    if not (plan.merged or plan.live):
        return
    entries = _patch(clone, plan, earlier.before) if plan.merged else {}
    if plan.live:
        live_stack = stacks.get(key, clone, plan.live, change.shapes)
        attach(clone, Live(live_stack, plan.split.live, change.layers, change.later))
    changed = {term.file for term in plan.split.whole.terms}
    metadata = carry(clone, (file for file in change.files if file.id in changed))
    applied = Applied(
        plan.split, earlier.before, clone.patches_uuid, entries, change.files, key, metadata
    )
    clone.set_attachments(ATTACHMENT, applied)


def _patch(clone: ModelPatcher, plan: ModelPlan, before: uuid.UUID) -> dict[str, Patched]:
    """Adds the merged patches; returns the patches by weight, as the host stores them."""
    others = _strengths(clone)
    adapters = {key: FusedAdapter.of(weight_terms) for key, weight_terms in plan.merged.items()}
    refused = adapters.keys() - set(clone.add_patches(adapters))
    if refused:
        raise LoraMismatchError(
            f"ComfyUI did not accept the patches of {len(refused)} weights.", key=min(refused)
        )
    identity = f"{plan.split.merge.fingerprint} {_rest(plan)}{others}"
    clone.patches_uuid = uuid.uuid5(before, identity)
    return {key: clone.patches[key][-1] for key in adapters}


def _rest(plan: ModelPlan) -> str:
    """Returns the strengths of live files with deltas that had to be merged."""
    names = {
        weight_term.file for weight_terms in plan.merged.values() for weight_term in weight_terms
    }
    terms = [term for term in plan.split.live.terms if term.file.name in names]
    rest = Recipe(tuple(map(_merged_of, terms)))
    return f"{rest.fingerprint} " if rest else ""


def _merged_of(term: Term) -> Term:
    """Returns the part of a term that a merged weight can have."""
    return replace(term, modulated=tuple(m for m in term.modulated if not m[0].needs_live))


def _strengths(patcher: ModelPatcher) -> list[tuple[object, ...]]:
    """Returns what others have added, as far as it is visible from outside.

    Some packs change patches in place without giving the model a new identity.
    """
    return [
        (key, *((patch[0], patch[2], patch[3]) for patch in patches))
        for key, patches in sorted(patcher.patches.items())
    ]


def _take_back(clone: ModelPatcher, earlier: Applied) -> None:
    """Restores a clone to what it was before our latest patches."""
    for key in earlier.entries:
        clone.patches[key].pop()
        if not clone.patches[key]:
            del clone.patches[key]
    clone.patches_uuid = earlier.before
    detach(clone, earlier.live_key)
    if earlier.files:
        restore(clone, earlier.metadata)
    clone.remove_attachments(ATTACHMENT)
