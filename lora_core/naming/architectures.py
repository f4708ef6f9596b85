"""Every architecture that we know, and which of them a component is."""

from __future__ import annotations

from typing import Final

from . import (
    ace_step,
    anima,
    auraflow,
    cascade,
    cogvideox,
    cosmos,
    flux,
    flux3,
    hunyuan_dit,
    hunyuan_video,
    ideogram,
    krea,
    ltx,
    lumina,
    minimax,
    mochi,
    pixart,
    qwen,
    same_names,
    sd3,
    stable_audio,
    svd,
    text_encoders,
    unet,
    wan,
)
from .architecture import Architecture, BlockList, Layout
from .tables import Paths, Shapes

ARCHITECTURES: Final[tuple[Architecture, ...]] = (
    # The first whose sign fits is what a model is, and the first with a clue what a file is for.
    # An architecture with the weights or names of another and some more comes before it: a new row goes
    # above what it was made from. In metadata the longest start counts, wherever its row is.
    #
    # above Flux: all that has its blocks, or blocks of the same names
    flux.FLUX_2,
    flux.CHROMA_RADIANCE,
    flux.CHROMA,
    flux3.FLUX_3,
    minimax.MINIMAX_H3,  # above HunyuanVideo, for the refiner of its text
    krea.KREA_2,
    hunyuan_video.HUNYUAN_VIDEO_15,
    hunyuan_video.HUNYUAN_IMAGE,
    hunyuan_video.HUNYUAN_VIDEO,
    same_names.HIDREAM,
    auraflow.AURAFLOW,
    flux.OVIS_IMAGE,
    flux.LONGCAT_IMAGE,
    flux.FLUX,
    # other image models
    pixart.PIXART,
    same_names.BOOGU,
    same_names.OMNIGEN_2,
    same_names.FIBO_2,
    qwen.MAGE_FLOW,
    qwen.QWEN_IMAGE,
    lumina.LUMINA,
    lumina.Z_IMAGE,
    sd3.SD3,  # below Flux and Qwen-Image, whose attention has the names of its own
    same_names.LENS,
    ideogram.IDEOGRAM_4,
    same_names.ERNIE_IMAGE,
    hunyuan_dit.HUNYUAN_DIT,
    cascade.STABLE_CASCADE,
    same_names.JOY_IMAGE,
    anima.ANIMA,
    qwen.QWEN_IMAGE_21,
    # video, sound and space
    wan.WAN,
    minimax.MINIMAX_MUSIC_3,
    same_names.TRELLIS_2,
    ltx.LTX_2,
    ltx.LTX_VIDEO,
    cogvideox.COGVIDEOX,
    cosmos.COSMOS,
    cosmos.COSMOS_PREDICT2,
    same_names.KANDINSKY_5,
    mochi.MOCHI,
    stable_audio.STABLE_AUDIO_3,
    stable_audio.STABLE_AUDIO,
    ace_step.ACE_STEP_15,
    ace_step.ACE_STEP,
    same_names.SEEDVR_2,
    same_names.HUNYUAN_3D,
    same_names.HUNYUAN_3D_21,
    same_names.TRIPO_SPLAT,
    # the UNets, which files for many others resemble
    svd.STABLE_VIDEO_DIFFUSION,
    unet.SDXL,
    unet.SD_15,
    unet.SD_2,
)

_LAYOUTS: Final[tuple[Layout, ...]] = (
    *dict.fromkeys(layout for known in ARCHITECTURES for layout in known.layouts),
    *text_encoders.LAYOUTS,
)

HEAD_BANKS: Final = tuple(layer for known in ARCHITECTURES for layer in known.head_banks)
"""The layers that a file may replace with a bank of heads."""


def architecture(shapes: Shapes) -> str | None:
    """Returns the name of a denoiser's architecture, or None if it is not one that we know."""
    return next((known.name for known in ARCHITECTURES if known.fits(shapes)), None)


def architecture_named(name: str | None) -> Architecture:
    """Returns all that is known about the architecture of that name: only the name if it is not
    ours."""
    known = (known for known in ARCHITECTURES if known.name == name)
    return next(known, Architecture(name or ""))


def blocks_named(name: str | None) -> tuple[BlockList, ...]:
    """Returns the lists of blocks of the architecture of that name, which can also be what messages
    call several that have the same lists."""
    alike = (k for k in ARCHITECTURES for clue in k.clues if clue.alike and clue.means == name)
    return architecture_named(name).blocks or next((known.blocks for known in alike), ())


def other_paths(shapes: Shapes) -> Paths:
    """Yields the paths that other layouts of a component give its weights."""
    for layout in _LAYOUTS:
        if layout.fits(shapes):
            yield from layout.paths(shapes)
