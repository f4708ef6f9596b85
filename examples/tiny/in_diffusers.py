"""Renders with diffusers' own SD 3 pipeline, step for step as ComfyUI does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderTiny,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusion3Pipeline,
)
from safetensors.torch import load_file

import lora_core

from .autoencoder import CHANNELS
from .draw import SIZE, Scene
from .files import LORAS, TRANSFORMER, VAE, lora_file
from .flow import sigmas
from .scene_node.condition import condition
from .transformer import from_host, new_transformer

STEPS = 12
GUIDANCE = 2.0

SIDES = {"left": slice(0, 4), "right": slice(4, 8)}
"""Columns of a latent image."""
PATCH = 2


def pipeline() -> StableDiffusion3Pipeline:
    """The pipeline without text encoders: a scene comes as embeddings."""
    pipe = StableDiffusion3Pipeline(
        transformer=transformer(),
        vae=autoencoder(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),  # the levels come shifted
        text_encoder=None,
        text_encoder_2=None,
        text_encoder_3=None,
        tokenizer=None,
        tokenizer_2=None,
        tokenizer_3=None,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def transformer() -> torch.nn.Module:
    """The shipped transformer in float32."""
    model = new_transformer()
    weights = {key: value.float() for key, value in load_file(TRANSFORMER).items()}
    model.load_state_dict(from_host(weights))
    return model.eval()


def autoencoder() -> AutoencoderTiny:
    """The shipped autoencoder in float32, without the host's scale and shift of latents."""
    model = AutoencoderTiny(latent_channels=CHANNELS)
    weights = {}
    for key, value in load_file(VAE).items():
        part, _, rest = key.partition(".")
        index, _, name = rest.partition(".")
        if part == "taesd_encoder":
            weights[f"encoder.layers.{index}.{name}"] = value.float()
        elif part == "taesd_decoder":  # diffusers counts from behind the clamp
            weights[f"decoder.layers.{int(index) - 1}.{name}"] = value.float()
    model.load_state_dict(weights)
    return model.eval()


def noise(seed: int) -> torch.Tensor:
    """What the host starts from with this seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, CHANNELS, SIZE // 8, SIZE // 8, generator=generator)


def render(
    pipe: StableDiffusion3Pipeline,
    scene: Scene,
    seed: int,
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    after_step: Callable[..., dict[str, Any]] | None = None,
) -> tuple[torch.Tensor, np.ndarray]:
    """The latents (1, 16, 8, 8), and the image (64, 64, 3) in bytes as the host saves it.

    ``after_step`` is the pipeline's ``callback_on_step_end``.
    """
    tokens, pooled = condition(scene.values())
    latents = pipe(
        prompt_embeds=tokens,
        pooled_prompt_embeds=pooled,
        negative_prompt_embeds=torch.zeros_like(tokens),
        negative_pooled_prompt_embeds=torch.zeros_like(pooled),
        latents=noise(seed),
        sigmas=sigmas(steps)[:-1].tolist(),
        num_inference_steps=steps,
        guidance_scale=guidance,
        height=SIZE,
        width=SIZE,
        output_type="latent",
        callback_on_step_end=after_step,
    ).images
    return latents, decode(pipe.vae, latents)


def decode(vae: AutoencoderTiny, latents: torch.Tensor) -> np.ndarray:
    """Returns bytes, cut off as the host does, not rounded."""
    with torch.no_grad():
        image = vae.decode(latents).sample
    shares = (image[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1)
    return (shares * 255).to(torch.uint8).numpy()


@contextmanager
def by_our_core(
    pipe: StableDiffusion3Pipeline, strengths: Mapping[str, float], dialect: str = "diffusers"
) -> Iterator[None]:
    """The pipeline with the LoRAs added to its weights by ``lora_core``, for the block."""
    recipes = [each * lora_core.load(lora_file(name, dialect)) for name, each in strengths.items()]
    stack = sum(recipes[1:], recipes[0])
    with lora_core.applied(pipe.transformer, stack):
        yield


@contextmanager
def by_diffusers(pipe: StableDiffusion3Pipeline, strengths: Mapping[str, float]) -> Iterator[None]:
    """The pipeline with the LoRAs as diffusers' own adapters, for the block."""
    for name in strengths:
        path = lora_file(name, "diffusers")
        pipe.load_lora_weights(LORAS, weight_name=path.name, adapter_name=name)
    pipe.set_adapters(list(strengths), list(strengths.values()))
    try:
        yield
    finally:
        pipe.unload_lora_weights()


@contextmanager
def on_sides(
    pipe: StableDiffusion3Pipeline, recipes: Mapping[str, lora_core.Recipe]
) -> Iterator[None]:
    """The pipeline with a LoRA on a side of the picture, for the block: where a layer has the image's
    tokens, those of this side."""
    with ExitStack() as held:
        for side, recipe in recipes.items():
            for name, change in _changes(pipe.transformer, recipe).items():
                layer = pipe.transformer.get_submodule(name)
                hook = layer.register_forward_hook(partial(_add_on_side, change, _tokens(side)))
                held.callback(hook.remove)
        yield


@contextmanager
def by_two_prompts(
    pipe: StableDiffusion3Pipeline, other: Scene, recipe: lora_core.Recipe | None = None
) -> Iterator[None]:
    """The pipeline with another scene on the right, for the block, and a LoRA for that of the left."""
    model = pipe.transformer
    forward = model.forward
    tokens, pooled = condition(other.values())

    def evaluated(**inputs: Any) -> tuple[torch.Tensor]:
        """The batch is the negative prompt, then the scene."""
        (whole,) = forward(**inputs)
        with lora_core.applied(model, recipe) if recipe else nullcontext():
            (left,) = forward(**inputs)
        own = {"encoder_hidden_states": tokens, "pooled_projections": pooled}
        second = {key: torch.cat([inputs[key][:1], value]) for key, value in own.items()}
        (right,) = forward(**inputs | second)
        for side, drawn in (("left", left), ("right", right)):
            whole[1, ..., SIDES[side]] = drawn[1, ..., SIDES[side]]
        return (whole,)

    model.forward = evaluated
    try:
        yield
    finally:
        del model.forward


def _changes(model: torch.nn.Module, recipe: lora_core.Recipe) -> dict[str, torch.Tensor]:
    """What a recipe adds to each weight that it changes, by the layer's name."""
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with lora_core.applied(model, recipe):
        after = {name: weight - before[name] for name, weight in model.state_dict().items()}
    return {name.removesuffix(".weight"): change for name, change in after.items() if change.any()}


def _tokens(side: str) -> torch.Tensor:
    """(tokens, 1): 1 for the image's tokens on this side."""
    latent = torch.zeros(SIZE // 8, SIZE // 8)
    latent[:, SIDES[side]] = 1
    return latent[::PATCH, ::PATCH].reshape(-1, 1)


def _add_on_side(
    change: torch.Tensor,
    places: torch.Tensor,
    _layer: torch.nn.Module,
    args: tuple[torch.Tensor, ...],
    out: torch.Tensor,
) -> torch.Tensor:
    (x,) = args
    if x.ndim != 3:  # one vector for a whole image
        return out
    return out + places * torch.nn.functional.linear(x, change)
