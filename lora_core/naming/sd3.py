"""The transformer of SD 3 and SD 3.5 (MMDiT)."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, Tokens, has, trait
from .tables import Paths, Shapes, fused, indices, renamed

_OUTER: Final = {
    "pos_embed": "pos_embed.pos_embed",
    "x_embedder.proj": "pos_embed.proj",
    "context_embedder": "context_embedder",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
}

# shift over scale here, scale over shift in diffusers
_LAST_MODULATION: Final = {"final_layer.adaLN_modulation.1": "norm_out.linear"}

_FUSED: Final = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}

_BLOCK: Final = {
    "x_block.adaLN_modulation.1": "norm1.linear",
    "x_block.attn.proj": "attn.to_out.0",
    "x_block.attn.ln_q": "attn.norm_q",
    "x_block.attn.ln_k": "attn.norm_k",
    "x_block.attn2.proj": "attn2.to_out.0",
    "x_block.attn2.ln_q": "attn2.norm_q",
    "x_block.attn2.ln_k": "attn2.norm_k",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
    "context_block.attn.proj": "attn.to_add_out",
    "context_block.attn.ln_q": "attn.norm_added_q",
    "context_block.attn.ln_k": "attn.norm_added_k",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
}

_CONTEXT_MODULATION: Final = {"context_block.adaLN_modulation.1": "norm1_context.linear"}


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of an MMDiT in its original layout."""
    yield from renamed(shapes, _OUTER)
    yield from renamed(shapes, _LAST_MODULATION, halves_swapped=True)
    for block in indices(shapes, "joint_blocks."):
        yield from _block_paths(shapes, f"joint_blocks.{block}.", f"transformer_blocks.{block}.")


def _block_paths(shapes: Shapes, native: str, diffusers: str) -> Paths:
    yield from fused(shapes, _FUSED, native, diffusers)
    yield from renamed(shapes, _BLOCK, native, diffusers)
    # The last block uses its context only for attention: its modulation is then a scale and a
    # shift, which diffusers stacks in the opposite order, as in the last modulation.
    ends_here = f"{native}context_block.attn.proj.weight" not in shapes
    yield from renamed(shapes, _CONTEXT_MODULATION, native, diffusers, halves_swapped=ends_here)


_SIGN: Final = has("joint_blocks.0.x_block.attn.qkv.weight")

SD3: Final = Architecture(
    "SD3",
    signs=(_SIGN, has("pos_embed.proj.weight", "transformer_blocks.0.attn.add_q_proj.weight")),
    layouts=(Layout((_SIGN,), paths),),
    stated=("sd3", "stable-diffusion-3"),
    clues=(
        Clue(re.compile(r"joint_blocks")),
        Clue(re.compile(r"attn[._]add_[qkv]_proj"), "SD3 or Flux"),
    ),
    blocks=(BlockList("joint", ("joint_blocks.", "transformer_blocks."), part="img"),),
    traits=(
        # the second attention of SD 3.5's blocks does not read the text
        trait(r"\.attn2\.", "attn"),
    ),
    tokens=Tokens((2, 2), re.compile(r"(^|\.)context_|adaLN|^[ty]_embedder")),
)
