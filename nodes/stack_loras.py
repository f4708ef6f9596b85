"""The node that adds."""

from __future__ import annotations

from collections.abc import Mapping

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from .plain_errors import plain_errors
from .types import CATEGORY, Lora


class StackLoRAs(io.ComfyNode):
    """Adds any number of LoRAs; their order does not matter."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        row = Lora.Input("lora", display_name="LORA", optional=True)
        return io.Schema(
            node_id="StackLoRAs",
            display_name="Stack LoRAs",
            category=CATEGORY,
            description="Adds up any number of LoRAs. Their order does not matter.",
            search_aliases=["lora stack", "add loras", "combine loras"],
            inputs=[
                # this must be the last input: with anything after it, pasting a group loses a link
                io.Autogrow.Input(
                    "loras",
                    template=io.Autogrow.TemplatePrefix(row, prefix="lora_", min=0, max=50),
                    optional=True,
                    tooltip="LoRAs and stacks. There is always one free socket",
                )
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def execute(cls, loras: Mapping[str, Recipe | None] | None = None) -> io.NodeOutput:
        recipes = (loras or {}).values()
        with plain_errors():
            return io.NodeOutput(Recipe.sum(recipe for recipe in recipes if recipe is not None))
