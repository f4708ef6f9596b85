"""The transformers of Qwen-Image, Mage-Flow and Qwen-Image 2.1, which have the same names
everywhere.

The exception is the gated MLP of 2.1, where ComfyUI joins two layers (taken from diffusers'
converter, not run).
"""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, Sign, Tokens, has
from .tables import Stack, Table

_TABLE_21: Final = Table(
    outer={},
    stacks=(
        Stack(
            "transformer_blocks.",
            "transformer_blocks.",
            fused={"img_mlp.gate_up": ("img_mlp.gate_layer", "img_mlp.proj")},
        ),
    ),
)

_GATED: Final = "transformer_blocks.0.img_mlp.gate_up.weight"

_BLOCKS: Final = (BlockList("block", ("transformer_blocks.",), part="img"),)

QWEN_IMAGE_21: Final = Architecture(
    "Qwen-Image 2.1",
    signs=(
        has(_GATED, "modulation.1.weight"),
        has("transformer_blocks.0.img_mlp.gate_layer.weight", "modulation.1.weight"),
    ),
    layouts=(Layout((has(_GATED),), _TABLE_21.paths),),
    kin="Qwen-Image",
    blocks=_BLOCKS,
)

_WEIGHTS: Final = ("transformer_blocks.0.img_mod.1.weight", "transformer_blocks.0.attn.to_q.weight")

# The trainers of all three may state "qwen".
QWEN_IMAGE: Final = Architecture(
    "Qwen-Image",
    signs=(has(*_WEIGHTS),),
    stated=("qwen",),
    clues=(Clue(re.compile(r"transformer_blocks[._]\d+[._]img_m(od|lp)")),),
    blocks=_BLOCKS,
    tokens=Tokens(
        (1, 2, 2),
        re.compile(r"(^|\.)txt_|add_[qkv]_proj|to_add_out|norm_added|^time|img_mod|^norm_out"),
        after=("ref_latents",),
    ),
)

# Mage-Flow is built like Qwen-Image, but reads the text of a smaller language model.
MAGE_FLOW: Final = Architecture(
    "Mage-Flow",
    signs=(Sign(_WEIGHTS, shapes={"txt_norm.weight": (2560,)}),),
    stated=("mage",),
    kin="Qwen-Image",
    blocks=_BLOCKS,
)
