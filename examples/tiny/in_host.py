"""Renders in ComfyUI: prompts of its own loaders, the scene's node, and this pack's nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.host import PACKS, Host, Prompt
from harness.installs import HostInstall
from harness.workflows import Chain, Graph, Link, apply_lora, no_loras

from .draw import SIZE, Scene
from .files import DIALECTS, MODELS, NAMES, SCENE_NODE, TRANSFORMER, VAE, lora_file
from .scene_node.condition import ATTRIBUTES

STEPS = 12
GUIDANCE = 2.0
XY_INK, XY_LIGHT = "-0.5, 0, 0.5, 1", "0, 0.5, 1"
XY_SCENE = Scene(sun=0.3, height=0.7, hour=0.45, hills=0.5, trees=0.4, lake=0.6)
XY_SEED = 7
ALL_PACKS = {**PACKS, "tiny-scene": SCENE_NODE}

Prompts = tuple[Link, Link, Link]
"""MODEL, positive and negative conditioning."""

Asking = Callable[[Graph, Prompts], Prompts]
"""Adds nodes behind the model and the prompts and returns the new ends."""


def as_asked(_graph: Graph, prompts: Prompts) -> Prompts:
    """Adds nothing."""
    return prompts


def start(install: HostInstall, folder: Path, *arguments: str) -> Host:
    """A server that has the tiny model, its LoRAs and the scene's node; not yet running."""
    host = Host(install, folder, MODELS, arguments, ALL_PACKS)
    for name in NAMES:
        for dialect in DIALECTS:
            host.add_lora(lora_file(name, dialect))
    return host


def lora_name(name: str, dialect: str = "kohya") -> str:
    """How a node chooses the file."""
    return lora_file(name, dialect).name


def sampled(
    graph: Graph,
    scene: Scene,
    seed: int | Link,
    chain: Chain = no_loras,
    *,
    asking: Asking = as_asked,
    steps: int = STEPS,
    cfg: float = GUIDANCE,
    batch: int = 1,
    same_noise: bool = True,
) -> Link:
    """Adds all nodes up to the sampler; its LATENT. ``same_noise`` is of the images of a batch."""
    loader = graph.add("UNETLoader", unet_name=TRANSFORMER.name, weight_dtype="default")
    model, _ = chain(graph, [loader, 0], None)
    positive = asked(graph, scene)
    negative: Link = [graph.add("ConditioningZeroOut", conditioning=positive), 0]
    model, positive, negative = asking(graph, (model, positive, negative))
    latent: Link = [
        graph.add("EmptySD3LatentImage", width=SIZE, height=SIZE, batch_size=batch),
        0,
    ]
    if batch > 1 and same_noise:
        same = graph.add("LatentBatchSeedBehavior", samples=latent, seed_behavior="fixed")
        latent = [same, 0]
    node = graph.add(
        "KSampler",
        model=model,
        positive=positive,
        negative=negative,
        latent_image=latent,
        seed=seed,
        steps=steps,
        cfg=cfg,
        sampler_name="euler",
        scheduler="simple",
        denoise=1.0,
    )
    return [node, 0]


def asked(graph: Graph, scene: Scene) -> Link:
    """Adds a scene; its CONDITIONING."""
    values = dict(zip(ATTRIBUTES, scene.values(), strict=True))
    return [graph.add("TinyScene", **values), 0]


def decoded(graph: Graph, latent: Link) -> Link:
    """Adds the VAE; its IMAGE."""
    vae = graph.add("VAELoader", vae_name=VAE.name)
    return [graph.add("VAEDecode", samples=latent, vae=[vae, 0]), 0]


def prompt(
    scene: Scene,
    seed: int,
    chain: Chain = no_loras,
    *,
    png: str = "landscape",
    save: str | None = None,
    **sampling: Any,
) -> Prompt:
    """Builds a prompt from loaders to "SaveImage"; ``save`` also writes the latents, by the test
    kit's node."""
    graph = Graph()
    latent = sampled(graph, scene, seed, chain, **sampling)
    graph.add("SaveImage", images=decoded(graph, latent), filename_prefix=png)
    if save:
        graph.add("TKSaveTensor", latent=latent, name=save)
    return graph.prompt


def xy_plot() -> Prompt:
    """Ink against light, as one image: a row for each strength of light."""
    graph = Graph()
    ink, light = (
        [graph.add("LoadLoRA", lora_name=lora_name(name), strength=1.0), 0]
        for name in ("ink", "light")
    )
    values = {"values": XY_INK, "across_values": XY_LIGHT}
    sweep = graph.add("SweepLoRA", lora=ink, across=light, **values)

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        return apply_lora(graph, [sweep, 0], model, clip, "auto")

    cells = decoded(graph, sampled(graph, XY_SCENE, XY_SEED, chain))
    look = {"columns": 0, "text_size": 0, "gap": 8, "background": "white"}
    grid = graph.add("LoRAGrid", images=cells, **look, labels=[sweep, 1])
    graph.add("SaveImage", images=[grid, 0], filename_prefix="xy_plot")
    return graph.prompt


def loaded(graph: Graph, name: str, strength: float = 1.0, dialect: str = "kohya") -> Link:
    """Adds one of its LoRAs; its LORA."""
    return [graph.add("LoadLoRA", lora_name=lora_name(name, dialect), strength=strength), 0]


def images(host: Host, wanted: Prompt) -> list[np.ndarray]:
    """Runs a prompt; the images that "SaveImage" wrote, (64, 64, 3) in bytes."""
    saved = host.run(wanted).outputs["SaveImage"]["images"]
    folder = host.output_dir
    return [_read(folder / each["subfolder"] / each["filename"]) for each in saved]


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))
