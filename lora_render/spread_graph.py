"""Which strengths of a workflow a batch can spread, and the workflow that does it.

A batch gives the pictures of single runs only where every node handles its images one by one. So the
nodes behind the strength are those of a list, and nothing else in the workflow makes pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, cast

from .item import Prompt

Node = Mapping[str, Any]
Edited = dict[str, dict[str, Any]]

STRENGTHS: Final = {"LoadLoRA": "strength", "ScaleLoRA": "strength_model"}
"""The nodes whose strength of one LoRA, or factor of a stack, can be spread, and the input that has it."""

ROWS: Final = "LoRARows"

RECIPES: Final = {
    "LoadLoRA": {0},
    "ScaleLoRA": {0},
    "StackLoRAs": {0},
    "ScheduleLoRA": {0},
    "LoRABlockWeights": {0},
    ROWS: {0, 3},
    "ApplyToModel": {0},
}
"""Our nodes that may stand behind the strength, and which of their outputs may be used: no words of it."""

MODELS: Final = {
    "BasicGuider",
    "BasicScheduler",
    "CFGGuider",
    "LoraLoaderModelOnly",
    "ModelSamplingAuraFlow",
    "ModelSamplingDiscrete",
    "ModelSamplingFlux",
    "ModelSamplingSD3",
}
"""The host's nodes that may stand between the LoRA and the sampler."""

SAMPLERS: Final = {"KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"}

PICTURES: Final = {"ImageScale", "ImageScaleBy", "SaveImage", "VAEDecode", "VAEDecodeTiled"}
"""The host's nodes that may stand behind the sampler: they handle each image of a batch alone."""

STEADY: Final = frozenset(
    (
        "euler",
        "euler_cfg_pp",
        "heun",
        "heunpp2",
        "exp_heun_2_x0",
        "dpm_2",
        "lms",
        "dpm_fast",
        "dpmpp_2m",
        "dpmpp_2m_cfg_pp",
        "ipndm",
        "ipndm_v",
        "deis",
        "res_multistep",
        "res_multistep_cfg_pp",
        "gradient_estimation",
        "gradient_estimation_cfg_pp",
        "ddim",
        "uni_pc",
        "uni_pc_bh2",
    )
)
"""Samplers that add no noise of their own, and take no step size from the whole batch.

Read from ``comfy/samplers.py``, ``comfy/k_diffusion/sampling.py`` and ``comfy/extra_samplers`` of
ComfyUI 0.28 and 0.33. Ancestral ones, SDEs, ``lcm`` and ``ddpm`` draw noise for the whole batch;
``dpm_adaptive`` takes its steps by the error of the whole batch.
"""

LATENTS: Final = {
    "EmptyLatentImage",
    "EmptySD3LatentImage",
    "EmptyFlux2LatentImage",
    "EmptyChromaRadianceLatentImage",
}

OF_BATCHES: Final = {"IMAGE", "LATENT", "MASK", "VIDEO", "AUDIO"}
"""Types that can hold several at a time; the host repeats or cuts them to the batch's size."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a strength: a node, and for LoRA Rows the number of the row, from 0."""

    node: str
    row: int | None = None


def slots(prompt: Prompt) -> list[Slot]:
    """Returns the places of all strengths that a workflow has as numbers."""
    return [slot for name in prompt for slot in _slots_of(name, prompt[name])]


def strength_at(prompt: Prompt, slot: Slot) -> float:
    """Returns the strength at a place."""
    place, key = _place(prompt, slot)
    return place[key]


def without_strength(prompt: Prompt, slot: Slot) -> Prompt:
    """Returns the workflow with no strength at a place: equal for workflows that differ only there."""
    edited = _copied(prompt, slot.node)
    place, key = _place(edited, slot)
    place[key] = None
    return edited


def can_spread(prompt: Prompt, slot: Slot, object_info: Mapping[str, Any]) -> bool:
    """Says whether a batch with several strengths at a place gives the pictures of single runs."""
    behind = _behind(prompt, slot.node)
    samplers = [name for name in behind if _class(prompt, name) in SAMPLERS]
    if len(samplers) != 1 or not {"SpreadLoRA", "LatentBatchSeedBehavior"} <= object_info.keys():
        return False
    latent = _empty_latent(prompt, samplers[0])
    return (
        latent is not None
        and all(_one_by_one(prompt, name) for name in (slot.node, *behind))
        and all(
            _makes_no_pictures(prompt[name], object_info)
            for name in prompt
            if name not in {slot.node, latent, *behind}
        )
        and _sampler_name(prompt, samplers[0]) in STEADY
    )


def spread_prompt(prompt: Prompt, slot: Slot, strengths: Sequence[float]) -> Prompt:
    """Returns the workflow that makes one batch, with an image for each of ``strengths``."""
    edited = {name: {**node, "inputs": dict(node["inputs"])} for name, node in prompt.items()}
    _spread_strength(edited, slot, ", ".join(map(repr, strengths)))
    behind = _behind(prompt, slot.node)
    sampler = next(name for name in behind if _class(prompt, name) in SAMPLERS)
    latent = cast("list[Any]", edited[sampler]["inputs"]["latent_image"])
    edited[latent[0]]["inputs"]["batch_size"] = len(strengths)
    same = _add(edited, "LatentBatchSeedBehavior", samples=latent, seed_behavior="fixed")
    edited[sampler]["inputs"]["latent_image"] = same
    return edited


def _slots_of(name: str, node: Node) -> Iterator[Slot]:
    class_type, inputs = node["class_type"], node["inputs"]
    if class_type in STRENGTHS and _is_number(inputs.get(STRENGTHS[class_type])):
        yield Slot(name)
    elif class_type == ROWS:
        rows = _rows(inputs)
        if not any(row.get("solo") for row in rows):
            plain = (number for number, row in enumerate(rows) if _is_plain(row))
            yield from (Slot(name, number) for number in plain)


def _is_plain(row: Mapping[str, Any]) -> bool:
    """Says whether a row is no more than a file with a strength."""
    more = ("low", "only", "blocks", "link")
    on = row.get("on", True) is True and bool(row.get("name"))
    return on and not any(row.get(key) for key in more) and _is_number(row.get("strength"))


def _rows(inputs: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """Returns the rows of LoRA Rows, if they are written as its page writes them."""
    value: Any = inputs.get("rows")
    rows: Any = cast("dict[str, Any]", value).get("rows") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        return ()
    each = cast("list[Any]", rows)
    return each if all(isinstance(row, dict) for row in each) else ()


def _place(prompt: Prompt, slot: Slot) -> tuple[dict[str, Any], str]:
    """Returns what holds a strength, and its key in there."""
    node = prompt[slot.node]
    if slot.row is None:
        return node["inputs"], STRENGTHS[node["class_type"]]
    return _rows(node["inputs"])[slot.row], "strength"


def _copied(prompt: Prompt, name: str) -> dict[str, Any]:
    """Returns a workflow in which one node's inputs, and its rows, can be changed."""
    inputs = dict(prompt[name]["inputs"])
    if rows := _rows(inputs):
        inputs["rows"] = {**inputs["rows"], "rows": [dict(row) for row in rows]}
    return {**prompt, name: {**prompt[name], "inputs": inputs}}


def _behind(prompt: Prompt, name: str) -> list[str]:
    """Returns all nodes that a node's outputs lead to."""
    found = [name]
    for each in found:
        found += [
            other
            for other in prompt
            if other not in found and any(source == each for source, _ in _links(prompt[other]))
        ]
    return found[1:]


def _one_by_one(prompt: Prompt, name: str) -> bool:
    """Says whether a node behind the strength handles each image of a batch alone."""
    class_type, inputs = _class(prompt, name), prompt[name]["inputs"]
    if class_type in RECIPES:
        used = {output for node in prompt.values() for of, output in _links(node) if of == name}
        merges = inputs.get("mode", "auto") not in ("auto", "live")
        return used <= RECIPES[class_type] and not ({"clip", "model_low"} & {*inputs} or merges)
    return class_type in MODELS | SAMPLERS | PICTURES


def _makes_no_pictures(node: Node, object_info: Mapping[str, Any]) -> bool:
    """Says whether a node that is not behind the strength is the same for one image and for many."""
    known = object_info.get(node["class_type"])
    if known is None or node["class_type"] == "SpreadLoRA":
        return False
    several = known.get("output_node") or any(known.get("output_is_list", ()))
    return not several and not OF_BATCHES & {str(kind) for kind in known.get("output", ())}


def _empty_latent(prompt: Prompt, sampler: str) -> str | None:
    """Returns the node that gives a sampler one empty image, and nobody else."""
    link = prompt[sampler]["inputs"].get("latent_image")
    if not _is_link(link) or link[0] not in prompt or _class(prompt, link[0]) not in LATENTS:
        return None
    uses = [of for node in prompt.values() for of, _ in _links(node) if of == link[0]]
    size = prompt[link[0]]["inputs"].get("batch_size")
    return link[0] if len(uses) == 1 and repr(size) == "1" else None


def _sampler_name(prompt: Prompt, sampler: str) -> object:
    inputs = prompt[sampler]["inputs"]
    link = inputs.get("sampler")
    if _is_link(link) and link[0] in prompt and _class(prompt, link[0]) == "KSamplerSelect":
        inputs = prompt[link[0]]["inputs"]
    return inputs.get("sampler_name")


def _spread_strength(edited: Edited, slot: Slot, values: str) -> None:
    if slot.row is not None:
        _spread_row(edited, slot.node, slot.row, values)
        return
    node = edited[slot.node]
    node["inputs"][STRENGTHS[node["class_type"]]] = 1.0
    users = [other for other in edited.values() if any(of == slot.node for of, _ in _links(other))]
    spread = _add(edited, "SpreadLoRA", lora=[slot.node, 0], values=values)
    for user in users:
        for key, value in user["inputs"].items():
            if _is_link(value) and value[0] == slot.node:
                user["inputs"][key] = spread


def _spread_row(edited: Edited, name: str, number: int, values: str) -> None:
    """Takes a row out of LoRA Rows, and gives it back as a LORA."""
    inputs = edited[name]["inputs"]
    rows = [*_rows(inputs)]
    row = rows.pop(number)
    inputs["rows"] = {**inputs["rows"], "rows": rows}
    loaded = _add(edited, "LoadLoRA", lora_name=row["name"], strength=1.0)
    spread = _add(edited, "SpreadLoRA", lora=loaded, values=values)
    if "lora" in inputs:
        both = {"loras.lora_0": inputs["lora"], "loras.lora_1": spread}
        spread = _add(edited, "StackLoRAs", **both)
    inputs["lora"] = spread


def _add(edited: Edited, class_type: str, **inputs: Any) -> list[Any]:
    """Adds a node under a name that is still free; returns its first output."""
    name, number = class_type, 1
    while name in edited:
        number += 1
        name = f"{class_type}_{number}"
    edited[name] = {"class_type": class_type, "inputs": inputs}
    return [name, 0]


def _class(prompt: Prompt, name: str) -> str:
    return prompt[name]["class_type"]


def _links(node: Node) -> list[tuple[str, int]]:
    return [(value[0], value[1]) for value in node["inputs"].values() if _is_link(value)]


def _is_link(value: object) -> TypeGuard[list[Any]]:
    if not isinstance(value, list):
        return False
    parts = cast("list[object]", value)
    return len(parts) == 2 and isinstance(parts[0], str) and isinstance(parts[1], int)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
