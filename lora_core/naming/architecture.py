"""All that we know about one architecture, in one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from .tables import Paths, Shapes
from .targets import Shape

_CONTEXT: Final = ".attn2.to_k.weight"
"""The end of the name of a UNet's weight that reads the text; its last dimension is the text's
width."""


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """Weights that show what a component is.

    Attributes:
        has: The component has all of these weights,
        lacks: none of these,
        shapes: these in exactly this shape,
        reads: its cross attention reads text of one of these widths, if any are given,
        never_reads: and of none of these.
    """

    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    reads: tuple[int, ...] = ()
    never_reads: tuple[int, ...] = ()

    def fits(self, shapes: Shapes) -> bool:
        """Tells whether a component with weights of these ``shapes`` has this sign."""
        return (
            all(weight in shapes for weight in self.has)
            and not any(weight in shapes for weight in self.lacks)
            and all(shapes.get(weight) == shape for weight, shape in self.shapes.items())
            and (not self.reads or _text_width(shapes) in self.reads)
            and not (self.never_reads and _text_width(shapes) in self.never_reads)
        )


def _text_width(shapes: Shapes) -> int | None:
    return next((shape[-1] for key, shape in shapes.items() if key.endswith(_CONTEXT)), None)


def has(*weights: str) -> Sign:
    """Returns the sign of a component that has all of these ``weights``."""
    return Sign(weights)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Other names for the weights of a component that is laid out in a certain way.

    Architectures that are built alike share one. It has its own signs, so that a variant with a
    name we do not know gets the names, too.

    Attributes:
        signs: A component with one of these has this layout.
        paths: The names that diffusers, transformers and trainers use for the weights.
    """

    signs: tuple[Sign, ...]
    paths: Callable[[Shapes], Paths]

    def fits(self, shapes: Shapes) -> bool:
        """Tells whether a component with weights of these ``shapes`` has this layout."""
        return any(sign.fits(shapes) for sign in self.signs)


@dataclass(frozen=True, slots=True, eq=False)
class Clue:
    """Names of layers by which a LoRA file shows what it was made for.

    Attributes:
        pattern: A pattern that is searched for in all names of the file, one per line.
        means: What messages call it if several architectures have such names; None if only one has.
        alike: Whether all of these call their blocks alike.
    """

    pattern: re.Pattern[str]
    means: str | None = None
    alike: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class BlockList:
    """A list of blocks, as people call it.

    Attributes:
        name: Its name in the singular, such as "double".
        paths: What the names of its layers begin with, up to the block's number: in the model's own
            layout, and in that of diffusers. Empty if it is one block without a number.
        places: The numbers of blocks that have none in their layers' names, or another one, by what
            these names begin with.
        part: The part of the picture's or text's side that its layers belong to if their names do
            not say it; None if most belong to none.
        count: How many blocks every model of the architecture has; None if models differ, or if
            nobody has counted.
    """

    name: str
    paths: tuple[str, ...] = ()
    places: Mapping[str, int] = field(default_factory=dict[str, int])
    part: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trait:
    """What layers are whose names do not say it by the general rules of ``blocks``.

    Attributes:
        pattern: A pattern that is searched for in the path of a layer.
        names: The kinds and parts of such layers.
    """

    pattern: re.Pattern[str]
    names: tuple[str, ...]


def trait(pattern: str, *names: str) -> Trait:
    """Returns the trait of layers with ``pattern`` in their path."""
    return Trait(re.compile(pattern), names)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Where the picture is in what the layers of a model read.

    A layer reads the picture alone, or behind the text; references stand next to the picture.

    Attributes:
        patch: How many cells of the latent image one token covers, with the frames of a video in
            front; None if a model has several sizes of picture and says which (UNets).
        apart: A pattern for the paths of layers that read no picture: text, time, vectors.
        joined: A pattern for the paths of layers that read the text and behind it the picture; None
            if there are none.
        multiple: The tokens of the picture are filled up to a multiple of this number.
        before, after: The host's names for references that stand in front of the picture and behind
            it.
    """

    patch: tuple[int, ...] | None
    apart: re.Pattern[str]
    joined: re.Pattern[str] | None = None
    multiple: int = 1
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """All that we know about one architecture.

    Attributes:
        name: What messages call it.
        signs: The weights of its models: mostly one sign for the layout of its makers and one for
            that of diffusers. None if we know it only from files.
        layouts: The other names of its weights; none if they are the same everywhere. If two have
            the same name for different weights, the later one counts.
        stated: How the metadata of a file begins that names it as the base model, in lower case.
        clues: How the names in a file show it if the metadata states nothing.
        text_width: The width of the text that it reads, if only that shows what a file is for.
        kin: The name of the architecture that it was made from. Metadata does not reliably tell
            them apart: a LoRA is trained on one and run on another.
        widened: The weight that control LoRAs (Black Forest Labs') widen, to read a picture
            together with the noise.
        head_banks: The layers that PDD LoRAs (Parallel Decoding Distillation) replace with a bank
            of heads, one above the other. The host blends the heads that a step spans.
        blocks: Its lists of blocks, in the order in which it runs them. Numbered lists that are
            not here are no blocks.
        traits: What some of its layers are, against the general rules; the first that says a kind
            counts, and the first that says a part.
        tokens: Where the picture is in what its layers read; None if we do not know.
        in_diffusers: What is in the paths of diffusers' own class, where files spell a weight in
            several ways; the first that is in one counts. ^ stands for the beginning.
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
    blocks: tuple[BlockList, ...] = ()
    traits: tuple[Trait, ...] = ()
    tokens: Tokens | None = None
    in_diffusers: tuple[str, ...] = ()

    def fits(self, shapes: Shapes) -> bool:
        """Tells whether a component with weights of these ``shapes`` can be this architecture."""
        return any(sign.fits(shapes) for sign in self.signs)

    def is_kin(self, other: Architecture) -> bool:
        """Tells whether both are the same, or come from the same one."""
        return (self.kin or self.name) == (other.kin or other.name)

    def can_widen(self, weight: str) -> bool:
        """Tells whether control LoRAs widen the model's ``weight``."""
        return self.widened is not None and weight.endswith(self.widened)
