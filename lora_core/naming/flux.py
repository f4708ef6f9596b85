"""The transformer of Flux.1, and of Flux.2, Chroma, LongCat-Image and Ovis-Image, which have the
same blocks."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, Layout, Sign, Tokens, has, trait
from .tables import Paths, Shapes, divided, fused, indices, renamed
from .targets import Target

_OUTER: Final = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "final_layer.linear": "proj_out",
}

# shift over scale here, scale over shift in diffusers
_LAST_MODULATION: Final = {"final_layer.adaLN_modulation.1": "norm_out.linear"}

_DOUBLE_FUSED: Final = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}

_DOUBLE: Final = {
    "img_mod.lin": "norm1.linear",
    "img_attn.proj": "attn.to_out.0",
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mod.lin": "norm1_context.linear",
    "txt_attn.proj": "attn.to_add_out",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
}

_SINGLE: Final = {
    "modulation.lin": "norm.linear",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
    "linear2": "proj_out",
}

# the layers that have other names in diffusers' Flux.2
_OUTER_2: Final = {
    "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_guidance_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_guidance_embed.guidance_embedder.linear_2",
    "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
    "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
    "single_stream_modulation.lin": "single_stream_modulation.linear",
}

_DOUBLE_2: Final = {
    "img_mlp.0": "ff.linear_in",
    "img_mlp.2": "ff.linear_out",
    "txt_mlp.0": "ff_context.linear_in",
    "txt_mlp.2": "ff_context.linear_out",
}

_SINGLE_2: Final = {"linear1": "attn.to_qkv_mlp_proj", "linear2": "attn.to_out"}

# LongCat-Image and Ovis have yet other names for them, and Ovis has a gated MLP.
_OUTER_OTHERS: Final = (
    {
        "time_in.in_layer": "time_embed.timestep_embedder.linear_1",
        "time_in.out_layer": "time_embed.timestep_embedder.linear_2",
    },
    {
        "time_in.in_layer": "timestep_embedder.linear_1",
        "time_in.out_layer": "timestep_embedder.linear_2",
        "txt_norm": "context_embedder_norm",
    },
)

_DOUBLE_OVIS: Final = {"img_mlp.down_proj": "ff.net.2", "txt_mlp.down_proj": "ff_context.net.2"}

# the way into it: diffusers has up over gate in one layer
_GATED_OVIS: Final = {"img_mlp": "ff.net.0.proj", "txt_mlp": "ff_context.net.0.proj"}

# diffusers' names for the fused layers, once it has fused them as well
_DOUBLE_WHOLE: Final = {"img_attn.qkv": "attn.to_qkv", "txt_attn.qkv": "attn.to_added_qkv"}

# XLabs and USO, whose spelling of "up" and "down" may take the "_lora" of a single block with it
_DOUBLE_XLABS: Final = {
    "img_attn.qkv": "processor.qkv_lora1",
    "img_attn.proj": "processor.proj_lora1",
    "txt_attn.qkv": "processor.qkv_lora2",
    "txt_attn.proj": "processor.proj_lora2",
}

_SINGLE_XLABS: Final = ({"linear2": "processor.proj_lora"}, {"linear2": "processor.proj"})

# q, k and v without the MLP: XLabs, and ComfyUI where it has read such a file
_LINEAR1_QKV: Final = ("processor.qkv_lora", "processor.qkv", "linear1_qkv")

# Chroma's own layers, in place of the modulations
_GUIDANCE: Final = {"in_layer": "linear_1", "out_layer": "linear_2"}
_GUIDANCE_STACK: Final = "distilled_guidance_layer.layers."


def paths(shapes: Shapes) -> Paths:
    """Yields the paths that other layouts give to a Flux transformer."""
    for table in (_OUTER, _OUTER_2, *_OUTER_OTHERS):
        yield from renamed(shapes, table)
    yield from renamed(shapes, _LAST_MODULATION, halves_swapped=True)
    yield from block_paths(shapes)
    for block in indices(shapes, "double_blocks."):
        native = f"double_blocks.{block}."
        yield from renamed(shapes, _DOUBLE_XLABS, native, native)
        # Some exports of Flux.2 have lost the first letters of "transformer_blocks".
        yield from _double(shapes, native, f"sformer_blocks.{block}.")
    for block in indices(shapes, "single_blocks."):
        yield from _single_xlabs(shapes, f"single_blocks.{block}.")
    for block in indices(shapes, _GUIDANCE_STACK):
        layer = f"{_GUIDANCE_STACK}{block}."
        yield from renamed(shapes, _GUIDANCE, layer, layer)


def block_paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of the blocks of Flux, which other architectures have, too."""
    for block in indices(shapes, "double_blocks."):
        yield from _double(shapes, f"double_blocks.{block}.", f"transformer_blocks.{block}.")
    for block in indices(shapes, "single_blocks."):
        yield from _single(shapes, f"single_blocks.{block}.", f"single_transformer_blocks.{block}.")


def _double(shapes: Shapes, native: str, diffusers: str) -> Paths:
    yield from fused(shapes, _DOUBLE_FUSED, native, diffusers)
    for table in (_DOUBLE, _DOUBLE_2, _DOUBLE_OVIS, _DOUBLE_WHOLE):
        yield from renamed(shapes, table, native, diffusers)
    for own, name in _GATED_OVIS.items():
        keys = [f"{native}{own}.{layer}.weight" for layer in ("up_proj", "gate_proj")]
        if all(key in shapes for key in keys):
            yield from divided(diffusers + name, [Target(key) for key in keys], shapes)


def _single(shapes: Shapes, native: str, diffusers: str) -> Paths:
    yield from _linear1(shapes, f"{native}linear1.weight", diffusers)
    yield from renamed(shapes, _SINGLE, native, diffusers)
    yield from renamed(shapes, _SINGLE_2, native, diffusers)


def _single_xlabs(shapes: Shapes, native: str) -> Paths:
    for table in _SINGLE_XLABS:
        yield from renamed(shapes, table, native, native)
    key = f"{native}linear1.weight"
    shape = shapes.get(key, ())
    if len(shape) == 2:
        for name in _LINEAR1_QKV:
            yield native + name, Target(key, rows=(0, 3 * shape[1]))


def _linear1(shapes: Shapes, key: str, diffusers: str) -> Paths:
    """Yields q, k and v, as high as the model is wide, and below them the way into the MLP."""
    shape = shapes.get(key, ())
    if len(shape) != 2:
        return
    rows, width = shape
    for index, name in enumerate(("attn.to_q", "attn.to_k", "attn.to_v")):
        yield diffusers + name, Target(key, rows=(index * width, width))
    yield f"{diffusers}proj_mlp", Target(key, rows=(3 * width, rows - 3 * width))


# --- the models with these blocks -----------------------------------------------------------------

_LAYOUT: Final = Layout((has("txt_in.weight", "single_blocks.0.linear1.weight"),), paths)

_MODULATED: Final = ("txt_in.weight", "double_blocks.0.img_mod.lin.weight")
_READS_CLIP: Final = "vector_in.in_layer.weight"

_BLOCKS: Final = (
    BlockList("double", ("double_blocks.", "transformer_blocks."), part="img"),
    BlockList("single", ("single_blocks.", "single_transformer_blocks.")),
)

# q, k, v and the feed-forward are one layer here, or both ways out of them are
_FUSED: Final = trait(
    r"^single_blocks\.\d+\.linear[12]$"
    r"|^single_transformer_blocks\.\d+\.(proj_out|attn\.to_qkv_mlp_proj|attn\.to_out(\.0)?)$",
    "fused",
)

_APART: Final = re.compile(
    r"(^|\.)txt_|^(time|vector|guidance)_in|_mod\.|modulation|^distilled_guidance_layer"
)
_SINGLE_BLOCKS: Final = re.compile(r"^single_blocks\.")

FLUX: Final = Architecture(
    "Flux",
    signs=(
        has(*_MODULATED, _READS_CLIP),
        has("context_embedder.weight", "single_transformer_blocks.0.norm.linear.weight"),
    ),
    layouts=(_LAYOUT,),
    stated=("flux",),
    clues=(Clue(re.compile(r"single_transformer_blocks|(double|single)_blocks")),),
    widened="img_in.weight",
    blocks=_BLOCKS,
    traits=(_FUSED,),
    tokens=Tokens((2, 2), _APART, _SINGLE_BLOCKS, after=("ref_latents",)),
)

FLUX_2: Final = Architecture(
    "Flux.2",
    signs=(
        has("double_stream_modulation_img.lin.weight"),
        has("double_stream_modulation_img.linear.weight"),
    ),
    layouts=(_LAYOUT,),
    stated=("flux_2", "flux-2", "flux.2", "flux2"),
    clues=(Clue(re.compile(r"(double|single)_stream_modulation|time_guidance_embed")),),
    blocks=_BLOCKS,
    traits=(_FUSED,),
    tokens=Tokens((1, 1), _APART, _SINGLE_BLOCKS, after=("ref_latents",)),
    in_diffusers=(
        "time_guidance_embed.",
        ".linear_in",
        ".linear_out",
        "attn.to_out",
        "to_qkv_mlp_proj",
    ),
)

CHROMA: Final = Architecture(
    "Chroma",
    signs=(has("distilled_guidance_layer.in_proj.weight"),),
    layouts=(_LAYOUT,),
    stated=("chroma",),
    clues=(Clue(re.compile(r"distilled_guidance_layer")),),
    kin="Flux",
    blocks=_BLOCKS,
    traits=(_FUSED,),
    tokens=Tokens((2, 2), _APART, _SINGLE_BLOCKS),
)

CHROMA_RADIANCE: Final = Architecture(
    "Chroma Radiance",
    signs=(has("distilled_guidance_layer.in_proj.weight", "img_in_patch.weight"),),
    layouts=(_LAYOUT,),
    kin="Flux",
    blocks=(*_BLOCKS, BlockList("nerf", ("nerf_blocks.",))),
    traits=(_FUSED,),
)

LONGCAT_IMAGE: Final = Architecture(
    "LongCat-Image",
    signs=(
        has("time_embed.timestep_embedder.linear_1.weight", "x_embedder.weight"),
        Sign(_MODULATED, lacks=(_READS_CLIP,)),
    ),
    layouts=(_LAYOUT,),
    kin="Flux",
    blocks=_BLOCKS,
    traits=(_FUSED,),
    in_diffusers=("time_embed.",),
)

OVIS_IMAGE: Final = Architecture(
    "Ovis-Image",
    signs=(
        has("txt_norm.weight", "double_blocks.0.img_mlp.gate_proj.weight"),
        has("context_embedder_norm.weight", "timestep_embedder.linear_1.weight"),
    ),
    layouts=(_LAYOUT,),
    blocks=_BLOCKS,
    traits=(_FUSED,),
    in_diffusers=("^timestep_embedder.",),
)
