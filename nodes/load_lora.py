"""The node that turns a file into a value."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.errors import LoraError
from ..lora_core.reading import shared_cache
from .host import find_lora, lora_names
from .plain_errors import plain_errors, validation_error
from .types import CATEGORY, Lora


class LoadLoRA(io.ComfyNode):
    """Loads a LoRA file as a value."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadLoRA",
            display_name="LoRA File",
            category=CATEGORY,
            description="Chooses a LoRA file. Scale or stack it, then connect it to Apply LoRA To "
            "Model.",
            search_aliases=["load lora", "lora loader", "lora algebra", "load one lora"],
            inputs=[
                io.Combo.Input("lora_name", options=lora_names(), tooltip="A file in models/loras"),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    tooltip="How strong the LoRA is: 0 has no effect, 1 is as trained, -1 is the "
                    "opposite",
                ),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def validate_inputs(cls, lora_name: object = None) -> bool | str:
        """Checks the name: names outside the host's list can still be valid; linked ones are only
        known later."""
        if lora_name is None:
            return True
        try:
            find_lora(lora_name)
        except LoraError as error:
            return validation_error(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, lora_name: object = None, **_others: object) -> object:
        """Returns the file's state, so that one retrained under its old name is read again."""
        try:
            file = find_lora(lora_name)
        except LoraError as error:
            return str(error)
        return [file.mtime_ns, file.size, file.inode, file.config_mtime_ns]

    @classmethod
    def execute(cls, lora_name: str, strength: float = 1.0) -> io.NodeOutput:
        with plain_errors():
            file = find_lora(lora_name)
            shared_cache.check(file)
            return io.NodeOutput(Recipe.of(file, strength))
