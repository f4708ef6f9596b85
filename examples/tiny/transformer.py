"""The transformer: SD 3's architecture, as small as the host can read it, in both layouts.

The host takes every size from the tensors, but the number of blocks: that is the width / 64, and
so is the number of heads. diffusers needs the same numbers said (``CONFIG``). Its tensors are the
same but for their names, two things beside: q, k and v are one weight here and three there, and
what modulates the last layers is shift over scale here and scale over shift there.
"""

from __future__ import annotations

import torch
from diffusers import SD3Transformer2DModel

from .autoencoder import CHANNELS
from .scene_node.condition import POOLED_WIDTH, TOKEN_WIDTH

Weights = dict[str, torch.Tensor]

DEPTH = 2
CONFIG = {
    "sample_size": 8,
    "patch_size": 2,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "num_layers": DEPTH,
    "num_attention_heads": DEPTH,
    "attention_head_dim": 64,
    "joint_attention_dim": TOKEN_WIDTH,
    "caption_projection_dim": DEPTH * 64,
    "pooled_projection_dim": POOLED_WIDTH,
    "pos_embed_max_size": 8,
}

_OUTER = {
    "x_embedder.proj": "pos_embed.proj",
    "context_embedder": "context_embedder",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
}
_IN_BLOCK = {
    "x_block.adaLN_modulation.1": "norm1.linear",
    "x_block.attn.proj": "attn.to_out.0",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
}
_CONTEXT_IN_BLOCK = {
    "context_block.adaLN_modulation.1": "norm1_context.linear",
    "context_block.attn.proj": "attn.to_add_out",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
}
_FUSED_IN_BLOCK = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_SWAPPED = {"final_layer.adaLN_modulation.1": "norm_out.linear"}
_POSITIONS = ("pos_embed", "pos_embed.pos_embed")


def _same() -> dict[str, str]:
    """Layers that differ by their name alone: the host's -> diffusers'."""
    layers = dict(_OUTER)
    for block in range(DEPTH):
        inside = _IN_BLOCK if block == DEPTH - 1 else _IN_BLOCK | _CONTEXT_IN_BLOCK
        layers |= {
            f"joint_blocks.{block}.{ours}": f"transformer_blocks.{block}.{theirs}"
            for ours, theirs in inside.items()
        }
    return layers


def fused_layers() -> dict[str, tuple[str, ...]]:
    """Layers that are one in the host and three in diffusers."""
    return {
        f"joint_blocks.{block}.{ours}": tuple(
            f"transformer_blocks.{block}.{name}" for name in theirs
        )
        for block in range(DEPTH)
        for ours, theirs in _FUSED_IN_BLOCK.items()
    }


def _swapped() -> dict[str, str]:
    last = DEPTH - 1
    return _SWAPPED | {
        f"joint_blocks.{last}.context_block.adaLN_modulation.1": (
            f"transformer_blocks.{last}.norm1_context.linear"
        )
    }


def host_name(layer: str) -> str:
    """What the host calls a layer of diffusers that differs by its name alone."""
    return {theirs: ours for ours, theirs in _same().items()}[layer]


def to_host(weights: Weights) -> Weights:
    """diffusers' state dict in the layout of the original checkpoints."""
    found = {_POSITIONS[0]: weights[_POSITIONS[1]]}
    for kind in ("weight", "bias"):
        for ours, theirs in _same().items():
            found[f"{ours}.{kind}"] = weights[f"{theirs}.{kind}"]
        for ours, parts in fused_layers().items():
            found[f"{ours}.{kind}"] = torch.cat([weights[f"{part}.{kind}"] for part in parts])
        for ours, theirs in _swapped().items():
            found[f"{ours}.{kind}"] = _halves_swapped(weights[f"{theirs}.{kind}"])
    return found


def from_host(weights: Weights) -> Weights:
    """The other way round."""
    found = {_POSITIONS[1]: weights[_POSITIONS[0]]}
    for kind in ("weight", "bias"):
        for ours, theirs in _same().items():
            found[f"{theirs}.{kind}"] = weights[f"{ours}.{kind}"]
        for ours, parts in fused_layers().items():
            pieces = weights[f"{ours}.{kind}"].chunk(3)
            found |= {f"{part}.{kind}": piece for part, piece in zip(parts, pieces, strict=True)}
        for ours, theirs in _swapped().items():
            found[f"{theirs}.{kind}"] = _halves_swapped(weights[f"{ours}.{kind}"])
    return found


def _halves_swapped(weight: torch.Tensor) -> torch.Tensor:
    return torch.cat(weight.chunk(2)[::-1])


def new_transformer() -> SD3Transformer2DModel:
    return SD3Transformer2DModel(**CONFIG)
