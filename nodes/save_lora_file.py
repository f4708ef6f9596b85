"""The node that keeps a LoRA as a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.combining import read_rule
from ..lora_core.errors import LoraError
from ..lora_core.naming import NAME_STYLES, NameStyle
from ..lora_core.workbench import DTYPES, Format, Saved
from .host import save_recipe
from .plain_errors import plain_errors, validation_error
from .types import CATEGORY, Lora

AS_FILES = "as the files"

_STYLES: Final[Mapping[str, NameStyle]] = {style: style for style in NAME_STYLES}


class SaveLoRAFile(io.ComfyNode):
    """Writes what a LoRA or a stack adds to a model as one new LoRA file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveLoRAFile",
            display_name="Save LoRA",
            category=CATEGORY,
            description="Saves a LoRA or a whole stack as one file: exactly what Apply LoRA To Model "
            "would add. Says how exact the file is.",
            search_aliases=["save lora", "merge lora", "export lora", "combine loras", "bake lora"],
            is_output_node=True,
            inputs=[
                Lora.Input("lora", display_name="LORA", tooltip="A LoRA or a stack"),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model that the LoRA is for. It stays as it is",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="The text encoder, if the file shall have its layers, too",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="loras/combined",
                    tooltip="Folder and beginning of the file's name, in the output folder",
                ),
                io.String.Input(
                    "rank",
                    default="exact",
                    tooltip="exact: all of it. 32: at most this rank in each layer. 1%: as small as the "
                    "file can be with this error. Also sv_ratio, sv_cumulative and sv_fro with a "
                    "number, and sv_knee",
                ),
                io.Combo.Input(
                    "dtype",
                    options=[AS_FILES, *DTYPES],
                    default=AS_FILES,
                    tooltip="Type of the numbers in the file",
                ),
                io.Combo.Input(
                    "names",
                    options=[AS_FILES, *NAME_STYLES],
                    default=AS_FILES,
                    tooltip="Whose names the layers have in the file",
                ),
            ],
            outputs=[
                io.String.Output("path", display_name="path", tooltip="Where the file is"),
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
        cls,
        lora: Recipe,
        model: Any = None,
        clip: Any = None,
        filename_prefix: str = "loras/combined",
        rank: str = "exact",
        dtype: str = AS_FILES,
        names: str = AS_FILES,
    ) -> io.NodeOutput:
        with plain_errors():
            form = Format(read_rule(rank), DTYPES.get(dtype), _STYLES.get(names))
            saved = save_recipe(lora, model, clip, filename_prefix, form)
        report = _words(saved)
        return io.NodeOutput(str(saved.path), report, ui={"text": (report,)})


def _words(saved: Saved) -> str:
    layer, most = saved.errors.worst
    return (
        f"saved: {saved.path.name}, {saved.layers} layers, "
        f"{saved.path.stat().st_size / 2**20:.1f} MiB\n"
        f"error: {saved.errors.total:.2g} of the whole; at most {most:.2g}, in {layer}\n"
        f"{saved.report}"
    )
