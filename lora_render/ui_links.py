"""Where the value of an input comes from, through reroutes, bypassed nodes and the borders of subgraphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lora_core.errors import LoraInputError

from .ui_flat import Flat, Place
from .ui_graph import (
    BYPASSED,
    INPUTS_OF_GRAPH,
    MUTED,
    OUTPUTS_OF_GRAPH,
    PRIMITIVE,
    VIRTUAL,
    Graph,
    damaged,
)

ANY = ("*", "", "0")


@dataclass(frozen=True, slots=True)
class FromNode:
    """An output of a node."""

    id: str
    slot: int


@dataclass(frozen=True, slots=True)
class Plain:
    """A value that a subgraph node shows."""

    value: Any


Source = FromNode | Plain


def source_of(
    flat: Flat,
    place: Place,
    number: int,
    kind: str | None = None,
    seen: frozenset[str] = frozenset(),
) -> Source | None:
    """Returns what an input gets; None if nothing.

    Args:
        flat: The workflow.
        place: The node.
        number: Which of its inputs.
        kind: The type that is asked for at the end, if it is not that of the input.
        seen: The inputs and outputs on the way here.

    Raises:
        LoraInputError: The links go round in a circle, or the page decides by what it alone knows.
    """
    seen = _once(seen, f"{place.id} input {number}")
    slot = place.inputs[number]
    link = place.graph.link_of(slot)
    if link is None:
        return None
    if link.origin == INPUTS_OF_GRAPH and place.path:
        return _from_outside(flat, place, link.origin_slot, seen)
    origin = flat.at(place.path, link.origin)
    if origin.node.type == PRIMITIVE and place.inside is not None:
        raise LoraInputError(
            f"{place.node}: a primitive is linked to {slot.name!r}. What that means depends on the version of ComfyUI's "
            "page. Type the value on the node instead.",
            key=slot.name,
            expected="a value",
            found=PRIMITIVE,
        )
    return _output_of(flat, origin, link.origin_slot, kind or slot.type, seen)


def _from_outside(flat: Flat, place: Place, number: int, seen: frozenset[str]) -> Source | None:
    host = flat.at(place.path[:-1], place.path[-1])
    if number >= len(host.inputs):
        raise damaged("an input of the subgraph", f"none with the number {number}")
    if host.inputs[number].link is not None:
        return source_of(flat, host, number, None, seen)
    shown = flat.shown(host, number)
    return Plain(shown.value) if shown else None


def _output_of(
    flat: Flat, place: Place, slot: int, kind: str, seen: frozenset[str]
) -> Source | None:
    seen = _once(seen, f"{place.id} output {slot}")
    if place.node.mode == MUTED:
        return None
    if place.node.mode == BYPASSED:
        number = _bypass(place, slot, kind)
        return None if number is None else source_of(flat, place, number, None, seen)
    if place.inside is not None:
        return _from_inside(flat, place, place.inside, slot, kind, seen)
    if place.node.type in VIRTUAL:
        return source_of(flat, place, slot, kind, seen) if slot < len(place.inputs) else None
    return FromNode(place.id, slot)


def _from_inside(
    flat: Flat, place: Place, inside: Graph, slot: int, kind: str, seen: frozenset[str]
) -> Source | None:
    if slot >= len(inside.outputs):
        raise damaged("an output of the subgraph", f"none with the number {slot}")
    for link_id in inside.outputs[slot].links[:1]:
        link = inside.links.get(link_id)
        if link is None or link.target != OUTPUTS_OF_GRAPH:
            raise damaged("a link to the output of a subgraph", "no such link")
        if link.origin == INPUTS_OF_GRAPH:
            return source_of(flat, place, link.origin_slot, None, seen)
        origin = flat.at((*place.path, place.node.id), link.origin)
        return _output_of(flat, origin, link.origin_slot, kind, seen)
    return None


def _bypass(place: Place, slot: int, kind: str) -> int | None:
    """Returns the input that a bypassed node gives instead of an output: one of a matching type."""
    inputs = [each.type for each in place.inputs]
    if kind in ANY:
        return slot if slot < len(inputs) else (0 if inputs else None)
    own = place.outputs[slot] if slot < len(place.outputs) else "*"
    fits = [_connects(each, own) and _connects(each, kind) for each in inputs]
    if slot < len(inputs) and fits[slot]:
        return slot
    if kind in inputs:
        return inputs.index(kind)
    return fits.index(True) if True in fits else None


def _connects(one: str, other: str) -> bool:
    if one in ANY or other in ANY:
        return True
    return bool({*one.lower().split(",")} & {*other.lower().split(",")})


def _once(seen: frozenset[str], step: str) -> frozenset[str]:
    if step in seen:
        raise damaged("links that end", "links in a circle")
    return seen | {step}
