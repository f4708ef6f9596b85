"""A saved workflow with its subgraphs unfolded: every node at its place, and which value each widget has there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lora_core.errors import LoraError, LoraInputError

from .ui_graph import (
    BYPASSED,
    INPUTS_OF_GRAPH,
    MUTED,
    PRIMITIVE,
    VIRTUAL,
    Graph,
    Node,
    Port,
    Saved,
    Slot,
    damaged,
)
from .ui_widgets import MATCHING, Made, Spec, Widget, make

GROUPS = ("workflow/", "workflow>")
"""How the types of group nodes begin, which were there before subgraphs."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node in the unfolded workflow.

    Attributes:
        path: The ids of the subgraph nodes that it is in, the outermost first.
        graph: The graph that its links are in.
        inputs: Its inputs as the page has them: those of its definition, then others that were saved.
        outputs: The types of its outputs.
        inside: The definition, if it is a subgraph node.
    """

    path: tuple[str, ...]
    graph: Graph
    node: Node
    inputs: tuple[Slot, ...]
    outputs: tuple[str, ...]
    widgets: tuple[Widget, ...] = ()
    is_known: bool = True
    inside: Graph | None = None

    @property
    def id(self) -> str:
        """What the prompt calls it."""
        return ":".join((*self.path, self.node.id))

    @property
    def runs(self) -> bool:
        """Whether it is in the prompt."""
        is_on = self.node.mode not in (MUTED, BYPASSED)
        return is_on and self.inside is None and self.node.type not in VIRTUAL

    @property
    def is_unfolded(self) -> bool:
        """Whether it is a subgraph node whose nodes have places; in one that is off they have none."""
        is_on = bool(self.path) or self.node.mode not in (MUTED, BYPASSED)
        return self.inside is not None and is_on

    def widget(self, name: str) -> Widget | None:
        """Returns a widget by its name."""
        return next((each for each in self.widgets if each.name == name), None)


class Flat:
    """The unfolded workflow.

    ``hosts`` has the values that a subgraph node shows and keeps itself, by its place and the number of the input;
    ``inner`` those that it keeps for widgets inside, by their place and name.
    """

    def __init__(self, saved: Saved, object_info: Mapping[str, Any]) -> None:
        self.saved = saved
        self.info = object_info
        self.places: dict[str, Place] = {}
        self.hosts: dict[tuple[str, int], Any] = {}
        self.inner: dict[tuple[str, str], Any] = {}
        self._add(saved.root, ())

    def at(self, path: Sequence[str], node_id: str) -> Place:
        """Returns the place of a node; LoraInputError if a link leads to none."""
        place = self.places.get(":".join((*path, node_id)))
        if place is None:
            raise damaged("links between its nodes", f"one to a missing node {node_id}")
        return place

    def value(self, place: Place, widget: Widget) -> Any:
        """Returns the value of a widget: that of a primitive linked to it, or its own."""
        if (place.id, widget.name) in self.inner:
            return self.inner[place.id, widget.name]
        slot = next((each for each in place.inputs if each.name == widget.name), None)
        link = place.graph.link_of(slot) if slot else None
        if link is None or link.origin == INPUTS_OF_GRAPH or widget.spec is None:
            return widget.value
        origin = self.at(place.path, link.origin)
        if origin.node.type != PRIMITIVE:
            return widget.value
        return _rounded(widget.spec, self.primitive(origin, widget.value))

    def primitive(self, place: Place, otherwise: Any = None) -> Any:
        """Returns the value of a primitive; ``otherwise`` if it has none of its own."""
        values = place.node.values
        own = values[0] if isinstance(values, tuple) and values else otherwise
        if place.node.properties.get("Run widget replace on values") and "%" in str(own):
            raise LoraInputError(
                f"{place.node}: it writes values of other nodes into its text, which only the page can do.",
                key=PRIMITIVE,
                expected="a plain value",
                found=str(own)[:40],
            )
        return own

    def shown(self, place: Place, number: int) -> Widget | None:
        """Returns the widget that a subgraph node shows for one of its inputs, with its value there."""
        ports = place.inside.inputs if place.inside else ()
        for link_id in ports[number].links if number < len(ports) else ():
            found = self._behind(place, link_id)
            if found:
                value = self.hosts.get((place.id, number), found.value)
                return Widget(ports[number].name, value, found.spec)
        return None

    def target(self, place: Place, link_id: int) -> tuple[Place, int] | None:
        """Returns where a link of the inputs of a subgraph node ends inside of it: a place and its input."""
        link = place.inside.links.get(link_id) if place.inside else None
        inner = self.places.get(f"{place.id}:{link.target}") if link else None
        for number, slot in enumerate(inner.inputs if inner else ()):
            if inner and slot.link == link_id:
                return inner, number
        return None

    def _behind(self, place: Place, link_id: int) -> Widget | None:
        end = self.target(place, link_id)
        if end is None:
            return None
        inner, number = end
        if inner.inside is not None:
            return self.shown(inner, number)
        widget = inner.widget(inner.inputs[number].name)
        return Widget(widget.name, self.value(inner, widget), widget.spec) if widget else None

    def _add(self, graph: Graph, path: tuple[str, ...], within: tuple[str, ...] = ()) -> None:
        for node in graph.nodes.values():
            inside = self.saved.subgraphs.get(node.type)
            place = (
                self._node(graph, node, path)
                if inside is None
                else _instance(graph, node, path, inside)
            )
            self.places[place.id] = place
            if inside is not None and place.is_unfolded:
                if node.type in within:
                    raise damaged("subgraphs that end", f"one in itself: {node}")
                self._add(inside, (*path, node.id), (*within, node.type))

    def _node(self, graph: Graph, node: Node, path: tuple[str, ...]) -> Place:
        definition = self.info.get(node.type)
        if definition is None:
            _check_unknown(node)
            outputs = tuple(slot.type for slot in node.outputs)
            return Place(path, graph, node, node.inputs, outputs, is_known=False)
        made = _made(node, definition)
        if made is None:
            outputs = tuple(slot.type for slot in node.outputs)
            return Place(path, graph, node, node.inputs, outputs)
        slots = [Slot(name, kind) for name, kind in made.inputs]
        outputs = [
            "*" if kind == MATCHING else _kind(kind) for kind in definition.get("output") or ()
        ]
        outputs += [slot.type for slot in node.outputs[len(outputs) :]]
        return Place(path, graph, node, _merged(slots, node.inputs), tuple(outputs), made.widgets)


def _made(node: Node, definition: Mapping[str, Any]) -> Made | None:
    """Returns what the page makes of a node; None if it is off and nobody knows."""
    try:
        return make(node, definition)
    except LoraError:
        if node.mode in (MUTED, BYPASSED):
            return None
        raise


def _instance(graph: Graph, node: Node, path: tuple[str, ...], inside: Graph) -> Place:
    slots = [_slot(port) for port in inside.inputs]
    known = {slot.name for slot in slots}
    saved = tuple(slot for slot in node.inputs if slot.name in known)
    outputs = tuple(port.type for port in inside.outputs)
    return Place(path, graph, node, _merged(slots, saved), outputs, inside=inside)


def _slot(port: Port) -> Slot:
    return Slot(port.name, port.type)


def _merged(slots: Sequence[Slot], saved: Sequence[Slot]) -> tuple[Slot, ...]:
    """Returns the inputs of a definition with the links that were saved for their names, then the others."""
    by_name = {slot.name: slot for slot in saved}
    names = {slot.name for slot in slots}
    linked = [Slot(slot.name, slot.type, by_name.get(slot.name, slot).link) for slot in slots]
    return (*linked, *(slot for slot in saved if slot.name not in names))


def _check_unknown(node: Node) -> None:
    if node.type in VIRTUAL or node.mode in (MUTED, BYPASSED):
        return
    is_group = node.type.startswith(GROUPS)
    what = (
        "is a group node, which newer pages have no more. Open the workflow in ComfyUI and turn it into a subgraph"
        if is_group
        else f'has the type "{node.type}", which this ComfyUI does not know. Its pack is missing, or only the page has it'
    )
    raise LoraInputError(
        f"{node} {what}.", key=node.type, expected="a type that ComfyUI knows", found=node.type
    )


def _kind(kind: Any) -> str:
    return "COMBO" if isinstance(kind, list) else str(kind)


def _rounded(spec: Spec, value: Any) -> Any:
    """Returns a value as the widget takes it from a primitive: in its steps."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if spec.type == "INT":
        step = spec.options.get("step") or 1
        offset = 0 if step == 1 else math.fmod(spec.options.get("min") or 0, step)
        return (
            math.floor((value - offset) / step + 0.5) * step + offset
            if step != 1
            else _half_up(value)
        )
    if spec.type == "FLOAT":
        return _in_float_steps(spec, value)
    return value


def _half_up(value: float) -> int:
    return value if isinstance(value, int) else math.floor(value + 0.5)


def _in_float_steps(spec: Spec, value: float) -> float:
    step = spec.options.get("step") or 0.5
    digits = max(0, -math.floor(math.log10(step)))
    unit = spec.options.get("round") or (10.0**-digits if digits else None)
    if not unit:
        return value
    rounded = round(math.floor(value / unit + 0.5) * unit, digits)
    low, high = spec.options.get("min", 0), spec.options.get("max", 2048)
    return min(max(rounded, low), high)
