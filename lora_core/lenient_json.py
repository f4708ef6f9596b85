"""JSON written by strangers: read as far as it makes sense, never an error."""

from __future__ import annotations

import json
import math
from typing import Final, cast

LONGEST: Final = 2 * 2**20
"""Characters; more than kohya's table of 60,000 tags needs."""

MOST_BRACKETS: Final = 200_000
"""Lists and objects, each of which takes many times its two characters in memory."""

LONGEST_WHOLE_NUMBER: Final = 18
"""Digits; reading a long one takes quadratic time."""


def loose_json(text: str) -> object:
    """What ``text`` says, None if it is damaged or too much to read.

    Numbers that are none (NaN, infinite ones, whole ones beyond 18 digits) are None.
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
    """Whether reading ``text`` as JSON could take much memory or time."""
    return len(text) > LONGEST or text.count("[") + text.count("{") > MOST_BRACKETS


def fields(value: object) -> dict[str, object]:
    """The fields of an object, none of anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """The items of a list, none of anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []


def text_of(value: object) -> str:
    """A text, "" of anything else."""
    return value if isinstance(value, str) else ""


def number_of(value: object) -> float | None:
    """A finite number, None of anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= LONGEST_WHOLE_NUMBER else None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
