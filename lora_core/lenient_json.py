"""Reads JSON from unknown sources as far as it makes sense, and never raises an error."""

from __future__ import annotations

import json
import math
from typing import Final, cast

MOST_CHARS: Final = 2 * 2**20
"""How many characters are read; more than kohya's table of 60,000 tags needs."""

MOST_BRACKETS: Final = 200_000
"""How many lists and objects are read; each takes many times its two characters in memory."""

MOST_WHOLE_NUMBER_DIGITS: Final = 18
"""How many digits a whole number may have; reading a long one takes quadratic time."""


def lenient_json(text: str) -> object:
    """Returns what ``text`` says, or None if it is damaged or too large to read.

    Invalid numbers (NaN, infinity, whole numbers beyond 18 digits) are read as None.
    """
    if too_much(text):
        return None
    try:
        return json.loads(
            text, parse_int=_whole, parse_float=_finite, parse_constant=lambda _: None
        )
    except (ValueError, RecursionError):
        return None


def too_much(text: str) -> bool:
    """Tells whether reading ``text`` as JSON could take much memory or time."""
    return len(text) > MOST_CHARS or text.count("[") + text.count("{") > MOST_BRACKETS


def fields(value: object) -> dict[str, object]:
    """Returns the fields of an object; no fields for anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Returns the items of a list; no items for anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []


def text_of(value: object) -> str:
    """Returns a text as it is, and "" for anything else."""
    return value if isinstance(value, str) else ""


def number_of(value: object) -> float | None:
    """Returns a finite number as it is, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= MOST_WHOLE_NUMBER_DIGITS else None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
