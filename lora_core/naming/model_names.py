"""How LoRA files name a model's weights.

A name is a prefix (``prefixes``) and a path. The prefix means one of the model's components
(``components``), and the path means a weight of it: in the component's own words, or, for known
architectures (``architectures``), in those of diffusers, translated by one table each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .components import components
from .prefixes import PREFIXES, own_prefix
from .targets import Part, Shape, Target

MOST_REMEMBERED: Final = 2**14
"""How many names are remembered: files of one model mostly have the same."""

_NAMED: Final = re.compile(r"^text_encoders\.(?!clip_)\w+\.transformer\.")


class ModelNames:
    """Names of one model's weights, as LoRA files may write them.

    Attributes:
        architecture: "SD 1.5", "Flux", "Wan", …; None if it is not recognised.
        parts: The parts of the model; None if only the names in a file can tell.
        components: Its denoiser and text encoders.
    """

    def __init__(self, shapes: Mapping[str, Shape], component: str | None = None) -> None:
        """Prepares the names. ``component`` says what a bare module is.

        It is "unet", "transformer" or "text_encoder[_2|_3|_4]". A module without it is whatever a
        name takes it for, but never a second or third encoder.

        Raises:
            LoraInputError: There is no such component.
        """
        self.components = parts = components(shapes, component)
        named = [(own_prefix(part.encoder), part) for part in parts if part.encoder]
        self._named = bool(named)
        self._readings = (
            *named,
            *((prefix, part) for prefix in PREFIXES for part in parts if prefix.role in part.roles),
        )
        known: frozenset[Part] = frozenset(part.part for part in parts if part.part is not None)
        self.parts = known or None
        self._known: dict[str, Target | None] = {}
        self.architecture = next((part.architecture for part in parts if part.architecture), None)

    def find(self, name: str) -> Target | None:
        """Returns the target of a file's module name, or None if the model has no such name."""
        known = self._known
        if name in known:
            return known[name]
        found = self._looked_up(name)
        if len(known) < MOST_REMEMBERED:
            known[name] = found
        return found

    def _looked_up(self, name: str) -> Target | None:
        return self._find(name) or self._find(_modern(name)) or self._find(self._unnamed(name))

    def _find(self, name: str) -> Target | None:
        readings = (component.find(name, prefix) for prefix, component in self._readings)
        return next((target for target in readings if target is not None), None)

    def _unnamed(self, name: str) -> str:
        """Returns ComfyUI's name for the only encoder; that of a bare module is not known."""
        return name if self._named else _NAMED.sub("text_encoders.transformer.", name)


def _modern(name: str) -> str:
    """Renames a layer of diffusers' old attention processors to what it is called today.

    >>> _modern("unet.mid_block.attn1.processor.to_out")
    'unet.mid_block.attn1.to_out.0'
    """
    path, processor, layer = name.rpartition(".processor.")
    if not processor:
        return name
    return f"{path}.{'to_out.0' if layer == 'to_out' else layer}"
