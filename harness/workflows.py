"""Prompts for the tiny models: loaders -> a chain of LoRA nodes -> sampler -> what is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
    """Add nothing: the chain that changes nothing."""
    return model, clip


def host_loras(*loras: tuple[str, float]) -> Chain:
    """Add the host's own nodes in a row, one for each (name, strength)."""

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


def stacked_loras(
    *loras: tuple[str, float],
    mode: str | None = None,
    scale: float | tuple[float, float] | None = None,
    curve: str | tuple[str, float, float] | None = None,
    values: str | None = None,
    blocks: str | None = None,
) -> Chain:
    """Add the pack's nodes: every (name, strength) loaded, stacked if several, and applied once.

    ``scale`` (of all, or of model and text), ``curve`` (alone, or with its window), ``values`` and
    ``blocks`` each put their node in between.
    """

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        loaded = [
            [graph.add("LoadLoRA", lora_name=name, strength=strength), 0]
            for name, strength in loras
        ]
        stack = loaded[0] if len(loaded) == 1 else stack_loras(graph, *loaded)
        if scale is not None:
            by_model, by_clip = scale if isinstance(scale, tuple) else (scale, scale)
            strengths = {"strength_model": by_model, "strength_clip": by_clip}
            stack = [graph.add("ScaleLoRA", lora=stack, **strengths), 0]
        if curve is not None:
            text, start, end = (curve, 0.0, 1.0) if isinstance(curve, str) else curve
            window = {"start_percent": start, "end_percent": end}
            stack = [graph.add("ScheduleLoRA", lora=stack, curve=text, **window), 0]
        if values is not None:
            stack = [graph.add("SpreadLoRA", lora=stack, values=values), 0]
        if blocks is not None:
            stack = [graph.add("LoRABlockWeights", lora=stack, weights=blocks), 0]
        return apply_lora(graph, stack, model, clip, mode)

    return chain


def in_turn(*chains: Chain) -> Chain:
    """Return one chain after another."""

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        for each in chains:
            model, clip = each(graph, model, clip)
        return model, clip

    return chain


def core_node(class_type: str, **inputs: Any) -> Chain:
    """Return a chain with one node of the host that makes a MODEL of a MODEL."""
    return lambda graph, model, clip: ([graph.add(class_type, model=model, **inputs), 0], clip)


def one_after_another(*loras: tuple[str, float]) -> Chain:
    """Add the pack's nodes, with an ApplyToModel for each (name, strength)."""

    def chain(graph: Graph, model: Link, clip: Link | None) -> tuple[Link, Link | None]:
        for lora in loras:
            model, clip = stacked_loras(lora)(graph, model, clip)
        return model, clip

    return chain


def stack_loras(graph: Graph, *loras: Link) -> Link:
    """Add StackLoRAs over the given LORA outputs."""
    slots = {f"loras.lora_{index}": lora for index, lora in enumerate(loras)}
    return [graph.add("StackLoRAs", **slots), 0]


def half_mask(graph: Graph, side: str, size: int = 64) -> Link:
    """Add a square mask that is white on one side ("left" or "right")."""
    black, white = (
        [graph.add("SolidMask", value=value, width=width, height=size), 0]
        for value, width in ((0.0, size), (1.0, size // 2))
    )
    place = {"x": 0 if side == "left" else size // 2, "y": 0}
    made = graph.add("MaskComposite", destination=black, source=white, **place, operation="add")
    return [made, 0]


def mask_lora(graph: Graph, lora: Link, side: str, elsewhere: float = 0.0) -> Link:
    """Add MaskLoRA: the LORA on one side of the picture only."""
    node = graph.add("MaskLoRA", lora=lora, mask=half_mask(graph, side), elsewhere=elsewhere)
    return [node, 0]


def only_in(graph: Graph, conditioning: Link, side: str) -> Link:
    """Add the host's mask to a conditioning: the prompt on one side of the picture only."""
    inputs = {"mask": half_mask(graph, side), "strength": 1.0, "set_cond_area": "default"}
    return [graph.add("ConditioningSetMask", conditioning=conditioning, **inputs), 0]


def combined(graph: Graph, one: Link, other: Link) -> Link:
    """Add the host's node that joins two conditionings."""
    return [graph.add("ConditioningCombine", conditioning_1=one, conditioning_2=other), 0]


def apply_lora(
    graph: Graph, lora: Link, model: Link, clip: Link | None = None, mode: str | None = None
) -> tuple[Link, Link | None]:
    """Add ApplyToModel; its report is output 2 of node "ApplyToModel".

    Without ``mode`` it is like a node saved before there were modes.
    """
    inputs = {"lora": lora, "model": model} | ({"clip": clip} if clip else {})
    inputs |= {"mode": mode} if mode else {}
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
    sampler: str = "euler",
    scheduler: str = "simple",
    denoise: float = 1.0,
    batch: int = 1,
    hooks: Link | None = None,
) -> Link:
    """Add conditioning, an empty latent and a sampler; return the LATENT output.

    All images of a batch start from the same noise. ``hooks`` are the host's, on both prompts.
    """
    entry = KINDS[kind]
    node = graph.add(
        "KSampler",
        model=model,
        **_prompts(graph, entry, clip, hooks),
        latent_image=_empty_latent(graph, entry, batch),
        seed=seed,
        steps=steps,
        cfg=entry.cfg if cfg is None else cfg,
        sampler_name=sampler,
        scheduler=scheduler,
        denoise=denoise,
    )
    return [node, 0]


def sample_parts(
    graph: Graph, kind: str, parts: Sequence[tuple[Link, int, int]], *, seed: int = 7, steps: int
) -> Link:
    """Add samplers one after another, for each (model, its first step, the step that it ends
    before)."""
    entry = KINDS[kind]
    prompts = _prompts(graph, entry, None, None)
    latent = _empty_latent(graph, entry, 1)
    for model, start, end in parts:
        node = graph.add(
            "KSamplerAdvanced",
            model=model,
            **prompts,
            latent_image=latent,
            add_noise="disable" if start else "enable",
            noise_seed=seed,
            steps=steps,
            cfg=entry.cfg,
            sampler_name="euler",
            scheduler="simple",
            start_at_step=start,
            end_at_step=end,
            return_with_leftover_noise="enable" if end < steps else "disable",
        )
        latent = [node, 0]
    return latent


def _empty_latent(graph: Graph, entry: Kind, batch: int) -> Link:
    inputs = {"width": 64, "height": 64, "batch_size": batch, **dict(entry.latent_inputs)}
    latent = [graph.add(entry.latent_node, **inputs), 0]
    if batch == 1:
        return latent
    return [graph.add("LatentBatchSeedBehavior", samples=latent, seed_behavior="fixed"), 0]


def _prompts(graph: Graph, entry: Kind, clip: Link | None, hooks: Link | None) -> dict[str, Link]:
    positive, negative = (_condition(graph, entry, clip, seed) for seed in (1, 2))
    if hooks is not None:
        node = graph.add(
            "PairConditioningSetProperties",
            positive_NEW=positive,
            negative_NEW=negative,
            strength=1.0,
            set_cond_area="default",
            hooks=hooks,
        )
        positive, negative = [node, 0], [node, 1]
    return {"positive": positive, "negative": negative}


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
    **sampling: Any,
) -> Prompt:
    """Sample at 64x64, as ``sample`` does with ``sampling``, and report through node "TKHash".

    ``save`` adds "TKSaveTensor" with that name, ``png`` a "SaveImage" with that prefix.
    """
    graph = Graph()
    loaded = load(graph, kind)
    model, clip = chain(graph, loaded.model, loaded.clip)
    latent = sample(graph, kind, model, clip, **sampling)
    graph.add("TKHash", latent=latent)
    if save:
        graph.add("TKSaveTensor", latent=latent, name=save)
    if png:
        images = graph.add("VAEDecode", samples=latent, vae=loaded.vae)
        graph.add("SaveImage", images=[images, 0], filename_prefix=png)
    return graph.prompt


def inspect(kind: str, class_type: str, chain: Chain = no_loras, **inputs: Any) -> Prompt:
    """Add one testkit node at the end of a chain, without sampling, for example "TKProbe".

    The node gets the MODEL, TKProbe also the CLIP, and ``inputs``.
    """
    graph = Graph()
    loaded = load(graph, kind)
    model, clip = chain(graph, loaded.model, loaded.clip)
    if class_type == "TKProbe" and clip is not None:
        inputs["clip"] = clip
    graph.add(class_type, model=model, **inputs)
    return graph.prompt
