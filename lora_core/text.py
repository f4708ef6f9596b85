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
