"""The same small models in diffusers' classes: one row for each that it has, with equal widths."""

from __future__ import annotations

from typing import Any, Final

import diffusers
import torch

from . import diffusers_videos
from .diffusers_videos import HEADS, Row

_UNET: Final = {"norm_num_groups": 32, "attention_head_dim": 2, "in_channels": 4, "out_channels": 4}

_CROSS: Final = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D")

_PLAIN: Final = ("DownBlock2D", "UpBlock2D")


def _unet(*levels: tuple[str, str], **options: Any) -> tuple[str, dict[str, Any]]:
    widths = {
        "block_out_channels": (32, 64, 128, 128)[: len(levels)],
        "down_block_types": tuple(down for down, _ in levels),
        "up_block_types": tuple(up for _, up in reversed(levels)),
    }
    return "UNet2DConditionModel", {**_UNET, **widths, **options}


_SIZED: Final = {
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 28,
}

_FLUX: Final = {
    **HEADS,
    "in_channels": 16,
    "num_layers": 2,
    "num_single_layers": 2,
    "joint_attention_dim": 24,
    "axes_dims_rope": (4, 6, 6),
}

_SD3: Final = {
    "sample_size": 4,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 2,
    "num_attention_heads": 2,
    "attention_head_dim": 64,
    "joint_attention_dim": 24,
    "caption_projection_dim": 128,
    "pooled_projection_dim": 20,
    "pos_embed_max_size": 3,
}

_PIXART: Final = {
    "num_attention_heads": 2,
    "attention_head_dim": 18,
    "num_layers": 2,
    "cross_attention_dim": 36,
    "caption_channels": 24,
    "sample_size": 32,
}

_IMAGES: Final[dict[str, Row]] = {
    "sd15": _unet(_CROSS, _CROSS, _CROSS, _PLAIN, cross_attention_dim=768),
    "sd20": _unet(_CROSS, cross_attention_dim=1024, use_linear_projection=True),
    "sdxl": _unet(
        _PLAIN,
        _CROSS,
        _CROSS,
        cross_attention_dim=2048,
        transformer_layers_per_block=(1, 1, 2),
        **_SIZED,
    ),
    "sdxl_refiner": _unet(_PLAIN, _CROSS, cross_attention_dim=1280, **_SIZED),
    "stable_cascade_c": (
        "StableCascadeUNet",
        {
            "conditioning_dim": 24,
            "block_out_channels": (32, 48),
            "num_attention_heads": (2, 2),
            "down_num_layers_per_block": (1, 1),
            "up_num_layers_per_block": (1, 1),
            "clip_text_in_channels": 20,
            "clip_text_pooled_in_channels": 20,
            "clip_image_in_channels": 28,
            "switch_level": (False,),
        },
    ),
    "sd3": ("SD3Transformer2DModel", _SD3),
    "sd35m": (
        "SD3Transformer2DModel",
        {**_SD3, "qk_norm": "rms_norm", "dual_attention_layers": (0,)},
    ),
    "flux": (
        "FluxTransformer2DModel",
        {**_FLUX, "pooled_projection_dim": 20, "guidance_embeds": True},
    ),
    "longcat_image": (
        "LongCatImageTransformer2DModel",
        {**_FLUX, "pooled_projection_dim": 24},
    ),
    "ovis_image": ("OvisImageTransformer2DModel", {**_FLUX, "out_channels": 16}),
    "flux2": ("Flux2Transformer2DModel", {**_FLUX, "axes_dims_rope": (4, 4, 4, 4)}),
    "chroma": (
        "ChromaTransformer2DModel",
        {
            **_FLUX,
            "approximator_num_channels": 64,
            "approximator_hidden_dim": 48,
            "approximator_layers": 2,
        },
    ),
    "auraflow": (
        "AuraFlowTransformer2DModel",
        {
            **HEADS,
            "sample_size": 4,
            "num_mmdit_layers": 2,
            "num_single_dit_layers": 2,
            "joint_attention_dim": 24,
            "caption_projection_dim": 32,
            "pos_embed_max_size": 9,
        },
    ),
    "pixart_alpha": ("PixArtTransformer2DModel", {**_PIXART, "use_additional_conditions": True}),
    "pixart_sigma": ("PixArtTransformer2DModel", {**_PIXART, "use_additional_conditions": False}),
    "hunyuan_dit": (
        "HunyuanDiT2DModel",
        {
            **HEADS,
            "in_channels": 4,
            "patch_size": 2,
            "hidden_size": 32,
            "num_layers": 4,
            "cross_attention_dim": 20,
            "cross_attention_dim_t5": 24,
            "text_len": 7,
            "text_len_t5": 9,
        },
    ),
    "lumina2": (
        "Lumina2Transformer2DModel",
        {
            "in_channels": 4,
            "hidden_size": 48,
            "num_layers": 2,
            "num_attention_heads": 6,
            "num_kv_heads": 2,
            "multiple_of": 16,
            "axes_dim_rope": (2, 2, 4),
            "cap_feat_dim": 24,
            "sample_size": 4,
        },
    ),
    "z_image": (
        "ZImageTransformer2DModel",
        {
            "in_channels": 4,
            "dim": 264,
            "n_layers": 2,
            "n_heads": 6,
            "n_kv_heads": 6,
            "cap_feat_dim": 24,
            "axes_dims": [12, 16, 16],
        },
    ),
    "hidream": (
        "HiDreamImageTransformer2DModel",
        {
            **HEADS,
            "patch_size": 2,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "num_single_layers": 1,
            "caption_channels": [24, 24],
            "text_emb_dim": 20,
            "num_routed_experts": 2,
            "axes_dims_rope": (8, 4, 4),
            "llama_layers": [0, 1],
        },
    ),
    "qwen_image": (
        "QwenImageTransformer2DModel",
        {
            **HEADS,
            "in_channels": 16,
            "out_channels": 4,
            "num_layers": 2,
            "joint_attention_dim": 24,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "krea2": (
        "Krea2Transformer2DModel",
        {
            "in_channels": 16,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 256,
            "timestep_embed_dim": 16,
            "text_hidden_dim": 32,
            "num_text_layers": 3,
            "text_num_attention_heads": 2,
            "text_num_key_value_heads": 2,
            "text_intermediate_size": 128,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "ideogram4": (
        "Ideogram4Transformer2DModel",
        {
            **HEADS,
            "in_channels": 8,
            "num_layers": 2,
            "intermediate_size": 56,
            "adaln_dim": 20,
            "llm_features_dim": 24,
            "mrope_section": (2, 3, 3),
        },
    ),
    "ernie": (
        "ErnieImageTransformer2DModel",
        {
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_layers": 2,
            "ffn_hidden_size": 56,
            "in_channels": 8,
            "out_channels": 8,
            "text_in_dim": 24,
            "rope_axes_dim": (4, 6, 6),
        },
    ),
    "mage_flow": (  # whose diffusers are Qwen-Image's, with the same names
        "QwenImageTransformer2DModel",
        {
            "in_channels": 16,
            "out_channels": 16,
            "patch_size": 1,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 2560,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "joyimage": (
        "JoyImageEditTransformer3DModel",
        {
            "in_channels": 4,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "text_dim": 24,
            "num_layers": 2,
            "rope_dim_list": [4, 6, 6],
        },
    ),
}

MODELS: Final = {**_IMAGES, **diffusers_videos.MODELS}


def build(name: str) -> torch.nn.Module:
    """Returns a new model, in memory."""
    kind, options = MODELS[name]
    model = getattr(diffusers, kind)(**options)
    if name == "z_image":  # a width that is no option
        embedder = type(model.t_embedder)
        model.t_embedder = embedder(256, mid_size=264)
    return model
