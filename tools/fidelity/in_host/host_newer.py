"""Models that ComfyUI has since 0.29 to 0.33: one row for each. An older host leaves them out."""

from __future__ import annotations

from host_rows import HostModel
from host_videos import WAN

MODELS = {
    "minimax_h3": HostModel(
        "MiniMaxH3",
        "ldm.minimax.model:MiniMaxH3Model",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "token_refiner_num_layers": 1,
            "num_attention_heads": 2,
            "attention_head_dim": 8,
            "ffn_hidden_size": 56,
            "latents_dim": 4,
            "audio_latents_dim": 6,
            "text_dim": 24,
            "timestep_input_dim": 12,
            "time_embed_hidden_size": 32,
            "time_embed_dim": 20,
            "rope_inv_freq_len": 2,
        },
    ),
    "minimax_music3": HostModel(
        "MiniMaxMusic3",
        "ldm.minimax_music.dit:MiniMaxMusic3DiT",
        {},  # its widths are no options
        keep=("diffusion_transformer.transformer.layers", 2),
    ),
    "mage_flow": HostModel(
        "MageFlow",
        "ldm.mage_flow.model:MageFlowTransformer2DModel",
        {
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 2560,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "wan_animate2": HostModel(
        "WAN_Animate2",
        "ldm.wan.model_animate2:WanAnimate2Model",
        WAN | {"model_type": "animate2"},
    ),
    "trellis2": HostModel(
        "Trellis2",
        "ldm.trellis2.model:Trellis2",
        {
            "resolution": 32,
            "in_channels": 8,
            "out_channels": 8,
            "model_channels": 32,
            "cond_channels": 24,
            "num_blocks": 2,
            "num_heads": 2,
            "mlp_ratio": 2.0,
            "init_txt_model": True,
        },
    ),
}
