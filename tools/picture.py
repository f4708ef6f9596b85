"""The picture of ``make demo``: what LoRAs do to landscapes of the tiny model in examples/tiny.

Three rows: LoRAs and their sums; one LoRA at several strengths; one that ends part of the way.
Drawn by the nodes' own grid, in ComfyUI or in diffusers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

import lora_core
from examples.tiny import in_host
from examples.tiny.files import lora_file
from examples.tiny.flow import SHIFT, sigmas
from harness.alone import node_module
from harness.host import Host, Prompt
from harness.workflows import Chain, Graph, Link, apply_lora, no_loras, stacked_loras

SCENE, SEED = in_host.XY_SCENE, in_host.XY_SEED
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


def by_host(host: Host) -> Images:
    """Makes the images with ComfyUI's own nodes and ours: the ramp is a sweep, each other image a
    prompt."""
    sums, schedules = ([_one(host, _chain(cell)) for cell in cells] for cells in (SUMS, SCHEDULES))
    return [*sums, *in_host.images(host, _ramp()), *schedules]


def by_diffusers() -> Images:
    """Makes the images with diffusers' own pipeline, with ``lora_core`` applied to its transformer."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # of what is not needed here
    from examples.tiny.in_diffusers import pipeline

    pipe = pipeline()
    return [_rendered(pipe, cell) for cell in (*SUMS, *RAMP, *SCHEDULES)]


def draw(images: Images) -> Image.Image:
    """Draws all of them with their labels, larger but not smoothed."""
    grid = node_module("grid")
    large = [image.repeat(LARGER, axis=0).repeat(LARGER, axis=1) for image in images]
    cells = [torch.from_numpy(image).float() / 255 for image in large]
    words = grid.Words([cell.label for cell in (*SUMS, *RAMP, *SCHEDULES)])
    sheet = grid.draw([cells], COLUMNS, words, grid.Look())[0]
    return Image.fromarray((sheet * 255).round().to(torch.uint8).numpy())


def timed(make: Callable[[], Images]) -> tuple[Images, float]:
    """Returns what it makes, and how many seconds each image took."""
    started = time.perf_counter()
    images = make()
    return images, (time.perf_counter() - started) / len(images)


def _one(host: Host, chain: Chain) -> np.ndarray:
    (image,) = in_host.images(host, in_host.prompt(SCENE, SEED, chain))
    return image


def _chain(cell: Cell) -> Chain:
    if not cell.strengths:
        return no_loras
    loras = [(in_host.lora_name(name, "diffusers"), each) for name, each in cell.strengths.items()]
    curve = ("constant", 0.0, cell.until) if cell.until < 1 else None
    return stacked_loras(*loras, curve=curve)


def _ramp() -> Prompt:
    values = ", ".join(f"{cell.strengths['ink']:g}" for cell in RAMP)

    def sweep(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        load = graph.add("LoadLoRA", lora_name=in_host.lora_name("ink", "diffusers"), strength=1.0)
        swept = graph.add("SweepLoRA", lora=[load, 0], values=values, across_values="0")
        return apply_lora(graph, [swept, 0], model, clip)

    return in_host.prompt(SCENE, SEED, sweep, png="ramp")


def _rendered(pipe: Any, cell: Cell) -> np.ndarray:
    """Renders an image.

    A LoRA that ends part of the way is removed when the sampler passes that place.
    """
    from examples.tiny.in_diffusers import render

    recipes = [
        each * lora_core.load(lora_file(name, "diffusers")) for name, each in cell.strengths.items()
    ]
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
