"""The node that puts a LoRA on a model for one prompt only."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from .host import apply_for_prompts, named
from .notices import report_later, report_refusals
from .plain_errors import plain_errors
from .shown import Shown
from .types import CATEGORY, lora_input


class ApplyToConditioning(io.ComfyNode):
    """Applies a LoRA for the prompts that are connected, and for no others."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyToConditioning",
            display_name="Apply LoRA To Conditioning",
            category=CATEGORY,
            description="Puts a LoRA or a stack on the model for one prompt only. Connect the MODEL of one "
            "of these nodes to the next, and combine their prompts, with or without masks.",
            search_aliases=["lora hook", "regional prompt", "prompt lora", "lora for one prompt"],
            has_intermediate_output=True,  # the report is sent again when nothing has to run
            inputs=[
                lora_input(),
                io.Model.Input("model", tooltip="The model that gets the LoRA for these prompts"),
                io.Conditioning.Input("positive", tooltip="The prompt that the LoRA is for"),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="A negative prompt that gets the LoRA as well. Leave it open for a negative "
                    "prompt without the LoRA",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="MODEL"),
                io.Conditioning.Output("positive", display_name="positive"),
                io.Conditioning.Output("negative", display_name="negative"),
                io.String.Output("report", display_name="report"),
            ],
        )

    @classmethod
    def execute(
        cls, model: Any, positive: Any, lora: Recipe | None = None, negative: Any = None
    ) -> io.NodeOutput:
        shown, tell = Shown(), report_later()
        with plain_errors(), report_refusals():
            applied, name, report = apply_for_prompts(
                lora or Recipe(), model, lambda later: tell(shown.of(later))
            )
        own = [prompt and named(prompt, name) for prompt in (positive, negative)]
        return io.NodeOutput(applied, *own, str(report), ui=shown.of(report))
