"""The transformer of CogVideoX, 1.0 and 1.5."""

from __future__ import annotations

from typing import Final

from .architecture import Architecture, BlockList, Layout, has
from .tables import Stack, Table

_TABLE: Final = Table(
    outer={
        "time_embedding_linear_1": "time_embedding.linear_1",
        "time_embedding_linear_2": "time_embedding.linear_2",
        "ofs_embedding_linear_1": "ofs_embedding.linear_1",
        "ofs_embedding_linear_2": "ofs_embedding.linear_2",
    },
    stacks=(
        Stack(
            "blocks.",
            "transformer_blocks.",
            {
                "norm1.linear": "norm1.linear",
                "norm1.norm": "norm1.norm",
                "q": "attn1.to_q",
                "k": "attn1.to_k",
                "v": "attn1.to_v",
                "attn_out": "attn1.to_out.0",
                "norm_q": "attn1.norm_q",
                "norm_k": "attn1.norm_k",
                "norm2.linear": "norm2.linear",
                "norm2.norm": "norm2.norm",
                "ff_proj": "ff.net.0.proj",
                "ff_out": "ff.net.2",
            },
        ),
    ),
)


_SIGN: Final = has("blocks.0.norm1.linear.weight", "blocks.0.attn_out.weight")

COGVIDEOX: Final = Architecture(
    "CogVideoX",
    signs=(
        _SIGN,
        has("patch_embed.text_proj.weight", "transformer_blocks.0.norm1.linear.weight"),
    ),
    layouts=(Layout((_SIGN,), _TABLE.paths),),
    blocks=(BlockList("block", ("blocks.", "transformer_blocks.")),),
)
