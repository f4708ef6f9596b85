"""The transformer of Mochi 1."""

from __future__ import annotations

from typing import Final

from .architecture import Architecture, BlockList, Layout, has, trait
from .tables import Paths, Shapes, Stack, Table, indices, renamed

_TABLE: Final = Table(
    outer={
        "x_embedder.proj": "patch_embed.proj",
        "t_embedder.mlp.0": "time_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_embed.timestep_embedder.linear_2",
        "t5_y_embedder.to_kv": "time_embed.pooler.to_kv",
        "t5_y_embedder.to_q": "time_embed.pooler.to_q",
        "t5_y_embedder.to_out": "time_embed.pooler.to_out",
        "t5_yproj": "time_embed.caption_proj",
        "final_layer.linear": "proj_out",
    },
    modulation={"final_layer.mod": "norm_out.linear"},
    stacks=(
        Stack(
            "blocks.",
            "transformer_blocks.",
            {
                "mod_x": "norm1.linear",
                "attn.q_norm_x": "attn1.norm_q",
                "attn.k_norm_x": "attn1.norm_k",
                "attn.q_norm_y": "attn1.norm_added_q",
                "attn.k_norm_y": "attn1.norm_added_k",
                "attn.proj_x": "attn1.to_out.0",
                "attn.proj_y": "attn1.to_add_out",
                "mlp_x.w2": "ff.net.2",
                "mlp_y.w2": "ff_context.net.2",
            },
            {
                "attn.qkv_x": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
                "attn.qkv_y": ("attn1.add_q_proj", "attn1.add_k_proj", "attn1.add_v_proj"),
            },
        ),
    ),
)

# The gate lies above what it gates here, below it in diffusers.
_GATED: Final = {"mlp_x.w1": "ff.net.0.proj", "mlp_y.w1": "ff_context.net.0.proj"}

_CONTEXT_MODULATION: Final = {"mod_y": "norm1_context.linear"}
_LAST_CONTEXT_MODULATION: Final = {"mod_y": "norm1_context.linear_1"}


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of a Mochi transformer in its original layout."""
    yield from _TABLE.paths(shapes)
    for block in indices(shapes, "blocks."):
        native, diffusers = f"blocks.{block}.", f"transformer_blocks.{block}."
        yield from renamed(shapes, _GATED, native, diffusers, halves_swapped=True)
        # The last block does not change its context: its modulation is only a scale.
        ends_here = f"{native}attn.proj_y.weight" not in shapes
        modulation = _LAST_CONTEXT_MODULATION if ends_here else _CONTEXT_MODULATION
        yield from renamed(shapes, modulation, native, diffusers)


_SIGN: Final = has("t5_yproj.weight")

MOCHI: Final = Architecture(
    "Mochi",
    signs=(_SIGN, has("time_embed.caption_proj.weight", "time_embed.pooler.to_kv.weight")),
    layouts=(Layout((_SIGN,), paths),),
    blocks=(BlockList("block", ("blocks.", "transformer_blocks."), part="img"),),
    traits=(trait(r"^blocks\..*_y(\.|$)", "txt"),),
)
