"""What files write before a path, and which component of a model it means."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

Role: TypeAlias = Literal[
    "denoiser",
    "text_encoder",
    "text_encoder_1",
    "text_encoder_2",
    "text_encoder_3",
    "text_encoder_4",
    "whichever",
]
"""What a file calls a component.

A file that says nothing means whichever module it is given; one that numbers a text encoder as the
first knows of a second.
"""


class Prefix(NamedTuple):
    """The start of a name, the component it means, and whether "_" replaces "." in the path after
    it."""

    text: str
    role: Role
    underscored: bool = False


def own_prefix(encoder: str) -> Prefix:
    """Returns what ComfyUI, and nobody else, writes before the paths of the text encoder of that
    name."""
    return Prefix(f"text_encoders.{encoder}.transformer.", "whichever")


PREFIXES: Final = (
    # peft, on the bare module
    Prefix("", "whichever"),
    Prefix("base_model.model.", "whichever"),
    # ComfyUI, and the original checkpoints
    Prefix("diffusion_model.", "denoiser"),
    Prefix("model.diffusion_model.", "denoiser"),
    Prefix("text_encoders.clip_l.transformer.", "text_encoder"),
    Prefix("text_encoders.clip_h.transformer.", "text_encoder"),
    Prefix("text_encoders.clip_g.transformer.", "text_encoder_2"),
    Prefix("text_encoders.t5xxl.transformer.", "text_encoder_3"),
    Prefix("text_encoders.transformer.", "text_encoder"),
    # diffusers
    Prefix("unet.", "denoiser"),
    Prefix("unet.base_model.model.", "denoiser"),
    Prefix("transformer.", "denoiser"),
    Prefix("transformer.base_model.model.", "denoiser"),
    Prefix("prior.", "denoiser"),
    Prefix("conditional_transformer.", "denoiser"),
    Prefix("text_encoder.", "text_encoder"),
    Prefix("text_encoder_2.", "text_encoder_2"),
    Prefix("text_encoder_3.", "text_encoder_3"),
    Prefix("text_encoder_4.", "text_encoder_4"),
    # DiffSynth-Studio, unless told to leave it out
    Prefix("pipe.dit.", "denoiser"),
    # kohya, musubi, OneTrainer
    Prefix("lora_unet_", "denoiser", underscored=True),
    Prefix("lora_transformer_", "denoiser", underscored=True),
    Prefix("lora_te_", "text_encoder", underscored=True),
    Prefix("lora_te1_", "text_encoder_1", underscored=True),
    Prefix("lora_te2_", "text_encoder_2", underscored=True),
    Prefix("lora_te3_", "text_encoder_3", underscored=True),
    Prefix("lora_te4_", "text_encoder_4", underscored=True),
    Prefix("oft_unet_", "denoiser", underscored=True),
    # Stable Cascade, whose only encoder others call the second
    Prefix("lora_prior_unet_", "denoiser", underscored=True),
    Prefix("lora_prior_te_", "text_encoder_2", underscored=True),
    Prefix("lora_prior_te_", "text_encoder", underscored=True),
    # Wan Fun
    Prefix("lora_unet__", "denoiser", underscored=True),
    # LyCORIS, on the bare module
    Prefix("lycoris_", "whichever", underscored=True),
)
