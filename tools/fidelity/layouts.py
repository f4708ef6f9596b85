"""The names and shapes of small models of every architecture, as ``tools.dump_layouts`` found them.

The file has a line for each. Names are kept as trees, cut at their dots. Names that the host makes
by rule (its own name after ``diffusion_model.`` or ``lora_unet_``) are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "tests" / "data" / "layouts.json"

Shape = tuple[int, ...]
HostTarget = tuple[str, tuple[int, int] | None, bool]
"""A weight, the rows of it (start, length), and whether its halves are swapped."""


@dataclass(frozen=True)
class Layout:
    """One model.

    Attributes:
        host_class: The class that the host's key map looks at; None for text encoders.
        shapes: The shape of every weight, by the host's names.
        layers: The weights of linear layers and convolutions, without ``.weight``.
        names: The host's own names for LoRA layers.
        diffusers_class: Its class in diffusers, None if it has none.
        diffusers: The shapes of its linear layers and convolutions there.
    """

    name: str
    host_class: str | None
    shapes: Mapping[str, Shape]
    layers: tuple[str, ...]
    names: Mapping[str, HostTarget]
    diffusers_class: str | None
    diffusers: Mapping[str, Shape]


@cache
def layouts() -> dict[str, Layout]:
    """Returns the denoisers, by architecture."""
    return {name: _layout(name, entry) for name, entry in _read()["models"].items()}


@cache
def text_layouts() -> dict[str, Layout]:
    """Returns the text encoders, by architecture."""
    return {name: _layout(name, entry) for name, entry in _read()["texts"].items()}


@cache
def _read() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def _layout(name: str, entry: Mapping[str, Any]) -> Layout:
    shapes = {key: tuple(shape) for key, shape in leaves(entry["weights"])}
    other = set(entry["no_layers"])
    weights = [key for key in shapes if key.endswith(".weight") and len(shapes[key]) > 1]
    diffusers = entry.get("diffusers", {})
    return Layout(
        name=name,
        host_class=entry.get("class"),
        shapes=shapes,
        layers=tuple(key.removesuffix(".weight") for key in weights if key not in other),
        names=dict(_names(shapes, entry["names"], entry.get("class") is not None)),
        diffusers_class=diffusers.get("class"),
        diffusers={path: tuple(shape) for path, shape in leaves(diffusers.get("layers", {}))},
    )


def by_rule(key: str, denoiser: bool) -> Iterator[str]:
    """Yields the host's names for a weight that are the same for every model."""
    if not denoiser:
        if key.endswith(".weight"):
            yield f"text_encoders.{key.removesuffix('.weight')}"
        return
    yield key.removesuffix(".weight")
    if key.endswith(".weight"):
        path = key.removeprefix("diffusion_model.").removesuffix(".weight")
        yield f"lora_unet_{path.replace('.', '_')}"


def _names(
    shapes: Mapping[str, Shape], groups: list[dict[str, Any]], denoiser: bool
) -> Iterator[tuple[str, HostTarget]]:
    keys = list(shapes)
    for key in keys:
        yield from ((name, (key, None, False)) for name in by_rule(key, denoiser))
    for group in groups:
        for path, leaf in leaves(group["paths"]):
            index, *rows = leaf if isinstance(leaf, list) else [leaf]
            cut = (rows[0], rows[1]) if rows and rows[1] else None
            target = (keys[index], cut, "swapped" in rows)
            yield from ((prefix + path, target) for prefix in group["dotted"])
            yield from ((p + path.replace(".", "_"), target) for p in group["underscored"])


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the leaves of a tree by their dotted names; "" is the branch itself."""
    if not isinstance(tree, dict):
        yield path, tree
        return
    for part, branch in tree.items():
        yield from leaves(branch, ".".join(filter(None, (path, part))))


def tree(items: Mapping[str, Any]) -> dict[str, Any]:
    """Reverses ``leaves``."""
    root: dict[str, Any] = {}
    for path, leaf in items.items():
        at = root
        *branches, last = path.split(".")
        for part in branches:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise ValueError(f"{path} lies below a leaf")
        if isinstance(at.get(last), dict):
            at[last][""] = leaf
        else:
            at[last] = leaf
    return root
