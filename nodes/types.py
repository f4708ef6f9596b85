"""The graph types of ours, and the one of other packs."""

from typing import Any

from comfy_api.latest import io

from ..lora_core.algebra import Recipe

CATEGORY = "LoRA Algebra"


@io.comfytype(io_type="LORA_RECIPE")
class Lora(io.ComfyTypeIO):
    """A recipe, shown to people as LORA; other packs use that very name for other things."""

    Type = Recipe


@io.comfytype(io_type="LORA_STACK")
class LoraStack(io.ComfyTypeIO):
    """What other packs' stackers give and take."""

    Type = list[Any]


@io.comfytype(io_type="LORA_ROWS")
class Rows(io.ComfyTypeI):
    """A list of rows with switches and strengths, edited by a widget of ours."""

    Type = dict[str, Any]

    class Input(io.WidgetInput):
        """Never a socket: a linked DOM widget is drawn nowhere by newer pages."""

        def __init__(self, id: str, **others: Any) -> None:
            super().__init__(id, default={"version": 1, "rows": []}, socketless=True, **others)


def lora_input() -> Lora.Input:
    """The optional LORA input that every node of the algebra has."""
    return Lora.Input("lora", display_name="LORA", optional=True, tooltip="A LoRA or a stack")
