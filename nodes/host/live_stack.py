"""Stacks of live branches, as the host's memory manager knows them.

The host's own injections put them in place, and they are kept as long as the model lives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import torch
from torch.utils.hooks import RemovableHandle

from ...lora_core.applying import Factor, Gate, PlacesOf, Stack
from ...lora_core.matching import LiveTerms
from ...lora_core.naming import Shape
from .reach import Routes, Run

if TYPE_CHECKING:
    from comfy.model_base import BaseModel
    from comfy.model_patcher import ModelPatcher

KEPT_STACKS: Final = 2
"""Stacks kept for each model: the one in use, and the one that it is compared with."""

routes: Final = Routes()


class HostFactor(Factor):
    """A matrix that the host can keep off the device, and brings there like a weight of its own."""

    comfy_cast_weights = True
    weight_function: tuple[()] = ()
    bias_function: tuple[()] = ()

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__(weight)
        self.register_parameter("bias", None)

    def used(
        self, x: torch.Tensor, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        if self.weight.device == x.device and self.weight.dtype == x.dtype:
            return function(x, self.weight)
        weight, bias, stream = comfy.ops.cast_bias_weight(self, x, offloadable=True)
        result = function(x, weight)
        comfy.ops.uncast_bias_weight(self, weight, bias, stream)
        return result


class HostGate(Gate):
    """A gate that knows when a model is used outside our wrappers.

    The host does so with the model of a negative prompt, and with layers that some models and
    ControlNets call before the first step.

    Attributes:
        expected: Whether a sampler is using the model that the stack belongs to.
        usual: The rows for such uses, if strengths do not vary.
        outer: The rows and places of a sampler whose evaluation contains this one, if there is one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.expected = False
        self.outer: tuple[torch.Tensor | None, PlacesOf | None] = (None, None)
        self.usual: torch.Tensor | None = None

    def rows_when_closed(self) -> torch.Tensor | None:
        if self.expected and self.usual is None:
            raise ValueError(
                "a layer of this model is used outside the steps of its sampler, by a ControlNet or "
                "for the negative prompt, where schedules, spreads, masks and prompts have no "
                "meaning. Use one strength for this model."
            )
        return self.usual if self.expected else None


@dataclass(frozen=True, eq=False)
class AttachedModel:
    """One model with a stack next to its layers.

    Attributes:
        run: Makes sure that no change is missed.
        gate: The gate; it stays the same as long as the model lives.
        handles: The handles of the branches that are in place.
    """

    run: Run
    gate: HostGate = field(default_factory=HostGate)
    handles: list[RemovableHandle] = field(default_factory=list[RemovableHandle])


class LiveStack:
    """A stack for the models of one patcher and its clones; a model on another device has copies."""

    def __init__(self, key: str, stack: Stack, load_device: Any, offload_device: Any) -> None:
        self.key = key
        self.patcher = _patcher_of(stack, load_device, offload_device)
        self._attached: WeakKeyDictionary[torch.nn.Module, AttachedModel] = WeakKeyDictionary()

    @property
    def stack(self) -> Stack:
        return self.patcher.model

    def inject(self, patcher: ModelPatcher) -> None:
        """Puts the branches in place, once, however many clones ask for it."""
        own = self.attached(patcher.model)
        if not own.handles:
            stack = self.stack_of(patcher)
            own.handles.extend(stack.attach(patcher.model.get_submodule, own.gate))

    def stack_of(self, patcher: ModelPatcher) -> Stack:
        """Returns the stack, or its copy on the device of this patcher."""
        moved = patcher.get_additional_models_with_key(self.key)
        return moved[0].model if moved else self.stack

    def eject(self, patcher: ModelPatcher) -> None:
        """Removes the branches, if the model is not computing with them.

        The host calls this for every clone of an injected model that is dropped, at any time.
        """
        own = self.attached(patcher.model)
        if own.gate.rows is None:
            while own.handles:
                own.handles.pop().remove()

    def is_meant_for(self, model: BaseModel) -> bool:
        """Tells whether the stack is for this model, not for a second one: a negative prompt's
        model gets the wrappers of the first."""
        patcher = model.current_patcher
        if patcher is None:
            return True
        known = patcher.injections.get(self.key, ())
        return any(injection.inject == self.inject for injection in known)

    def attached(self, model: torch.nn.Module) -> AttachedModel:
        known = self._attached.get(model)
        if known is None:
            known = self._attached[model] = AttachedModel(Run(routes.of(model)))
            known.run.reach.begin(self.stack.files_by_key)
        return known


class StackCache:
    """The latest stacks of every model, so that another strength finds its factors in place.

    It lives as long as the model, which the host's loader holds: a patched model is dropped before
    the next one is made.
    """

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[torch.nn.Module, dict[object, LiveStack]] = (
            WeakKeyDictionary()
        )

    def get(
        self,
        key: str,
        patcher: ModelPatcher,
        live_terms: LiveTerms,
        shapes: Mapping[str, Shape],
    ) -> LiveStack:
        """Returns the stack of ``live_terms``, by weight, for the model of ``patcher``."""
        own = self._known.setdefault(patcher.model, {})
        dtype = _dtype_of(patcher)
        identity = (
            key,
            dtype,
            patcher.load_device,
            frozenset(
                (name, live_term.rows, live_term.file)
                for name, some in live_terms.items()
                for live_term in some
            ),
        )
        beside = own.pop(identity, None)
        if beside is None:
            stack = Stack(live_terms, shapes, dtype, HostFactor)
            beside = LiveStack(key, stack, patcher.load_device, patcher.offload_device)
        own[identity] = beside
        for oldest in list(own)[:-KEPT_STACKS]:
            del own[oldest]
        return beside


def _patcher_of(
    stack: Stack, load_device: Any, offload_device: Any, **_others: Any
) -> ModelPatcher:
    patcher = comfy.model_patcher.CoreModelPatcher(stack, load_device, offload_device)
    patcher.cached_patcher_init = (_copied, (stack, load_device, offload_device))
    return patcher


def _copied(stack: Stack, *devices: Any, **_others: Any) -> ModelPatcher:
    """Returns a copy for another device, the way the host copies."""
    return _patcher_of(stack.twin(), *devices)


def _dtype_of(patcher: ModelPatcher) -> torch.dtype:
    """Returns the type in which the model's layers will compute, whichever clone is loaded now."""
    return patcher.get_model_object("manual_cast_dtype") or patcher.model.get_dtype()
