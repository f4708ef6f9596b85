"""The node that makes a list of LoRAs at strengths; everything after it runs once for each."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from comfy_api.latest import io

from ..lora_core.algebra import Recipe
from ..lora_core.library import Asked
from ..lora_core.lists import (
    ONE,
    PICKS,
    Pick,
    Sweep,
    check_count,
    check_pick,
    each_alone,
    named_files,
    parse_blocks,
    parse_seeds,
    parse_values,
    picked,
)
from .file_inputs import fingerprints, terms_of, validation_errors
from .host import Library, listed_states, lora_names
from .plain_errors import plain_errors
from .types import CATEGORY, Lora, lora_input

DEFAULT = "0, 0.5, 1"
UNLINKED = object()
ALL = PICKS[0]
LARGEST_NUMBER = 2**64 - 1


class SweepLoRA(io.ComfyNode):
    """Lists a LoRA at several strengths, against another one, or several files."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SweepLoRA",
            display_name="Sweep LoRA",
            category=CATEGORY,
            description="Tries a LoRA or a stack at several strengths, or two of them against each "
            "other (XY plot). Also tries files, such as the epochs of a training, and seeds. Every "
            "node after it runs once for each.",
            search_aliases=[
                "xy plot",
                "xyz plot",
                "lora xy plot",
                "lora sweep",
                "lora strengths",
                "lora plot",
                "compare loras",
                "compare epochs",
                "lora cycler",
                "random lora",
            ],
            inputs=[*_strengths(), *_kinds()],
            outputs=_lists(),
        )

    @classmethod
    async def validate_inputs(
        cls,
        values: str | None = DEFAULT,
        across: object = UNLINKED,
        across_values: str | None = DEFAULT,
        blocks: str | None = "",
        files: str | None = "",
        seeds: str | None = "",
        pick: str | None = ALL,
    ) -> bool | str:
        """Says what is wrong before anything runs; linked inputs are only known later."""

        def asked() -> tuple[Asked, ...]:
            crossed = across is not UNLINKED and across_values is not None
            rows = parse_values(across_values or "", "across_values") if crossed else ONE
            named = _asked(files)
            counts = (
                1 if values is None else len(parse_values(values)),
                len(named) or 1,
                len(parse_blocks(blocks or "")) or len(rows),
                len(parse_seeds(seeds or "")) or 1,
            )
            check_pick(pick or ALL)
            if pick == ALL:
                check_count(*counts)
            return named

        return await validation_errors(asked)

    @classmethod
    def fingerprint_inputs(cls, files: str | None = "", **_others: object) -> object:
        """Returns the files' fingerprints: others if a pattern finds another file; those of all files
        if the text is linked and only known later."""
        if files is None:
            return listed_states()
        return fingerprints(lambda: [(asked, None) for asked in _asked(files)])

    @classmethod
    def execute(
        cls,
        values: str,
        across_values: str = DEFAULT,
        lora: Recipe | None = None,
        across: Recipe | None = None,
        blocks: str = "",
        files: str = "",
        one_by_one: bool = False,
        seeds: str = "",
        pick: Pick = ALL,
        number: int = 0,
    ) -> io.NodeOutput:
        with plain_errors():
            check_pick(pick)
            columns = parse_values(values)
            rows = ONE if across is None else parse_values(across_values, "across_values")
            more = across, rows, parse_blocks(blocks), parse_seeds(seeds)
            tried = [*_connected(lora, one_by_one), *_asked(files)]
            if pick != ALL:  # the other files are not even opened
                place, number = picked(pick, number, len(columns), len(tried) or 1)
                tried = tried[place : place + 1]
            sweep = Sweep(_loaded(tried), columns, *more)
            items = sweep.items() if pick == ALL else (sweep.item(number),)
        return io.NodeOutput(
            [item.recipe for item in items],
            [item.label for item in items],
            sweep.columns if pick == ALL else 1,
            [item.seed for item in items],
        )


def _asked(files: str | None) -> tuple[Asked, ...]:
    return named_files(files, lora_names(), Library().resolve) if files else ()


def _connected(lora: Recipe | None, one_by_one: bool) -> tuple[Recipe, ...]:
    """Returns what is connected, all together or one by one."""
    connected = lora or Recipe()
    return each_alone(connected) if one_by_one else (connected,) if connected else ()


def _loaded(tried: Sequence[Recipe | Asked]) -> tuple[Recipe, ...]:
    """Returns the LoRAs to try: what is connected, then the files; no LoRA if there is nothing."""
    own = [each for each in tried if isinstance(each, Recipe)]
    named = [(each, Fraction(1), Fraction(1)) for each in tried if isinstance(each, Asked)]
    return (*own, *(Recipe((term,)) for term in terms_of(named))) or (Recipe(),)


def _strengths() -> list[io.Input]:
    """Returns the inputs for LoRAs, their strengths and their block weights."""
    return [
        lora_input(),
        io.String.Input("values", default=DEFAULT, tooltip="Its strengths: 0, 0.5, 1 or 0..1 x 5"),
        Lora.Input(
            "across",
            optional=True,
            tooltip="A second LoRA or stack for an XY plot. Each of its strengths is used "
            "with each strength of the first",
        ),
        io.String.Input(
            "across_values",
            default=DEFAULT,
            tooltip="The strengths of the second one. They have no effect without it",
        ),
        io.String.Input(
            "blocks",
            multiline=True,
            default="",
            optional=True,
            tooltip='Block weights to try, one per line, in place of a second LoRA: "only double '
            '0-18" (each of these blocks alone), "without single 7", a preset, or lines with ; '
            "between them",
        ),
    ]


def _kinds() -> list[io.Input]:
    """Returns the inputs for what else is tried, and for which of all combinations are made."""
    return [
        io.String.Input(
            "files",
            multiline=True,
            default="",
            optional=True,
            tooltip="Files to try, one after the other: on each line a file, a folder (styles/), "
            "or a pattern (epochs/ink-*). A connected LORA is tried before them",
        ),
        io.Boolean.Input(
            "one_by_one",
            default=False,
            optional=True,
            tooltip="Tries each LoRA of the connected stack by itself, not all together",
        ),
        io.String.Input(
            "seeds",
            default="",
            optional=True,
            tooltip="Seeds to try: 1, 7 or 1..4. Connect the output seed to the sampler",
        ),
        io.Combo.Input(
            "pick",
            options=list(PICKS),
            default=ALL,
            optional=True,
            tooltip="all: every combination in one run. in turn: the combination that number "
            "says. random: one that number chooses. To go through them, queue many runs and "
            "let number change after each",
        ),
        io.Int.Input(
            "number",
            default=0,
            min=0,
            max=LARGEST_NUMBER,
            control_after_generate=io.ControlAfterGenerate.fixed,
            optional=True,
            tooltip="Which combination is made, if pick is not all. Set its control to "
            "increment for in turn, and to randomize for random",
        ),
    ]


def _lists() -> list[io.Output]:
    """Returns the outputs."""
    return [
        Lora.Output(
            "lora", display_name="LORA", is_output_list=True, tooltip="One after the other"
        ),
        io.String.Output(
            "label",
            display_name="label",
            is_output_list=True,
            tooltip="Name and strength of each one, for LoRA Grid or a file name",
        ),
        io.Int.Output(
            "columns",
            display_name="columns",
            tooltip="The number of columns of the plot: usually the number of values",
        ),
        io.Int.Output(
            "seed",
            display_name="seed",
            is_output_list=True,
            tooltip="The seed of each one, for the sampler. Without seeds it is 0",
        ),
    ]
