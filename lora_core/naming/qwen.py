"""The transformer of Qwen-Image 2.1, which is called the same everywhere but where ComfyUI joins
two layers of its gated MLP. Read in diffusers' converter, not run."""

from __future__ import annotations

from typing import Final

from .tables import Stack, Table

TABLE: Final = Table(
    outer={},
    stacks=(
        Stack(
            "transformer_blocks.",
            "transformer_blocks.",
            fused={"img_mlp.gate_up": ("img_mlp.gate_layer", "img_mlp.proj")},
        ),
    ),
)
