"""The transformers of Lumina 2 and Z-Image, which are built alike but have different names."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, Tokens, has
from .tables import Paths, Shapes, Stack, Table, indices
from .targets import Target

_STACKS: Final = ("layers.", "noise_refiner.", "context_refiner.")

# Modulated blocks have another name for their first norm.
_NORMS: Final = {"attention_norm2": "norm2", "adaLN_modulation.1": "norm1.linear"}
_FIRST_NORMS: Final = {
    "layers.": {"attention_norm1": "norm1.norm"},
    "noise_refiner.": {"attention_norm1": "norm1.norm"},
    "context_refiner.": {"attention_norm1": "norm1"},
}

_LUMINA_BLOCK: Final = {
    "attention.out": "attn.to_out.0",
    "attention.q_norm": "attn.norm_q",
    "attention.k_norm": "attn.norm_k",
    "feed_forward.w1": "feed_forward.linear_1",
    "feed_forward.w2": "feed_forward.linear_2",
    "feed_forward.w3": "feed_forward.linear_3",
}

_LUMINA: Final = Table(
    outer={
        "t_embedder.mlp.0": "time_caption_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_caption_embed.timestep_embedder.linear_2",
        "cap_embedder.0": "time_caption_embed.caption_embedder.0",
        "cap_embedder.1": "time_caption_embed.caption_embedder.1",
        "final_layer.adaLN_modulation.1": "norm_out.linear_1",
        "final_layer.linear": "norm_out.linear_2",
    },
    stacks=tuple(
        Stack(stack, stack, {**_LUMINA_BLOCK, **_NORMS, **_FIRST_NORMS[stack]}) for stack in _STACKS
    ),
)

_Z_IMAGE_BLOCK: Final = {
    "attention.out": "attention.to_out.0",
    "attention.q_norm": "attention.norm_q",
    "attention.k_norm": "attention.norm_k",
}

_Z_IMAGE: Final = Table(
    outer={
        "x_embedder": "all_x_embedder.2-1",
        "final_layer.linear": "all_final_layer.2-1.linear",
        "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
    },
    stacks=tuple(Stack(stack, stack, _Z_IMAGE_BLOCK) for stack in _STACKS),
)


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of both, since ComfyUI also takes either name for either model.

    Z-Image's names are used by its trainers even if they save for ComfyUI.
    """
    yield from _LUMINA.paths(shapes)
    yield from _attention(shapes, "attn.")
    yield from _Z_IMAGE.paths(shapes)
    yield from _attention(shapes, "attention.")


def _attention(shapes: Shapes, attention: str) -> Paths:
    """Yields q, k and v of every block. Lumina has fewer heads in k and v than in q."""
    for stack in _STACKS:
        for index in indices(shapes, stack):
            native, diffusers = f"{stack}{index}.attention.", f"{stack}{index}.{attention}"
            yield from _qkv(shapes, f"{native}qkv.weight", f"{native}out.weight", diffusers)


def _qkv(shapes: Shapes, key: str, out: str, diffusers: str) -> Paths:
    """Yields q, k and v. q is as high as the output is wide; k and v share the rest."""
    height, width = shapes.get(key, ())[:1], shapes.get(out, ())[1:]
    if not height or not width:
        return
    (q,), kv = width, (height[0] - width[0]) // 2
    for name, start, length in (("to_q", 0, q), ("to_k", q, kv), ("to_v", q + kv, kv)):
        yield diffusers + name, Target(key, rows=(start, length))


_QKV: Final = "layers.0.attention.qkv.weight"

_LAYOUT: Final = Layout((has(_QKV, "noise_refiner.0.attention.qkv.weight"),), paths)

BLOCKS: Final = (
    BlockList("noise refiner", ("noise_refiner.",)),
    BlockList("context refiner", ("context_refiner.",)),
    BlockList("layer", ("layers.",)),
)

_APART: Final = re.compile(
    r"^(cap_embedder|context_refiner|t_embedder|time|clip_text)|adaLN_modulation"
)
_JOINED: Final = re.compile(r"^(layers|final_layer)\.")

LUMINA: Final = Architecture(
    "Lumina",
    signs=(
        has(_QKV, "layers.0.adaLN_modulation.1.weight"),
        has("time_caption_embed.caption_embedder.1.weight", "layers.0.norm1.linear.weight"),
    ),
    layouts=(_LAYOUT,),
    stated=("lumina",),
    blocks=BLOCKS,
    tokens=Tokens((2, 2), _APART, _JOINED),
    in_diffusers=("^x_embedder",),
)

Z_IMAGE: Final = Architecture(
    "Z-Image",
    signs=(has(_QKV, "layers.0.adaLN_modulation.0.weight"), has("all_x_embedder.2-1.weight")),
    layouts=(_LAYOUT,),
    stated=("z_image", "z-image", "zimage"),
    clues=(
        Clue(re.compile(r"(^|[\n._])layers[._]\d+[._]attention"), "Z-Image or Lumina", alike=True),
    ),
    blocks=BLOCKS,
    tokens=Tokens((2, 2), _APART, _JOINED, multiple=32),
    in_diffusers=(
        ".attention.",
        "feed_forward.w",
        "t_embedder.",
        "cap_embedder.",
        "all_final_layer.",
    ),
)
