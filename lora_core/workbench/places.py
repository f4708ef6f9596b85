"""Where in a model a layer is, also if only its name in a file is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from ..matching import ModelView
from ..naming import BlockNames

Place: TypeAlias = tuple[str, int]
"""A list of blocks, and the number of a block in it."""

OUTSIDE: Final[Place] = ("", 0)
"""The place of layers that are in no block."""

OTHER: Final = "other"
"""The kind of layers that have none."""

_SPECIAL_FIRST: Final = ("cross attn", "norm", "mod", "conv", "fused", "attn", "ff")
"""Kinds in the order in which a layer that has several is called by one: a norm of an attention is a
norm here."""


def places_in(view: ModelView) -> Callable[[str], tuple[Place, str]]:
    """Returns a function that tells the place and the kind of a weight of a model."""
    by_name = BlockNames(view.base)

    def place_of(key: str) -> tuple[Place, str]:
        layer = view.layers.get(key)
        if layer is not None and layer.block:
            return (layer.block, layer.index), _first(layer.kinds)
        name = key.removesuffix(".weight").removesuffix(".bias")
        return by_name.find(name) or OUTSIDE, _first(by_name.kinds(name))

    return place_of


def _first(kinds: frozenset[str]) -> str:
    return next((kind for kind in _SPECIAL_FIRST if kind in kinds), OTHER)
