"""The node that says how much of a LoRA each block of the model gets."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe, read_blocks
from ..lora_core.errors import LoraError
from ..lora_core.lists import PRESETS, block_lines
from .plain_errors import plain_errors, validation_error
from .types import CATEGORY, Lora, lora_input

CUSTOM = "custom"
"""The choice of no preset."""


class LoRABlockWeights(io.ComfyNode):
    """Weights a LoRA by blocks, kinds of layers and parts of the model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoRABlockWeights",
            display_name="LoRA Block Weights",
            category=CATEGORY,
            description="Says how much of a LoRA or a stack each block of the model gets. Works with "
            "every architecture, and costs nothing while sampling.",
            search_aliases=["block weight", "lbw", "lora blocks", "merge blocks", "layers"],
            inputs=[
                lora_input(),
                io.String.Input(
                    "weights",
                    multiline=True,
                    default="",
                    tooltip='A line for each name, such as "double 0-6: 0", "cross attn: 0.5", '
                    '"late: 1.2" or "other: 0". Later lines count more. A list of numbers as in other '
                    "tools (12, 17, 20, 21, 26, 27, 57, 58 or 61) works, too",
                ),
                io.Combo.Input(
                    "preset",
                    options=[CUSTOM, *PRESETS],
                    default=CUSTOM,
                    optional=True,
                    tooltip="Weights by the names that people know. The lines above come after them",
                ),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def validate_inputs(cls, weights: str | None = "", preset: str | None = CUSTOM) -> bool | str:
        """Says what is wrong before anything runs; linked inputs are only known later."""
        try:
            read_blocks(_lines(weights or "", preset or CUSTOM))
        except LoraError as error:
            return validation_error(error)
        return True

    @classmethod
    def execute(
        cls, weights: str = "", lora: Recipe | None = None, preset: str = CUSTOM
    ) -> io.NodeOutput:
        with plain_errors():
            return io.NodeOutput((lora or Recipe()).blocks(_lines(weights, preset)))


def _lines(weights: str, preset: str) -> str:
    return block_lines(weights if preset == CUSTOM else f"{preset}\n{weights}")
