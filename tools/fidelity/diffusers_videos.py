"""diffusers' models of films and sound: one row for each."""

from __future__ import annotations

from typing import Any, Final

Row = tuple[str, dict[str, Any]]

HEADS: Final = {"num_attention_heads": 2, "attention_head_dim": 16}

_HUNYUAN: Final = {
    **HEADS,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 2,
    "text_embed_dim": 24,
}

_WAN: Final = {
    **HEADS,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 24,
    "freq_dim": 16,
    "ffn_dim": 56,
    "num_layers": 2,
}

_COSMOS: Final = {
    **HEADS,
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

MODELS: Final[dict[str, Row]] = {
    "minimax_h3": (
        "MiniMaxH3Transformer3DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 8,
            "hidden_size": 32,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "ffn_dim": 56,
            "in_channels": 4,
            "audio_in_channels": 6,
            "text_dim": 24,
            "freq_dim": 12,
            "time_embed_hidden_dim": 32,
            "time_embed_dim": 20,
            "rope_freq_dim": 2,
        },
    ),
    "minimax_music3": ("MiniMaxMusic3Transformer1DModel", {"num_layers": 2}),
    "wan_animate2": (
        "WanAnimate2Transformer3DModel",
        {
            "in_dim": 4,
            "dim": 32,
            "ffn_dim": 56,
            "freq_dim": 16,
            "text_dim": 24,
            "out_dim": 4,
            "num_heads": 2,
            "num_layers": 2,
        },
    ),
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
    "ltxv": (
        "LTXVideoTransformer3DModel",
        {
            **HEADS,
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
            **HEADS,
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
    "wan_t2v": ("WanTransformer3DModel", _WAN),
    "wan_i2v": ("WanTransformer3DModel", {**_WAN, "image_dim": 1280, "added_kv_proj_dim": 32}),
    "wan_vace": ("WanVACETransformer3DModel", {**_WAN, "vace_layers": [0], "vace_in_channels": 12}),
    "cogvideox": (
        "CogVideoXTransformer3DModel",
        {
            **HEADS,
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
}
