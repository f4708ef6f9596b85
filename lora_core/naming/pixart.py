"""The transformer of PixArt-α and PixArt-Σ."""

from __future__ import annotations

from typing import Final

from .architecture import Architecture, BlockList, Layout, has
from .tables import Stack, Table

_TABLE: Final = Table(
    outer={
        "x_embedder.proj": "pos_embed.proj",
        "y_embedder.y_embedding": "caption_projection.y_embedding",
        "y_embedder.y_proj.fc1": "caption_projection.linear_1",
        "y_embedder.y_proj.fc2": "caption_projection.linear_2",
        "t_embedder.mlp.0": "adaln_single.emb.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "adaln_single.emb.timestep_embedder.linear_2",
        "csize_embedder.mlp.0": "adaln_single.emb.resolution_embedder.linear_1",
        "csize_embedder.mlp.2": "adaln_single.emb.resolution_embedder.linear_2",
        "ar_embedder.mlp.0": "adaln_single.emb.aspect_ratio_embedder.linear_1",
        "ar_embedder.mlp.2": "adaln_single.emb.aspect_ratio_embedder.linear_2",
        "t_block.1": "adaln_single.linear",
        "final_layer.linear": "proj_out",
        "final_layer.scale_shift_table": "scale_shift_table",
    },
    stacks=(
        Stack(
            "blocks.",
            "transformer_blocks.",
            {
                "scale_shift_table": "scale_shift_table",
                "attn.proj": "attn1.to_out.0",
                "attn.q_norm": "attn1.q_norm",
                "attn.k_norm": "attn1.k_norm",
                "cross_attn.q_linear": "attn2.to_q",
                "cross_attn.proj": "attn2.to_out.0",
                "mlp.fc1": "ff.net.0.proj",
                "mlp.fc2": "ff.net.2",
            },
            {
                "attn.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
                "cross_attn.kv_linear": ("attn2.to_k", "attn2.to_v"),
            },
        ),
    ),
)


_SIGN: Final = has("blocks.0.cross_attn.kv_linear.weight")

PIXART: Final = Architecture(
    "PixArt",
    signs=(_SIGN, has("adaln_single.linear.weight", "pos_embed.proj.weight")),
    layouts=(Layout((_SIGN,), _TABLE.paths),),
    stated=("pixart",),
    blocks=(BlockList("block", ("blocks.", "transformer_blocks.")),),
)
