"""The node that most people need: a list of LoRAs with switches and strengths."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..lora_core.recipe import Recipe
from .host import find_lora
from .plain_errors import plain_errors
from .types import CATEGORY, Lora, Rows


class LoRARows(io.ComfyNode):
    """LoRAs as rows, with switches and strengths."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoRARows",
            display_name="LoRA Rows",
            category=CATEGORY,
            description="A list of LoRAs with switches and strengths, as one value.",
            search_aliases=["lora", "lora loader", "power lora loader", "lora stack", "multi lora"],
            inputs=[
                Rows.Input("rows", tooltip="The LoRAs"),
                Lora.Input("lora", display_name="LORA", optional=True, tooltip="A LoRA or a stack"),
            ],
            outputs=[
                Lora.Output(display_name="LORA"),
                io.String.Output("triggers", display_name="triggers"),
                io.String.Output("tags", display_name="tags"),
            ],
        )

    @classmethod
    def validate_inputs(cls, rows: object = None) -> bool | str:  # noqa: ARG003
        return True

    @classmethod
    def execute(cls, rows: dict[str, Any], lora: Recipe | None = None) -> io.NodeOutput:
        with plain_errors():
            own = [
                Recipe.of(find_lora(row["name"]), row["strength"])
                for row in rows["rows"]
                if row.get("on", True)
            ]
            return io.NodeOutput(Recipe.sum([*own, *([lora] if lora else [])]), "", "")
