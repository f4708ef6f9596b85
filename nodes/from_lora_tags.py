"""The node that reads LoRAs out of a prompt."""

from __future__ import annotations

from collections.abc import Iterable

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.library import Asked
from ..lora_core.lists import ORDERS, Order, read_tags
from .file_inputs import fingerprints, notice, terms_of, validation_errors
from .host import listed_states
from .plain_errors import plain_errors
from .types import CATEGORY, Lora, lora_input

ORDER_TOOLTIP = (
    "Which strength comes first if a tag has two: the model's, as in ComfyUI, or the text "
    "encoder's, as in A1111"
)


class FromLoRATags(io.ComfyNode):
    """Turns the <lora:…> tags of a text into a LORA, and returns the text without them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FromLoRATags",
            display_name="From LoRA Tags",
            category=CATEGORY,
            description="Reads the <lora:name:strength> tags in a prompt. Gives you a LORA, and the "
            "prompt without the tags.",
            search_aliases=[
                "lora tag loader",
                "lora tags",
                "prompt lora",
                "a1111 lora",
                "lora prompt",
                "load lora tag",
            ],
            inputs=[
                io.String.Input(
                    "text", multiline=True, default="", tooltip="A prompt with <lora:…> tags"
                ),
                io.Combo.Input(
                    "order", options=list(ORDERS), default=ORDERS[0], tooltip=ORDER_TOOLTIP
                ),
                lora_input(),
            ],
            outputs=[
                Lora.Output(display_name="LORA"),
                io.String.Output(
                    "text", display_name="text", tooltip="The prompt without the tags"
                ),
            ],
        )

    @classmethod
    async def validate_inputs(cls, text: str | None = None) -> bool | str:
        """Says what is wrong before anything runs; linked inputs are only known later."""
        return await validation_errors(lambda: _asked(text))

    @classmethod
    def fingerprint_inputs(cls, text: str | None = None, **_others: object) -> object:
        """Returns the files' fingerprints; those of all files if the text is linked and only known
        later."""
        if text is None:
            return listed_states()
        return fingerprints(lambda: [(asked, None) for asked in _asked(text)])

    @classmethod
    def execute(
        cls, text: str, order: Order = "model first", lora: Recipe | None = None
    ) -> io.NodeOutput:
        with plain_errors():
            tags, rest = read_tags(text, order)
            terms = terms_of((Asked(tag.name), tag.model, tag.clip) for tag in tags)
            ui = notice((tag.name, tag.ignored) for tag in tags)
            own = (Recipe((t,)).blocks(tag.blocks) for t, tag in zip(terms, tags, strict=True))
            whole = Recipe.sum((*own, lora or Recipe()))
            return io.NodeOutput(whole, rest, ui=ui or None)


def _asked(text: str | None) -> Iterable[Asked]:
    return [Asked(tag.name) for tag in read_tags(text or "")[0]]
