"""Collects what a plan needs to know of a host model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING
from weakref import ref

import comfy.lora
import comfy.model_management
import torch
from comfy.quant_ops import QuantizedTensor

from ...lora_core.applying import takes_branch
from ...lora_core.matching import ModelView, cache_of
from ...lora_core.naming import ModelNames, Part, Shape, architecture_named
from .names import HostNames, HostTarget

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher


def view_of(part: Part, patcher: ModelPatcher, own: Mapping[str, object]) -> ModelView:
    """Returns what a plan needs to know of a host model, without ``own``, our earlier patches by
    weight.

    All that it depends on is collected in a fraction of the time that making it takes.
    """
    named = patcher.model.named_parameters(remove_duplicate=False)
    loaded = {key: _unpatched(patcher, key, weight) for key, weight in named}
    widened = _widened(patcher, own, loaded)
    facts = (
        (part, patcher.is_dynamic(), _computed(patcher)),
        [type(module) for module in patcher.model.modules()],
        [(key, weight.shape, weight.dtype) for key, weight in loaded.items()],
        widened,
    )
    return cache_of(patcher.model).view(facts, lambda: _new_view(part, patcher, widened))


def _new_view(part: Part, patcher: ModelPatcher, widened: Mapping[str, Shape]) -> ModelView:
    weights = {key: _unpatched(patcher, key, weight) for key, weight in _patchable(patcher)}
    shapes = {key: widened.get(key, tuple(weight.shape)) for key, weight in weights.items()}
    computed = _computed(patcher)
    ours = ModelNames(shapes)
    return ModelView(
        HostNames(_later_key_map(part, patcher.model), part, ours),
        shapes,
        {key: _narrower(weight.dtype, computed) for key, weight in weights.items()},
        frozenset((part,)),
        ours.architecture or _host_word(part, patcher.model),
        _branches(patcher, shapes),
        any(map(_is_quantised, weights.values())),
        bool(architecture_named(ours.architecture).head_banks) and _reads_banks(),
    )


def _widened(
    patcher: ModelPatcher, own: Mapping[str, object], loaded: Mapping[str, torch.Tensor]
) -> dict[str, Shape]:
    """Returns the shapes of weights as others' patches will make them."""
    shapes: dict[str, Shape] = {}
    for key in patcher.patches.keys() & loaded.keys():
        others = [patch for patch in patcher.patches[key] if patch is not own.get(key)]
        if others:
            shapes[key] = tuple(comfy.lora.calculate_shape(others, loaded[key], key))
    return shapes


def _reads_banks() -> bool:
    """Tells whether the host's MiniMax-H3 reads a bank of heads.

    This came together with weights that are set to others of another shape (ComfyUI #15908; read,
    not run).
    """
    patch = (1.0, ("set", (torch.ones(2),)), 1.0, None, None)
    try:
        return len(comfy.lora.calculate_weight([patch], torch.zeros(3), "")) == 2
    except RuntimeError:
        return False


def _computed(patcher: ModelPatcher) -> torch.dtype:
    """Returns the type in which the host patches."""
    return comfy.model_management.lora_compute_dtype(patcher.load_device)


def _is_quantised(weight: torch.Tensor) -> bool:
    """Tells whether merging would round the model to a few bits again."""
    few = isinstance(weight, QuantizedTensor) or weight.dtype.itemsize < 2
    return few and weight.ndim > 1


def _patchable(patcher: ModelPatcher) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Yields the weights that the host will patch; others would be reported as applied without
    effect.

    It ignores what a module holds next to its own submodules, and with dynamic VRAM it ignores
    modules that are not of its own classes.
    """
    for name, module in patcher.model.named_modules():
        holds_modules = any(True for child in module.children() for _ in child.parameters())
        foreign = patcher.is_dynamic() and not hasattr(module, "comfy_cast_weights")
        if not (holds_modules or foreign):
            yield from module.named_parameters(name, recurse=False)


def _branches(patcher: ModelPatcher, shapes: Mapping[str, Shape]) -> frozenset[str]:
    """Returns the parameters of layers that can have a branch next to them."""
    return frozenset(
        key
        for layer, module in patcher.model.named_modules()
        for name in ("weight", "bias")
        if (key := f"{layer}.{name}") in shapes and takes_branch(module, name, shapes[key])
    )


def _unpatched(patcher: ModelPatcher, key: str, weight: torch.Tensor) -> torch.Tensor:
    """Returns the weight as it was loaded: while it is patched, a control LoRA may have widened it."""
    backup = patcher.backup.get(key)
    return weight if backup is None else backup.weight


def _host_word(part: Part, model: torch.nn.Module) -> str | None:
    """Returns the host's name for the architecture of a denoiser that we have no name for."""
    return type(model.model_config).__name__ if part == "model" else None


def _later_key_map(part: Part, model: torch.nn.Module) -> Callable[[], Mapping[str, HostTarget]]:
    """Returns what makes the host's key map, which must not keep the model in memory."""
    alive = ref(model)

    def made() -> Mapping[str, HostTarget]:
        there = alive()
        return {} if there is None else _key_map(part, there)

    return made


def _key_map(part: Part, model: torch.nn.Module) -> Mapping[str, HostTarget]:
    if part == "clip":
        return comfy.lora.model_lora_keys_clip(model, {})
    return comfy.lora.model_lora_keys_unet(model, {})


def _narrower(stored: torch.dtype, computed: torch.dtype) -> torch.dtype:
    """Returns the narrower type: the host patches in ``computed``, then stores, and a delta has to
    fit into both."""
    if not stored.is_floating_point:
        return computed
    return min(stored, computed, key=lambda dtype: torch.finfo(dtype).max)
