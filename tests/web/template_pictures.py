"""What the templates make, with the tiny model of examples/tiny: the pictures beside their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from PIL import Image

from examples.tiny import in_host
from harness.host import Host
from harness.workflows import (
    Chain,
    Graph,
    Link,
    apply_lora,
    mask_lora,
    no_loras,
    stack_loras,
    stacked_loras,
)
from lora_core.drawing import Look, Words, draw_grid
from tests.web.templates import template
from tools import picture

LARGER = 4
"""Nothing is smoothed."""

FOLDER = "tiny"
"""Where the LoRAs lie under short names."""

FADES = (0.3, 0.55, 0.8, 1.0)


def first_steps(host: Host) -> Image.Image:
    return _grid(host, 2, {"without": no_loras, "ink 1": _stack(ink=1)})


def one_list(host: Host) -> Image.Image:
    both = {"ink 0.5 + snow 1": _stack(ink=0.5, snow=1)}
    return _grid(
        host, 2, {"without": no_loras, "ink 0.5": _stack(ink=0.5), "snow 1": _stack(snow=1)} | both
    )


def schedule(host: Host) -> Image.Image:
    ink = (in_host.lora_name("ink"), 1.0)
    fades = {f"ink until {end:.0%}": ("constant", 0.0, end) for end in FADES}
    return _grid(host, 2, {said: stacked_loras(ink, curve=curve) for said, curve in fades.items()})


def regions(host: Host) -> Image.Image:
    sides = ({}, {"left": "ink"}, {"right": "light"}, {"left": "ink", "right": "light"})
    said = ("without", "ink left", "light right", "ink left, light right")
    return _grid(host, 2, dict(zip(said, map(_sided, sides), strict=True)))


def epochs(host: Host) -> Image.Image:
    return _swept(host, files=f"{FOLDER}/", values="0.5, 1")


def blocks(host: Host) -> Image.Image:
    blocks = "ALL\nonly joint 0\nonly joint 1"
    return _swept(host, files=f"{FOLDER}/ink", values="0.5, 1", blocks=blocks)


def sums(host: Host) -> Image.Image:
    both = {"ink + 0.6 light": _stack(ink=1, light=0.6)}
    cells = {"without": no_loras, "ink": _stack(ink=1), "0.6 light": _stack(light=0.6)}
    return _grid(host, 2, cells | both)


def prompts(host: Host) -> Image.Image:
    named = {"two prompts": None, "ink for the left one": "ink"}
    cells = {
        said: in_host.images(host, _prompt(no_loras, asking=picture.two_prompts(name)))[0]
        for said, name in named.items()
    }
    return _drawn(cells, 2)


def _stack(**strengths: float) -> Chain:
    return stacked_loras(*((in_host.lora_name(name), each) for name, each in strengths.items()))


def _sided(sides: Mapping[str, str]) -> Chain:
    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        own = [mask_lora(graph, in_host.loaded(graph, name), side) for side, name in sides.items()]
        return apply_lora(graph, stack_loras(graph, *own), model, clip)

    return chain if sides else no_loras


def _grid(host: Host, columns: int, chains: Mapping[str, Chain]) -> Image.Image:
    cells = {said: in_host.images(host, _prompt(chain))[0] for said, chain in chains.items()}
    return _drawn(cells, columns)


def _prompt(chain: Chain, asking: in_host.Asking = in_host.as_asked) -> in_host.Prompt:
    return in_host.prompt(in_host.XY_SCENE, in_host.XY_SEED, chain, asking=asking)


def _swept(host: Host, **inputs: str) -> Image.Image:
    """As the template's own nodes draw it."""
    graph = Graph()
    sweep = graph.add("SweepLoRA", across_values="0", **inputs)

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        return apply_lora(graph, [sweep, 0], model, clip)

    cells = in_host.decoded(graph, in_host.sampled(graph, in_host.XY_SCENE, in_host.XY_SEED, chain))
    large = graph.add(
        "ImageScaleBy", image=cells, upscale_method="nearest-exact", scale_by=float(LARGER)
    )
    look = {"columns": 0, "text_size": 22, "gap": 8, "background": "white"}
    grid = graph.add("LoRAGrid", images=[large, 0], **look, labels=[sweep, 1])
    graph.add("SaveImage", images=[grid, 0], filename_prefix="sweep")
    return Image.fromarray(in_host.images(host, graph.prompt)[0])


def _drawn(cells: Mapping[str, np.ndarray], columns: int) -> Image.Image:
    large = [cell.repeat(LARGER, axis=0).repeat(LARGER, axis=1) for cell in cells.values()]
    frames = [torch.from_numpy(image).float() / 255 for image in large]
    sheet = draw_grid([frames], columns, Words([*cells]), Look(text_size=22))[0]
    return Image.fromarray((sheet * 255).round().to(torch.uint8).numpy())


RESULTS: Mapping[str, Callable[[Host], Image.Image]] = {
    template(number).name: make
    for number, make in (
        (1, first_steps),
        (2, one_list),
        (3, schedule),
        (4, regions),
        (5, epochs),
        (8, blocks),
        (9, prompts),
        (10, sums),
    )
}
"""Templates by name; not those for models that the tiny one is not like."""
