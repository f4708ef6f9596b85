"""What base model a file was made for: what it says itself, else what its names and shapes say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from .origin import stated_base
from .reader import LoraFile

NAMED: Final = (
    # (a name that only this model has, what it means), more specific ones first
    (re.compile(r"(double|single)_stream_modulation|time_guidance_embed"), "Flux.2"),
    (re.compile(r"distilled_guidance_layer"), "Chroma"),
    (re.compile(r"(txt|content)_mode_blocks|(^|[\n._])mode_blocks"), "FLUX.3"),
    (re.compile(r"attn[._]qkv_proj"), "MiniMax-H3"),
    (re.compile(r"txtfusion|text_fusion[._](layerwise|refiner)_blocks"), "Krea 2"),
    (re.compile(r"(individual_)?token_refiner"), "HunyuanVideo or -Image"),
    (re.compile(r"double_stream_blocks"), "HiDream"),
    (re.compile(r"joint_transformer_blocks|(double|single)_layers"), "AuraFlow"),
    (re.compile(r"single_transformer_blocks|(double|single)_blocks"), "Flux"),
    (re.compile(r"joint_blocks"), "SD3"),
    (re.compile(r"transformer_blocks[._]\d+[._]img_m(od|lp)"), "Qwen-Image"),
    (re.compile(r"(^|[\n._])layers[._]\d+[._]attention"), "Z-Image or Lumina"),
    (re.compile(r"attn[._]add_[qkv]_proj"), "SD3 or Flux"),
    (re.compile(r"(^|[\n._])blocks[._]\d+[._](self|cross)_attn[._][qkvo](_img)?(\n|$)"), "Wan"),
    (re.compile(r"lora_te2_|text_encoder_2\."), "SDXL"),
)

UNET: Final = re.compile(r"^unet\.|(down|up|mid|input|output|middle)_blocks?[._]")
CROSS_ATTENTION: Final = re.compile(r"attn2[._](processor\.)?to_[kv]")
"""Of a UNet; others have layers of this name, too."""

CONTEXT_WIDTH: Final[Mapping[int, str]] = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}


def base_of_file(file: LoraFile) -> str | None:
    """The base model ``file`` was made for, or None if nothing tells."""
    return base_by_names(file.metadata, file.modules) or _by_width(file)


def base_by_names(metadata: Mapping[str, str], names: Iterable[str]) -> str | None:
    """The base model that ``metadata`` states, or that alone has layers of these ``names``."""
    return stated_base(metadata) or _named(names)


def _named(names: Iterable[str]) -> str | None:
    text = "\n".join(names)
    return next((base for pattern, base in NAMED if pattern.search(text)), None)


def _by_width(file: LoraFile) -> str | None:
    """SD 1.5, SD 2 and SDXL name their layers alike, but read text of different widths."""
    for name, module in file.modules.items():
        if _reads_text(name):
            for delta in module.deltas:
                if delta.inputs is not None:
                    return CONTEXT_WIDTH.get(delta.inputs)
    return None


def _reads_text(name: str) -> bool:
    """Two searches, since one for both parts takes quadratic time in a long name."""
    unet = UNET.search(name)
    return unet is not None and CROSS_ATTENTION.search(name, unet.end()) is not None
