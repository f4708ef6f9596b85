"""The transformer of HunyuanDiT.

diffusers has its second and third norm exchanged. A name of theirs means the model's own norm with
that number, since nothing shows who wrote it.
"""

from __future__ import annotations

from typing import Final

from .architecture import Architecture, BlockList, Layout, has
from .tables import Stack, Table

_TABLE: Final = Table(
    outer={
        "x_embedder.proj": "pos_embed.proj",
        "mlp_t5.0": "text_embedder.linear_1",
        "mlp_t5.2": "text_embedder.linear_2",
        "t_embedder.mlp.0": "time_extra_emb.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_extra_emb.timestep_embedder.linear_2",
        "extra_embedder.0": "time_extra_emb.extra_embedder.linear_1",
        "extra_embedder.2": "time_extra_emb.extra_embedder.linear_2",
        "pooler.positional_embedding": "time_extra_emb.pooler.positional_embedding",
        "pooler.q_proj": "time_extra_emb.pooler.q_proj",
        "pooler.k_proj": "time_extra_emb.pooler.k_proj",
        "pooler.v_proj": "time_extra_emb.pooler.v_proj",
        "pooler.c_proj": "time_extra_emb.pooler.c_proj",
        "style_embedder": "time_extra_emb.style_embedder",
        "final_layer.linear": "proj_out",
    },
    modulation={"final_layer.adaLN_modulation.1": "norm_out.linear"},
    stacks=(
        Stack(
            "blocks.",
            "blocks.",
            {
                "norm1": "norm1.norm",
                "default_modulation.1": "norm1.linear",
                "attn1.q_norm": "attn1.norm_q",
                "attn1.k_norm": "attn1.norm_k",
                "attn1.out_proj": "attn1.to_out.0",
                "attn2.q_proj": "attn2.to_q",
                "attn2.q_norm": "attn2.norm_q",
                "attn2.k_norm": "attn2.norm_k",
                "attn2.out_proj": "attn2.to_out.0",
                "mlp.fc1": "ff.net.0.proj",
                "mlp.fc2": "ff.net.2",
            },
            {
                "attn1.Wqkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
                "attn2.kv_proj": ("attn2.to_k", "attn2.to_v"),
            },
        ),
    ),
)


_SIGN: Final = has("mlp_t5.0.weight", "blocks.0.attn1.Wqkv.weight")

HUNYUAN_DIT: Final = Architecture(
    "HunyuanDiT",
    signs=(_SIGN, has("time_extra_emb.pooler.q_proj.weight", "blocks.0.attn1.to_q.weight")),
    layouts=(Layout((_SIGN,), _TABLE.paths),),
    blocks=(BlockList("block", ("blocks.",)),),
)
