"""The transformer of Krea 2.

The modulations of its blocks are left out: diffusers gives them another shape.
"""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, Tokens, has
from .tables import Stack, Table

_BLOCK: Final = {
    "prenorm": "norm1",
    "postnorm": "norm2",
    "attn.wq": "attn.to_q",
    "attn.wk": "attn.to_k",
    "attn.wv": "attn.to_v",
    "attn.wo": "attn.to_out.0",
    "attn.gate": "attn.to_gate",
    "attn.qknorm.qnorm": "attn.norm_q",
    "attn.qknorm.knorm": "attn.norm_k",
    "mlp.gate": "ff.gate",
    "mlp.up": "ff.up",
    "mlp.down": "ff.down",
}

# Some trainers omit the number that diffusers gives to this layer.
_SHORT: Final = {"attn.wo": "attn.to_out"}

_STACKS: Final = {
    "blocks.": "transformer_blocks.",
    "txtfusion.layerwise_blocks.": "text_fusion.layerwise_blocks.",
    "txtfusion.refiner_blocks.": "text_fusion.refiner_blocks.",
}

_TABLE: Final = Table(
    outer={
        "first": "img_in",
        "tmlp.0": "time_embed.linear_1",
        "tmlp.2": "time_embed.linear_2",
        "tproj.1": "time_mod_proj",
        "txtmlp.0": "txt_in.norm",
        "txtmlp.1": "txt_in.linear_1",
        "txtmlp.3": "txt_in.linear_2",
        "txtfusion.projector": "text_fusion.projector",
        "last.norm": "final_layer.norm",
        "last.linear": "final_layer.linear",
        "last.modulation.lin": "final_layer.scale_shift_table",
    },
    stacks=tuple(
        Stack(native, diffusers, layers)
        for native, diffusers in _STACKS.items()
        for layers in (_BLOCK, _SHORT)
    ),
)


_SIGN: Final = has("txtfusion.projector.weight")

KREA_2: Final = Architecture(
    "Krea 2",
    signs=(_SIGN, has("text_fusion.projector.weight")),
    layouts=(Layout((_SIGN,), _TABLE.paths),),
    stated=("krea",),
    clues=(Clue(re.compile(r"txtfusion|text_fusion[._](layerwise|refiner)_blocks")),),
    blocks=(
        BlockList("layerwise", ("txtfusion.layerwise_blocks.", "text_fusion.layerwise_blocks.")),
        BlockList("refiner", ("txtfusion.refiner_blocks.", "text_fusion.refiner_blocks.")),
        BlockList("block", ("blocks.", "transformer_blocks.")),
    ),
    tokens=Tokens(
        (1, 2, 2),
        re.compile(r"^(txt|tmlp|tproj)|\.mod(\.|$)|modulation"),
        joined=re.compile(r"^(blocks|last)\."),
        after=("ref_latents",),
    ),
)
