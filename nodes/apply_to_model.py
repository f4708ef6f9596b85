"""The node that gives a recipe to a model."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..lora_core.errors import LoraInputError
from ..lora_core.recipe import Recipe
from .host import apply_recipe
from .types import CATEGORY, Lora


class ApplyToModel(io.ComfyNode):
    """A whole stack added to a model in one pass, with a report."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyToModel",
            display_name="Apply LoRA To Model",
            category=CATEGORY,
            description="Adds a LoRA, or a whole stack, to a model and its text encoder in one "
            "pass, and reports what was applied.",
            search_aliases=["apply lora", "lora loader"],
            has_intermediate_output=True,  # the report is sent again when nothing has to run
            inputs=[
                Lora.Input("lora", display_name="LORA", optional=True),
                io.Model.Input("model", optional=True),
                io.Clip.Input("clip", optional=True),
            ],
            outputs=[
                io.Model.Output(display_name="MODEL"),
                io.Clip.Output(display_name="CLIP"),
                io.String.Output("report", display_name="report"),
            ],
        )

    @classmethod
    def execute(
        cls, lora: Recipe | None = None, model: Any = None, clip: Any = None
    ) -> io.NodeOutput:
        if model is None and clip is None:
            raise LoraInputError(
                "Apply LoRA To Model has nothing to apply to: connect a MODEL, a CLIP, or both.",
                key="model",
                expected="MODEL or CLIP",
                found="neither",
            )
        patched_model, patched_clip, report = apply_recipe(lora or Recipe(), model, clip)
        text = str(report)
        return io.NodeOutput(patched_model, patched_clip, text, ui={"text": (text,)})
