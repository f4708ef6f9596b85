"""Architectures whose weights have the same names everywhere, so that they need no table."""

from __future__ import annotations

import re
from typing import Final

from .architecture import Architecture, Clue, has

# --- pictures -------------------------------------------------------------------------------------

BOOGU: Final = Architecture(
    "Boogu",
    signs=(
        has(
            "ref_image_patch_embedder.weight",
            "double_stream_layers.0.img_self_attn.to_q.weight",
        ),
    ),
)

ERNIE_IMAGE: Final = Architecture(
    "ERNIE-Image",
    signs=(has("layers.0.adaLN_sa_ln.weight", "text_proj.weight"),),
    stated=("ernie",),
)

FIBO_2: Final = Architecture(
    "FIBO 2",
    signs=(has("perceiver.latent_queries", "noise_refiner.0.attention.to_q.weight"),),
)

HIDREAM: Final = Architecture(
    "HiDream",
    signs=(has("double_stream_blocks.0.block.attn1.to_q_t.weight"),),
    stated=("hidream",),
    clues=(Clue(re.compile(r"double_stream_blocks")),),
)

JOY_IMAGE: Final = Architecture(
    "JoyImage",
    signs=(has("double_blocks.0.attn.img_attn_qkv.weight", "condition_embedder.time_proj.weight"),),
)

LENS: Final = Architecture(
    "Lens",
    signs=(
        has(
            "transformer_blocks.0.img_mod.1.weight",
            "transformer_blocks.0.attn.img_qkv.weight",
        ),
    ),
)

OMNIGEN_2: Final = Architecture("OmniGen2", signs=(has("ref_image_patch_embedder.weight"),))

# --- video and space ------------------------------------------------------------------------------

HUNYUAN_3D: Final = Architecture("Hunyuan3D", signs=(has("latent_in.weight", "cond_in.weight"),))

HUNYUAN_3D_21: Final = Architecture(
    "Hunyuan3D 2.1",
    signs=(
        has(
            "x_embedder.weight",
            "blocks.0.attn1.k_norm.weight",
            "blocks.0.attn2.out_proj.weight",
        ),
    ),
)

KANDINSKY_5: Final = Architecture(
    "Kandinsky 5",
    signs=(has("visual_transformer_blocks.0.visual_modulation.out_layer.weight"),),
    stated=("kandinsky",),
)

SEEDVR_2: Final = Architecture(
    "SeedVR2", signs=(has("vid_in.proj.weight", "blocks.0.ada.vid.attn_shift"),)
)

TRELLIS_2: Final = Architecture(
    "TRELLIS.2",
    signs=(
        has("img2shape.blocks.0.self_attn.to_qkv.weight"),
        has("shape2txt.blocks.0.self_attn.to_qkv.weight"),
    ),
)

TRIPO_SPLAT: Final = Architecture(
    "TripoSplat", signs=(has("cam_out_layer.weight", "repo_layers.0.final_map.weight"),)
)
