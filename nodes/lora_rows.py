"""The node that most people need: a list of LoRAs with switches and strengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from comfy_api.latest import io

from ..lora_core.algebra import Recipe, Term
from ..lora_core.library import stated_triggers
from ..lora_core.lists import (
    SIDES,
    Row,
    Side,
    active_rows,
    check_links,
    read_rows,
    rows_for,
    with_links,
    written_tags,
)
from .file_inputs import More, fingerprints, terms_of, validation_errors
from .host import apply_recipe, lora_names
from .notices import report_later, report_refusals
from .plain_errors import plain_errors
from .shown import ShownOfTwo
from .types import CATEGORY, Lora, Rows, lora_input


class LoRARows(io.ComfyNode):
    """LoRAs as rows, with switches and strengths."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoRARows",
            display_name="LoRA Rows (LoRA Loader)",  # the page finds nodes by their names first
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
                "multi lora loader",
                "multiple loras",
                "load lora",
                "lora list",
                "lora switch",
                "lora picker",
                "lora set",
                "lora preset",
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
                io.Model.Input(  # not the fourth socket: a bypassed node would give it as MODEL
                    "model_low",
                    optional=True,
                    tooltip="A second model, for low noise, as Wan 2.2 has it. It gets the same rows, "
                    "and of a pair the file for low noise",
                ),
                io.Clip.Input(
                    "clip", optional=True, tooltip="The text encoder that gets the LoRAs"
                ),
            ],
            outputs=_outputs(),
            accept_all_inputs=True,  # strengths by link, one input for each row that asks for it
        )

    @classmethod
    async def validate_inputs(cls, rows: object = None) -> bool | str:
        """Says what is wrong with rows and files before anything runs.

        It does not ask for strengths that come by inputs: the host would say each error once for
        each input that is asked for.
        """
        return await validation_errors(lambda: [row.asked for row in _each_file(_active(rows))])

    @classmethod
    def fingerprint_inputs(cls, rows: object = None, **_others: object) -> object:
        """Returns the files' fingerprints, and the words of those whose rows have chosen none."""
        return fingerprints(
            lambda: [(row.asked, _words_of(row)) for row in _each_file(_active(rows))]
        )

    @classmethod
    def execute(
        cls,
        rows: object = None,
        lora: Recipe | None = None,
        model: Any = None,
        clip: Any = None,
        model_low: Any = None,
        **given: object,
    ) -> io.NodeOutput:
        with plain_errors(), report_refusals():
            check_links(read_rows(rows), given)
            loras = _loras(with_links(_active(rows), given), lora or Recipe())
            out = loras.high, loras.words, loras.tags
            if model is None and clip is None and model_low is None:
                return io.NodeOutput(*out, None, None, "", None, loras.low)
            shown = ShownOfTwo(loras.names, report_later())
            if model is not None or clip is not None:
                model, clip = _apply(shown, "", loras.high, model, clip)
            if model_low is not None:
                own = loras.low.scaled(1, 0)  # the text encoder has got those of the other model
                model_low, _ = _apply(shown, "low", own, model_low)
            ui, report = shown.shown(), str(shown.report)
        return io.NodeOutput(*out, model, clip, report, model_low, loras.low, ui=ui)


def _outputs() -> list[io.Output]:
    return [
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
        io.Model.Output("model_low_out", display_name="MODEL low"),
        Lora.Output(
            "lora_low",
            display_name="LORA low",
            tooltip="The same as LORA, with the files for low noise",
        ),
    ]


def _apply(
    shown: ShownOfTwo, side: str, recipe: Recipe, model: Any, clip: Any = None
) -> tuple[Any, Any]:
    """Applies a recipe to one of two models, which may say more of it later."""
    tell = partial(shown.later, side)
    model, clip, report = apply_recipe(recipe, model, clip, tell=tell)
    shown.add(side, report)
    return model, clip


@dataclass(frozen=True)
class _Loras:
    """What the rows and the LORA that comes in are together.

    Attributes:
        high: The recipe for the model, or for high noise where there are two.
        low: The one for low noise.
        words: The trigger words.
        tags: The recipe for the model as tags.
        names: The files, in the order of the rows.
    """

    high: Recipe
    low: Recipe
    words: str
    tags: str
    names: list[str]


def _loras(rows: tuple[Row, ...], lora: Recipe) -> _Loras:
    files = _each_file(rows)
    named = terms_of((row.asked, row.model, row.clip) for row in files)
    term_of = dict(zip(files, named, strict=True))
    high, low = ((*_terms_on(side, rows, term_of), *lora.terms) for side in SIDES)
    constant = (term for term in high if not term.modulated)
    return _Loras(
        Recipe(high),
        Recipe(low),
        ", ".join(_words(files, named)),
        written_tags(_in_order(constant), lora_names()),
        [term.file.name for term in (*named, *lora.terms)],
    )


def _active(rows: object) -> tuple[Row, ...]:
    return active_rows(read_rows(rows))


def _each_file(rows: tuple[Row, ...]) -> list[Row]:
    """Returns a row for each file of each row: two for a pair, as each of the models sees it."""
    seen = (row for side in SIDES for row in rows_for(side, rows))
    return sorted(dict.fromkeys(seen), key=lambda row: row.asked.row or 0)


def _words_of(row: Row) -> More:
    """Returns what gives a row's words, if they are those of its file."""
    return stated_triggers if row.triggers is None else None


def _terms_on(side: Side, rows: Iterable[Row], term_of: Mapping[Row, Term]) -> Iterator[Term]:
    """Yields the terms for one model, with the block weights of their rows; none of a file that these
    switch off."""
    for row in rows_for(side, rows):
        term = term_of[row]
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
