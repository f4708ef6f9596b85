"""The form in which the host takes what we add to one weight."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import Any, Final

import torch
from comfy.weight_adapter import WeightAdapterBase

from ...lora_core.fusing import Patch, fuse, merged, wider_shape
from ...lora_core.matching import WeightTerm

LEAVES: Final = frozenset((torch.Tensor, type(None), float, int, str, bool))
"""Types with nothing inside; most of what is packed has one of them."""


class FusedAdapter(WeightAdapterBase):
    """All that a recipe adds to one weight.

    The host may rebuild it as ``type(a)(a.loaded_keys, weights)`` with copies of the tensors on
    another device, which it looks for only in tuples: so ``weights`` holds everything, packed.
    """

    name = "lora_algebra"

    def __init__(self, loaded_keys: set[str], weights: tuple[Any, ...]) -> None:
        self.loaded_keys = loaded_keys
        self._weights = weights
        self._weight_terms: Sequence[WeightTerm] = ()

    @classmethod
    def of(cls, weight_terms: Sequence[WeightTerm]) -> FusedAdapter:
        """Makes an adapter of what is added; it is fused when the host comes to the weight, if it
        ever does."""
        adapter = cls(set(), ())
        adapter._weight_terms = weight_terms
        return adapter

    @property
    def weights(self) -> tuple[Any, ...]:
        """(wider shape or None, the packed patches)."""
        weight_terms = self._weight_terms  # only once: another thread may be here, too
        if weight_terms:
            patches = fuse(weight_terms)
            self._weights = (wider_shape(patches), packed(patches))
            self._weight_terms = ()
        return self._weights

    def calculate_shape(self, key: str) -> tuple[int, ...] | None:
        """Returns the weight's new shape, if a control LoRA widens it."""
        with _undone_by_the_host():
            return self.weights[0]

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
        """Returns ``weight`` with everything added, in place unless it gets wider.

        ``weight`` is the host's own copy, already scaled by ``strength_model`` and cut to
        ``offset``. ``function`` is applied to the delta. Nothing here shows progress or checks for
        an interrupt: raised while weights are being patched, it would spoil later prompts.
        """
        with _undone_by_the_host():
            patches: tuple[Patch, ...] = unpacked(self.weights[1])
            if _is_identity(function):
                return merged(weight, patches, strength)
            changed = merged(weight.clone(), patches, strength)
            return weight.add_(function(changed - weight))


@contextmanager
def _undone_by_the_host() -> Generator[None]:
    """Turns an interrupt into an ordinary error: only then does the host take back half of a model."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(
            "interrupted while LoRAs were being merged; all weights are unchanged"
        ) from error


def packed(value: Any) -> Any:
    """Packs nested values as tuples: our own classes become (their class, their fields …)."""
    if type(value) in LEAVES:
        return value
    if isinstance(value, tuple):
        return tuple(map(packed, value))
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value), *(packed(getattr(value, name)) for name in value.__dataclass_fields__))
    return value


def unpacked(value: Any) -> Any:
    """Reverses ``packed``."""
    if not isinstance(value, tuple):
        return value
    if value and is_dataclass(value[0]) and isinstance(value[0], type):
        return value[0](*map(unpacked, value[1:]))
    return tuple(map(unpacked, value))


def _is_identity(function: Callable[[Any], Any]) -> bool:
    """Tells whether ``function`` does nothing.

    The host passes a do-nothing function if there is none; one that computes fails on this probe.
    """
    probe = object()
    try:
        return function(probe) is probe
    except (TypeError, AttributeError):
        return False
