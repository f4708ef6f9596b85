"""The node that makes one LoRA of several by a method."""

from __future__ import annotations

from collections.abc import Mapping

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.combining import METHODS
from ..lora_core.workbench import combine
from .plain_errors import plain_errors
from .types import CATEGORY, Lora

NAMES = [name for name in METHODS if name != "resize"]


class CombineLoRAs(io.ComfyNode):
    """Combines LoRAs by a method that looks at all of them together."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        row = Lora.Input("lora", display_name="LORA", optional=True)
        return io.Schema(
            node_id="CombineLoRAs",
            display_name="Combine LoRAs",
            category=CATEGORY,
            description="Makes one LoRA of several, by a method that lets them fight less. It is worked "
            "out when it is applied, and can be scaled, stacked, scheduled and saved like any other.",
            search_aliases=["merge loras", "ties", "dare", "knots", "tsv", "lora merger"],
            inputs=[
                io.Combo.Input(
                    "method",
                    options=NAMES,
                    default="sum",
                    tooltip="sum: adds them. ties: keeps the largest changes, and of those only what "
                    "goes into the stronger direction. dare: drops changes at random. knots: ties in the space they "
                    "share. tsv: makes what they do orthogonal. orthogonal: each loses what an "
                    "earlier one does already",
                ),
                io.Float.Input(
                    "density",
                    default=0.2,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="For ties, dare and knots: the share of the changes that is kept",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**53 - 1,
                    control_after_generate=False,  # else every run would make, and save, another LoRA
                    tooltip="For dare: what is dropped",
                ),
                # this must be the last input: with anything after it, pasting a group loses a link
                io.Autogrow.Input(
                    "loras",
                    template=io.Autogrow.TemplatePrefix(row, prefix="lora_", min=0, max=50),
                    optional=True,
                    tooltip="LoRAs and stacks, each of them one part. There is always one free socket",
                ),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def execute(
        cls,
        method: str = "sum",
        density: float = 0.2,
        seed: int = 0,
        loras: Mapping[str, Recipe | None] | None = None,
    ) -> io.NodeOutput:
        parts = [recipe for recipe in (loras or {}).values() if recipe]
        told = {"density": density, "seed": seed}
        with plain_errors():
            if not parts:
                return io.NodeOutput(Recipe())
            own = {name: value for name, value in told.items() if name in METHODS[method].options}
            return io.NodeOutput(combine(parts, method, **own))
