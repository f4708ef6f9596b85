"""The transformers of MiniMax-H3 (video with sound) and of MiniMax-Music 3."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, has
from .tables import Paths, Shapes, Stack, Table, fused, indices, renamed

# --- H3 -------------------------------------------------------------------------------------------

_ATTENTION: Final = {
    "attn.q_norm": "attn.norm_q",
    "attn.k_norm": "attn.norm_k",
    "attn.out_proj": "attn.to_out.0",
    "mlp.fc2": "ff.net.2",
}

_QKV: Final = {"attn.qkv_proj": ("attn.to_q", "attn.to_k", "attn.to_v")}

# gate over value here, value over gate in diffusers
_GATED: Final = {"mlp.fc1": "ff.net.0.proj"}

_H3_OUTER: Final = {
    "video_patch_proj": "proj_in",
    "audio_patch_proj": "audio_proj_in",
    "condition_proj": "context_embedder",
    "time_embedder.proj_in": "time_embedder.linear_1",
    "time_embedder.proj_out": "time_embedder.linear_2",
    "final_layer.norm": "norm_out.norm",
    "final_layer.adaln_proj.linear": "norm_out.linear",
    "final_layer.video_out": "proj_out",
    "final_layer.audio_out": "audio_proj_out",
}

_H3_STACKS: Final = {
    "blocks.": "transformer_blocks.",
    "token_refiner.blocks.": "token_refiner.refiner_blocks.",
}


def _h3_paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of MiniMax-H3."""
    yield from renamed(shapes, _H3_OUTER)
    for stack, other in _H3_STACKS.items():
        for block in indices(shapes, stack):
            native, diffusers = f"{stack}{block}.", f"{other}{block}."
            yield from renamed(
                shapes, {"adaln_proj.linear": "adaln_proj.linear"}, native, diffusers
            )
            yield from renamed(shapes, {"norm1": "norm1", "norm2": "norm2"}, native, diffusers)
            yield from renamed(shapes, _ATTENTION, native, diffusers)
            yield from renamed(shapes, _GATED, native, diffusers, halves_swapped=True)
            yield from fused(shapes, _QKV, native, diffusers)


_H3_SIGN: Final = has("token_refiner.blocks.0.attn.qkv_proj.weight", "video_patch_proj.weight")

MINIMAX_H3: Final = Architecture(
    "MiniMax-H3",
    signs=(
        _H3_SIGN,
        has("token_refiner.refiner_blocks.0.attn.to_q.weight", "audio_proj_in.weight"),
    ),
    layouts=(Layout((_H3_SIGN,), _h3_paths),),
    stated=("minimax_h3", "minimax-h3"),
    clues=(Clue(re.compile(r"attn[._]qkv_proj")),),
    head_banks=("final_layer.video_out", "final_layer.audio_out"),
    blocks=(
        BlockList("refiner", ("token_refiner.blocks.", "token_refiner.refiner_blocks.")),
        BlockList("block", ("blocks.", "transformer_blocks.")),
    ),
)


# --- Music 3 --------------------------------------------------------------------------------------

_INSIDE: Final = "diffusion_transformer."

_MUSIC_3: Final = Table(
    outer={
        f"{_INSIDE}preprocess_conv": "preprocess_conv",
        f"{_INSIDE}postprocess_conv": "postprocess_conv",
        f"{_INSIDE}timestep_features": "time_proj",
        f"{_INSIDE}to_timestep_embed.0": "time_embed.linear_1",
        f"{_INSIDE}to_timestep_embed.2": "time_embed.linear_2",
        f"{_INSIDE}transformer.project_in": "proj_in",
        f"{_INSIDE}transformer.project_out": "proj_out",
    },
    stacks=(
        Stack(
            f"{_INSIDE}transformer.layers.",
            "transformer_blocks.",
            {
                "pre_norm.gamma": "norm1",
                "self_attn.to_out": "attn.to_out.0",
                "ff_norm.gamma": "norm2",
                "ff.ff.0.proj": "ff_in",
                "ff.ff.2": "ff_out",
            },
            {"self_attn.to_qkv": ("attn.to_q", "attn.to_k", "attn.to_v")},
        ),
    ),
)

_MUSIC_3_SIGN: Final = has("cond_layer_logits", "latent_conditioners.0.weight")

MINIMAX_MUSIC_3: Final = Architecture(
    "MiniMax-Music 3",
    signs=(
        _MUSIC_3_SIGN,
        has("preprocess_conv.weight", "transformer_blocks.0.ff_in.weight"),
    ),
    layouts=(Layout((_MUSIC_3_SIGN,), _MUSIC_3.paths),),
    stated=("minimax_music", "minimax-music"),
    blocks=(BlockList("layer", (f"{_INSIDE}transformer.layers.", "transformer_blocks.")),),
)
