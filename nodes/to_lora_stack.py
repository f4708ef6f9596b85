"""The node that makes the input of other packs' loaders."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.lists import listed, written_stack
from .host import current
from .plain_errors import plain_errors
from .types import CATEGORY, LoraStack, lora_input


class ToLoRAStack(io.ComfyNode):
    """Turns a LORA into a LORA_STACK for other packs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ToLoRAStack",
            display_name="To LoRA Stack",
            category=CATEGORY,
            description="Turns a LORA into a LORA_STACK for loaders and stackers of other packs.",
            search_aliases=[
                "lora_stack",
                "lora stacker",
                "cr lora stack",
                "easy lorastack",
                "efficiency lora stack",
            ],
            inputs=[
                lora_input(),
                LoraStack.Input(
                    "lora_stack",
                    display_name="LORA_STACK",
                    optional=True,
                    tooltip="From a stacker of another pack. Its entries come first",
                ),
            ],
            outputs=[LoraStack.Output("lora_stack", display_name="LORA_STACK")],
        )

    @classmethod
    def execute(cls, lora: Recipe | None = None, lora_stack: object = None) -> io.NodeOutput:
        with plain_errors():
            own = written_stack(current(lora or Recipe()))
            return io.NodeOutput([*listed(lora_stack), *own])
