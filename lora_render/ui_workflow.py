"""Turns a workflow as ComfyUI's page saves it into a prompt, by the page's own rules.

A prompt has the nodes that run, their values, and links between them. What only the page knows is worked out here: reroutes,
primitives, muted and bypassed nodes, and subgraphs, whose nodes are called ``SUBGRAPH NODE:NODE``. A workflow for which that cannot
be exact is refused with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from lora_core.errors import LoraError, LoraInputError

from .item import Prompt
from .page_texts import PREFIX, SAVERS, file_prefix, without_choices
from .ui_flat import Flat, Place
from .ui_graph import Saved, damaged, read_saved
from .ui_links import Plain, source_of
from .ui_promoted import keep_promoted
from .ui_widgets import ROWS, Spec, Widget, as_rows, prompt_widgets

OLD_SAMPLERS: Final = ("KSampler", "KSamplerAdvanced")
OLD_PREFIX: Final = "sample_"
NAME: Final = "Node name for S&R"
"""The property by which a node is called in names of files."""


def convert(workflow: Mapping[str, Any], object_info: Mapping[str, Any]) -> Prompt:
    """Returns the prompt that the page would send for a saved workflow.

    Args:
        workflow: The JSON that the page saves.
        object_info: What the host says of its nodes (``/object_info``).

    Raises:
        LoraInputError: The file is damaged, or the prompt depends on something that only the page knows.
    """
    saved = read_saved(workflow)
    try:
        prompt = _prompt(saved, object_info)
    except RecursionError:
        raise damaged("fewer nodes in a row", "hundreds") from None
    if not prompt:
        raise LoraInputError("the workflow has no node that runs.", expected="nodes", found="none")
    return prompt


def _prompt(saved: Saved, object_info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    flat = Flat(saved, object_info)
    keep_promoted(flat)
    return {place.id: _entry(flat, place) for place in flat.places.values() if place.runs}


def _entry(flat: Flat, place: Place) -> dict[str, Any]:
    inputs = {
        widget.name: _sent(flat, place, widget, spec)
        for widget, spec in prompt_widgets(place.widgets)
    }
    for number, slot in enumerate(place.inputs):
        source = source_of(flat, place, number)
        if isinstance(source, Plain):
            inputs[slot.name] = _wrapped(source.value)
        elif source is not None:
            inputs[slot.name] = [source.id, source.slot]
    title = place.node.title or flat.info[place.node.type].get("display_name") or place.node.type
    return {"inputs": inputs, "class_type": place.node.type, "_meta": {"title": title}}


def _sent(flat: Flat, place: Place, widget: Widget, spec: Spec) -> Any:
    """Returns the value of a widget as the page sends it."""
    value = flat.value(place, widget)
    if spec.type == ROWS:
        return as_rows(place.node, value)
    if isinstance(value, str):
        return _sent_text(flat, place, spec, value)
    return _wrapped(value)


def _sent_text(flat: Flat, place: Place, spec: Spec, text: str) -> str:
    kind = place.node.type
    try:
        if spec.options.get("dynamicPrompts"):
            return without_choices(text)
        if spec.name == PREFIX and kind in SAVERS:
            return file_prefix(text, lambda name, widget: _called(flat, name, widget))
    except LoraError as error:
        raise LoraInputError(
            f"{place.node}: {error.message}",
            key=spec.name,
            expected=error.expected,
            found=error.found,
        ) from None
    is_old = kind in OLD_SAMPLERS and spec.name == "sampler_name"
    return text.removeprefix(OLD_PREFIX) if is_old else text


def _called(flat: Flat, name: str, widget: str) -> list[Any]:
    """Returns the values of a widget on all nodes of a name."""
    places = [each for each in flat.places.values() if each.node.properties.get(NAME) == name]
    places = places or [each for each in flat.places.values() if each.node.title == name]
    found = [(place, place.widget(widget)) for place in places]
    return [flat.value(place, each) for place, each in found if each]


def _wrapped(value: Any) -> Any:
    """Returns a value so that the host takes no list for a link."""
    return {"__value__": cast("list[Any]", value)} if isinstance(value, list) else value
