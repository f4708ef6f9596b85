"""Warnings about a file: each is a code with fields, and its sentence is written here once.

To add one, add a row to ``SENTENCES``, its translation to ``locales/*/main.json``, and the code
that raises it: ``LoraReport.warnings`` for what the match shows, ``Term.warnings`` or
``LoraReport.with_warnings`` for anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .text import printable, shortened

SHOWN_NAMES: Final = 3
"""How many names a sentence lists at most."""

LONGEST_NAME_CHARS: Final = 200
"""How many characters of a name a sentence shows at most."""

SENTENCES: Final[Mapping[str, str]] = {
    "unknown_layers": "Unknown to the model, not applied: {count} ({names})",
    "alpha_zero": "Layers with alpha 0, which have no effect: {count}",
    "not_used": "None of its layers was used by the model: {count}",
    "clip_not_connected": "Layers of the text encoder not applied, since no CLIP is connected: {count}",
    "no_clip_layers": "It has nothing for the text encoder, so its text strength {strength} has no effect",
    "made_for_other": "Its notes say it was made for {base}; the model is {model}",
    "scale_unread": "Its notes on its scale cannot be read: taken as alpha = rank",
    "found_by_content": "There is no {asked}; found by its content under another name: {name}",
    "found_by_basename": "There is no {asked}; found as the only file with the same base name: {name}",
}
"""The sentence of every code. Codes are promises; sentences are the page's keys for their translations."""


@dataclass(frozen=True, slots=True)
class LoraWarning:
    """One warning about one file.

    Attributes:
        code: A key of ``SENTENCES``, for programs.
        fields: The values that the sentence takes, safe to show.
    """

    code: str
    fields: Mapping[str, str | int] = field(default_factory=dict[str, "str | int"])

    @classmethod
    def of(cls, code: str, **fields: object) -> LoraWarning:
        """Makes a warning whose ``fields`` are safe to show: numbers stay, anything else becomes
        short text."""
        return cls(code, {key: _safe(value) for key, value in fields.items()})

    @property
    def sentence(self) -> str:
        """The English sentence, with the names of the fields in braces."""
        return SENTENCES[self.code]

    @property
    def text(self) -> str:
        """The sentence with its values, for people."""
        return self.sentence.format_map(self.fields)

    def to_dict(self) -> dict[str, object]:
        """Returns the form that the page gets, ready for JSON."""
        fields = dict(self.fields)
        return {"code": self.code, "text": self.text, "sentence": self.sentence, "fields": fields}


def first_names(names: Sequence[str]) -> list[str]:
    """Returns the names that a sentence lists, each safe to show."""
    return [shortened(name, LONGEST_NAME_CHARS) for name in names[:SHOWN_NAMES]]


def few(names: Sequence[str]) -> str:
    """Returns the first names as a list; "…" says that there are more."""
    return ", ".join([*first_names(names), *(["…"] if len(names) > SHOWN_NAMES else [])])


def united(warnings: Iterable[LoraWarning]) -> tuple[LoraWarning, ...]:
    """Returns the warnings in their order, without repeats."""
    return tuple({(w.code, w.text): w for w in warnings}.values())


def _safe(value: object) -> str | int:
    return value if isinstance(value, int) else printable(str(value))
