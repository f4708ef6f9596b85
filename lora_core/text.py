"""Text from files and workflows, made safe to show."""

from __future__ import annotations

import re
from typing import Final

_UNSHOWABLE: Final = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """``text`` without what would command a terminal, turn the line around or break an encoder.

    Line breaks stay.
    """
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def shortened(text: str, most: int) -> str:
    """``text``, printable, in at most ``most`` characters; a mark at its end says what was cut.

    >>> shortened("x" * 5000, 24)
    'xxxx… (5,000 characters)'
    """
    if len(text) <= most:
        return printable(text)
    mark = f"… ({len(text):,} characters)"
    return printable(text[: max(0, most - len(mark))]) + mark
