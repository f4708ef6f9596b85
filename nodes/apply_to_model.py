"""The node that applies a recipe to a model."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.matching import MODES, Mode
from .host import apply_recipe
from .notices import report_later, report_refusals
from .plain_errors import plain_errors
from .shown import Shown
from .types import CATEGORY, Lora


class ApplyToModel(io.ComfyNode):
    """Applies a whole stack to a model in one pass, and reports what was applied."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyToModel",
            display_name="Apply LoRA To Model",
            category=CATEGORY,
            description="Adds a LoRA, or a whole stack, to a model and its text encoder in one "
            "pass. Shows what was applied.",
            search_aliases=["apply lora", "lora loader"],
            has_intermediate_output=True,  # the report is sent again when nothing has to run
            inputs=[
                Lora.Input("lora", display_name="LORA", optional=True, tooltip="A LoRA or a stack"),
                io.Model.Input("model", optional=True, tooltip="The model that gets the LoRA"),
                io.Clip.Input("clip", optional=True, tooltip="The text encoder that gets the LoRA"),
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    default="auto",
                    optional=True,  # workflows from before this input still work
                    tooltip="merge: adds the LoRA to the weights. live: computes the LoRA next to "
                    "the layers, so a new strength changes no weight. auto: merges, but uses live for "
                    "schedules, spreads and quantised models",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="MODEL"),
                io.Clip.Output(display_name="CLIP"),
                io.String.Output("report", display_name="report"),
            ],
        )

    @classmethod
    def execute(
        cls, lora: Recipe | None = None, model: Any = None, clip: Any = None, mode: Mode = "auto"
    ) -> io.NodeOutput:
        shown, tell = Shown(), report_later()
        with plain_errors(), report_refusals():
            model, clip, report = apply_recipe(
                lora or Recipe(), model, clip, mode, lambda later: tell(shown.of(later))
            )
        return io.NodeOutput(model, clip, str(report), ui=shown.of(report))
