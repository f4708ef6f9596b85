"""How LoRA files name a model's weights.

A name is a prefix (``prefixes``) and a path. The prefix means one of the model's components
(``components``), the path a weight of it: in the component's own words, or, for the architectures
that are known (``architectures``), in those of diffusers, translated by one table each.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..targets import Part, Shape, Target
from .components import components
from .prefixes import PREFIXES

__all__ = ["ModelNames"]


class ModelNames:
    """Names of one model's weights, as LoRA files may write them.

    Attributes:
        architecture: "SD 1.5", "SDXL", "SD3", "Flux" or "Wan"; None when not recognised.
        parts: What the model consists of; None if only the names in a file can tell.
    """

    def __init__(self, shapes: Mapping[str, Shape], component: str | None = None) -> None:
        """``component`` says what a bare module is: "unet", "transformer" or "text_encoder[_2|_3]".

        A module not declared is what a name takes it for, but never a second or third encoder.

        Raises:
            LoraInputError: There is no such component.
        """
        parts = components(shapes, component)
        self._readings = tuple(
            (prefix, part) for prefix in PREFIXES for part in parts if prefix.role in part.roles
        )
        known: frozenset[Part] = frozenset(part.part for part in parts if part.part is not None)
        self.parts = known or None
        self.architecture = next((part.architecture for part in parts if part.architecture), None)

    def find(self, name: str) -> Target | None:
        """The target of a file's module name, or None if the model has none of that name."""
        return self._find(name) or self._find(_modern(name))

    def _find(self, name: str) -> Target | None:
        readings = (component.find(name, prefix) for prefix, component in self._readings)
        return next((target for target in readings if target is not None), None)


def _modern(name: str) -> str:
    """A layer of diffusers' old attention processors, by what it is called today.

    >>> _modern("unet.mid_block.attn1.processor.to_out")
    'unet.mid_block.attn1.to_out.0'
    """
    path, processor, layer = name.rpartition(".processor.")
    if not processor:
        return name
    return f"{path}.{'to_out.0' if layer == 'to_out' else layer}"
