"""The node that reads the output of other packs' stackers."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.lists import read_stack
from .file_inputs import notice, terms_of
from .host import listed_states
from .plain_errors import plain_errors
from .types import CATEGORY, Lora, LoraStack, lora_input


class FromLoRAStack(io.ComfyNode):
    """Turns a LORA_STACK of another pack into a LORA."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FromLoRAStack",
            display_name="From LoRA Stack",
            category=CATEGORY,
            description="Turns a LORA_STACK of another pack into a LORA.",
            search_aliases=[
                "lora_stack",
                "lora stacker",
                "apply lora stack",
                "cr apply lora stack",
                "easy lorastack",
                "efficiency lora stack",
            ],
            inputs=[
                LoraStack.Input(
                    "lora_stack",
                    display_name="LORA_STACK",
                    optional=True,
                    tooltip="From a stacker of another pack",
                ),
                lora_input(),
            ],
            outputs=[Lora.Output(display_name="LORA")],
        )

    @classmethod
    def fingerprint_inputs(cls, **_others: object) -> object:
        """Returns the fingerprints of all files, since it is known too late which ones are meant."""
        return listed_states()

    @classmethod
    def execute(cls, lora_stack: object = None, lora: Recipe | None = None) -> io.NodeOutput:
        with plain_errors():
            entries = read_stack(lora_stack)
            terms = [entry.term for entry in entries if entry.term is not None]
            terms += terms_of((e.asked, e.model, e.clip) for e in entries if e.term is None)
            ui = notice((entry.asked.name, entry.ignored) for entry in entries)
            return io.NodeOutput(Recipe((*terms, *(lora or Recipe()).terms)), ui=ui or None)
