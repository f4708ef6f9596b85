"""The columns of a table of files: their names and types, which stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "whole", "number", "truth", "texts"]
Value: TypeAlias = "str | int | float | bool | tuple[str, ...] | None"
Row: TypeAlias = Mapping[str, Value]
"""A file: its values by column; what is not known is None."""

COLUMNS: Final[Mapping[str, Kind]] = {
    "path": "text",
    "name": "text",
    "size": "whole",
    "mtime_ns": "whole",
    "error": "text",
    "sha256": "text",
    "autov3": "text",
    "families": "texts",
    "architectures": "texts",
    "base": "text",
    "rank_min": "whole",
    "rank_max": "whole",
    "alpha_min": "number",
    "alpha_max": "number",
    "dtypes": "texts",
    "model_layers": "whole",
    "text_encoder_layers": "whole",
    "text_encoder": "truth",
    "dialects": "texts",
    "trainer": "text",
    "trigger_words": "texts",
    "trained_words": "texts",
    "title": "text",
    "author": "text",
    "description": "text",
    "notes": "text",
    "tags": "texts",
    "strength": "number",
    "strength_min": "number",
    "strength_max": "number",
    "civitai": "text",
    "preview": "truth",
    "state": "text",
}
"""New ones come at the end."""

LARGEST_WHOLE: Final = 2**63 - 1
"""The largest whole number of a table; a time after the year 2262 is larger."""


def _whole(value: Any) -> int | None:
    number = int(value)
    return number if abs(number) <= LARGEST_WHOLE else None


TYPES: Final[Mapping[Kind, Callable[[Any], Value]]] = {
    "text": str,
    "whole": _whole,
    "number": float,
    "truth": bool,
    "texts": lambda texts: tuple(map(str, texts)),
}


def row_of(values: Mapping[str, Any]) -> Row:
    """Returns a whole row: all columns in their order and types, with None for what is missing."""
    return {name: _value(values.get(name), kind) for name, kind in COLUMNS.items()}


def _value(value: Any, kind: Kind) -> Value:
    if value is None or value == "":
        return None
    return TYPES[kind](value)
