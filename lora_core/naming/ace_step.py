"""ACE-Step 1.5: its trainers and diffusers only see the decoder among its modules.

ACE-Step 1 has the same names everywhere.
"""

from __future__ import annotations

from typing import Final

from .architecture import Architecture, BlockList, Layout, has
from .tables import Paths, Shapes, indices, native_path, renamed
from .targets import Target

_DECODER: Final = "decoder."

_OUTER: Final = {"proj_in.1": "proj_in_conv", "proj_out.1": "proj_out_conv"}

_ATTENTION: Final = {
    "q_proj": "to_q",
    "k_proj": "to_k",
    "v_proj": "to_v",
    "o_proj": "to_out.0",
    "q_norm": "norm_q",
    "k_norm": "norm_k",
}


def paths(shapes: Shapes) -> Paths:
    """Yields the decoder's paths by themselves, in its own words and in those of diffusers."""
    for key in shapes:
        if key.startswith(_DECODER):
            yield native_path(key).removeprefix(_DECODER), Target(key)
    yield from renamed(shapes, _OUTER, _DECODER)
    for block in indices(shapes, f"{_DECODER}layers."):
        for attention in ("self_attn", "cross_attn"):
            layer = f"layers.{block}.{attention}."
            yield from renamed(shapes, _ATTENTION, _DECODER + layer, layer)


ACE_STEP_15: Final = Architecture(
    "ACE-Step 1.5",
    signs=(
        has("decoder.layers.0.self_attn.q_proj.weight", "encoder.text_projector.weight"),
        has("proj_in_conv.weight", "layers.0.cross_attn.to_q.weight"),
    ),
    layouts=(Layout((has("decoder.layers.0.self_attn.q_proj.weight"),), paths),),
    blocks=(
        BlockList("lyric encoder", ("encoder.lyric_encoder.layers.",)),
        BlockList("timbre encoder", ("encoder.timbre_encoder.layers.",)),
        BlockList("tokenizer", ("tokenizer.attention_pooler.layers.",)),
        BlockList("detokenizer", ("detokenizer.layers.",)),
        BlockList("layer", ("decoder.layers.", "layers.")),
    ),
    in_diffusers=(".to_", "proj_in_conv"),
)

ACE_STEP: Final = Architecture(
    "ACE-Step",
    signs=(has("lyric_encoder.embed.out.0.weight", "genre_embedder.weight"),),
    blocks=(
        BlockList("lyric encoder", ("lyric_encoder.encoders.",)),
        BlockList("block", ("transformer_blocks.",)),
    ),
)
