"""The picture of ``make demo``: what LoRAs do to landscapes of the tiny model in examples/tiny.

Four rows: LoRAs and their sums; one LoRA at several strengths; one that ends part of the way; and
LoRAs for a part of the picture, for a prompt, and in one block of the model. Drawn by LoRA Grid's own drawing, in ComfyUI or in diffusers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

import lora_core
from examples.tiny import in_host
from examples.tiny.files import lora_file
from examples.tiny.flow import SHIFT, sigmas
from harness.host import Host, Prompt
from harness.workflows import (
    Chain,
    Graph,
    Link,
    apply_lora,
    combined,
    mask_lora,
    no_loras,
    only_in,
    stack_loras,
    stacked_loras,
)
from lora_core.drawing import Look, Words, draw_grid

SCENE, SEED = in_host.XY_SCENE, in_host.XY_SEED
DUSK = replace(SCENE, hour=0.95, height=0.3)
"""The second prompt, where there are two."""

DIALECT = "diffusers"
LARGER = 2
COLUMNS = 6

Images = Sequence[np.ndarray]


@dataclass(frozen=True)
class Cell:
    """One image: LoRAs at strengths, up to a share of the way from noise to image."""

    strengths: Mapping[str, float]
    until: float = 1.0

    @property
    def label(self) -> str:
        if self.until < 1:
            return f"{self._sum} until {self.until:.0%}"
        return self._sum

    @property
    def _sum(self) -> str:
        terms = (f"{each:g} {name}" if each != 1 else name for name, each in self.strengths.items())
        return " + ".join(terms) or "base"


SUMS = (
    Cell({}),
    Cell({"ink": 1.0}),
    Cell({"ink": 0.5, "light": 1.0}),
    Cell({"light": 1.0}),
    Cell({"snow": 1.0}),
    Cell({"ink": 0.5, "snow": 1.0}),
)
RAMP = tuple(Cell({"ink": each}) for each in (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0))
# between two of the sampler's steps, so that no rounding decides
SCHEDULES = tuple(Cell({"ink": 1.0}, until) for until in (0.3, 0.55, 0.7, 0.8, 0.9, 1.0))

MASKS = {"ink left": {"left": "ink"}, "ink left + light right": {"left": "ink", "right": "light"}}
PROMPTS = {"two prompts": None, "ink on one prompt": "ink"}
BLOCKS = {"ink, only joint 0": "joint 0", "ink, only joint 1": "joint 1"}
LABELS = (
    *(cell.label for cell in (*SUMS, *RAMP, *SCHEDULES)),
    *(*MASKS, *PROMPTS, *BLOCKS),
)


def by_host(host: Host) -> Images:
    """Makes the images with ComfyUI's own nodes and ours: the ramp and the blocks are sweeps, each
    other image a prompt."""
    sums, schedules = ([_one(host, _chain(cell)) for cell in cells] for cells in (SUMS, SCHEDULES))
    masks = [_one(host, _masked(sides)) for sides in MASKS.values()]
    prompts = [_one(host, no_loras, two_prompts(name)) for name in PROMPTS.values()]
    ramp, blocks = (in_host.images(host, each) for each in (_ramp(), _blocks()))
    return [*sums, *ramp, *schedules, *masks, *prompts, *blocks]


def by_diffusers() -> Images:
    """Makes the images with diffusers' own pipeline, with ``lora_core`` applied to its transformer."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # of what is not needed here
    from examples.tiny.in_diffusers import pipeline

    pipe = pipeline()
    rendered = [_rendered(pipe, cell) for cell in (*SUMS, *RAMP, *SCHEDULES)]
    return [*rendered, *(_held(pipe, how) for how in _places(pipe))]


def draw(images: Images) -> Image.Image:
    """Draws all of them with their labels, larger but not smoothed."""
    large = [image.repeat(LARGER, axis=0).repeat(LARGER, axis=1) for image in images]
    cells = [torch.from_numpy(image).float() / 255 for image in large]
    words = Words(LABELS)
    sheet = draw_grid([cells], COLUMNS, words, Look())[0]
    return Image.fromarray((sheet * 255).round().to(torch.uint8).numpy())


def timed(make: Callable[[], Images]) -> tuple[Images, float]:
    """Returns what it makes, and how many seconds each image took."""
    started = time.perf_counter()
    images = make()
    return images, (time.perf_counter() - started) / len(images)


def _one(host: Host, chain: Chain, asking: in_host.Asking = in_host.as_asked) -> np.ndarray:
    (image,) = in_host.images(host, in_host.prompt(SCENE, SEED, chain, asking=asking))
    return image


def _chain(cell: Cell) -> Chain:
    if not cell.strengths:
        return no_loras
    loras = [(in_host.lora_name(name, DIALECT), each) for name, each in cell.strengths.items()]
    curve = ("constant", 0.0, cell.until) if cell.until < 1 else None
    return stacked_loras(*loras, curve=curve)


def _masked(sides: Mapping[str, str]) -> Chain:
    """Puts LoRAs on sides of the picture."""

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        own = [mask_lora(graph, _loaded(graph, name), side) for side, name in sides.items()]
        return apply_lora(graph, stack_loras(graph, *own), model, clip)

    return chain


def two_prompts(name: str | None) -> in_host.Asking:
    """Asks for another scene on the right, and has a LoRA for that of the left."""

    def asking(graph: Graph, prompts: in_host.Prompts) -> in_host.Prompts:
        model, first, negative = prompts
        if name:
            inputs = {"lora": _loaded(graph, name), "model": model, "positive": first}
            node = graph.add("ApplyToConditioning", **inputs)
            model, first = [node, 0], [node, 1]
        second = only_in(graph, in_host.asked(graph, DUSK), "right")
        return model, combined(graph, only_in(graph, first, "left"), second), negative

    return asking


def _ramp() -> Prompt:
    values = ", ".join(f"{cell.strengths['ink']:g}" for cell in RAMP)
    return _swept("ramp", values=values)


def _blocks() -> Prompt:
    lines = "\n".join(f"only {block}" for block in BLOCKS.values())
    return _swept("blocks", values="1", blocks=lines)


def _swept(png: str, **inputs: str) -> Prompt:
    def sweep(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        swept = graph.add("SweepLoRA", lora=_loaded(graph, "ink"), across_values="0", **inputs)
        return apply_lora(graph, [swept, 0], model, clip)

    return in_host.prompt(SCENE, SEED, sweep, png=png)


def _loaded(graph: Graph, name: str) -> Link:
    return in_host.loaded(graph, name, dialect=DIALECT)


def _places(pipe: Any) -> list[AbstractContextManager[object]]:
    """Returns the pipeline's ways to have LoRAs on sides, for a prompt, and in a block."""
    from examples.tiny.in_diffusers import by_two_prompts, on_sides

    masks = [
        on_sides(pipe, {side: _recipe(name) for side, name in sides.items()})
        for sides in MASKS.values()
    ]
    prompts = [by_two_prompts(pipe, DUSK, name and _recipe(name)) for name in PROMPTS.values()]
    blocks = [
        lora_core.applied(pipe.transformer, _recipe("ink").blocks(f"other: 0\n{block}: 1"))
        for block in BLOCKS.values()
    ]
    return [*masks, *prompts, *blocks]


def _held(pipe: Any, how: AbstractContextManager[object]) -> np.ndarray:
    """Renders an image while something holds."""
    from examples.tiny.in_diffusers import render

    with how:
        return render(pipe, SCENE, SEED)[1]


def _recipe(name: str) -> lora_core.Recipe:
    return lora_core.load(lora_file(name, DIALECT))


def _rendered(pipe: Any, cell: Cell) -> np.ndarray:
    """Renders an image.

    A LoRA that ends part of the way is removed when the sampler passes that place.
    """
    from examples.tiny.in_diffusers import render

    recipes = [each * _recipe(name) for name, each in cell.strengths.items()]
    places = [_progress(float(sigma)) for sigma in sigmas(in_host.STEPS)]
    with ExitStack() as applied:
        if recipes and places[0] <= cell.until:
            stack = sum(recipes[1:], recipes[0])
            applied.enter_context(lora_core.applied(pipe.transformer, stack))

        def after(_pipe: object, step: int, _time: object, kept: dict[str, Any]) -> dict[str, Any]:
            if places[step + 1] > cell.until:
                applied.close()
            return kept

        return render(pipe, SCENE, SEED, after_step=after)[1]


def _progress(sigma: float) -> float:
    """Returns the share of the way at a noise level, as ComfyUI counts it."""
    return 1 - sigma / (SHIFT - (SHIFT - 1) * sigma)
