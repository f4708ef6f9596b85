"""What we know of one architecture, as one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from .tables import Paths, Shapes
from .targets import Shape

_CONTEXT: Final = ".attn2.to_k.weight"
"""How the weight of a UNet ends that reads the text; its last dimension is the text's width."""


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """Weights that tell what a component is.

    Attributes:
        has: The component has all of these weights,
        lacks: none of these,
        shapes: these in exactly this shape,
        never_reads: and its cross attention reads text of none of these widths.
    """

    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    never_reads: tuple[int, ...] = ()

    def fits(self, shapes: Shapes) -> bool:
        """Whether a component with weights of these ``shapes`` has this sign."""
        return (
            all(weight in shapes for weight in self.has)
            and not any(weight in shapes for weight in self.lacks)
            and all(shapes.get(weight) == shape for weight, shape in self.shapes.items())
            and not (self.never_reads and _text_width(shapes) in self.never_reads)
        )


def _text_width(shapes: Shapes) -> int | None:
    return next((shape[-1] for key, shape in shapes.items() if key.endswith(_CONTEXT)), None)


def has(*weights: str) -> Sign:
    """The sign of a component that has all of these ``weights``."""
    return Sign(weights)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Other names for the weights of a component that is laid out in a certain way.

    Architectures that are built alike share one. Its signs are its own, so that a variant whose
    name we do not know gets the names, too.

    Attributes:
        signs: A component with one of these is laid out so.
        paths: The names that diffusers, transformers and trainers have for the weights.
    """

    signs: tuple[Sign, ...]
    paths: Callable[[Shapes], Paths]

    def fits(self, shapes: Shapes) -> bool:
        """Whether a component with weights of these ``shapes`` is laid out so."""
        return any(sign.fits(shapes) for sign in self.signs)


@dataclass(frozen=True, slots=True, eq=False)
class Clue:
    """Names of layers by which a LoRA file shows what it was made for.

    Attributes:
        pattern: Is searched for in all names of the file, one in a line.
        means: What messages call it where several architectures have such names; None if only one.
    """

    pattern: re.Pattern[str]
    means: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """All that we know of one architecture.

    Attributes:
        name: What messages call it.
        signs: The weights of a model of it: mostly one sign for the layout of its makers and one
            for that of diffusers. None if we know it only from files.
        layouts: The other names of its weights; none if they are called the same everywhere. Where
            two have the same name for different weights, the later one counts.
        stated: How the notes of a file begin that name it as the base model, in lower case.
        clues: How the names in a file give it away that states nothing.
        text_width: How wide the text is that it reads, where only that tells what a file is for.
        kin: The name of the architecture that it was made from. Notes make no sure difference
            between kin: a LoRA is trained on one and run on another.
        widened: The weight that control LoRAs (Black Forest Labs') widen, to take a picture beside the
            noise.
        head_banks: The layers in whose place PDD LoRAs (Parallel Decoding Distillation) have a bank
            of heads, one above the other, of which the host blends those that a step spans.
    """

    name: str
    signs: tuple[Sign, ...] = ()
    layouts: tuple[Layout, ...] = ()
    stated: tuple[str, ...] = ()
    clues: tuple[Clue, ...] = ()
    text_width: int | None = None
    kin: str | None = None
    widened: str | None = None
    head_banks: tuple[str, ...] = ()

    def fits(self, shapes: Shapes) -> bool:
        """Whether a component with weights of these ``shapes`` can be one of it."""
        return any(sign.fits(shapes) for sign in self.signs)

    def is_kin(self, other: Architecture) -> bool:
        """Whether both are the same, or come from the same."""
        return (self.kin or self.name) == (other.kin or other.name)

    def can_widen(self, weight: str) -> bool:
        """Whether control LoRAs widen the model's ``weight``."""
        return self.widened is not None and weight.endswith(self.widened)
