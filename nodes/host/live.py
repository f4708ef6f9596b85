"""Live application in the host: gates that are only open while a model with their stack is
computing."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import torch
from comfy.patcher_extension import CallbacksMP, PatcherInjection, WrappersMP

from ...lora_core.algebra import FileId, Moment, Recipe, progress_at, strength_of
from ...lora_core.applying import Reach, Stack
from ...lora_core.errors import LoraInputError
from ...lora_core.naming import Layers
from ..plain_errors import plain_errors
from .live_stack import LiveStack
from .options import fresh_control, is_compiled, without_caches
from .reach import until_complete
from .regions import Regions, names_in

if TYPE_CHECKING:
    from comfy.model_base import BaseModel
    from comfy.model_patcher import ModelPatcher

Reached: TypeAlias = "Mapping[FileId, tuple[int, int]]"
"""How many deltas of each file go through the weight, and how many the model did not use."""

log: Final = logging.getLogger("lora-algebra")

NO_SIGMA: Final = -1.0
"""Replaces a noise level if there is no schedule."""


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """The strengths of a stack, as the host's wrappers around sampling and around the model.

    Nothing of it is left when they return, whether they finish, fail or are interrupted.
    """

    live_stack: LiveStack
    recipe: Recipe
    layers: Layers
    tell: Callable[[Reached], None] | None = None
    """Receives what the first evaluation of a run has shown, if not all layers were reached as
    usual."""

    regions: Regions = field(init=False)
    """Where the parts of the recipe act."""

    _rows: dict[tuple[float, torch.device, int], tuple[torch.Tensor, ...]] = field(
        default_factory=dict
    )
    _sampled: list[int] = field(default_factory=list)
    """How many images each running sampler has, the innermost last."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", Regions.of(self.recipe, self.layers))

    def outer_sample(self, executor: Any, noise: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Refuses a batch of another size before anything is loaded, and samples until no change is
        missed."""
        self.regions.begin()
        self._rows.clear()  # the same noise level can be another progress in another clone
        with plain_errors():
            _check_images(self.recipe.images, 1, len(noise))
        self._warn_of_unused(executor.class_obj.conds)
        self._sampled.append(len(noise))
        try:
            return until_complete(executor.class_obj, lambda: executor(noise, *args, **kwargs))
        finally:
            self._sampled.pop()

    def expect(self, patcher: ModelPatcher) -> None:
        """Prepares for a sampler to use the model: every use needs the stack from now on."""
        own = self.live_stack.attached(patcher.model)
        own.gate.outer = (own.gate.rows, own.gate.places) if own.gate.expected else (None, None)
        own.gate.expected = True
        own.gate.usual = self._usual(patcher.load_device)
        own.run.prepare(patcher.model, self.live_stack.stack_of(patcher), own.gate)

    def forget(self, patcher: ModelPatcher) -> None:
        """Ends what ``expect`` began.

        The gate is closed again, in case an interrupt kept an evaluation from doing so.
        """
        own = self.live_stack.attached(patcher.model)
        own.gate.rows, own.gate.places = own.gate.outer
        own.gate.expected = False
        own.run.end()

    def apply_model(
        self,
        executor: Any,
        x: torch.Tensor,
        t: torch.Tensor,
        c_concat: Any = None,
        c_crossattn: Any = None,
        control: Any = None,
        transformer_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Opens the gate for one evaluation of the model."""
        model: BaseModel = executor.class_obj
        options = {} if transformer_options is None else transformer_options
        if not self.live_stack.is_meant_for(model):
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)
        chunks = len(options.get("cond_or_uncond", (0,)))
        with plain_errors():
            strengths = self._at(model, t, x.device, self._images(chunks, len(x)))
            rows, places = self.regions.gate(strengths, model, x, options, kwargs)
        if _scheduled(self.recipe):
            options = without_caches(options)
        patcher, stack = model.current_patcher, self.live_stack.stack
        if patcher is not None:
            self.live_stack.inject(patcher)  # a dropped clone may have taken it away
            stack = self.live_stack.stack_of(patcher)
        own = self.live_stack.attached(model)
        before = own.gate.rows, own.gate.places

        def run() -> Any:
            return executor(x, t, c_concat, c_crossattn, fresh_control(control), options, **kwargs)

        try:
            own.gate.rows, own.gate.places = rows, places
            with plain_errors():
                result = own.run.evaluate(
                    model, stack, own.gate, run, compiled=is_compiled(model, options)
                )
        finally:
            own.gate.rows, own.gate.places = before
        if own.run.first:
            self._tell(stack, own.run.reach)
        return result

    def _tell(self, stack: Stack, reach: Reach) -> None:
        """Reports layers that were not reached as usual, if there are any."""
        through = stack.deltas(key for key in stack.files_by_key if key in reach.routes)
        unused = stack.deltas(reach.pending)
        if self.tell and (through or unused):
            files = {term.file for term in self.recipe.terms} | {*stack.files}
            self.tell({file: (through[file], unused[file]) for file in files})

    def _images(self, chunks: int, batch: int) -> int:
        """Returns how many images the strengths are for; 0 if they are the same for any number."""
        _check_images(self.recipe.images, chunks, batch)
        if not self.recipe.counts_images:
            return 0
        images = batch // chunks
        if self._sampled and self._sampled[-1] != images:
            raise LoraInputError(
                f"Spread LoRA has a range over {self._sampled[-1]} images, but the model gets {images} at a time, "
                "from a node that splits the batch. Use one strength with it.",
                key="values",
                expected=f"{self._sampled[-1]} images",
                found=f"{images} images",
            )
        return images

    def _at(
        self, model: BaseModel, sigmas: torch.Tensor, device: torch.device, images: int
    ) -> tuple[torch.Tensor, ...]:
        """Returns the strengths of each region at a noise level, the same for all evaluations there."""
        if not _scheduled(self.recipe):
            return self._constant(device, images)
        sigma, sampling = float(sigmas.flatten()[0]), model.model_sampling
        known = self._rows.get((sigma, device, images))
        if known is None:
            progress = progress_at(sigma, lambda p: float(sampling.percent_to_sigma(p)))
            known = self._made(progress, device, images)
            for other in list(self._rows):
                if other[0] not in (sigma, NO_SIGMA):
                    self._rows.pop(other, None)
            self._rows[sigma, device, images] = known
        return known

    def _constant(self, device: torch.device, images: int = 0) -> tuple[torch.Tensor, ...]:
        """Returns the strengths of each region, which follow no schedule."""
        known = self._rows.get((NO_SIGMA, device, images))
        if known is None:
            known = self._rows[NO_SIGMA, device, images] = self._made(0.0, device, images)
        return known

    def _usual(self, device: torch.device) -> torch.Tensor | None:
        """Returns the gate for uses outside of evaluations, where nothing has a place; None if it
        would not be the same for all of them."""
        if self.recipe.axes <= {"layer", "place"}:
            return self.regions.elsewhere(self._constant(device))
        return None

    def _made(self, progress: float, device: torch.device, images: int) -> tuple[torch.Tensor, ...]:
        moment = Moment(progress, images or 1)
        return tuple(self._strengths(own, moment).to(device) for own in self.regions.parts.values())

    def _strengths(self, recipe: Recipe, moment: Moment) -> torch.Tensor:
        terms = {term.file: term for term in recipe.terms}

        @functools.cache
        def strength(file: FileId, key: str) -> tuple[float, ...]:
            term = terms.get(file)
            return strength_of(term, moment, self.layers[key] if key else None) if term else (0.0,)

        by_layer = {file for file, term in terms.items() if "layer" in term.axes}
        return self.live_stack.stack.gate_rows(
            lambda file, key: strength(file, key if file in by_layer else "")
        )

    def _warn_of_unused(self, conds: Mapping[str, Any]) -> None:
        """Says in the log that a LoRA for one prompt changes nothing, since no prompt here has it."""
        unused = self.regions.names - names_in(conds)
        if unused:
            log.warning(
                "%d of the LoRAs for one prompt are not used: none of this sampler's prompts comes from "
                "their Apply LoRA To Conditioning",
                len(unused),
            )


def attach(clone: ModelPatcher, live: Live) -> None:
    """Makes a fresh clone compute with a stack next to its layers."""
    key, live_stack = live.live_stack.key, live.live_stack
    clone.set_additional_models(key, [live_stack.patcher])
    clone.set_injections(key, [PatcherInjection(live_stack.inject, live_stack.eject)])
    clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, key, live.outer_sample)
    clone.add_wrapper_with_key(WrappersMP.APPLY_MODEL, key, live.apply_model)
    if not live.regions.everywhere:
        clone.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, key, live.regions.calc_cond_batch)
    if live.regions.masked:
        clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, key, live.regions.diffusion_model)
    clone.add_callback_with_key(CallbacksMP.ON_PRE_RUN, key, live.expect)
    clone.add_callback_with_key(CallbacksMP.ON_CLEANUP, key, live.forget)


def detach(clone: ModelPatcher, key: str) -> None:
    """Restores a clone to what it was before ``attach``."""
    clone.remove_additional_models(key)
    clone.remove_injections(key)
    clone.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, key)
    for own in (WrappersMP.APPLY_MODEL, WrappersMP.CALC_COND_BATCH, WrappersMP.DIFFUSION_MODEL):
        clone.remove_wrappers_with_key(own, key)
    clone.remove_callbacks_with_key(CallbacksMP.ON_PRE_RUN, key)
    clone.remove_callbacks_with_key(CallbacksMP.ON_CLEANUP, key)


def _scheduled(recipe: Recipe) -> bool:
    return "step" in recipe.axes


def _check_images(expected: int | None, chunks: int, batch: int) -> None:
    """Refuses a batch of another size, which the host has put together from the prompts' chunks."""
    if expected is not None and expected * chunks != batch:
        found = batch // chunks
        raise LoraInputError(
            f"Spread LoRA has {expected} values, but the batch has {found} images. Give one value for "
            "each image.",
            key="values",
            expected=f"{expected} images",
            found=f"{found} images",
        )
