"""The transformer of AuraFlow."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, has, trait
from .tables import Stack, Table

# Its attention calls the text's side 1 and the picture's side 2; where they are joined, all is 1.
_TABLE: Final = Table(
    outer={
        "positional_encoding": "pos_embed.pos_embed",
        "init_x_linear": "pos_embed.proj",
        "cond_seq_linear": "context_embedder",
        "t_embedder.mlp.0": "time_step_proj.linear_1",
        "t_embedder.mlp.2": "time_step_proj.linear_2",
        "final_linear": "proj_out",
    },
    modulation={"modF.1": "norm_out.linear"},
    stacks=(
        Stack(
            "double_layers.",
            "joint_transformer_blocks.",
            {
                "modX.1": "norm1.linear",
                "modC.1": "norm1_context.linear",
                "attn.w2q": "attn.to_q",
                "attn.w2k": "attn.to_k",
                "attn.w2v": "attn.to_v",
                "attn.w2o": "attn.to_out.0",
                "attn.w1q": "attn.add_q_proj",
                "attn.w1k": "attn.add_k_proj",
                "attn.w1v": "attn.add_v_proj",
                "attn.w1o": "attn.to_add_out",
                "mlpX.c_fc1": "ff.linear_1",
                "mlpX.c_fc2": "ff.linear_2",
                "mlpX.c_proj": "ff.out_projection",
                "mlpC.c_fc1": "ff_context.linear_1",
                "mlpC.c_fc2": "ff_context.linear_2",
                "mlpC.c_proj": "ff_context.out_projection",
            },
        ),
        Stack(
            "single_layers.",
            "single_transformer_blocks.",
            {
                "modCX.1": "norm1.linear",
                "attn.w1q": "attn.to_q",
                "attn.w1k": "attn.to_k",
                "attn.w1v": "attn.to_v",
                "attn.w1o": "attn.to_out.0",
                "mlp.c_fc1": "ff.linear_1",
                "mlp.c_fc2": "ff.linear_2",
                "mlp.c_proj": "ff.out_projection",
            },
        ),
    ),
)


_SIGN: Final = has("double_layers.0.attn.w1q.weight")

AURAFLOW: Final = Architecture(
    "AuraFlow",
    signs=(_SIGN, has("joint_transformer_blocks.0.attn.add_q_proj.weight")),
    layouts=(Layout((_SIGN,), _TABLE.paths),),
    stated=("auraflow",),
    clues=(Clue(re.compile(r"joint_transformer_blocks|(double|single)_layers")),),
    blocks=(
        BlockList("double", ("double_layers.", "joint_transformer_blocks."), part="img"),
        BlockList("single", ("single_layers.", "single_transformer_blocks.")),
    ),
    traits=(trait(r"^double_layers\.\d+\.(attn\.w1.|mlpC\.|modC\.)", "txt"),),
)
