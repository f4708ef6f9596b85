"""Applies a recipe to any torch module, permanently or for a while."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias

import torch

from ..algebra import Recipe
from ..errors import LoraInputError
from ..families import sum_type
from ..fusing import Patch, fuse, merge_, wider_shape
from ..matching import ModelView, Report, make_plan
from ..naming import ModelNames
from ..reading import FileCache, check_file, identify, shared_cache

Weights: TypeAlias = torch.nn.Module | Mapping[str, torch.Tensor]

COMPILED: Final = "_orig_mod."
"""The prefix that torch.compile puts into the names of weights."""


def load(path: str | os.PathLike[str], strength: float = 1.0) -> Recipe:
    """Returns the recipe of the LoRA file at ``path``; LoraFileError if it is not a valid one.

    The file's header is checked now, its numbers when the recipe is applied.
    """
    file = identify(path)
    check_file(file)
    return Recipe.of(file, strength)


def apply(
    module: Weights,
    recipe: Recipe,
    *,
    component: str | None = None,
    cache: FileCache = shared_cache,
) -> Report:
    """Adds ``recipe`` to the weights of ``module``, in place.

    Args:
        module: Any module, or a state dict; a file's names are matched to its weights' paths.
        recipe: The recipe to add.
        component: Which part of a pipeline the module is, if a file's names depend on it: "unet",
            "transformer", "text_encoder", "text_encoder_2", "text_encoder_3".
        cache: The cache that keeps files.

    Raises:
        LoraError: A file is damaged or does not fit; the module is then unchanged.
    """
    weights = _weights(module)
    patches, report = _prepared(weights, recipe, component, cache)
    _merge(weights, patches)
    return report


@contextmanager
def applied(
    module: Weights,
    recipe: Recipe,
    *,
    component: str | None = None,
    cache: FileCache = shared_cache,
) -> Generator[Report]:
    """Does what ``apply`` does; on leaving the block, every changed weight is restored bit for bit."""
    weights = _weights(module)
    patches, report = _prepared(weights, recipe, component, cache)
    before = {key: weights[key].clone() for key in patches}
    try:
        _merge(weights, patches)
        yield report
    finally:
        for key, weight in before.items():
            weights[key].copy_(weight)


def model_of(weights: Mapping[str, torch.Tensor], component: str | None = None) -> ModelView:
    """Returns what a plan needs to know of a model with these weights."""
    shapes = {key: tuple(weight.shape) for key, weight in weights.items()}
    names = ModelNames(shapes, component)
    dtypes = {key: weight.dtype for key, weight in weights.items()}
    return ModelView(names, shapes, dtypes, names.parts, names.architecture)


def _weights(module: Weights) -> dict[str, torch.Tensor]:
    """Returns detached views: writing to them writes to the module, and leaves no trace in
    autograd."""
    named = module.items() if isinstance(module, Mapping) else module.named_parameters()
    return {
        key.replace(COMPILED, ""): weight.detach()
        for key, weight in named
        if weight.dtype.is_floating_point
    }


def _prepared(
    weights: Mapping[str, torch.Tensor], recipe: Recipe, component: str | None, cache: FileCache
) -> tuple[dict[str, tuple[Patch, ...]], Report]:
    plan = make_plan(recipe, [model_of(weights, component)], cache)
    (own,) = plan.models
    for key in own.merged:
        if weights[key].is_meta:
            raise LoraInputError(
                f"{key} is not in memory: the model is offloaded. Load it first.",
                key=key,
                expected="weights in memory",
                found="a weight on the meta device",
            )
    patches = {k: fuse(a, sum_type(weights[k].dtype)) for k, a in own.merged.items()}
    _refuse_wider(patches)
    return patches, plan.report


def _refuse_wider(patches: Mapping[str, tuple[Patch, ...]]) -> None:
    for key, fused in patches.items():
        shape = wider_shape(fused)
        if shape is not None:
            raise LoraInputError(
                f"{key} would become {shape}: a control LoRA changes the shape of the layer, "
                "which cannot be done in place. Bake it into a checkpoint, or use the nodes.",
                key=key,
                expected="a LoRA for the layer's own inputs",
                found=str(shape),
            )


def _merge(weights: Mapping[str, torch.Tensor], patches: Mapping[str, tuple[Patch, ...]]) -> None:
    for key, fused in patches.items():
        merge_(weights[key], fused)
