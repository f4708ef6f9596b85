"""The transformers of HunyuanVideo, HunyuanVideo 1.5 and HunyuanImage 2.1.

They have the blocks of Flux after a refiner of their text. Each layer has up to three names:
ComfyUI's, diffusers' and that of Tencent's own code, which ComfyUI changes while it loads a
checkpoint. LoRA files use any of them.
"""

from __future__ import annotations

import re
from typing import Final

from . import flux
from .architecture import Architecture, BlockList, Clue, Layout, Tokens, has, trait
from .tables import Paths, Shapes, Stack, Table, indices, renamed
from .targets import Target

_REFINER: Final = "txt_in.individual_token_refiner.blocks."

_DIFFUSERS: Final = Table(
    outer={
        "img_in.proj": "x_embedder.proj",
        "txt_in.input_embedder": "context_embedder.proj_in",
        "byt5_in.layernorm": "context_embedder_2.norm",
        "byt5_in.fc1": "context_embedder_2.linear_1",
        "byt5_in.fc2": "context_embedder_2.linear_2",
        "byt5_in.fc3": "context_embedder_2.linear_3",
        "vision_in.proj.0": "image_embedder.norm_in",
        "vision_in.proj.1": "image_embedder.linear_1",
        "vision_in.proj.3": "image_embedder.linear_2",
        "vision_in.proj.4": "image_embedder.norm_out",
        "cond_type_embedding": "cond_type_embed",
        "final_layer.linear": "proj_out",
    },
    modulation={"final_layer.adaLN_modulation.1": "norm_out.linear"},
    stacks=(
        Stack(
            _REFINER,
            "context_embedder.token_refiner.refiner_blocks.",
            {
                "norm1": "norm1",
                "norm2": "norm2",
                "adaLN_modulation.1": "norm_out.linear",
                "self_attn.proj": "attn.to_out.0",
                "mlp.0": "ff.net.0.proj",
                "mlp.2": "ff.net.2",
            },
            {"self_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v")},
        ),
    ),
)

_REFINER_TIME: Final = {
    "txt_in.t_embedder.in_layer": "timestep_embedder.linear_1",
    "txt_in.t_embedder.out_layer": "timestep_embedder.linear_2",
    "txt_in.c_embedder.in_layer": "text_embedder.linear_1",
    "txt_in.c_embedder.out_layer": "text_embedder.linear_2",
}

_TIME: Final = {
    "time_in.in_layer": "timestep_embedder.linear_1",
    "time_in.out_layer": "timestep_embedder.linear_2",
    "time_r_in.in_layer": "timestep_embedder_r.linear_1",
    "time_r_in.out_layer": "timestep_embedder_r.linear_2",
    "vector_in.in_layer": "text_embedder.linear_1",
    "vector_in.out_layer": "text_embedder.linear_2",
    "guidance_in.in_layer": "guidance_embedder.linear_1",
    "guidance_in.out_layer": "guidance_embedder.linear_2",
}

# what diffusers puts these in: in HunyuanVideo, in 1.5, in HunyuanImage
_TIMES: Final = ("time_text_embed.", "time_embed.", "time_guidance_embed.")

# Tencent's own names, where they are not ComfyUI's; kohya and diffusion-pipe keep them.
_ORIGINAL: Final = Table(
    outer={
        "txt_in.t_embedder.in_layer": "txt_in.t_embedder.mlp.0",
        "txt_in.t_embedder.out_layer": "txt_in.t_embedder.mlp.2",
        "txt_in.c_embedder.in_layer": "txt_in.c_embedder.linear_1",
        "txt_in.c_embedder.out_layer": "txt_in.c_embedder.linear_2",
        "time_in.in_layer": "time_in.mlp.0",
        "time_in.out_layer": "time_in.mlp.2",
        "time_r_in.in_layer": "time_r_in.mlp.0",
        "time_r_in.out_layer": "time_r_in.mlp.2",
        "guidance_in.in_layer": "guidance_in.mlp.0",
        "guidance_in.out_layer": "guidance_in.mlp.2",
    },
    stacks=(
        Stack(
            _REFINER,
            _REFINER,
            {
                "self_attn.qkv": "self_attn_qkv",
                "self_attn.proj": "self_attn_proj",
                "mlp.0": "mlp.fc1",
                "mlp.2": "mlp.fc2",
            },
        ),
        Stack(
            "double_blocks.",
            "double_blocks.",
            {
                "img_mod.lin": "img_mod.linear",
                "img_attn.qkv": "img_attn_qkv",
                "img_attn.proj": "img_attn_proj",
                "img_attn.norm.query_norm": "img_attn_q_norm",
                "img_attn.norm.key_norm": "img_attn_k_norm",
                "img_mlp.0": "img_mlp.fc1",
                "img_mlp.2": "img_mlp.fc2",
                "txt_mod.lin": "txt_mod.linear",
                "txt_attn.qkv": "txt_attn_qkv",
                "txt_attn.proj": "txt_attn_proj",
                "txt_attn.norm.query_norm": "txt_attn_q_norm",
                "txt_attn.norm.key_norm": "txt_attn_k_norm",
                "txt_mlp.0": "txt_mlp.fc1",
                "txt_mlp.2": "txt_mlp.fc2",
            },
            # apart in HunyuanVideo 1.5 and HunyuanImage
            {
                "img_attn.qkv": ("img_attn_q", "img_attn_k", "img_attn_v"),
                "txt_attn.qkv": ("txt_attn_q", "txt_attn_k", "txt_attn_v"),
            },
        ),
        Stack(
            "single_blocks.",
            "single_blocks.",
            {
                "modulation.lin": "modulation.linear",
                "norm.query_norm": "q_norm",
                "norm.key_norm": "k_norm",
                # in HunyuanImage
                "linear2": "linear2.fc",
            },
        ),
    ),
)

# HunyuanImage's parts of linear1
_ATTENTION: Final = ("linear1_q", "linear1_k", "linear1_v")
_MLP: Final = "linear1_mlp"


def paths(shapes: Shapes) -> Paths:
    """Yields the paths of such a transformer in diffusers and in Tencent's code."""
    yield from _ORIGINAL.paths(shapes)
    for block in indices(shapes, "single_blocks."):
        yield from _linear1(shapes, f"single_blocks.{block}.")
    yield from _DIFFUSERS.paths(shapes)
    yield from renamed(shapes, _REFINER_TIME, diffusers="context_embedder.time_text_embed.")
    for time in _TIMES:
        yield from renamed(shapes, _TIME, diffusers=time)
    yield from flux.block_paths(shapes)


def _linear1(shapes: Shapes, block: str) -> Paths:
    """Yields q, k and v, as high as the model is wide, and below them the way into the MLP."""
    key = f"{block}linear1.weight"
    shape = shapes.get(key, ())
    if len(shape) == 2:
        rows, width = shape
        for index, name in enumerate(_ATTENTION):
            yield block + name, Target(key, rows=(index * width, width))
        yield block + _MLP, Target(key, rows=(3 * width, rows - 3 * width))


# --- the three ------------------------------------------------------------------------------------

_LAYOUT: Final = Layout((has("img_in.proj.weight", "double_blocks.0.img_attn.qkv.weight"),), paths)

_TEXT_REFINER: Final = BlockList(
    "refiner",
    (
        "txt_in.individual_token_refiner.blocks.",
        "context_embedder.token_refiner.refiner_blocks.",
        "context_embedder_2.token_refiner.refiner_blocks.",
    ),
)
_DOUBLE: Final = BlockList("double", ("double_blocks.", "transformer_blocks."), part="img")
_SINGLE: Final = BlockList("single", ("single_blocks.", "single_transformer_blocks."))
_BLOCKS: Final = (_TEXT_REFINER, _DOUBLE, _SINGLE)

_FUSED: Final = trait(
    r"^single_blocks\.\d+\.linear[12]$|^single_transformer_blocks\.\d+\.proj_out$", "fused"
)

_APART: Final = re.compile(r"(^|\.)txt_|^(time|vector|guidance|byt5|vision)_|_mod\.|modulation")
_SINGLE_BLOCKS: Final = re.compile(r"^single_blocks\.")

HUNYUAN_VIDEO: Final = Architecture(
    "HunyuanVideo",
    signs=(
        has("txt_in.input_embedder.weight", "vector_in.in_layer.weight"),
        has("context_embedder.proj_in.weight", "time_text_embed.text_embedder.linear_1.weight"),
    ),
    layouts=(_LAYOUT,),
    stated=("hunyuan_video", "hunyuan-video", "framepack"),
    clues=(Clue(re.compile(r"(individual_)?token_refiner"), "HunyuanVideo or -Image", alike=True),),
    blocks=_BLOCKS,
    traits=(_FUSED,),
    tokens=Tokens((1, 2, 2), _APART, _SINGLE_BLOCKS, before=("ref_latent",)),
    in_diffusers=("transformer_blocks.", "context_embedder.", "time_text_embed."),
)

HUNYUAN_VIDEO_15: Final = Architecture(
    "HunyuanVideo 1.5",
    signs=(
        has("txt_in.input_embedder.weight", "cond_type_embedding.weight"),
        has("cond_type_embed.weight", "image_embedder.linear_1.weight"),
    ),
    layouts=(_LAYOUT,),
    stated=("hunyuan_video_1_5", "hunyuan-video-1.5"),
    blocks=(_TEXT_REFINER, _DOUBLE),
    tokens=Tokens((1, 1, 1), _APART, before=("ref_latent",)),
    in_diffusers=("transformer_blocks.", "context_embedder.", "time_embed."),
)

HUNYUAN_IMAGE: Final = Architecture(
    "HunyuanImage 2.1",
    signs=(
        has("txt_in.input_embedder.weight", "byt5_in.fc1.weight"),
        has(
            "time_guidance_embed.timestep_embedder.linear_1.weight",
            "x_embedder.proj.weight",
        ),
    ),
    layouts=(_LAYOUT,),
    stated=("hunyuan-image", "hunyuan_image"),
    blocks=_BLOCKS,
    traits=(_FUSED,),
    in_diffusers=("transformer_blocks.", "context_embedder.", "time_guidance_embed."),
)
