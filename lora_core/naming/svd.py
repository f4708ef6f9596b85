"""The UNet of Stable Video Diffusion: that of SD 2, with a layer in time after each layer in space."""

from __future__ import annotations

from typing import Final

from . import unet
from .architecture import Architecture, Layout, has
from .tables import Paths, Shapes, indices, native_path, renamed
from .targets import Target

_TEMPORAL: Final = {
    "time_stack.in_layers.0": "temporal_res_block.norm1",
    "time_stack.in_layers.2": "temporal_res_block.conv1",
    "time_stack.emb_layers.1": "temporal_res_block.time_emb_proj",
    "time_stack.out_layers.0": "temporal_res_block.norm2",
    "time_stack.out_layers.3": "temporal_res_block.conv2",
    "time_pos_embed.0": "time_pos_embed.linear_1",
    "time_pos_embed.2": "time_pos_embed.linear_2",
    "time_mixer.mix_factor": "time_mixer.mix_factor",
}

# where a module's name ends, in the paths of the UNet without time
_RESNET: Final = ("conv1", ".in_layers.2.weight")
_ATTENTION: Final = ("proj_in", ".proj_in.weight")


def paths(shapes: Shapes) -> Paths:
    """Yields the diffusers paths of an SVD's UNet, if they are not those of ``unet.paths``."""
    for path, target in unet.paths(shapes):
        module, resnets, layer = path.partition(".resnets.")
        if resnets:
            index, _, inner = layer.partition(".")
            yield f"{module}.resnets.{index}.spatial_res_block.{inner}", target
        yield from _temporal(shapes, path, target)


def _temporal(shapes: Shapes, path: str, target: Target) -> Paths:
    """Yields the layers in time of the module that the layer ``path`` belongs to, once per module."""
    for layer, ending in (_RESNET, _ATTENTION):
        if path.endswith(f".{layer}") and target.key.endswith(ending):
            native = target.key.removesuffix(ending) + "."
            diffusers = path.removesuffix(layer)
            yield from renamed(shapes, _TEMPORAL, native, diffusers)
            yield from _time_stack(shapes, f"{native}time_stack.", diffusers)


def _time_stack(shapes: Shapes, native: str, diffusers: str) -> Paths:
    for block in indices(shapes, native):
        if block.isdigit():
            stack = f"{native}{block}."
            for key in shapes:
                if key.startswith(stack):
                    inner = native_path(key.removeprefix(stack))
                    yield f"{diffusers}temporal_transformer_blocks.{block}.{inner}", Target(key)


_SIGN: Final = has("input_blocks.1.0.time_stack.in_layers.0.weight")

STABLE_VIDEO_DIFFUSION: Final = Architecture(
    "Stable Video Diffusion",
    signs=(_SIGN, has("down_blocks.0.resnets.0.temporal_res_block.conv1.weight")),
    layouts=(unet.LAYOUT, Layout((_SIGN,), paths)),
    blocks=unet.blocks(12),
    in_diffusers=("spatial_res_block",),
    kin="SD 2",
)
