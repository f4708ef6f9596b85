"""The form in which the host takes what we add to one weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from comfy.weight_adapter import WeightAdapterBase

from ..lora_core.fuse import Patch
from ..lora_core.merge import merge_


class FusedAdapter(WeightAdapterBase):
    """All that a recipe adds to one weight.

    The host may rebuild it as ``type(a)(a.loaded_keys, weights)`` with copies of the tensors on
    another device, so ``weights`` holds everything: the fields of each patch, as a tuple.
    """

    name = "lora_algebra"

    def __init__(self, loaded_keys: set[str], weights: tuple[tuple[Any, ...], ...]) -> None:
        self.loaded_keys = loaded_keys
        self.weights = weights

    @classmethod
    def of(cls, patches: tuple[Patch, ...]) -> FusedAdapter:
        return cls(set(), tuple(tuple(getattr(p, f.name) for f in fields(p)) for p in patches))

    def calculate_weight(
        self,
        weight: torch.Tensor,
        key: str,
        strength: float,
        strength_model: float,
        offset: object,
        function: Callable[[torch.Tensor], torch.Tensor],
        intermediate_dtype: torch.dtype = torch.float32,
        original_weight: object = None,
    ) -> torch.Tensor:
        """``weight`` with everything added, in place.

        It is the host's own copy, already scaled by ``strength_model`` and cut to ``offset``.
        ``function`` is applied to the delta. Nothing here shows progress or looks for an
        interrupt: raised while weights are being patched, it would spoil later prompts.
        """
        patches = [Patch(*values) for values in self.weights]
        if _is_identity(function):
            merge_(weight, patches, strength)
            return weight
        changed = weight.clone()
        merge_(changed, patches, strength)
        return weight.add_(function(changed - weight))


def _is_identity(function: Callable[[Any], Any]) -> bool:
    """The host stands a do-nothing function in for none; one that computes fails on this probe."""
    probe = object()
    try:
        return function(probe) is probe
    except (TypeError, AttributeError):
        return False
