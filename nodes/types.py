"""Our graph types, and the one of other packs."""

from typing import Any

from comfy_api.latest import io

from ..lora_core.algebra import Recipe

CATEGORY = "LoRA Algebra"


@io.comfytype(io_type="LORA_RECIPE")
class Lora(io.ComfyTypeIO):
    """A recipe, shown to people as LORA; other packs use that name for other things."""

    Type = Recipe


@io.comfytype(io_type="LORA_STACK")
class LoraStack(io.ComfyTypeIO):
    """The type that other packs' stackers read and return."""

    Type = list[Any]


@io.comfytype(io_type="LORA_ROWS")
class Rows(io.ComfyTypeI):
    """A list of rows with switches and strengths, edited by our own widget."""

    Type = dict[str, Any]

    class Input(io.WidgetInput):
        """An input that is never a socket: newer pages do not draw a linked DOM widget."""

        def __init__(self, id: str, **others: Any) -> None:
            super().__init__(id, default={"version": 1, "rows": []}, socketless=True, **others)


def lora_input() -> Lora.Input:
    """Returns the optional LORA input that every node of the algebra has."""
    return Lora.Input("lora", display_name="LORA", optional=True, tooltip="A LoRA or a stack")
