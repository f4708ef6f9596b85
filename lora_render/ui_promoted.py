"""Values that a subgraph node shows of the nodes inside of it, and keeps itself.

Since page 1.46 the subgraph node has its own values, so two nodes of one subgraph may differ. Files of earlier pages list what is shown
as ``proxyWidgets``, and say the values there or only inside. Both are read as the newer page reads them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, cast

from lora_core.errors import LoraInputError

from .ui_flat import Flat, Place
from .ui_graph import PRIMITIVE

_PREFIX: Final = re.compile(r"\s*\d+\s*:\s*(.+)", re.DOTALL)
OF_THE_NODE: Final = "-1"
"""In the place of a node's id: an input of the subgraph node itself."""


def keep_promoted(flat: Flat) -> None:
    """Writes the values that subgraph nodes keep into a workflow, the innermost nodes first."""
    for place in sorted(flat.places.values(), key=lambda each: -len(each.path)):
        if place.inside is not None and place.is_unfolded:
            _keep(flat, place)


def _keep(flat: Flat, place: Place) -> None:
    if place.node.properties.get("proxyWidgetErrorQuarantine"):
        raise _refused(place, "values that the page could not place")
    values = place.node.values
    if not isinstance(values, tuple):
        raise _refused(place, "values by names")
    shown = [number for number in range(len(place.inputs)) if flat.shown(place, number)]
    for number, value in zip(shown, values, strict=False):
        if value is not None:
            flat.hosts[place.id, number] = value
    entries = cast("Sequence[Sequence[Any]]", place.node.properties.get("proxyWidgets") or ())
    for entry, value in zip(entries, values, strict=False):
        if value is not None:
            _keep_entry(flat, place, str(entry[0]), str(entry[1]), value)


def _keep_entry(flat: Flat, place: Place, node_id: str, name: str, value: Any) -> None:
    number = _input_for(flat, place, node_id, name)
    if number is not None:
        flat.hosts[place.id, number] = value
        return
    inner = flat.places.get(f"{place.id}:{node_id}")
    if inner is None or name.startswith("$$"):
        return
    if inner.node.type == PRIMITIVE:  # the page moves its links, and not always to the right inputs
        raise _refused(place, "the value of a primitive")
    if inner.inside is not None:
        _keep_nested(flat, inner, name, value)
    elif inner.widget(name):
        flat.inner[inner.id, name] = value


def _keep_nested(flat: Flat, inner: Place, name: str, value: Any) -> None:
    found = _PREFIX.fullmatch(name)
    names = {name, found[1]} if found else {name}
    numbers = [
        number
        for number, slot in enumerate(inner.inputs)
        if slot.name in names and flat.shown(inner, number)
    ]
    if len(numbers) != 1:
        raise _refused(inner, f'"{name}" from further inside')
    flat.hosts[inner.id, numbers[0]] = value


def _input_for(flat: Flat, place: Place, node_id: str, name: str) -> int | None:
    """Returns the input of a subgraph node that shows a widget inside of it."""
    for number, port in enumerate(place.inside.inputs if place.inside else ()):
        if not flat.shown(place, number):
            continue
        if node_id == OF_THE_NODE and port.name == name:
            return number
        ends = [flat.target(place, link) for link in port.links]
        first = next((end for end in ends if end), None)
        if first and first[0].node.id == node_id and first[0].inputs[first[1]].name == name:
            return number
    return None


def _refused(place: Place, found: str) -> LoraInputError:
    return LoraInputError(
        f"{place.node} keeps {found}, which cannot be read exactly. Open the workflow in ComfyUI and save it with "
        "Export (API).",
        key="proxyWidgets",
        expected="values of its inputs",
        found=found,
    )
