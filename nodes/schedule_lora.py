"""The node that makes a strength follow a curve."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Curve, Recipe
from ..lora_core.errors import LoraError
from .plain_errors import plain_errors, validation_error
from .types import CATEGORY, Lora


def _percent(name: str, default: float, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.001, tooltip=tooltip)


class ScheduleLoRA(io.ComfyNode):
    """Changes a LoRA's strength while an image is made."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ScheduleLoRA",
            display_name="Schedule LoRA",
            category=CATEGORY,
            description="Changes the strength of a LoRA or a stack along a curve during sampling. "
            "Changes no weight.",
            search_aliases=["lora schedule", "lora keyframes", "timed lora"],
            inputs=[
                Lora.Input("lora", display_name="LORA", optional=True, tooltip="A LoRA or a stack"),
                io.String.Input(
                    "curve",
                    default="linear",
                    tooltip="Points such as 0:0, 0.3:1, 1:0.5, a shape (linear, cosine, ease-in, "
                    "ease-out, constant, step), or both",
                ),
                _percent(
                    "start_percent", 0.0, "Where the curve begins. Before it the strength is 0"
                ),
                _percent("end_percent", 1.0, "Where the curve ends. After it the strength is 0"),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def validate_inputs(
        cls,
        curve: str | None = "linear",
        start_percent: float | None = 0.0,
        end_percent: float | None = 1.0,
    ) -> bool | str:
        """Says what is wrong before anything runs; linked inputs are only known later."""
        typed = "linear" if curve is None else curve
        try:
            Curve.parse(typed, *_known(start_percent, end_percent))
        except LoraError as error:
            return validation_error(error)
        return True

    @classmethod
    def execute(
        cls, curve: str, start_percent: float, end_percent: float, lora: Recipe | None = None
    ) -> io.NodeOutput:
        with plain_errors():
            parsed = Curve.parse(curve, start_percent, end_percent)
            return io.NodeOutput((lora or Recipe()).scheduled(parsed))


def _known(start: float | None, end: float | None) -> tuple[float, float]:
    """Returns the window, as far as it is typed and not linked."""
    return (0.0, 1.0) if start is None or end is None else (start, end)
