"""A LoRA at several strengths, or one against another, each with a label that says so.

ink 0, then ink 0.5              one LoRA
ink 0, light 1                   two of them: the first says the column, the second the row
0.5 (ink + light)                a stack, with the factor that it is multiplied by
ink 1, only double 3             one with block weights: the second says the row
strength 0.5, ink-000010         several LoRAs at several strengths: each LoRA is a row
ink 1, seed 7                    several seeds: the last part says which
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
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
    """One recipe of a sweep, its label, and the seed to sample it with."""

    recipe: Recipe
    label: str
    seed: int = 0


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


def check_count(*counts: int) -> None:
    """Refuses a sweep of more than ``MOST_ITEMS``, of so many of each kind (LoraInputError)."""
    count = math.prod(counts)
    if count > MOST_ITEMS:
        several = [str(each) for each in counts if each > 1]
        product = f"{' x '.join(several)} = " if len(several) > 1 else ""
        raise LoraInputError(
            f"this sweep makes {product}{count} images; at most {MOST_ITEMS} are made at once. "
            "Give fewer values.",
            key="values",
            expected=f"at most {MOST_ITEMS} items",
            found=f"{count} items",
        )


@dataclass(frozen=True)
class Sweep:
    """All combinations of LoRAs, values, rows and seeds; made one at a time.

    >>> from ..algebra import FileId
    >>> ink, light = (Recipe.of(FileId(n, 1, 1, 1, n)) for n in ("ink", "light"))
    >>> plot = Sweep((ink,), parse_values("0, 1"), light, parse_values("-1, 0.5"))
    >>> [item.label for item in plot.items()]
    ['ink 0, light -1', 'ink 1, light -1', 'ink 0, light 0.5', 'ink 1, light 0.5']

    Attributes:
        loras: The LoRAs or stacks to try.
        values: What each is multiplied by.
        across: A second LoRA, which is added to each.
        across_values: What that is multiplied by.
        blocks: The block weights to try, in place of a second LoRA.
        seeds: The seeds to try; none for 0 everywhere.
    """

    loras: tuple[Recipe, ...]
    values: Values = ONE
    across: Recipe | None = None
    across_values: Values = ONE
    blocks: Sequence[Blocks] = ()
    seeds: Sequence[int] = ()

    @property
    def counts(self) -> tuple[int, ...]:
        """How many there are of each kind, in the order in which they are gone through."""
        rows = len(self._rows) or 1
        return len(self.values), len(self.loras), rows, len(self.seeds) or 1

    @property
    def columns(self) -> int:
        """How many items are in a row of the table: the values, or else the LoRAs, or else the
        seeds. What is crossed with them is always below each other."""
        values, loras, rows, seeds = self.counts
        if values > 1 or loras > 1:
            return values if values > 1 else loras
        return seeds if rows == 1 else 1

    def items(self) -> tuple[Item, ...]:
        """Returns all of them, row by row; LoraInputError if these are too many."""
        check_count(*self.counts)
        return tuple(map(self.item, range(math.prod(self.counts))))

    def item(self, number: int) -> Item:
        """Returns one of them; behind the last, it is the first again."""
        places: list[int] = []
        for count in self.counts:
            number, place = divmod(number, count)
            places.append(place)
        value, lora, row, seed = places
        made = self._tried(self.loras[lora], self.values[value])
        parts = [made, self._rows[row](made.recipe)] if self._rows else [made]
        labels = [part.label for part in parts]
        if not self.seeds:
            return Item(parts[-1].recipe, SEPARATOR.join(labels))
        chosen = self.seeds[seed]
        return Item(parts[-1].recipe, SEPARATOR.join([*labels, f"seed {chosen}"]), chosen)

    def _tried(self, lora: Recipe, value: Fraction) -> Item:
        if len(self.loras) > 1 and len(self.values) > 1:
            label = f"strength {_number(value)}{SEPARATOR}{_called(lora, self._names)}"
        else:
            label = _label(lora, value, self._names)
        return Item(value * lora, label)

    @cached_property
    def _names(self) -> dict[str, str]:
        recipes = (*self.loras, self.across or Recipe())
        return tag_names((term.file.name for recipe in recipes for term in recipe.terms), ())

    @cached_property
    def _rows(self) -> Sequence[Callable[[Recipe], Item]]:
        """What is done to a LoRA in each row, with the label for that."""
        if self.across is not None and self.blocks:
            raise LoraInputError(
                "Sweep LoRA has a second LoRA and blocks, and both are rows of the plot. "
                "Use one of them.",
                key="blocks",
                expected="a second LoRA or blocks",
                found="both",
            )
        if self.across is not None:
            return [partial(self._added, self.across, value) for value in self.across_values]
        return [partial(_weighted, own) for own in self.blocks]

    def _added(self, across: Recipe, value: Fraction, lora: Recipe) -> Item:
        return Item(lora + value * across, _label(across, value, self._names))


def _weighted(own: Blocks, lora: Recipe) -> Item:
    return Item(lora.blocks(own.lines), own.label)


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
    if not lora.terms:
        return "no LoRA"
    strength = _plain_strength(lora)
    if strength is not None:
        return f"{_joined(lora, names)} {_number(value * strength)}"
    return f"{_number(value)} ({_joined(lora, names)})"


def _called(lora: Recipe, names: dict[str, str]) -> str:
    """Writes what a LoRA is called beside a strength that it is multiplied by."""
    strength = _plain_strength(lora)
    if strength in (None, 1):
        return _joined(lora, names) or "no LoRA"
    return f"{_joined(lora, names)} {_number(strength)}"


def _plain_strength(lora: Recipe) -> Fraction | None:
    """Returns the strength of a single LoRA; None for anything that one number does not say."""
    if len(lora.terms) != 1:
        return None
    (term,) = lora.terms
    plain = not term.modulated and term.strength_model == term.strength_clip
    return term.strength_model if plain else None


def _joined(lora: Recipe, names: dict[str, str]) -> str:
    in_order = [names[term.file.name].replace(SEPARATOR, ",") for term in lora.terms]
    more = [f"{len(in_order) - NAMED_FILES} more"] if len(in_order) > NAMED_FILES else []
    return " + ".join([*in_order[:NAMED_FILES], *more])


def _number(value: Fraction) -> str:
    return f"{float(value):.4g}"
