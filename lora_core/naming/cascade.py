"""The two stages of Stable Cascade, which have other names only in their attention."""

from __future__ import annotations

from typing import Final

from .architecture import Architecture, BlockList, Layout, has, trait
from .tables import Paths, Shapes, fused, renamed

_OUTER: Final = {"clip_mapper": "clip_txt_pooled_mapper"}

_ATTENTION: Final = "attention.attn."

_PARTS: Final = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "out_proj": "to_out.0"}

# in checkpoints by Stability
_FUSED: Final = {"in_proj_weight": ("to_q", "to_k", "to_v")}


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of either stage."""
    yield from renamed(shapes, _OUTER)
    for native in _attentions(shapes):
        diffusers = native.removesuffix("attn.")
        yield from renamed(shapes, _PARTS, native, diffusers)
        yield from fused(shapes, _FUSED, native, diffusers)


def _attentions(shapes: Shapes) -> list[str]:
    """Returns the start of every attention's names."""
    ends = (key.partition(_ATTENTION) for key in shapes)
    return list(dict.fromkeys(start + _ATTENTION for start, found, _ in ends if found))


_SIGN: Final = has("down_blocks.0.0.channelwise.0.weight")

STABLE_CASCADE: Final = Architecture(
    "Stable Cascade",
    signs=(_SIGN,),
    layouts=(Layout((_SIGN,), paths),),
    blocks=(
        BlockList("down", ("down_blocks.", "down_downscalers.")),
        BlockList("up", ("up_blocks.", "up_upscalers.", "up_repeat_mappers.")),
    ),
    traits=(
        trait(r"\.mapper(_sca|_crp)?$", "mod"),
        trait(r"\.kv_mapper\.", "attn"),
        trait(r"\.channelwise\.", "ff"),
        trait(r"^(down_downscalers|up_upscalers|up_repeat_mappers)\.", "conv"),
    ),
)
