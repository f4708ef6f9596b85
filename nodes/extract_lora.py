"""The node that takes a LoRA out of a finished model."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..lora_core.combining import read_rule
from ..lora_core.errors import LoraError
from ..lora_core.workbench import DTYPES, Extracted, Format
from .host import extract_recipe
from .plain_errors import plain_errors, validation_error
from .types import CATEGORY, Lora


class ExtractLoRA(io.ComfyNode):
    """Makes a LoRA of the difference between two models."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        template = io.MatchType.Template("models", [io.Model, io.Clip])
        return io.Schema(
            node_id="ExtractLoRA",
            display_name="Extract LoRA",
            category=CATEGORY,
            description="Makes a LoRA of what one model has and another has not, as both are patched "
            "now. Says how much of the difference it holds.",
            search_aliases=["extract lora", "lora from checkpoint", "model difference"],
            inputs=[
                io.MatchType.Input(
                    "model", template=template, tooltip="The finished MODEL or CLIP"
                ),
                io.MatchType.Input(
                    "model_base", template=template, tooltip="The one that it came from"
                ),
                io.String.Input(
                    "rank",
                    default="64",
                    tooltip="64: at most this rank in each layer. 5%: as small as it can be with this "
                    "error. exact: all of it, as large as the model",
                ),
                io.Combo.Input(
                    "dtype",
                    options=list(DTYPES),
                    default="float16",
                    tooltip="Type of the numbers in the file",
                ),
            ],
            outputs=[
                Lora.Output(display_name="LORA"),
                io.String.Output("report", display_name="report"),
            ],
        )

    @classmethod
    def validate_inputs(cls, rank: str | None = None) -> bool | str:
        try:
            read_rule("exact" if rank is None else rank)  # a linked one is not known yet
        except LoraError as error:
            return validation_error(error)
        return True

    @classmethod
    def execute(
        cls, model: Any, model_base: Any, rank: str = "64", dtype: str = "float16"
    ) -> io.NodeOutput:
        with plain_errors():
            recipe, found = extract_recipe(
                model, model_base, Format(read_rule(rank), DTYPES[dtype])
            )
        report = _words(found)
        return io.NodeOutput(recipe, report, ui={"text": (report,)})


def _words(found: Extracted) -> str:
    layer, most = found.errors.worst
    lines = [
        f"extracted: {found.layers} layers, {found.path.stat().st_size / 2**20:.1f} MiB",
        f"error: {found.errors.total:.2g} of the whole difference; at most {most:.2g}, in {layer}",
    ]
    if found.left_out:
        lines.append(
            f"left out: {found.left_out} weights that only one of the models has, or that a LoRA has "
            "no name for"
        )
    return "\n".join(lines)
