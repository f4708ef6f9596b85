"""Reading a table of names: on the left a model's own, on the right what diffusers calls it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from ..targets import Shape, Target

Shapes: TypeAlias = Mapping[str, Shape]
"""The weights of one component, by name without the component's root."""

Paths: TypeAlias = Iterator[tuple[str, Target]]
"""Module paths and what they mean; the keys lack the component's root."""

# Black Forest Labs call a norm's weight its scale. A bare parameter has no ending.
_ENDINGS: Final = (".weight", ".scale", "")


def native_path(key: str) -> str:
    """The path of the module that a weight belongs to, or the name of a bare parameter."""
    return key.removesuffix(".weight")


def renamed(
    shapes: Shapes,
    table: Mapping[str, str],
    native: str = "",
    diffusers: str = "",
    *,
    halves_swapped: bool = False,
) -> Paths:
    """The rows of ``table`` that the model has, ``native`` and ``diffusers`` put in front."""
    for own, name in table.items():
        key = _key(shapes, native + own)
        if key is not None:
            yield diffusers + name, Target(key, halves_swapped=halves_swapped)


def fused(
    shapes: Shapes, table: Mapping[str, tuple[str, ...]], native: str, diffusers: str
) -> Paths:
    """As ``renamed``, for weights that hold several layers of equal height, one above the other."""
    for own, names in table.items():
        key = _key(shapes, native + own)
        if key is not None and shapes[key]:
            height = shapes[key][0] // len(names)
            for index, name in enumerate(names):
                yield diffusers + name, Target(key, rows=(index * height, height))


def indices(keys: Iterable[str], stack: str) -> list[str]:
    """The numbers of the blocks in a stack such as "double_blocks."."""
    tails = (key[len(stack) :] for key in keys if key.startswith(stack))
    return list(dict.fromkeys(tail.partition(".")[0] for tail in tails))


def _key(shapes: Shapes, path: str) -> str | None:
    return next((path + ending for ending in _ENDINGS if path + ending in shapes), None)
