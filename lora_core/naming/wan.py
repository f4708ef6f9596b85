"""The transformer of Wan 2.1 and 2.2, with the blocks of VACE and the modules of Animate, and of
Wan-Animate 2."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, Tokens, has
from .tables import Paths, Shapes, fused, indices, renamed

_OUTER: Final = {
    "patch_embedding": "patch_embedding",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "img_emb.emb_pos": "condition_embedder.image_embedder.pos_embed",
    "head.head": "proj_out",
    "head.modulation": "scale_shift_table",
}

_BLOCK: Final = {
    "modulation": "scale_shift_table",
    "self_attn.q": "attn1.to_q",
    "self_attn.k": "attn1.to_k",
    "self_attn.v": "attn1.to_v",
    "self_attn.o": "attn1.to_out.0",
    "self_attn.norm_q": "attn1.norm_q",
    "self_attn.norm_k": "attn1.norm_k",
    "cross_attn.q": "attn2.to_q",
    "cross_attn.k": "attn2.to_k",
    "cross_attn.v": "attn2.to_v",
    "cross_attn.o": "attn2.to_out.0",
    "cross_attn.norm_q": "attn2.norm_q",
    "cross_attn.norm_k": "attn2.norm_k",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "cross_attn.norm_k_img": "attn2.norm_added_k",
    # The norm before the cross attention is Wan's third and diffusers' second.
    "norm3": "norm2",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "before_proj": "proj_in",
    "after_proj": "proj_out",
}

_STACKS: Final = ("blocks.", "vace_blocks.")

# diffusers only has other names for the attentions of Wan-Animate 2
_ATTENTION_2: Final = {
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "o": "to_out.0",
    "k_img": "add_k_proj",
    "v_img": "add_v_proj",
    "norm_k_img": "norm_added_k",
}


# --- Animate --------------------------------------------------------------------------------------

_FACE_ENCODER: Final = {
    f"face_encoder.{layer}.conv": f"face_encoder.{layer}"
    for layer in ("conv1_local", "conv2", "conv3")
}

_FACE_ADAPTER: Final = {
    "linear1_q": "to_q",
    "linear2": "to_out",
    "q_norm": "norm_q",
    "k_norm": "norm_k",
}

_FACE_ADAPTER_FUSED: Final = {"linear1_kv": ("to_k", "to_v")}

_FACE_ADAPTERS: Final = "face_adapter.fuser_blocks."

_MOTION_ENCODER: Final = {
    "enc.net_app.convs.0.0": "conv_in",
    "enc.net_app.convs.8": "conv_out",
    "dec.direction": "motion_synthesis_weight",
    **{f"enc.fc.{layer}": f"motion_network.{layer}" for layer in range(5)},
}

_MOTION_BLOCK: Final = {"conv1.0": "conv1", "conv2.1": "conv2", "skip.1": "conv_skip"}

_MOTION_BLOCKS: Final = range(7)


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of a Wan transformer in its original layout."""
    yield from renamed(shapes, _OUTER)
    for stack in _STACKS:
        for block in indices(shapes, stack):
            yield from renamed(shapes, _BLOCK, f"{stack}{block}.", f"{stack}{block}.")
            for attention in ("self_attn", "cross_attn"):
                path = f"{stack}{block}.{attention}."
                yield from renamed(shapes, _ATTENTION_2, path, path)
    yield from _animate(shapes)


def _animate(shapes: Shapes) -> Paths:
    yield from renamed(shapes, _FACE_ENCODER)
    for block in indices(shapes, _FACE_ADAPTERS):
        native, diffusers = f"{_FACE_ADAPTERS}{block}.", f"face_adapter.{block}."
        yield from renamed(shapes, _FACE_ADAPTER, native, diffusers)
        yield from fused(shapes, _FACE_ADAPTER_FUSED, native, diffusers)
    encoder = "motion_encoder."
    yield from renamed(shapes, _MOTION_ENCODER, encoder, encoder)
    for block in _MOTION_BLOCKS:
        # the first of the convolutions is the input layer
        native = f"{encoder}enc.net_app.convs.{block + 1}."
        yield from renamed(shapes, _MOTION_BLOCK, native, f"{encoder}res_blocks.{block}.")


_SIGN: Final = has("blocks.0.self_attn.q.weight", "head.head.weight")

WAN: Final = Architecture(
    "Wan",
    signs=(
        _SIGN,
        has("blocks.0.attn1.to_q.weight", "condition_embedder.time_proj.weight"),
        # Wan-Animate 2
        has("blocks.0.self_attn.to_q.weight", "head.head.weight"),
    ),
    layouts=(Layout((_SIGN,), paths),),
    stated=("wan",),
    clues=(
        Clue(re.compile(r"(^|[\n._])blocks[._]\d+[._](self|cross)_attn[._][qkvo](_img)?(\n|$)")),
    ),
    blocks=(
        BlockList("block", ("blocks.",)),
        BlockList("vace", ("vace_blocks.",)),
        BlockList("face", ("face_adapter.fuser_blocks.", "face_adapter.")),
    ),
    tokens=Tokens(
        (1, 2, 2),
        re.compile(
            r"cross_attn\.(to_)?(add_)?(k|v|norm_k)(_img|_proj)?$|^(text|time|img|ref|head\.mod)"
        ),
        before=("reference_latent",),
        after=("context_latents", "time_dim_concat"),
    ),
)
