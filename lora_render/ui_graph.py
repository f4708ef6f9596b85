"""A workflow as ComfyUI's page saves it, read into values: nodes, links and subgraphs.

Root graphs write links as lists, subgraphs as objects; ids are numbers or texts. After this module they are all alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from lora_core.errors import LoraInputError

MUTED: Final = 2
BYPASSED: Final = 4
PRIMITIVE: Final = "PrimitiveNode"
REROUTE: Final = "Reroute"
NOTES: Final = frozenset(("Note", "MarkdownNote"))
VIRTUAL: Final = NOTES | {PRIMITIVE, REROUTE}
"""Nodes that only the page has; none of them is in a prompt."""

INPUTS_OF_GRAPH: Final = "-10"
OUTPUTS_OF_GRAPH: Final = "-20"
"""The ids that links of a subgraph use for its own inputs and outputs."""


@dataclass(frozen=True, slots=True)
class Slot:
    """An input or output, and the link that ends in it, if it is an input that has one."""

    name: str
    type: str
    link: int | None = None
    widget: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """From an output of a node to an input of another, both in the same graph."""

    origin: str
    origin_slot: int
    target: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node as it was saved.

    Attributes:
        values: The values of its widgets by place; a mapping where the node's pack saves one.
    """

    id: str
    type: str
    mode: int
    title: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    values: tuple[Any, ...] | Mapping[str, Any]
    properties: Mapping[str, Any]

    def __str__(self) -> str:
        return f"node {self.id} ({self.title or self.type})"


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a subgraph, and its links inside."""

    name: str
    type: str
    links: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The root, or the definition of a subgraph."""

    name: str
    nodes: Mapping[str, Node]
    links: Mapping[int, Link]
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()

    def link_of(self, slot: Slot) -> Link | None:
        """Returns the link that ends in an input; LoraInputError if the file has lost it."""
        if slot.link is None:
            return None
        if slot.link not in self.links:
            raise damaged(f'a link to the input "{slot.name}"', "no such link")
        return self.links[slot.link]


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved workflow: its root and the definitions of its subgraphs by id."""

    root: Graph
    subgraphs: Mapping[str, Graph]


def read_saved(workflow: Mapping[str, Any]) -> Saved:
    """Reads the JSON of a saved workflow; LoraInputError says what is wrong in it."""
    try:
        return _saved(workflow)
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, LoraInputError):
            raise
        raise damaged("numbers where the page writes some", error) from None


def _saved(workflow: Mapping[str, Any]) -> Saved:
    definitions = _mapping(workflow.get("definitions"), "definitions")
    subgraphs: dict[str, Graph] = {}
    for each in _list(definitions.get("subgraphs"), "subgraphs"):
        subgraphs[str(_mapping(each, "a subgraph").get("id"))] = _graph(each)
    return Saved(_graph(workflow), subgraphs)


def damaged(expected: str, found: object) -> LoraInputError:
    """Returns the error for a file that no page has written."""
    return LoraInputError(
        f"the workflow is damaged: expected {expected}, found {str(found)[:60]}",
        key="workflow",
        expected=expected,
        found=str(found)[:60],
    )


def _graph(saved: object) -> Graph:
    saved = _mapping(saved, "a graph")
    nodes = [_node(each) for each in _list(saved.get("nodes"), "nodes")]
    return Graph(
        str(saved.get("name", "")),
        {node.id: node for node in nodes},
        dict(_link(each) for each in _list(saved.get("links"), "links") if each is not None),
        tuple(_port(each) for each in _list(saved.get("inputs"), "inputs")),
        tuple(_port(each) for each in _list(saved.get("outputs"), "outputs")),
    )


def _node(saved: object) -> Node:
    saved = _mapping(saved, "a node")
    if "id" not in saved or not isinstance(saved.get("type"), str):
        raise damaged("a node with an id and a type", saved)
    values: Any = saved.get("widgets_values")
    if not isinstance(values, Mapping):
        values = tuple(_list(values, "values of widgets"))
    return Node(
        str(saved["id"]),
        saved["type"],
        int(saved.get("mode") or 0),
        str(saved.get("title") or ""),
        tuple(_slot(each) for each in _list(saved.get("inputs"), "inputs")),
        tuple(_slot(each) for each in _list(saved.get("outputs"), "outputs")),
        cast("tuple[Any, ...] | Mapping[str, Any]", values),
        _mapping(saved.get("properties"), "properties"),
    )


def _slot(saved: object) -> Slot:
    saved = _mapping(saved, "an input or output")
    link = saved.get("link")
    widget = saved.get("widget")
    name = _mapping(widget, "a widget").get("name") if widget else None
    return Slot(
        str(saved.get("name", "")),
        str(saved.get("type", "*")),
        None if link is None else int(link),
        None if name is None else str(name),
    )


def _link(saved: object) -> tuple[int, Link]:
    if isinstance(saved, list):
        parts = cast("list[Any]", saved)
        if len(parts) < 5:
            raise damaged("a link with five numbers", parts)
        number, origin, origin_slot, target = parts[:4]
    else:
        entry = _mapping(saved, "a link")
        try:
            number, origin = entry["id"], entry["origin_id"]
            origin_slot, target = entry["origin_slot"], entry["target_id"]
        except KeyError as missing:
            raise damaged("a link with its ends", f"none called {missing}") from None
    return int(number), Link(str(origin), int(origin_slot), str(target))


def _port(saved: object) -> Port:
    saved = _mapping(saved, "an input or output of a subgraph")
    links = tuple(int(each) for each in _list(saved.get("linkIds"), "links"))
    return Port(str(saved.get("name", "")), str(saved.get("type", "*")), links)


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise damaged(f"{what} as an object", value)
    return cast("Mapping[str, Any]", value)


def _list(value: object, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise damaged(f"{what} as a list", value)
    return cast("list[Any]", value)
