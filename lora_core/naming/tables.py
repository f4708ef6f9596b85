"""Reads tables of names: on the left a model's own name, on the right diffusers' name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from .targets import Shape, Target

Shapes: TypeAlias = Mapping[str, Shape]
"""The weights of one component, by name without the component's root."""

Paths: TypeAlias = Iterator[tuple[str, Target]]
"""Module paths and what they mean; the keys lack the component's root."""

# Black Forest Labs call a norm's weight its scale. A bare parameter has no ending.
_ENDINGS: Final = (".weight", ".scale", "")


def native_path(key: str) -> str:
    """Returns the path of the module that a weight belongs to, or the name of a bare parameter."""
    return key.removesuffix(".weight")


def scale_path(key: str) -> str:
    """Returns the same, if the weight is called a scale."""
    return key.removesuffix(".scale")


def renamed(
    shapes: Shapes,
    table: Mapping[str, str],
    native: str = "",
    diffusers: str = "",
    *,
    halves_swapped: bool = False,
) -> Paths:
    """Yields the rows of ``table`` that the model has, with ``native`` and ``diffusers`` before
    them."""
    for own, name in table.items():
        key = _key(shapes, native + own)
        if key is not None:
            yield diffusers + name, Target(key, halves_swapped=halves_swapped)


def fused(
    shapes: Shapes, table: Mapping[str, tuple[str, ...]], native: str, diffusers: str
) -> Paths:
    """Does what ``renamed`` does, for weights that hold several layers of equal height, one above
    the other."""
    for own, names in table.items():
        key = _key(shapes, native + own)
        if key is not None and shapes[key]:
            height = shapes[key][0] // len(names)
            for index, name in enumerate(names):
                yield diffusers + name, Target(key, rows=(index * height, height))


def divided(name: str, pieces: Sequence[Target], shapes: Shapes) -> Paths:
    """Yields the path of a layer whose rows, from top to bottom, belong to several targets."""
    rest: Target | None = None
    heights = [piece.rows[1] if piece.rows else shapes[piece.key][0] for piece in pieces]
    end = sum(heights)
    for piece, height in zip(reversed(pieces), reversed(heights), strict=True):
        end -= height
        rest = replace(piece, source=(end, height), rest=rest)
    if rest is not None:
        yield name, rest


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack of blocks that are built alike.

    Attributes:
        native: What the model puts before a block's number, such as "blocks.".
        diffusers: The same in diffusers.
        layers: Other names of a block's layers, by their own.
        fused: Other names of what a block's fused layers hold, all of equal height.
    """

    native: str
    diffusers: str
    layers: Mapping[str, str] = field(default_factory=dict[str, str])
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def paths(self, shapes: Shapes) -> Paths:
        """Yields the paths of every block that the model has."""
        for index in indices(shapes, self.native):
            native, diffusers = f"{self.native}{index}.", f"{self.diffusers}{index}."
            yield from renamed(shapes, self.layers, native, diffusers)
            yield from fused(shapes, self.fused, native, diffusers)


@dataclass(frozen=True, slots=True)
class Table:
    """Other names for the layers of an architecture, which are otherwise the same.

    Attributes:
        outer: Other names of the layers outside of the blocks, by their own.
        stacks: The blocks.
        modulation: The last modulation, which has shift over scale here, and scale over shift
            elsewhere.
    """

    outer: Mapping[str, str]
    stacks: tuple[Stack, ...]
    modulation: Mapping[str, str] = field(default_factory=dict[str, str])

    def paths(self, shapes: Shapes) -> Paths:
        """Yields the paths of every layer that the model has."""
        yield from renamed(shapes, self.outer)
        yield from renamed(shapes, self.modulation, halves_swapped=True)
        for stack in self.stacks:
            yield from stack.paths(shapes)


def indices(keys: Iterable[str], stack: str) -> list[str]:
    """Returns the numbers of the blocks in a stack such as "double_blocks."."""
    tails = (key[len(stack) :] for key in keys if key.startswith(stack))
    return list(dict.fromkeys(tail.partition(".")[0] for tail in tails))


def _key(shapes: Shapes, path: str) -> str | None:
    return next((path + ending for ending in _ENDINGS if path + ending in shapes), None)
