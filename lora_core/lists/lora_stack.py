"""LORA_STACK, the list of (name, model strength, clip strength) that other packs pass on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, cast

from ..algebra import NUMBER, Recipe, Term, exact_strength
from ..errors import LoraError, LoraInputError
from ..library import Asked

ENTRY_FIELDS: Final = 3
NOTHING: Final = (None, "", "None")
"""What is in place of a name if nothing is chosen."""


class StackEntry(tuple[str, float, float]):
    """A 3-tuple for everyone else, which also knows its exact term and keeps it when it is copied."""

    term: Term

    def __new__(cls, name: str, model: float, clip: float) -> StackEntry:
        return super().__new__(cls, (name, model, clip))

    def __getnewargs__(self) -> tuple[str, float, float]:
        """Makes copies and pickles possible; attributes are set afterwards."""
        return self[0], self[1], self[2]

    @classmethod
    def of(cls, term: Term) -> StackEntry:
        """Returns the entry of a term that does not vary."""
        entry = cls(term.file.name, float(term.strength_model), float(term.strength_clip))
        entry.term = term
        return entry


@dataclass(frozen=True, slots=True)
class Stacked:
    """What an entry asks for.

    Attributes:
        asked: The file, by name.
        model: The strength for the denoiser.
        clip: The strength for the text encoders.
        term: The exact term, if the entry is one of ours and still says the same.
        ignored: Fields that are not read.
    """

    asked: Asked
    model: Fraction
    clip: Fraction
    term: Term | None = None
    ignored: tuple[str, ...] = ()


def read_stack(value: object) -> tuple[Stacked, ...]:
    """Reads the entries of a LORA_STACK: tuples of three or more, or objects.

    None is an empty one.

    Raises:
        LoraInputError: It is something else; the message says which entry.
    """
    entries = enumerate(listed(value), 1)
    read = (_entry(number, entry) for number, entry in entries)
    return tuple(entry for entry in read if entry is not None)


def listed(value: object) -> list[Any]:
    """Returns the entries as they came in; LoraInputError if it is not a LORA_STACK."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise _wrong("lora_stack", "a list of (name, strength, strength)", value)
    return list(cast("Sequence[Any]", value))


def written_stack(recipe: Recipe) -> list[StackEntry]:
    """Returns the entries of ``recipe``; LoraInputError if a strength in it varies."""
    for term in recipe.terms:
        check_constant(term, "a LORA_STACK")
    return [StackEntry.of(term) for term in recipe.terms]


def check_constant(term: Term, where: str) -> None:
    """Refuses a term whose strength varies, which ``where`` cannot express."""
    if term.modulated:
        raise LoraInputError(
            f"its strength varies over the steps, the images or the blocks, which {where} cannot "
            "express. Use the LORA from before Schedule LoRA, Spread LoRA or LoRA Block Weights, and "
            "rows without block weights.",
            file=term.file.name,
            key="lora",
            expected="one strength",
            found="a strength that varies",
        )


def _entry(number: int, entry: object) -> Stacked | None:
    try:
        name, model, clip, ignored = _fields(entry)
        if name in NOTHING:
            return None
        if not isinstance(name, str):
            raise _wrong("name", "text", name)
        exact = _strength("model strength", model), _strength("clip strength", clip)
    except LoraError as error:
        raise error.in_row(number) from None
    return Stacked(Asked(name, row=number), *exact, _term(entry), ignored)


def _fields(entry: object) -> tuple[object, object, object, tuple[str, ...]]:
    """Returns name, strengths and unread fields of an entry of any pack."""
    if isinstance(entry, Mapping):
        named = cast("Mapping[str, Any]", entry)
        model, clip = named.get("strength"), named.get("clip_strength")
        others = named.keys() - {"name", "lora", "strength", "clip_strength", "active"}
        ignored = tuple(f"{key}={_shown(named[key])}" for key in sorted(others))
        return _chosen(named), model, model if clip is None else clip, ignored
    fields: list[Any] = (
        list(cast("Sequence[Any]", entry)) if isinstance(entry, list | tuple) else []
    )
    if len(fields) >= ENTRY_FIELDS:
        name, model, clip, *others = fields
        return name, model, clip, tuple(_shown(other) for other in others)
    raise _wrong("an entry", "(name, strength, strength)", cast(object, entry))


def _chosen(named: Mapping[str, Any]) -> object:
    """Returns the name in an object; None if it is switched off."""
    active = named.get("active", True)
    if not isinstance(active, bool):
        raise _wrong("active", "true or false", active)
    if "name" not in named:
        raise _wrong("an entry", "an object with a name", named)
    return named["name"] if active else None


def _strength(key: str, value: object) -> Fraction:
    typed = float(value) if isinstance(value, str) and NUMBER.fullmatch(value.strip()) else value
    return exact_strength(typed, key)


def _term(entry: object) -> Term | None:
    """Returns the exact term, unless somebody has changed the numbers or the name of a copy."""
    term = getattr(entry, "term", None) if isinstance(entry, StackEntry) else None
    return term if isinstance(term, Term) and StackEntry.of(term) == entry else None


def _wrong(key: str, expected: str, value: object) -> LoraInputError:
    found = _shown(value)
    return LoraInputError(
        f"{key} must be {expected}, not {found}.", key=key, expected=expected, found=found
    )


def _shown(value: object) -> str:
    """Returns a short word for a value, which may be a whole file in memory."""
    plain = isinstance(value, str | int | float)
    return str(value)[:40] if plain else type(value).__name__
