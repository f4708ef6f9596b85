"""Architectures whose weights have the same names everywhere, so that they need no table."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, BlockList, Clue, has, trait

# --- pictures -------------------------------------------------------------------------------------

_REFINERS: Final = (
    BlockList("noise refiner", ("noise_refiner.",)),
    BlockList("reference refiner", ("ref_image_refiner.",)),
    BlockList("context refiner", ("context_refiner.",)),
)
_LAYERS: Final = BlockList("layer", ("layers.",))

BOOGU: Final = Architecture(
    "Boogu",
    signs=(
        has(
            "ref_image_patch_embedder.weight",
            "double_stream_layers.0.img_self_attn.to_q.weight",
        ),
    ),
    blocks=(
        *_REFINERS,
        BlockList("double", ("double_stream_layers.",)),
        BlockList("single", ("single_stream_layers.",)),
    ),
)

ERNIE_IMAGE: Final = Architecture(
    "ERNIE-Image",
    signs=(has("layers.0.adaLN_sa_ln.weight", "text_proj.weight"),),
    stated=("ernie",),
    blocks=(_LAYERS,),
    traits=(trait(r"adaLN_(sa|mlp)_ln$", "norm"),),
)

FIBO_2: Final = Architecture(
    "FIBO 2",
    signs=(has("perceiver.latent_queries", "noise_refiner.0.attention.to_q.weight"),),
    blocks=(
        BlockList("perceiver", ("perceiver.layers.",)),
        _REFINERS[0],
        _LAYERS,
    ),
)

HIDREAM: Final = Architecture(
    "HiDream",
    signs=(has("double_stream_blocks.0.block.attn1.to_q_t.weight"),),
    stated=("hidream",),
    clues=(Clue(re.compile(r"double_stream_blocks")),),
    blocks=(
        BlockList("double", ("double_stream_blocks.",)),
        BlockList("single", ("single_stream_blocks.",)),
    ),
    traits=(
        trait(r"^double_stream_blocks\..*(_t$|\.ff_t\.)", "txt"),
        trait(r"^double_stream_blocks\..*\.(attn1|ff_i)\.", "img"),
    ),
)

JOY_IMAGE: Final = Architecture(
    "JoyImage",
    signs=(has("double_blocks.0.attn.img_attn_qkv.weight", "condition_embedder.time_proj.weight"),),
    blocks=(BlockList("double", ("double_blocks.",)),),
)

LENS: Final = Architecture(
    "Lens",
    signs=(
        has(
            "transformer_blocks.0.img_mod.1.weight",
            "transformer_blocks.0.attn.img_qkv.weight",
        ),
    ),
    blocks=(BlockList("block", ("transformer_blocks.",), part="img"),),
)

OMNIGEN_2: Final = Architecture(
    "OmniGen2",
    signs=(has("ref_image_patch_embedder.weight"),),
    blocks=(*_REFINERS, _LAYERS),
)

# --- video and space ------------------------------------------------------------------------------

HUNYUAN_3D: Final = Architecture(
    "Hunyuan3D",
    signs=(has("latent_in.weight", "cond_in.weight"),),
    blocks=(
        BlockList("double", ("double_blocks.",), part="img"),
        BlockList("single", ("single_blocks.",)),
    ),
    traits=(trait(r"^single_blocks\.\d+\.linear[12]$", "fused"),),
)

HUNYUAN_3D_21: Final = Architecture(
    "Hunyuan3D 2.1",
    signs=(
        has(
            "x_embedder.weight",
            "blocks.0.attn1.k_norm.weight",
            "blocks.0.attn2.out_proj.weight",
        ),
    ),
    blocks=(BlockList("block", ("blocks.",)),),
)

KANDINSKY_5: Final = Architecture(
    "Kandinsky 5",
    signs=(has("visual_transformer_blocks.0.visual_modulation.out_layer.weight"),),
    stated=("kandinsky",),
    blocks=(
        BlockList("text block", ("text_transformer_blocks.",), part="txt"),
        BlockList("visual block", ("visual_transformer_blocks.",), part="img"),
    ),
)

SEEDVR_2: Final = Architecture(
    "SeedVR2",
    signs=(has("vid_in.proj.weight", "blocks.0.ada.vid.attn_shift"),),
    blocks=(BlockList("block", ("blocks.",)),),
    traits=(
        trait(r"(^|\.)(vid|vid_in|vid_out)(\.|$)", "video"),
        trait(r"\.ada\.", "mod"),
    ),
)

TRELLIS_2: Final = Architecture(
    "TRELLIS.2",
    signs=(
        has("img2shape.blocks.0.self_attn.to_qkv.weight"),
        has("shape2txt.blocks.0.self_attn.to_qkv.weight"),
    ),
    blocks=(
        BlockList("img2shape", ("img2shape.blocks.",)),
        BlockList("shape2txt", ("shape2txt.blocks.",)),
        BlockList("small img2shape", ("img2shape_512.blocks.",)),
        BlockList("structure", ("structure_model.blocks.",)),
    ),
)

TRIPO_SPLAT: Final = Architecture(
    "TripoSplat",
    signs=(has("cam_out_layer.weight", "repo_layers.0.final_map.weight"),),
    blocks=(
        BlockList("noise refiner", ("noise_refiner.",)),
        BlockList("context refiner", ("context_refiner.",)),
        BlockList("block", ("blocks.",)),
    ),
)
