"""The transformers of Stable Audio Open and of Stable Audio 3."""

from __future__ import annotations

from typing import Final

from .architecture import Architecture, BlockList, Layout, has
from .tables import Paths, Shapes, Stack, Table, divided, indices
from .targets import Target

_LAYERS: Final = "transformer.layers."
_BLOCKS: Final = "transformer_blocks."

_OPEN: Final = Table(
    outer={
        "timestep_features": "time_proj",
        "to_timestep_embed.0": "timestep_proj.0",
        "to_timestep_embed.2": "timestep_proj.2",
        "to_global_embed.0": "global_proj.0",
        "to_global_embed.2": "global_proj.2",
        "to_cond_embed.0": "cross_attention_proj.0",
        "to_cond_embed.2": "cross_attention_proj.2",
        "transformer.project_in": "proj_in",
        "transformer.project_out": "proj_out",
    },
    stacks=(
        Stack(
            _LAYERS,
            _BLOCKS,
            {
                "pre_norm.gamma": "norm1",
                "cross_attend_norm.gamma": "norm2",
                "ff_norm.gamma": "norm3",
                "self_attn.to_out": "attn1.to_out.0",
                "cross_attn.to_q": "attn2.to_q",
                "cross_attn.to_out": "attn2.to_out.0",
                "ff.ff.0.proj": "ff.net.0.proj",
                "ff.ff.2": "ff.net.2",
            },
            {
                "self_attn.to_qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
                "cross_attn.to_kv": ("attn2.to_k", "attn2.to_v"),
            },
        ),
    ),
)

_UNCHANGED: Final = (
    "to_scale_shift_gate",
    "pre_norm.gamma",
    "self_attn.to_out",
    "self_attn.q_norm.gamma",
    "self_attn.k_norm.gamma",
    "cross_attend_norm.gamma",
    "cross_attn.to_q",
    "cross_attn.to_kv",
    "cross_attn.to_out",
    "cross_attn.q_norm.gamma",
    "cross_attn.k_norm.gamma",
    "ff_norm.gamma",
    "to_local_embed.0",
    "to_local_embed.2",
)

_THIRD: Final = Table(
    outer={
        "transformer.project_in": "proj_in",
        "transformer.project_out": "proj_out",
        "transformer.memory_tokens": "memory_tokens",
        "transformer.global_cond_embedder.0": "global_cond_embedder.0",
        "transformer.global_cond_embedder.2": "global_cond_embedder.2",
    },
    stacks=(
        Stack(
            _LAYERS,
            _BLOCKS,
            {
                **{layer: layer for layer in _UNCHANGED},
                "ff.ff.0.proj": "ff.proj_in",
                "ff.ff.2": "ff.proj_out",
            },
        ),
    ),
)

_FUSED: Final = "self_attn.to_qkv"
_ORDER: Final = (0, 3, 1, 4, 2)
"""The order of the fused layers: q, k, v and then what q and k are compared with; diffusers has
pairs."""


def _third_paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of Stable Audio 3."""
    yield from _THIRD.paths(shapes)
    for block in indices(shapes, _LAYERS):
        key = f"{_LAYERS}{block}.{_FUSED}.weight"
        if key in shapes:
            height = shapes[key][0] // len(_ORDER)
            pieces = [Target(key, rows=(place * height, height)) for place in _ORDER]
            yield from divided(f"{_BLOCKS}{block}.{_FUSED}", pieces, shapes)


_BLOCKS_OF_ALL: Final = (BlockList("layer", (_LAYERS, _BLOCKS)),)

STABLE_AUDIO: Final = Architecture(
    "Stable Audio",
    signs=(
        has("transformer.project_in.weight", "to_timestep_embed.0.weight"),
        has("cross_attention_proj.0.weight", "global_proj.0.weight"),
    ),
    layouts=(
        Layout((has("transformer.project_in.weight", "timestep_features.weight"),), _OPEN.paths),
    ),
    blocks=_BLOCKS_OF_ALL,
)

_SIGN_3: Final = has("transformer.global_cond_embedder.0.weight")

STABLE_AUDIO_3: Final = Architecture(
    "Stable Audio 3",
    signs=(_SIGN_3, has("transformer_blocks.0.to_scale_shift_gate")),
    layouts=(Layout((_SIGN_3,), _third_paths),),
    blocks=_BLOCKS_OF_ALL,
)
