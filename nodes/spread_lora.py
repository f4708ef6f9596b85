"""The node that gives every image of a batch its own strength."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe, parse_spread
from ..lora_core.errors import LoraError
from .plain_errors import plain_errors, validation_error
from .types import CATEGORY, Lora

DEFAULT = "0..1"


class SpreadLoRA(io.ComfyNode):
    """Gives a LoRA another strength for each image of the batch, in one pass."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SpreadLoRA",
            display_name="Spread LoRA",
            category=CATEGORY,
            description="Gives each image of a batch its own strength of a LoRA or a stack, in one "
            "pass of the sampler.",
            search_aliases=["lora sweep", "lora strengths", "lora batch"],
            inputs=[
                Lora.Input("lora", display_name="LORA", optional=True, tooltip="A LoRA or a stack"),
                io.String.Input(
                    "values",
                    default=DEFAULT,
                    tooltip="A range over all images of the latent batch, such as 0..1 (a single "
                    "image gets the end), or one factor for each image: 0, 0.5, 1 or 0..1 x 5",
                ),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def validate_inputs(cls, values: str | None = DEFAULT) -> bool | str:
        """Says what is wrong before anything runs; linked inputs are only known later."""
        try:
            parse_spread(DEFAULT if values is None else values)
        except LoraError as error:
            return validation_error(error)
        return True

    @classmethod
    def execute(cls, values: str, lora: Recipe | None = None) -> io.NodeOutput:
        with plain_errors():
            return io.NodeOutput((lora or Recipe()).spread(parse_spread(values)))
