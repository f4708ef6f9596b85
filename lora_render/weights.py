"""Which models a prompt loads, and what it does to their weights, so that items that share both run one after the other.

Both are fingerprints of the part of the prompt that a MODEL or CLIP comes from. Ids of nodes, seeds, prompts and pictures are not
in them: links of those types are not followed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from lora_core.errors import LoraError
from lora_core.lists import active_rows, read_rows, read_tags

from .columns import ROWS_CLASS, ROWS_INPUT, is_link
from .item import Prompt

WEIGHTS: Final = frozenset(("MODEL", "CLIP"))
LOADED: Final = WEIGHTS | {"VAE", "CLIP_VISION", "CONTROL_NET", "STYLE_MODEL", "UPSCALE_MODEL"}
"""What loaders give."""

DATA: Final = frozenset(
    (
        *(
            "AUDIO",
            "CLIP_VISION_OUTPUT",
            "CONDITIONING",
            "GUIDER",
            "IMAGE",
            "LATENT",
            "MASK",
            "NOISE",
        ),
        *("SAMPLER", "SIGMAS", "VIDEO"),
    )
)
"""What is made of models or for them, and changes none of their weights."""

ANY: Final = frozenset(("*", "COMFY_MATCHTYPE_V3", ""))
TAGS_CLASS: Final = "FromLoRATags"
LENGTH: Final = 16


def weights_of(prompt: Prompt, object_info: Mapping[str, Any]) -> tuple[str, str]:
    """Returns (base, recipe): fingerprints of the models that are loaded, and of what is done to them.

    The recipe is that of every MODEL and CLIP that a node uses without passing it on, such as a sampler or a text encoder. Two
    prompts with equal ones need the same weights.

    Args:
        prompt: The prompt.
        object_info: What the host says of its nodes: the types of their inputs and outputs.
    """
    graph = _Graph(prompt, object_info)
    bases = {graph.of(node) for node in prompt if graph.is_loader(node)}
    used = {
        f"{graph.of(link[0])}.{link[1]}"
        for node in prompt
        for name, link in graph.links(node)
        if graph.kind(node, name, link) in WEIGHTS and not graph.passes(node)
    }
    return _digest(sorted(bases)), _digest(sorted(used))


class _Graph:
    """A prompt with the types of its links."""

    def __init__(self, prompt: Prompt, object_info: Mapping[str, Any]) -> None:
        self.prompt = prompt
        self.info = object_info
        self.known: dict[str, str] = {}

    def links(self, node: str) -> Iterator[tuple[str, list[Any]]]:
        """Yields the linked inputs of a node."""
        for name, value in self.prompt[node]["inputs"].items():
            if is_link(value, self.prompt):
                yield name, value

    def kind(self, node: str, name: str, link: Sequence[Any]) -> str:
        """Returns the type of a link: as the input asks for it, or else as the output gives it."""
        asked = self._asked(node, name)
        outputs = self._outputs(link[0])
        number: int = link[1]
        given = outputs[number] if 0 <= number < len(outputs) else ""
        return given if asked in ANY else asked

    def passes(self, node: str) -> bool:
        """Tells whether a node gives models on, perhaps changed."""
        outputs = self._outputs(node)
        return any(kind in WEIGHTS or kind in ANY for kind in outputs)

    def is_loader(self, node: str) -> bool:
        """Tells whether a node gives models that it gets from no other node."""
        kinds = {self.kind(node, name, link) for name, link in self.links(node)}
        return bool(LOADED & {*self._outputs(node)}) and not kinds & (LOADED | ANY)

    def of(self, node: str) -> str:
        """Returns the fingerprint of a node and of all that its weights depend on."""
        if node not in self.known:
            self.known[node] = "circle"  # the host refuses such a prompt
            entry = self.prompt[node]
            inputs = sorted(entry["inputs"].items())
            parts = [[name, self._part(node, name, value)] for name, value in inputs]
            self.known[node] = _digest([entry["class_type"], parts])
        return self.known[node]

    def _part(self, node: str, name: str, value: Any) -> Any:
        if is_link(value, self.prompt):
            return None if self.kind(node, name, value) in DATA else [self.of(value[0]), value[1]]
        kind = self.prompt[node]["class_type"]
        if kind == ROWS_CLASS and name == ROWS_INPUT:
            return _rows(value)
        return _tags(value) if kind == TAGS_CLASS and isinstance(value, str) else value

    def _outputs(self, node: str) -> list[str]:
        definition = self.info.get(self.prompt[node]["class_type"], {})
        return [_name(kind) for kind in definition.get("output") or ()]

    def _asked(self, node: str, name: str) -> str:
        inputs = self.info.get(self.prompt[node]["class_type"], {}).get("input", {})
        for section in ("required", "optional"):
            if name in (inputs.get(section) or {}):
                return _name(inputs[section][name][0])
        return ""


def _rows(value: Any) -> Any:
    """Returns what rows do, whatever their order, notes and switches are."""
    try:
        rows = active_rows(read_rows(value))
    except LoraError:
        return value  # the host refuses it, too
    said = [
        [row.asked.name, row.asked.hash, row.model, row.clip, row.blocks, row.only, row.link]
        + ([row.low.asked.name, row.low.asked.hash, row.low.strength] if row.low else [])
        for row in rows
    ]
    return sorted(json.dumps(row, default=str) for row in said)


def _tags(text: str) -> Any:
    """Returns the tags of a prompt without the rest of it."""
    try:
        return sorted(str(tag) for tag in read_tags(text)[0])
    except LoraError:
        return text


def _name(kind: Any) -> str:
    return "COMBO" if isinstance(kind, list) else str(kind)


def _digest(value: Any) -> str:
    text = json.dumps(cast(object, value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
