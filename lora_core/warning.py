"""What is odd about a file, as a code with fields, and worded once: for the report, the row, and the toast.

To add one: a row in ``SENTENCES``, its words in ``locales/*/main.json``, and a place that finds it out, which is
``LoraReport.warnings`` for what the match tells, and ``Term.said`` or ``LoraReport.saying`` for all else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .text import printable, shortened

SHOWN_NAMES: Final = 3
"""Of many names, those that are said."""

LONGEST_NAME: Final = 200
"""In characters, of a name that a file may hold."""

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
    """One warning of one file.

    Attributes:
        code: Which one, a key of ``SENTENCES``; for programs.
        fields: What the sentence takes, safe to show.
    """

    code: str
    fields: Mapping[str, str | int] = field(default_factory=dict[str, "str | int"])

    @classmethod
    def of(cls, code: str, **fields: object) -> LoraWarning:
        """With ``fields`` of any origin made safe to show: numbers as they are, all else as short text."""
        return cls(code, {key: _safe(value) for key, value in fields.items()})

    @property
    def sentence(self) -> str:
        """English, with the names of the fields in braces."""
        return SENTENCES[self.code]

    @property
    def text(self) -> str:
        """The sentence with its values, for people."""
        return self.sentence.format_map(self.fields)

    def to_dict(self) -> dict[str, object]:
        """As the page gets it, ready for JSON."""
        fields = dict(self.fields)
        return {"code": self.code, "text": self.text, "sentence": self.sentence, "fields": fields}


def first_names(names: Sequence[str]) -> list[str]:
    """Those of many names that are said, each safe to show."""
    return [shortened(name, LONGEST_NAME) for name in names[:SHOWN_NAMES]]


def few(names: Sequence[str]) -> str:
    """The first of many names, as a list that says when there are more."""
    return ", ".join([*first_names(names), *(["…"] if len(names) > SHOWN_NAMES else [])])


def united(warnings: Iterable[LoraWarning]) -> tuple[LoraWarning, ...]:
    """Each of them once, in their order."""
    return tuple({(w.code, w.text): w for w in warnings}.values())


def _safe(value: object) -> str | int:
    return value if isinstance(value, int) else printable(str(value))
