"""The same small models in diffusers' classes: one row for each that it has, with equal widths."""

from __future__ import annotations

from typing import Any, Final

import diffusers
import torch

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
_HEADS: Final = {"num_attention_heads": 2, "attention_head_dim": 16}
_FLUX: Final = {
    **_HEADS,
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
_HUNYUAN: Final = {
    **_HEADS,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 2,
    "text_embed_dim": 24,
}
_WAN: Final = {
    **_HEADS,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 24,
    "freq_dim": 16,
    "ffn_dim": 56,
    "num_layers": 2,
}
_COSMOS: Final = {
    **_HEADS,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 2,
    "text_embed_dim": 24,
    "adaln_lora_dim": 12,
    "max_size": (8, 24, 24),
}
_KANDINSKY: Final = {
    "in_visual_dim": 4,
    "out_visual_dim": 4,
    "in_text_dim": 24,
    "in_text_dim2": 20,
    "time_dim": 36,
    "model_dim": 32,
    "ff_dim": 56,
    "num_text_blocks": 1,
    "num_visual_blocks": 2,
    "axes_dims": (4, 6, 6),
}

MODELS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
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
    "svd": (
        "UNetSpatioTemporalConditionModel",
        {
            "in_channels": 8,
            "out_channels": 4,
            "down_block_types": ("CrossAttnDownBlockSpatioTemporal",),
            "up_block_types": ("CrossAttnUpBlockSpatioTemporal",),
            "block_out_channels": (32,),
            "addition_time_embed_dim": 4,
            "projection_class_embeddings_input_dim": 28,
            "cross_attention_dim": 1024,
            "num_attention_heads": 2,
        },
    ),
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
            **_HEADS,
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
            **_HEADS,
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
    "ltxv": (
        "LTXVideoTransformer3DModel",
        {
            **_HEADS,
            "in_channels": 8,
            "out_channels": 8,
            "cross_attention_dim": 32,
            "num_layers": 2,
            "caption_channels": 24,
        },
    ),
    "ltxav": (
        "LTX2VideoTransformer3DModel",
        {
            **_HEADS,
            "in_channels": 8,
            "out_channels": 8,
            "cross_attention_dim": 32,
            "audio_in_channels": 12,
            "audio_out_channels": 12,
            "audio_num_attention_heads": 2,
            "audio_attention_head_dim": 8,
            "audio_cross_attention_dim": 16,
            "num_layers": 2,
            "caption_channels": 24,
        },
    ),
    "hunyuan_video": (
        "HunyuanVideoTransformer3DModel",
        {
            **_HUNYUAN,
            "num_single_layers": 2,
            "pooled_projection_dim": 20,
            "rope_axes_dim": (4, 6, 6),
        },
    ),
    "hunyuan_video15": (
        "HunyuanVideo15Transformer3DModel",
        {
            **_HUNYUAN,
            "in_channels": 9,
            "image_embed_dim": 36,
            "rope_axes_dim": (4, 6, 6),
            "use_meanflow": True,
        },
    ),
    "hunyuan_image21": (
        "HunyuanImageTransformer2DModel",
        {
            **_HUNYUAN,
            "num_single_layers": 2,
            "text_embed_2_dim": 1472,
            "rope_axes_dim": (8, 8),
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
    "wan_t2v": ("WanTransformer3DModel", _WAN),
    "wan_i2v": ("WanTransformer3DModel", {**_WAN, "image_dim": 1280, "added_kv_proj_dim": 32}),
    "wan_vace": ("WanVACETransformer3DModel", {**_WAN, "vace_layers": [0], "vace_in_channels": 12}),
    "hidream": (
        "HiDreamImageTransformer2DModel",
        {
            **_HEADS,
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
            **_HEADS,
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
            **_HEADS,
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
    "cogvideox": (
        "CogVideoXTransformer3DModel",
        {
            **_HEADS,
            "in_channels": 4,
            "out_channels": 4,
            "time_embed_dim": 20,
            "text_embed_dim": 24,
            "num_layers": 2,
            "sample_width": 4,
            "sample_height": 4,
            "sample_frames": 5,
            "max_text_seq_length": 6,
            "use_rotary_positional_embeddings": True,
        },
    ),
    "cosmos1": ("CosmosTransformer3DModel", {**_COSMOS, "extra_pos_embed_type": "learnable"}),
    "cosmos_predict2": ("CosmosTransformer3DModel", {**_COSMOS, "extra_pos_embed_type": None}),
    "anima": ("CosmosTransformer3DModel", {**_COSMOS, "extra_pos_embed_type": None}),
    "kandinsky5": ("Kandinsky5Transformer3DModel", {**_KANDINSKY, "visual_cond": True}),
    "kandinsky5_image": ("Kandinsky5Transformer3DModel", {**_KANDINSKY, "visual_cond": False}),
    "mochi": (
        "MochiTransformer3DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 96,
            "num_layers": 2,
            "pooled_projection_dim": 96,
            "in_channels": 4,
            "text_embed_dim": 24,
            "max_sequence_length": 6,
        },
    ),
    "ace_step15": (
        "AceStepTransformer1DModel",
        {
            "in_channels": 24,
            "hidden_size": 32,
            "intermediate_size": 56,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "audio_acoustic_hidden_dim": 12,
            "encoder_hidden_size": 32,
        },
    ),
    "stable_audio": (
        "StableAudioDiTModel",
        {
            "in_channels": 8,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "num_key_value_attention_heads": 1,
            "out_channels": 8,
            "cross_attention_dim": 16,
            "global_states_input_dim": 32,
            "cross_attention_input_dim": 16,
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


def build(name: str) -> torch.nn.Module:
    """A fresh model, in memory."""
    kind, options = MODELS[name]
    model = getattr(diffusers, kind)(**options)
    if name == "z_image":  # a width that is no option
        embedder = type(model.t_embedder)
        model.t_embedder = embedder(256, mid_size=264)
    return model
