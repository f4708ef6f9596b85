"""What base model a file was made for: what it says itself, else what its names and shapes say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from .families import Pair
from .files import LoraFile

STATED: Final = (
    # (start of ss_base_model_version or modelspec.architecture, what it means)
    ("sd_v1", "SD 1.5"),
    ("sd_1.5", "SD 1.5"),
    ("stable-diffusion-v1", "SD 1.5"),
    ("sd_v2", "SD 2"),
    ("sd_2", "SD 2"),
    ("stable-diffusion-v2", "SD 2"),
    ("sdxl", "SDXL"),
    ("stable-diffusion-xl", "SDXL"),
    ("sd3", "SD3"),
    ("stable-diffusion-3", "SD3"),
    ("flux_2", "Flux.2"),
    ("flux.2", "Flux.2"),
    ("flux", "Flux"),
    ("wan", "Wan"),
    ("qwen", "Qwen-Image"),
    ("z_image", "Z-Image"),
    ("z-image", "Z-Image"),
    ("hunyuan", "Hunyuan"),
    ("chroma", "Chroma"),
    ("lumina", "Lumina"),
)

NAMED: Final = (
    # (a name that only this model has, what it means), more specific ones first
    (re.compile(r"single_transformer_blocks|(double|single)_blocks"), "Flux"),
    (re.compile(r"joint_blocks"), "SD3"),
    (re.compile(r"attn[._]add_[qkv]_proj"), "SD3 or Flux"),
    (re.compile(r"(^|[\n._])blocks[._]\d+[._](self|cross)_attn"), "Wan"),
    (re.compile(r"lora_te2_|text_encoder_2\."), "SDXL"),
)

CROSS_ATTENTION: Final = re.compile(r"attn2[._](processor\.)?to_[kv]")
CONTEXT_WIDTH: Final[Mapping[int, str]] = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}


def base_of_file(file: LoraFile) -> str | None:
    """The base model ``file`` was made for, or None if nothing tells."""
    return _stated(file.metadata) or _named(file.modules) or _by_width(file)


def _stated(metadata: Mapping[str, str]) -> str | None:
    for key in ("ss_base_model_version", "modelspec.architecture"):
        text = metadata.get(key, "").lower()
        for start, base in STATED:
            if text.startswith(start):
                return base
    return None


def _named(names: Iterable[str]) -> str | None:
    text = "\n".join(names)
    return next((base for pattern, base in NAMED if pattern.search(text)), None)


def _by_width(file: LoraFile) -> str | None:
    """SD 1.5, SD 2 and SDXL name their layers alike, but read text of different widths."""
    for name, module in file.modules.items():
        if CROSS_ATTENTION.search(name):
            for delta in module.deltas:
                if isinstance(delta, Pair):
                    return CONTEXT_WIDTH.get(delta.down.shape[1])
    return None
