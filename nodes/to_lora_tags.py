"""The node that writes a LORA as text, for prompts and for metadata saved with an image."""

from __future__ import annotations

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.lists import (
    ORDERS,
    Order,
    check_constant,
    check_readable,
    hashes_line,
    written_tags,
)
from .from_lora_tags import ORDER_TOOLTIP
from .host import content_of, current, lora_names
from .plain_errors import plain_errors
from .types import CATEGORY, lora_input


class ToLoRATags(io.ComfyNode):
    """Writes a LORA as <lora:…> tags, with the hashes by which Civitai knows the files."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ToLoRATags",
            display_name="To LoRA Tags",
            category=CATEGORY,
            description="Writes a LORA as <lora:name:strength> tags, with the hashes that "
            "Civitai uses to find the files.",
            search_aliases=[
                "lora tags",
                "lora stack to string",
                "lora hashes",
                "civitai metadata",
                "lora to text",
            ],
            inputs=[
                lora_input(),
                io.Combo.Input(
                    "order", options=list(ORDERS), default=ORDERS[0], tooltip=ORDER_TOOLTIP
                ),
            ],
            outputs=[
                io.String.Output("tags", display_name="tags", tooltip="<lora:name:strength> …"),
                io.String.Output(
                    "hashes", display_name="hashes", tooltip='Lora hashes: "name: hash, …"'
                ),
            ],
        )

    @classmethod
    def execute(cls, order: Order = "model first", lora: Recipe | None = None) -> io.NodeOutput:
        with plain_errors():
            terms = current(lora or Recipe()).terms
            for term in terms:
                check_constant(term, "a tag")
                check_readable(term)
            listed = lora_names()
            tags = written_tags(terms, listed, order)
            return io.NodeOutput(tags, hashes_line(terms, listed, content_of))
