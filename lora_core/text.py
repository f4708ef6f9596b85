"""Makes text from files and workflows safe to show."""

from __future__ import annotations

import re
from typing import Final

_UNSHOWABLE: Final = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


_BREAKS: Final = re.compile(r"[\n\u2028\u2029]+")
_LONG_WORD: Final = re.compile(r"\S{161,}")
_WORD_BEGINS, _WORD_ENDS = 90, 65

LONGEST_SENTENCE_CHARS: Final = 499
"""How many characters a message of one line has at most."""

_SENTENCE_ENDS: Final = 180


def printable(text: str) -> str:
    """Returns ``text`` without characters that control a terminal, reverse the line or break an
    encoder.

    Line breaks are kept.
    """
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def shortened(text: str, most: int) -> str:
    """Returns ``text``, printable, in at most ``most`` characters; a mark at its end says what was
    cut.

    >>> shortened("x" * 5000, 24)
    'xxxx… (5,000 characters)'
    """
    if len(text) <= most:
        return printable(text)
    mark = f"… ({len(text):,} characters)"
    return printable(text[: max(0, most - len(mark))]) + mark


def sentence(text: str) -> str:
    """Returns ``text``, printable, in one line of at most ``LONGEST_SENTENCE_CHARS`` characters.

    Long words, such as names of layers, lose their middle; so does the line, if that is not enough.

    >>> sentence(f"{'x' * 5000} is\\nno rank")[-20:]
    'xxxxxxxxx is no rank'
    """
    line = _BREAKS.sub(" ", printable(text))
    line = _LONG_WORD.sub(lambda word: _without_middle(word[0], _WORD_BEGINS, _WORD_ENDS), line)
    if len(line) <= LONGEST_SENTENCE_CHARS:
        return line
    return _without_middle(line, LONGEST_SENTENCE_CHARS - _SENTENCE_ENDS - 1, _SENTENCE_ENDS)


def _without_middle(text: str, begins: int, ends: int) -> str:
    return f"{text[:begins]}…{text[-ends:]}"
