"""The transformers of Cosmos 1, and of Cosmos-Predict2 and Anima, which are built alike."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Layout, Tokens, has, trait
from .tables import Paths, Shapes, Stack, Table, indices, renamed

_OUTER: Final = {
    "x_embedder.proj.1": "patch_embed.proj",
    "t_embedder.1.linear_1": "time_embed.t_embedder.linear_1",
    "t_embedder.1.linear_2": "time_embed.t_embedder.linear_2",
    "final_layer.linear": "proj_out",
}

_PREDICT2: Final = Table(
    outer={
        **_OUTER,
        "t_embedding_norm": "time_embed.norm",
        "final_layer.adaln_modulation.1": "norm_out.linear_1",
        "final_layer.adaln_modulation.2": "norm_out.linear_2",
    },
    stacks=(
        Stack(
            "blocks.",
            "transformer_blocks.",
            {
                "self_attn.q_proj": "attn1.to_q",
                "self_attn.q_norm": "attn1.norm_q",
                "self_attn.k_proj": "attn1.to_k",
                "self_attn.k_norm": "attn1.norm_k",
                "self_attn.v_proj": "attn1.to_v",
                "self_attn.output_proj": "attn1.to_out.0",
                "cross_attn.q_proj": "attn2.to_q",
                "cross_attn.q_norm": "attn2.norm_q",
                "cross_attn.k_proj": "attn2.to_k",
                "cross_attn.k_norm": "attn2.norm_k",
                "cross_attn.v_proj": "attn2.to_v",
                "cross_attn.output_proj": "attn2.to_out.0",
                "mlp.layer1": "ff.net.0.proj",
                "mlp.layer2": "ff.net.2",
                "adaln_modulation_self_attn.1": "norm1.linear_1",
                "adaln_modulation_self_attn.2": "norm1.linear_2",
                "adaln_modulation_cross_attn.1": "norm2.linear_1",
                "adaln_modulation_cross_attn.2": "norm2.linear_2",
                "adaln_modulation_mlp.1": "norm3.linear_1",
                "adaln_modulation_mlp.2": "norm3.linear_2",
            },
        ),
    ),
)

# --- Cosmos 1 -------------------------------------------------------------------------------------

_OUTER_1: Final = {
    **_OUTER,
    "affline_norm": "time_embed.norm",
    "extra_pos_embedder.pos_emb_t": "learnable_pos_embed.pos_emb_t",
    "extra_pos_embedder.pos_emb_h": "learnable_pos_embed.pos_emb_h",
    "extra_pos_embedder.pos_emb_w": "learnable_pos_embed.pos_emb_w",
    "final_layer.adaLN_modulation.1": "norm_out.linear_1",
    "final_layer.adaLN_modulation.2": "norm_out.linear_2",
}

_ATTENTION: Final = {
    "block.attn.to_q.0": "to_q",
    "block.attn.to_q.1": "norm_q",
    "block.attn.to_k.0": "to_k",
    "block.attn.to_k.1": "norm_k",
    "block.attn.to_v.0": "to_v",
    "block.attn.to_out.0": "to_out.0",
}

_MLP: Final = {"block.layer1": "net.0.proj", "block.layer2": "net.2"}

_MODULATION: Final = {"adaLN_modulation.1": "linear_1", "adaLN_modulation.2": "linear_2"}

# Inside a block there are three more blocks, each of one kind.
_INNER: Final = (
    ("0.", "attn1.", _ATTENTION),
    ("1.", "attn2.", _ATTENTION),
    ("2.", "ff.", _MLP),
    ("0.", "norm1.", _MODULATION),
    ("1.", "norm2.", _MODULATION),
    ("2.", "norm3.", _MODULATION),
)


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of a Cosmos 1 transformer in its original layout."""
    yield from renamed(shapes, _OUTER_1)
    for block in indices(shapes, "blocks."):
        native = f"blocks.{block}.blocks."
        diffusers = f"transformer_blocks.{block.removeprefix('block')}."
        for here, there, table in _INNER:
            yield from renamed(shapes, table, native + here, diffusers + there)


_SIGN_1: Final = has("blocks.block0.blocks.0.block.attn.to_q.0.weight")

BLOCKS: Final = (BlockList("block", ("blocks.", "transformer_blocks.")),)

COSMOS: Final = Architecture(
    "Cosmos",
    signs=(
        _SIGN_1,
        has("learnable_pos_embed.pos_emb_t", "time_embed.t_embedder.linear_1.weight"),
    ),
    layouts=(Layout((_SIGN_1,), paths),),
    blocks=(BlockList("block", ("blocks.block", "transformer_blocks.")),),
    traits=(
        # a block is attention, cross attention and feed-forward, by number
        trait(r"^blocks\.block\d+\.blocks\.1\.block\.", "attn", "cross attn"),
        trait(r"^blocks\.block\d+\.blocks\.2\.block\.", "ff"),
    ),
)

_SIGN_PREDICT2: Final = has("blocks.0.adaln_modulation_self_attn.1.weight")

LAYOUT_PREDICT2: Final = Layout((_SIGN_PREDICT2,), _PREDICT2.paths)

TOKENS: Final = Tokens(
    (1, 2, 2), re.compile(r"cross_attn\.[kv]_(proj|norm)|^llm_adapter|^t_embed|adaln_modulation")
)

COSMOS_PREDICT2: Final = Architecture(
    "Cosmos-Predict2",
    signs=(
        _SIGN_PREDICT2,
        has("patch_embed.proj.weight", "time_embed.t_embedder.linear_1.weight"),
    ),
    layouts=(LAYOUT_PREDICT2,),
    blocks=BLOCKS,
    tokens=TOKENS,
)
