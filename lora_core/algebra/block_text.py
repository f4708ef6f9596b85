"""Block weights as text: which layers of a model a line names, and by which factor they change.

double 0-6: 0            # blocks by list and number
single 7,12,16 attn: 0.5 # of these, one kind of layer
img ff: 0.2..1           # a part and a kind; from the first of the blocks to the last
late: 1.2                # the last third of all blocks
*.img_attn.qkv*: 0       # a pattern for the name of a weight
other: 0.5               # what no other line names
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ..errors import LoraInputError
from .curve import LARGEST_VALUE, NUMBER, number

OTHER: Final = "other"
TEXT: Final = "text"
"""The name of the text encoders, which no other line changes."""

MOST_LINES: Final = 1000
MOST_CHARS: Final = 50_000

SPANS: Final = ("early", "middle", "late", "evens", "odds")
"""Names of blocks by where they are; see ``block_layers``."""

_FACTOR: Final = re.compile(rf"({NUMBER})(?:\s*\.\.\s*({NUMBER}))?", re.ASCII)
_NUMBERS: Final = re.compile(r"\d{1,4}(?:-\d{0,4})?(?:,\d{1,4}(?:-\d{0,4})?)*", re.ASCII)
_TOGETHER: Final = re.compile(rf"([a-z]+)({_NUMBERS.pattern})", re.ASCII)
_WORD: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_PATTERN: Final = re.compile(r"[^\s:;#]*[*.][^\s:;#]*")
_GAP: Final = re.compile(r"\s*,\s*")

_SHORT: Final[Mapping[str, str]] = {"d": "double", "s": "single"}
"""What others call blocks, as in D07 and S12."""

_WHOLE: Final[Mapping[str, str]] = {"m00": "mid", "base": OTHER}
"""What others call blocks without a number."""

Numbers = tuple["tuple[int, int | None]", ...]
"""Ranges of numbers, both ends included; None for an open end."""


@dataclass(frozen=True, slots=True)
class Selector:
    """The layers that a line names: all that have every one of these properties.

    Attributes:
        words: Words of names: of a list of blocks, kinds, parts and spans.
        numbers: The numbers of the blocks; empty for all of them.
        more: Words after the numbers.
        patterns: Patterns for the name of the weight.
    """

    words: tuple[str, ...] = ()
    numbers: Numbers = ()
    more: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def __str__(self) -> str:
        ranges = ",".join(map(_range_text, self.numbers))
        return " ".join(filter(None, (*self.words, ranges, *self.more, *self.patterns)))


@dataclass(frozen=True, slots=True)
class Line:
    """The factor of some layers.

    Attributes:
        selector: The layers; None for those that no other line names.
        first, last: The factor of the first and of the last of the blocks; the same for all layers
            if both are equal.
    """

    selector: Selector | None
    first: Fraction
    last: Fraction

    @property
    def name(self) -> str:
        """The layers, as text."""
        return OTHER if self.selector is None else str(self.selector)

    def __str__(self) -> str:
        return f"{self.name}: {self.factor}"

    @property
    def factor(self) -> str:
        """The factor, as text."""
        ends = dict.fromkeys((self.first, self.last))
        return "..".join(repr(float(end)).removesuffix(".0") for end in ends)


def read_lines(text: str) -> tuple[Line, ...]:
    """Reads block weights; of two lines with the same name, the later one counts.

    Raises:
        LoraInputError: A line cannot be read. Which names there are, only a model can say.
    """
    if len(text) > MOST_CHARS:
        raise refused("the text", f"at most {MOST_CHARS} characters", f"{len(text)} characters")
    lines: dict[str, Line] = {}
    for part in _parts(text):
        line = _line(part)
        lines.pop(line.name, None)
        lines[line.name] = line
        if len(lines) > MOST_LINES:
            raise refused("the text", f"at most {MOST_LINES} lines", "more")
    return tuple(lines.values())


def _parts(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from filter(None, map(str.strip, line.partition("#")[0].split(";")))


def _line(text: str) -> Line:
    name, colon, value = text.rpartition(":")
    factor = _FACTOR.fullmatch(value.strip())
    if not (colon and factor):
        raise refused(repr(text[:60]), 'a name and a factor, like "double 0-6: 0.5"', text[:60])
    first = _bounded(factor[1], text)
    last = _bounded(factor[2], text) if factor[2] else first
    selector = _selector(name.strip())
    if selector is None and first != last:
        raise refused(repr(text[:60]), "one factor for all others", value.strip())
    return Line(selector, first, last)


def _bounded(text: str, line: str) -> Fraction:
    value = number(text)
    if abs(value) > LARGEST_VALUE:
        raise refused(repr(line[:60]), f"factors of at most {LARGEST_VALUE}", text)
    return value


def _selector(name: str) -> Selector | None:
    words: tuple[list[str], list[str]] = ([], [])  # before and after the numbers
    numbers: list[tuple[int, int | None]] = []
    patterns: list[str] = []
    for token in _GAP.sub(",", name).split():
        lower = _WHOLE.get(token.lower(), token.lower())
        together = _TOGETHER.fullmatch(lower)
        if _NUMBERS.fullmatch(token):
            numbers += _ranges(token, name)
        elif _PATTERN.fullmatch(token):
            patterns.append(token)
        elif together:
            words[bool(numbers)].append(_singular(_SHORT.get(together[1], together[1])))
            numbers += _ranges(together[2], name)
        elif _WORD.fullmatch(lower):
            words[bool(numbers)].append(_singular(lower))
        else:
            raise refused(repr(name[:60]), 'a name like "double 0-6" or "img attn"', token[:40])
    if not (words[0] or words[1] or patterns):
        raise refused(repr(name[:60]), "the name of blocks", "none")
    if words == ([OTHER], []) and not (numbers or patterns):
        return None
    return Selector(tuple(words[0]), tuple(numbers), tuple(words[1]), tuple(patterns))


def _ranges(text: str, name: str) -> Iterator[tuple[int, int | None]]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        end = int(last) if last else None if dash else int(first)
        if end is not None and end < int(first):
            raise refused(repr(name[:60]), "numbers from the lower to the higher", part)
        yield int(first), end


def _range_text(numbers: tuple[int, int | None]) -> str:
    first, last = numbers
    return f"{first}" if first == last else f"{first}-{'' if last is None else last}"


def _singular(word: str) -> str:
    """Returns a word without the s of the plural.

    >>> [*map(_singular, ("blocks", "evens", "cross"))]
    ['block', 'evens', 'cross']
    """
    plural = len(word) > 3 and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if plural and word not in SPANS else word


def refused(what: str, expected: str, found: str) -> LoraInputError:
    """Returns the error of a text that cannot be read."""
    return LoraInputError(
        f"block weights: {what} needs {expected}; found {found}.",
        key="weights",
        expected=expected,
        found=found,
    )
