"""What a name in a LoRA file points to: a weight of the model, or some rows of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

Part = Literal["model", "clip"]
"""Which of a recipe's two strengths applies: the denoiser's or the text encoders'."""

Shape = tuple[int, ...]

Rows = tuple[int, int] | None
"""(start, length) along the first dimension; None for all of them."""


@dataclass(frozen=True, slots=True)
class Target:
    """A weight of the model, perhaps a slice of it.

    Attributes:
        key: The weight's name in the model.
        part: Which strength applies to it.
        rows: (start, length) along the first dimension, if the model fuses several layers into one
            weight (q/k/v); None for the whole weight.
        halves_swapped: Whether the file stores the two halves of the rows in the opposite order
            (diffusers' scale/shift of the last modulation).
        source: (start, length), the rows of the file's layer that are meant; None for all of them.
        rest: Where the file's other rows belong, if the model splits a layer that the file has as
            one.
    """

    key: str
    part: Part = "model"
    rows: tuple[int, int] | None = None
    halves_swapped: bool = False
    source: tuple[int, int] | None = None
    rest: Target | None = None

    def pieces(self) -> Iterator[Target]:
        """Yields this target, and those of the file's other rows."""
        if self.rest is None:
            yield self
            return
        piece: Target | None = self
        while piece is not None:
            yield replace(piece, rest=None)
            piece = piece.rest

    def holds(self, row: int) -> bool:
        """Tells whether a row of the weight is one of its own."""
        return self.rows is None or self.rows[0] <= row < self.rows[0] + self.rows[1]

    def meets(self, other: Target) -> bool:
        """Tells whether both have rows in common, if they are of one weight."""
        if self.rows is None or other.rows is None:
            return True
        (first, length), (second, other_length) = self.rows, other.rows
        return first < second + other_length and second < first + length

    def named(self, name: Callable[[str], str], part: Part | None = None) -> Target:
        """Returns the same target with keys that ``name`` makes of the present ones, and perhaps as
        another part."""
        rest = self.rest and self.rest.named(name, part)
        return replace(self, key=name(self.key), part=part or self.part, rest=rest)

    def bias(self) -> Target:
        """Returns the bias that belongs to this weight, cut the same way."""
        return self.named(_bias)


def _bias(weight: str) -> str:
    for end, other in ((".weight", ".bias"), ("_weight", "_bias")):
        if weight.endswith(end):
            return weight[: -len(end)] + other
    return weight + ".bias"


class Names(Protocol):
    """Finds what a name in a file means for one model."""

    def find(self, name: str) -> Target | None:
        """Returns the target of a file's module name, or None if the model has no such name."""
        ...


_TEXT_ENCODER: Final = re.compile(
    r"lora_(te\d*|prior_te)_|text_encoders?(_\d)?\.|te\d*\.|clip_[lgh]\.|t5xxl\."
    r"|(base_model\.model\.|lycoris_)?text_model[._]"
)


def part_of(name: str) -> Part:
    """Returns the part that a file's name means, from its prefix alone."""
    return "clip" if _TEXT_ENCODER.match(name) else "model"
