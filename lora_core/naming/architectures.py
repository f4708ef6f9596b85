"""Which architecture a component is, told by the weights that only it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from . import flux, sd3, text_encoders, unet, wan
from .tables import Paths, Shapes

_TABLES: Final[tuple[tuple[tuple[str, ...], Callable[[Shapes], Paths]], ...]] = (
    # (weights that only this original layout has, the paths diffusers and transformers give them)
    (("input_blocks.0.0.weight",), unet.paths),
    (("joint_blocks.0.x_block.attn.qkv.weight",), sd3.paths),
    (("txt_in.weight", "single_blocks.0.linear1.weight"), flux.paths),
    (("blocks.0.self_attn.q.weight", "head.head.weight"), wan.paths),
    (("text_model.encoder.layers.0.self_attn.q_proj.weight",), text_encoders.clip_paths),
    (("encoder.layers.0.self_attn.q_proj.weight",), text_encoders.clip_paths),
    (("transformer.resblocks.0.attn.in_proj_weight",), text_encoders.open_clip_paths),
)

_NAMES: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    # (weights that only this architecture has, its name), in the original layout and in diffusers'
    (("joint_blocks.0.x_block.attn.qkv.weight",), "SD3"),
    (("pos_embed.proj.weight", "transformer_blocks.0.attn.add_q_proj.weight"), "SD3"),
    (("txt_in.weight", "double_blocks.0.img_mod.lin.weight"), "Flux"),
    (("context_embedder.weight", "single_transformer_blocks.0.norm.linear.weight"), "Flux"),
    (("blocks.0.self_attn.q.weight", "head.head.weight"), "Wan"),
    (("blocks.0.attn1.to_q.weight", "condition_embedder.time_proj.weight"), "Wan"),
)

# The UNets differ in size only: SDXL is told the picture's size, SD 1.5 is not.
_UNET: Final = ("input_blocks.0.0.weight", "down_blocks.0.resnets.0.conv1.weight")
_SIZE_EMBEDDING: Final = ("label_emb.0.0.weight", "add_embedding.linear_1.weight")
_CROSS_ATTENTION: Final = ".attn2.to_k.weight"
_OTHER_CONTEXT_WIDTHS: Final = (1024, 1280)
"""Of SD 2 and of SDXL's refiner."""


def other_paths(shapes: Shapes) -> Paths:
    """The paths that other layouts of a component give its weights."""
    for weights, paths in _TABLES:
        if _has_all(shapes, weights):
            yield from paths(shapes)


def architecture(shapes: Shapes) -> str | None:
    """The name of a denoiser's architecture, or None if it is not one that we know."""
    for weights, name in _NAMES:
        if _has_all(shapes, weights):
            return name
    return _unet(shapes) if _has_any(shapes, _UNET) else None


def _unet(shapes: Shapes) -> str | None:
    if next(_context_widths(shapes), None) in _OTHER_CONTEXT_WIDTHS:
        return None
    return "SDXL" if _has_any(shapes, _SIZE_EMBEDDING) else "SD 1.5"


def _context_widths(shapes: Shapes) -> Iterator[int]:
    return (shape[-1] for key, shape in shapes.items() if key.endswith(_CROSS_ATTENTION))


def _has_all(shapes: Shapes, weights: tuple[str, ...]) -> bool:
    return all(weight in shapes for weight in weights)


def _has_any(shapes: Shapes, weights: tuple[str, ...]) -> bool:
    return any(weight in shapes for weight in weights)
