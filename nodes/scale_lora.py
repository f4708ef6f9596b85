"""The node that multiplies."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from .plain_errors import plain_errors
from .types import CATEGORY, Lora


def _factor(name: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=1.0, min=-10.0, max=10.0, step=0.01, tooltip=tooltip)


class ScaleLoRA(io.ComfyNode):
    """Multiplies a LoRA, or a whole stack of them, by a number."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ScaleLoRA",
            display_name="Scale LoRA",
            category=CATEGORY,
            description="Multiplies a LoRA or a whole stack by a number, separately for model and "
            "text encoder.",
            search_aliases=["lora strength", "multiply lora"],
            inputs=[
                Lora.Input("lora", display_name="LORA", optional=True, tooltip="A LoRA or a stack"),
                _factor("strength_model", "Factor for the model"),
                _factor("strength_clip", "Factor for the text encoder"),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def execute(
        cls, strength_model: float, strength_clip: float, lora: Recipe | None = None
    ) -> io.NodeOutput:
        with plain_errors():
            return io.NodeOutput((lora or Recipe()).scaled(strength_model, strength_clip))
