"""The node that makes a list of strengths; everything after it runs once for each."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.errors import LoraError
from ..lora_core.lists import ONE, check_count, parse_blocks, parse_values, sweep
from .plain_errors import plain_errors, validation_error
from .types import CATEGORY, Lora, lora_input

DEFAULT = "0, 0.5, 1"
UNLINKED = object()


class SweepLoRA(io.ComfyNode):
    """Lists a LoRA at several strengths, or against another one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SweepLoRA",
            display_name="Sweep LoRA",
            category=CATEGORY,
            description="Tries a LoRA or a stack at several strengths, or two of them against each "
            "other (XY plot). Every node after it runs once for each.",
            search_aliases=[
                "xy plot",
                "xyz plot",
                "lora xy plot",
                "lora sweep",
                "lora strengths",
                "lora plot",
                "compare loras",
            ],
            inputs=[
                lora_input(),
                io.String.Input(
                    "values", default=DEFAULT, tooltip="Its strengths: 0, 0.5, 1 or 0..1 x 5"
                ),
                Lora.Input(
                    "across",
                    optional=True,
                    tooltip="A second LoRA or stack for an XY plot. Each of its strengths is used "
                    "with each strength of the first",
                ),
                io.String.Input(
                    "across_values",
                    default=DEFAULT,
                    tooltip="The strengths of the second one. They have no effect without it",
                ),
                io.String.Input(
                    "blocks",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip='Block weights to try, one per line, in place of a second LoRA: "only double '
                    '0-18" (each of these blocks alone), "without single 7", a preset, or lines with ; '
                    "between them",
                ),
            ],
            outputs=[
                Lora.Output(
                    "lora", display_name="LORA", is_output_list=True, tooltip="One after the other"
                ),
                io.String.Output(
                    "label",
                    display_name="label",
                    is_output_list=True,
                    tooltip="Name and strength of each one, for LoRA Grid or a file name",
                ),
                io.Int.Output(
                    "columns",
                    display_name="columns",
                    tooltip="The number of values of the first one",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        values: str | None = DEFAULT,
        across: object = UNLINKED,
        across_values: str | None = DEFAULT,
        blocks: str | None = "",
    ) -> bool | str:
        """Says what is wrong before anything runs; linked inputs are only known later."""
        try:
            columns = ONE if values is None else parse_values(values)
            crossed = across is not UNLINKED and across_values is not None
            rows = parse_values(across_values or "", "across_values") if crossed else ONE
            check_count(len(columns), len(parse_blocks(blocks or "")) or len(rows))
        except LoraError as error:
            return validation_error(error)
        return True

    @classmethod
    def execute(
        cls,
        values: str,
        across_values: str = DEFAULT,
        lora: Recipe | None = None,
        across: Recipe | None = None,
        blocks: str = "",
    ) -> io.NodeOutput:
        with plain_errors():
            columns = parse_values(values)
            rows = ONE if across is None else parse_values(across_values, "across_values")
            items = sweep(lora or Recipe(), columns, across, rows, parse_blocks(blocks))
        return io.NodeOutput(
            [item.recipe for item in items], [item.label for item in items], len(columns)
        )
