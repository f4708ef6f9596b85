"""The transformer of Ideogram 4, which has other names only where diffusers splits it."""

from __future__ import annotations

from typing import Final

from .architecture import Architecture, BlockList, Layout, has
from .tables import Stack, Table

_TABLE: Final = Table(
    outer={},
    stacks=(
        Stack(
            "layers.",
            "layers.",
            {"attention.o": "attention.to_out.0"},
            {"attention.qkv": ("attention.to_q", "attention.to_k", "attention.to_v")},
        ),
    ),
)


_SIGN: Final = has("embed_image_indicator.weight", "layers.0.attention.qkv.weight")

IDEOGRAM_4: Final = Architecture(
    "Ideogram 4",
    signs=(has("embed_image_indicator.weight"),),
    layouts=(Layout((_SIGN,), _TABLE.paths),),
    stated=("ideogram",),
    blocks=(BlockList("layer", ("layers.",)),),
)
