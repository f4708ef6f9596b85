"""The node that most people need: a list of LoRAs with switches and strengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from comfy_api.latest import io

from ..lora_core.algebra import Recipe, Term
from ..lora_core.library import Asked, stated_triggers
from ..lora_core.lists import Row, active_rows, read_rows, written_tags
from .file_inputs import More, fingerprints, terms_of, validation_errors
from .host import apply_recipe, lora_names
from .notices import report_later, report_refusals
from .plain_errors import plain_errors
from .shown import Shown
from .types import CATEGORY, Lora, Rows, lora_input


class LoRARows(io.ComfyNode):
    """LoRAs as rows, with switches and strengths."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoRARows",
            display_name="LoRA Rows",
            category=CATEGORY,
            description="A list of LoRAs with switches and strengths. Applies them to the model that is "
            "connected, and gives them as one LORA.",
            search_aliases=[
                "lora",
                "lora loader",
                "power lora loader",
                "lora stack",
                "lora stacker",
                "cr lora stack",
                "easy lorastack",
                "lora manager",
                "multi lora",
                "lora list",
                "trigger words",
            ],
            has_intermediate_output=True,  # the report is sent again when nothing has to run
            inputs=[
                Rows.Input("rows", tooltip="The LoRAs"),
                lora_input(),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model that gets the LoRAs. Without model and clip, the node only "
                    "gives the LORA",
                ),
                io.Clip.Input(
                    "clip", optional=True, tooltip="The text encoder that gets the LoRAs"
                ),
            ],
            outputs=[
                Lora.Output(display_name="LORA"),
                io.String.Output(
                    "triggers",
                    display_name="triggers",
                    tooltip="The trigger words of the rows that are on",
                ),
                io.String.Output(
                    "tags", display_name="tags", tooltip="The LORA as <lora:name:strength> tags"
                ),
                io.Model.Output("model_out", display_name="MODEL"),
                io.Clip.Output("clip_out", display_name="CLIP"),
                io.String.Output("report", display_name="report"),
            ],
        )

    @classmethod
    async def validate_inputs(cls, rows: object = None) -> bool | str:
        """Says what is wrong with rows and files before anything runs."""
        return await validation_errors(lambda: _asked(rows))

    @classmethod
    def fingerprint_inputs(cls, rows: object = None, **_others: object) -> object:
        """Returns the files' fingerprints, and the words of those whose rows have chosen none."""
        return fingerprints(
            lambda: [(row.asked, _words_of(row)) for row in active_rows(read_rows(rows))]
        )

    @classmethod
    def execute(
        cls, rows: object = None, lora: Recipe | None = None, model: Any = None, clip: Any = None
    ) -> io.NodeOutput:
        with plain_errors(), report_refusals():
            active = active_rows(read_rows(rows))
            named = terms_of((row.asked, row.model, row.clip) for row in active)
            terms = [*_weighted(active, named), *(lora or Recipe()).terms]
            constant = (term for term in terms if not term.modulated)
            tags = written_tags(_in_order(constant), lora_names())
            recipe, words = Recipe(tuple(terms)), ", ".join(_words(active, named))
            if model is None and clip is None:
                return io.NodeOutput(recipe, words, tags, None, None, "")
            shown, tell = Shown(), report_later()
            names = [term.file.name for term in terms]
            model, clip, report = apply_recipe(
                recipe, model, clip, tell=lambda later: tell(shown.of(later.in_order(names)))
            )
        report = report.in_order(names)
        ui = shown.of(report)
        return io.NodeOutput(recipe, words, tags, model, clip, str(report), ui=ui)


def _asked(rows: object) -> Iterable[Asked]:
    return [row.asked for row in active_rows(read_rows(rows))]


def _words_of(row: Row) -> More:
    """Returns what gives a row's words, if they are those of its file."""
    return stated_triggers if row.triggers is None else None


def _weighted(rows: Iterable[Row], terms: Iterable[Term]) -> Iterator[Term]:
    """Yields the terms with the block weights of their rows; none of a file that these switch off."""
    for row, term in zip(rows, terms, strict=True):
        yield from Recipe((term,)).blocks(row.blocks).terms if row.blocks else (term,)


def _words(rows: Iterable[Row], terms: Iterable[Term]) -> Iterable[str]:
    """Returns the trigger words of all rows, each once."""
    words: dict[str, str] = {}
    for row, term in zip(rows, terms, strict=True):
        for word in stated_triggers(term.file) if row.triggers is None else row.triggers:
            words.setdefault(word.strip().casefold(), word.strip())
    return filter(None, words.values())


def _in_order(terms: Iterable[Term]) -> list[Term]:
    """Returns every file once, with its total strength, at its first place."""
    terms = tuple(terms)
    total = {term.file: term for term in Recipe(terms).terms}
    return [total[file] for file in dict.fromkeys(term.file for term in terms) if file in total]
