"""The node that says where in the picture a LoRA acts."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..lora_core.algebra import Mask, Recipe
from .plain_errors import plain_errors
from .types import CATEGORY, Lora, lora_input


class MaskLoRA(io.ComfyNode):
    """Lets a LoRA act in a part of the picture only."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MaskLoRA",
            display_name="Mask LoRA",
            category=CATEGORY,
            description="Lets a LoRA or a stack act in one part of the picture only. Soft edges work, and "
            "so does a mask for each frame of a video.",
            search_aliases=["regional lora", "lora mask", "area lora", "attention couple"],
            inputs=[
                lora_input(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White: the whole LoRA. Black: none of it. It is stretched over the picture",
                ),
                io.Float.Input(
                    "elsewhere",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much of the LoRA acts where there is no place: in the prompt's layers, "
                    "in reference images, and in what scales the whole picture. More makes the LoRA "
                    "stronger inside of the mask, and lets some of it through outside",
                ),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def execute(
        cls, elsewhere: float = 0.0, lora: Recipe | None = None, mask: Any = None
    ) -> io.NodeOutput:
        recipe = lora or Recipe()
        with plain_errors():
            return io.NodeOutput(
                recipe if mask is None else recipe.masked(Mask.of(mask, elsewhere))
            )
