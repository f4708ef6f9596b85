"""The transformers of LTX-Video, and of LTX-2, which has audio as well as video."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Layout, Tokens, has, trait
from .tables import Paths, Shapes, indices, renamed

_OUTER: Final = {
    "patchify_proj": "proj_in",
    "audio_patchify_proj": "audio_proj_in",
}

_EMBEDDERS: Final = {
    "adaln_single": "time_embed",
    "audio_adaln_single": "audio_time_embed",
    "av_ca_video_scale_shift_adaln_single": "av_cross_attn_video_scale_shift",
    "av_ca_audio_scale_shift_adaln_single": "av_cross_attn_audio_scale_shift",
    "av_ca_a2v_gate_adaln_single": "av_cross_attn_video_a2v_gate",
    "av_ca_v2a_gate_adaln_single": "av_cross_attn_audio_v2a_gate",
    # LTX-2.3
    "prompt_adaln_single": "prompt_adaln",
    "audio_prompt_adaln_single": "audio_prompt_adaln",
}

_EMBEDDER: Final = {
    layer: layer
    for layer in ("emb.timestep_embedder.linear_1", "emb.timestep_embedder.linear_2", "linear")
}

_BLOCK: Final = {
    "scale_shift_table_a2v_ca_video": "video_a2v_cross_attn_scale_shift_table",
    "scale_shift_table_a2v_ca_audio": "audio_a2v_cross_attn_scale_shift_table",
}

_ATTENTIONS: Final = (
    "attn1",
    "attn2",
    "audio_attn1",
    "audio_attn2",
    "audio_to_video_attn",
    "video_to_audio_attn",
)

_NORMS: Final = {"q_norm": "norm_q", "k_norm": "norm_k"}

# diffusers has these, which LTX-2 puts between its text encoder and the blocks, in a module of
# their own next to the transformer, and saves them under its name.
_CONNECTORS: Final = {
    "video_embeddings_connector.": "connectors.video_connector.",
    "audio_embeddings_connector.": "connectors.audio_connector.",
}

_CONNECTOR: Final = {"learnable_registers": "learnable_registers"}

_CONNECTOR_BLOCK: Final = {
    **{f"attn1.{own}": f"attn1.{name}" for own, name in _NORMS.items()},
    **{
        layer: layer
        for layer in (
            "attn1.to_q",
            "attn1.to_k",
            "attn1.to_v",
            "attn1.to_out.0",
            "attn1.to_gate_logits",
            "ff.net.0.proj",
            "ff.net.2",
        )
    },
}


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of an LTX transformer, if they are not its own."""
    yield from renamed(shapes, _OUTER)
    for own, name in _EMBEDDERS.items():
        yield from renamed(shapes, _EMBEDDER, f"{own}.", f"{name}.")
    for block in indices(shapes, "transformer_blocks."):
        path = f"transformer_blocks.{block}."
        yield from renamed(shapes, _BLOCK, path, path)
        for attention in _ATTENTIONS:
            yield from renamed(shapes, _NORMS, f"{path}{attention}.", f"{path}{attention}.")
    for own, name in _CONNECTORS.items():
        yield from _connector(shapes, own, name)


def _connector(shapes: Shapes, native: str, diffusers: str) -> Paths:
    yield from renamed(shapes, _CONNECTOR, native, diffusers)
    stack = f"{native}transformer_1d_blocks."
    for block in indices(shapes, stack):
        there = f"{diffusers}transformer_blocks.{block}."
        yield from renamed(shapes, _CONNECTOR_BLOCK, f"{stack}{block}.", there)


_LAYOUT: Final = Layout(
    (has("adaln_single.emb.timestep_embedder.linear_1.weight", "patchify_proj.weight"),), paths
)

_BLOCKS: Final = "transformer_blocks."

# Between picture and sound, a layer belongs to the way that it is on. The tables of such a way
# belong to the side that they scale.
_SIDES: Final = (
    trait(r"audio_to_video|a2v_gate", "audio_to_video"),
    trait(r"video_to_audio|v2a_gate", "video_to_audio"),
    trait(r"a2v_ca_video|ca_video_scale", "video"),
    trait(r"a2v_ca_audio|(^|[._])audio(_|$)", "audio"),
    trait(r"^(patchify_proj|adaln_single|caption_projection|video_|proj_out|proj_in)", "video"),
    trait(r"audio_to_video|video_to_audio", "attn", "cross attn"),
)

LTX_VIDEO: Final = Architecture(
    "LTX-Video",
    signs=(
        has("adaln_single.linear.weight", "patchify_proj.weight"),
        has("time_embed.linear.weight", "transformer_blocks.0.attn1.norm_q.weight"),
    ),
    layouts=(_LAYOUT,),
    stated=("ltx",),
    blocks=(BlockList("block", (_BLOCKS,)),),
    tokens=Tokens(
        (1, 1, 1),
        re.compile(r"attn2\.(to_[kv]|norm_k|k_norm)|^caption|adaln|^time|scale_shift"),
    ),
)

LTX_2: Final = Architecture(
    "LTX-2",
    signs=(
        has("adaln_single.linear.weight", "audio_patchify_proj.weight"),
        has("time_embed.linear.weight", "audio_proj_in.weight"),
    ),
    layouts=(_LAYOUT,),
    stated=("ltx2", "ltx-2"),
    blocks=(
        BlockList(
            "video connector", ("video_embeddings_connector.transformer_1d_blocks.",), part="video"
        ),
        BlockList(
            "audio connector", ("audio_embeddings_connector.transformer_1d_blocks.",), part="audio"
        ),
        BlockList("block", (_BLOCKS,), part="video"),
    ),
    traits=_SIDES,
)
