"""Which LoRAs a prompt names, with the strengths that it gives them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lora_core.errors import LoraError
from lora_core.lists import Row, active_rows, read_rows, read_tags

from .columns import ROWS_CLASS, ROWS_INPUT
from .item import Prompt
from .weights import TAGS_CLASS

_TEXT: Final = "text"


@dataclass(frozen=True, slots=True)
class NamedLora:
    """A LoRA of a prompt.

    Attributes:
        name: The file, as the prompt calls it.
        strength: For the model; None if it is linked.
        strength_clip: For the text encoders; None if it is linked, or the node has none.
    """

    name: str
    strength: float | None
    strength_clip: float | None


def loras_of(prompt: Prompt) -> tuple[NamedLora, ...]:
    """Returns the LoRAs of all loaders, rows and tags that are on, in the order of the prompt.

    What other nodes do with them, such as a scale or a curve, is not in it.
    """
    return tuple(lora for node in prompt.values() for lora in _of_node(node))


def _of_node(node: Mapping[str, Any]) -> Iterator[NamedLora]:
    kind, inputs = node["class_type"], node["inputs"]
    try:
        if kind == ROWS_CLASS:
            for row in active_rows(read_rows(inputs.get(ROWS_INPUT))):
                yield from _of_row(row)
        elif kind == TAGS_CLASS and isinstance(text := inputs.get(_TEXT), str):
            for tag in read_tags(text)[0]:
                yield NamedLora(tag.name, float(tag.model), float(tag.clip))
        elif isinstance(name := inputs.get("lora_name"), str):
            strength = inputs.get("strength_model", inputs.get("strength", 1.0))
            model_only = "strength_model" in inputs
            clip = inputs.get("strength_clip", None if model_only else strength)
            yield NamedLora(name, _number(strength), _number(clip))
    except LoraError:
        return  # the host refuses it, too


def _of_row(row: Row) -> Iterator[NamedLora]:
    """Yields the file of a row, and that for the low-noise model."""
    linked = row.link is not None
    model, clip = (None if linked else float(strength) for strength in (row.model, row.clip))
    yield NamedLora(row.asked.name, model, clip)
    if row.low:
        own = row.low.strength
        yield NamedLora(row.low.asked.name, model if own is None else float(own), clip)


def _number(value: Any) -> float | None:
    with contextlib.suppress(OverflowError):  # which the host refuses
        return float(value) if isinstance(value, int | float) else None
    return None
