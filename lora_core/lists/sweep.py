"""A LoRA at several strengths, or one against another, each with a label that says so.

ink 0, then ink 0.5              one LoRA
ink 0, light 1                   two of them: the first says the column, the second the row
0.5 (ink + light)                a stack, with the factor that it is multiplied by
ink 1, only double 3             one with block weights: the second says the row
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ..algebra import Recipe, Values, parse_list
from ..errors import LoraInputError
from .block_sweep import Blocks
from .tags import tag_names

MOST_ITEMS: Final = 256
"""How many items a sweep has at most: each is an image to be made."""

SEPARATOR: Final = ", "
"""What separates the two halves of a label; no name contains it."""

NAMED_FILES: Final = 3
"""How many files of a stack its label names."""

ONE: Final[Values] = (Fraction(1),)


@dataclass(frozen=True, slots=True)
class Item:
    """One recipe of a sweep, and its label."""

    recipe: Recipe
    label: str


def parse_values(text: str, name: str = "values") -> Values:
    """Reads the values written as ``text`` in the input ``name``; LoraInputError if they are
    invalid."""
    try:
        return parse_list(text)
    except LoraInputError as error:
        raise LoraInputError(
            f"{name}: found {error.found}; expected {error.expected}.",
            key=name,
            expected=error.expected,
            found=error.found,
        ) from error


def check_count(columns: int, rows: int = 1) -> None:
    """Refuses a sweep of more than ``MOST_ITEMS`` (LoraInputError)."""
    count = columns * rows
    if count > MOST_ITEMS:
        product = f"{columns} x {rows} = " if rows > 1 else ""
        raise LoraInputError(
            f"this sweep makes {product}{count} images; at most {MOST_ITEMS} are made at once. "
            "Give fewer values.",
            key="values",
            expected=f"at most {MOST_ITEMS} items",
            found=f"{count} items",
        )


def sweep(
    lora: Recipe,
    values: Values,
    across: Recipe | None = None,
    across_values: Values = ONE,
    blocks: Sequence[Blocks] = (),
) -> tuple[Item, ...]:
    """Returns ``lora`` times each value; row by row, with ``across`` plus that times each of its own
    values, or with ``blocks`` times each of these block weights.

    >>> from ..algebra import FileId
    >>> ink, light = (Recipe.of(FileId(n, 1, 1, 1, n)) for n in ("ink", "light"))
    >>> [item.label for item in sweep(ink, parse_values("0, 1"), light, parse_values("-1, 0.5"))]
    ['ink 0, light -1', 'ink 1, light -1', 'ink 0, light 0.5', 'ink 1, light 0.5']
    """
    terms = (*lora.terms, *(across or Recipe()).terms)
    names = tag_names((term.file.name for term in terms), ())
    columns = [Item(value * lora, _label(lora, value, names)) for value in values]
    if blocks:
        return _with_blocks(columns, blocks, across)
    if across is None:
        check_count(len(values))
        return tuple(columns)
    check_count(len(values), len(across_values))
    rows = [Item(value * across, _label(across, value, names)) for value in across_values]
    return tuple(
        Item(column.recipe + row.recipe, column.label + SEPARATOR + row.label)
        for row in rows
        for column in columns
    )


def _with_blocks(
    columns: Sequence[Item], blocks: Sequence[Blocks], across: Recipe | None
) -> tuple[Item, ...]:
    if across is not None:
        raise LoraInputError(
            "Sweep LoRA has a second LoRA and blocks, and both are rows of the plot. Use one of them.",
            key="blocks",
            expected="a second LoRA or blocks",
            found="both",
        )
    check_count(len(columns), len(blocks))
    return tuple(
        Item(column.recipe.blocks(own.lines), column.label + SEPARATOR + own.label)
        for own in blocks
        for column in columns
    )


def headers(labels: Sequence[str], columns: int) -> tuple[list[str], list[str]] | None:
    """Returns the headers of columns and rows that the ``labels`` of a table share; None if there
    are none.

    >>> headers(["ink 0, light 0", "ink 1, light 0", "ink 0, light 1", "ink 1, light 1"], 2)
    (['ink 0', 'ink 1'], ['light 0', 'light 1'])
    """
    if columns < 2 or len(labels) < 2 * columns or len(labels) % columns:
        return None
    for column, row in _halves(labels[0]):
        top = [label.removesuffix(SEPARATOR + row) for label in labels[:columns]]
        left = [label.removeprefix(column + SEPARATOR) for label in labels[::columns]]
        if list(labels) == [above + SEPARATOR + beside for beside in left for above in top]:
            return top, left
    return None


def columns_of(labels: Sequence[str]) -> int | None:
    """Returns the number of columns of the table that ``labels`` belong to; None if they belong to
    none."""
    for _, row in _halves(labels[0] if labels else ""):
        same = [label.endswith(SEPARATOR + row) for label in labels]
        columns = same.index(False) if False in same else len(same)
        if headers(labels, columns):
            return columns
    return None


def _halves(label: str) -> Iterable[tuple[str, str]]:
    """Returns all ways to split a label in two."""
    parts = label.split(SEPARATOR)
    cuts = range(1, len(parts))
    return [(SEPARATOR.join(parts[:cut]), SEPARATOR.join(parts[cut:])) for cut in cuts]


def _label(lora: Recipe, value: Fraction, names: dict[str, str]) -> str:
    """Writes a label in letters that any font has, unless a file's name has others."""
    names_in_order = [names[term.file.name].replace(SEPARATOR, ",") for term in lora.terms]
    if not names_in_order:
        return "no LoRA"
    (first, *others) = lora.terms
    if not (others or first.modulated) and first.strength_model == first.strength_clip:
        return f"{names_in_order[0]} {_number(value * first.strength_model)}"
    more = (
        [f"{len(names_in_order) - NAMED_FILES} more"] if len(names_in_order) > NAMED_FILES else []
    )
    return f"{_number(value)} ({' + '.join([*names_in_order[:NAMED_FILES], *more])})"


def _number(value: Fraction) -> str:
    return f"{float(value):.4g}"
