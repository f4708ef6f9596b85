"""Prompts for the tiny models: loaders -> a chain of LoRA nodes -> sampler -> what is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .host import Prompt

Link = list[Any]
"""[node id, output index], as in a prompt."""


class Graph:
    """Collects the nodes of a prompt. A node's id is its class, then class_2, class_3, ..."""

    def __init__(self) -> None:
        self.prompt: Prompt = {}
        self._used: Counter[str] = Counter()

    def add(self, class_type: str, **inputs: Any) -> str:
        """Add a node and return its id. Inputs with dots go in as ``**{"loras.lora_0": link}``."""
        self._used[class_type] += 1
        number = self._used[class_type]
        node_id = class_type if number == 1 else f"{class_type}_{number}"
        self.prompt[node_id] = {"class_type": class_type, "inputs": inputs}
        return node_id


Chain = Callable[[Graph, Link, Link | None], tuple[Link, Link | None]]
"""Adds nodes behind MODEL and CLIP (None for kinds without one) and returns the new ends."""


@dataclass(frozen=True)
class Kind:
    """How to load and sample one tiny model."""

    file: str
    latent_node: str
    conditioning: dict[str, int]
    cfg: float
    vae: str = ""
    has_clip: bool = False
    latent_inputs: tuple[tuple[str, int], ...] = ()


_SD15_CONDITIONING = {"tokens": 8, "dim": 768, "pooled_dim": 768}

KINDS = {
    "sd15": Kind("tiny_sd15.safetensors", "EmptyLatentImage", _SD15_CONDITIONING, cfg=3.0),
    "sd15clip": Kind(
        "tiny_sd15_clip.safetensors",
        "EmptyLatentImage",
        _SD15_CONDITIONING,
        cfg=3.0,
        has_clip=True,
    ),
    "sd3": Kind(
        "tiny_sd3.safetensors",
        "EmptySD3LatentImage",
        {"tokens": 8, "dim": 4096, "pooled_dim": 2048},
        cfg=3.0,
        vae="tiny_taesd16.safetensors",
    ),
    "flux": Kind(
        "tiny_flux.safetensors",
        "EmptySD3LatentImage",
        {"tokens": 8, "dim": 4096, "pooled_dim": 768},
        cfg=1.0,
        vae="tiny_taesd16.safetensors",
    ),
    "wan": Kind(
        "tiny_wan.safetensors",
        "EmptyHunyuanLatentVideo",
        {"tokens": 8, "dim": 4096, "pooled_dim": 0},
        cfg=3.0,
        vae="tiny_wan_vae.safetensors",
        latent_inputs=(("length", 5),),
    ),
}


@dataclass(frozen=True)
class Loaded:
    """The ends of the loader nodes."""

    model: Link
    clip: Link | None
    vae: Link


def load(graph: Graph, kind: str) -> Loaded:
    """Add the loader nodes of a kind."""
    entry = KINDS[kind]
    if not entry.vae:
        loader = graph.add("CheckpointLoaderSimple", ckpt_name=entry.file)
        return Loaded([loader, 0], [loader, 1] if entry.has_clip else None, [loader, 2])
    model = graph.add("UNETLoader", unet_name=entry.file, weight_dtype="default")
    return Loaded([model, 0], None, [graph.add("VAELoader", vae_name=entry.vae), 0])


def no_loras(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:  # noqa: ARG001
    """The chain that changes nothing."""
    return model, clip


def host_loras(*loras: tuple[str, float]) -> Chain:
    """The host's own nodes in a row, one for each (name, strength)."""

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        for name, strength in loras:
            inputs = {"model": model, "lora_name": name, "strength_model": strength}
            if clip is None:
                model = [graph.add("LoraLoaderModelOnly", **inputs), 0]
            else:
                node = graph.add("LoraLoader", **inputs, clip=clip, strength_clip=strength)
                model, clip = [node, 0], [node, 1]
        return model, clip

    return chain


def stacked_loras(*loras: tuple[str, float]) -> Chain:
    """The pack's nodes: every (name, strength) loaded, stacked if several, and applied once."""

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        loaded = [
            [graph.add("LoadLoRA", lora_name=name, strength=strength), 0]
            for name, strength in loras
        ]
        stack = loaded[0] if len(loaded) == 1 else stack_loras(graph, *loaded)
        return apply_lora(graph, stack, model, clip)

    return chain


def one_after_another(*loras: tuple[str, float]) -> Chain:
    """The pack's nodes, with an ApplyToModel for each (name, strength)."""

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        for lora in loras:
            model, clip = stacked_loras(lora)(graph, model, clip)
        return model, clip

    return chain


def stack_loras(graph: Graph, *loras: Link) -> Link:
    """Add StackLoRAs over the given LORA outputs."""
    slots = {f"loras.lora_{index}": lora for index, lora in enumerate(loras)}
    return [graph.add("StackLoRAs", **slots), 0]


def apply_lora(
    graph: Graph, lora: Link, model: Link, clip: Link | None = None
) -> tuple[Link, Link | None]:
    """Add ApplyToModel; its report is output 2 of node "ApplyToModel"."""
    inputs = {"lora": lora, "model": model} | ({"clip": clip} if clip else {})
    node = graph.add("ApplyToModel", **inputs)
    return [node, 0], clip and [node, 1]


def sample(
    graph: Graph,
    kind: str,
    model: Link,
    clip: Link | None = None,
    *,
    seed: int = 7,
    steps: int = 2,
    cfg: float | None = None,
) -> Link:
    """Add conditioning, an empty latent and a sampler; the LATENT output."""
    entry = KINDS[kind]
    latent = graph.add(
        entry.latent_node, width=64, height=64, batch_size=1, **dict(entry.latent_inputs)
    )
    sampler = graph.add(
        "KSampler",
        model=model,
        positive=_condition(graph, entry, clip, 1),
        negative=_condition(graph, entry, clip, 2),
        latent_image=[latent, 0],
        seed=seed,
        steps=steps,
        cfg=entry.cfg if cfg is None else cfg,
        sampler_name="euler",
        scheduler="simple",
        denoise=1.0,
    )
    return [sampler, 0]


def _condition(graph: Graph, entry: Kind, clip: Link | None, seed: int) -> Link:
    if clip is not None:
        return [graph.add("CLIPTextEncode", clip=clip, text=f"text number {seed}"), 0]
    return [graph.add("TKConditioning", seed=seed, **entry.conditioning), 0]


def render(
    kind: str,
    chain: Chain = no_loras,
    *,
    save: str | None = None,
    png: str | None = None,
    seed: int = 7,
    steps: int = 2,
    cfg: float | None = None,
) -> Prompt:
    """Sample at 64x64 and report through node "TKHash".

    ``save`` adds "TKSaveTensor" with that name, ``png`` a "SaveImage" with that prefix.
    """
    graph = Graph()
    loaded = load(graph, kind)
    model, clip = chain(graph, loaded.model, loaded.clip)
    latent = sample(graph, kind, model, clip, seed=seed, steps=steps, cfg=cfg)
    graph.add("TKHash", latent=latent)
    if save:
        graph.add("TKSaveTensor", latent=latent, name=save)
    if png:
        images = graph.add("VAEDecode", samples=latent, vae=loaded.vae)
        graph.add("SaveImage", images=[images, 0], filename_prefix=png)
    return graph.prompt


def inspect(kind: str, class_type: str, chain: Chain = no_loras, **inputs: Any) -> Prompt:
    """Without sampling: one testkit node at the end of a chain, for example "TKProbe".

    The node gets the MODEL, TKProbe also the CLIP, and ``inputs``.
    """
    graph = Graph()
    loaded = load(graph, kind)
    model, clip = chain(graph, loaded.model, loaded.clip)
    if class_type == "TKProbe" and clip is not None:
        inputs["clip"] = clip
    graph.add(class_type, model=model, **inputs)
    return graph.prompt
