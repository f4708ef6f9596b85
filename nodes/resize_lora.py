"""The node that makes a LoRA smaller."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.combining import read_rule
from ..lora_core.errors import LoraError
from ..lora_core.workbench import resize
from .plain_errors import plain_errors, validation_error
from .types import CATEGORY, Lora, lora_input


class ResizeLoRA(io.ComfyNode):
    """Cuts a LoRA or a whole stack to a lower rank, with the least error there is."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ResizeLoRA",
            display_name="Resize LoRA",
            category=CATEGORY,
            description="Makes a LoRA or a stack smaller, with the least error that is possible. It is "
            "worked out when it is applied or saved.",
            search_aliases=["lora rank", "shrink lora", "lora svd", "resize lora"],
            inputs=[
                lora_input(),
                io.String.Input(
                    "rank",
                    default="32",
                    tooltip="32: at most this rank in each layer. 1%: as small as it can be with this "
                    "error. Also sv_ratio, sv_cumulative and sv_fro with a number, and sv_knee",
                ),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def validate_inputs(cls, rank: str | None = None) -> bool | str:
        try:
            read_rule("exact" if rank is None else rank)  # a linked one is not known yet
        except LoraError as error:
            return validation_error(error)
        return True

    @classmethod
    def execute(cls, lora: Recipe | None = None, rank: str = "32") -> io.NodeOutput:
        with plain_errors():
            return io.NodeOutput(resize(lora or Recipe(), rank))
