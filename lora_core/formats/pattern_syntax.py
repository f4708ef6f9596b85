"""Parses the part of regular expressions that people write into peft's configs.

Names, ``.``, classes, groups, alternatives, ``* + ?``, small counts and the anchors ``^ $`` mean
the same as in Python's ``re``. All of it can be matched in one pass. What could not, or has no
place in the name of a layer (look-around, references, flags), is refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ..errors import LoraFileError
from ..text import shortened

MOST_COPIES: Final = 100
"""The largest count in braces: how often what is before it is copied."""

DEEPEST: Final = 40
"""How deeply groups may be nested."""

_COUNT: Final = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_SPACES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}


@dataclass(frozen=True, slots=True)
class Chars:
    """One of several characters.

    Attributes:
        ranges: (first, last) of the ranges that are meant.
        kinds: The letters of ``\\d \\w \\s`` and their opposites.
        others: Whether all other characters are meant.
    """

    ranges: tuple[tuple[str, str], ...] = ()
    kinds: str = ""
    others: bool = False

    @property
    def only(self) -> str | None:
        """The character, if a single one is meant."""
        plain = len(self.ranges) == 1 and not self.kinds and not self.others
        return self.ranges[0][0] if plain and self.ranges[0][0] == self.ranges[0][1] else None

    def hold(self, char: str) -> bool:
        """Tells whether ``char`` is one of them."""
        named = any(first <= char <= last for first, last in self.ranges)
        return (named or any(_is(kind, char) for kind in self.kinds)) != self.others


Anchor: TypeAlias = Literal["^", "$"]


@dataclass(frozen=True, slots=True)
class Row:
    """Parts one after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part repeated at least ``least`` and at most ``most`` times; None for any number."""

    part: Node
    least: int
    most: int | None


Node: TypeAlias = "Chars | Anchor | Row | Choice | Repeat"

ANYTHING: Final = Chars(others=True)
DOT: Final = Chars((("\n", "\n"),), others=True)


def literal(text: str) -> Row:
    """Returns the pattern for ``text`` itself."""
    return Row(tuple(Chars(((char, char),)) for char in text))


def parse(pattern: str) -> Node:
    """Parses ``pattern``; LoraFileError names what is not in this part of the language."""
    return _Parser(pattern).whole()


def _is(kind: str, char: str) -> bool:
    """Tells whether ``char`` is of a kind, as ``re`` defines it for text."""
    match kind.lower():
        case "d":
            found = char.isdecimal()
        case "w":
            found = char.isalnum() or char == "_"
        case _:
            found = char.isspace()
    return found == kind.islower()


class _Parser:
    """Reads one pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._choice()
        if self._at < len(self._pattern):
            raise self._refused("a ) without its (")
        return node

    def _seen(self, text: str) -> bool:
        """Skips ``text`` if it comes next."""
        seen = self._pattern.startswith(text, self._at)
        self._at += len(text) if seen else 0
        return seen

    def _taken(self, what: str) -> str:
        """Returns the next character; without one, ``what`` is incomplete."""
        if self._at == len(self._pattern):
            raise self._refused(f"{what} without its end")
        self._at += 1
        return self._pattern[self._at - 1]

    def _choice(self) -> Node:
        options: list[Node] = [self._row()]
        while self._seen("|"):
            options.append(self._row())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _row(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return Row(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return part
        if part in ("^", "$"):
            raise self._refused(f"a repeated {part}")
        self._seen("?")  # a lazy repetition matches the same whole names
        if self._at < len(self._pattern) and (self._pattern[self._at] == "+" or self._bounds()):
            raise self._refused("a repetition of a repetition")
        return Repeat(part, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        """Reads how often a part is repeated, if that comes next."""
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._seen(sign):
                return bounds
        count = _COUNT.match(self._pattern, self._at)
        if count is None or count[0] == "{}":
            return None
        self._at = count.end()
        return self._counted(*count.groups())

    def _counted(self, low: str, comma: str, high: str) -> tuple[int, int | None]:
        if max(len(low), len(high)) > len(str(MOST_COPIES)):
            raise self._refused(f"a count of more than {MOST_COPIES}")
        least = int(low or 0)
        most = (int(high) if high else None) if comma else least
        if max(least, most or 0) > MOST_COPIES:
            raise self._refused(f"a count of more than {MOST_COPIES}")
        if most is not None and most < least:
            raise self._refused("a count whose ends are in the wrong order")
        return least, most

    def _atom(self) -> Node:
        char = self._taken("a pattern")
        match char:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return DOT
            case "^":
                return "^"
            case "$":
                return "$"
            case "\\":
                return self._escaped()
            case "*" | "+" | "?":
                raise self._refused(f"a {char} with nothing to repeat")
            case _:
                self._at -= 1
                if self._bounds() is not None:
                    raise self._refused("a count with nothing to repeat")
                self._at += 1
                return Chars(((char, char),))

    def _group(self) -> Node:
        if self._seen("?") and not self._seen(":"):
            raise self._refused(f"(?{self._pattern[self._at : self._at + 2]}")
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._refused(f"more than {DEEPEST} groups within each other")
        node = self._choice()
        if not self._seen(")"):
            raise self._refused("a ( without its )")
        self._depth -= 1
        # a group by itself, so that what repeats it does not see an anchor
        return Row((node,))

    def _escaped(self) -> Chars:
        char = self._taken("a \\")
        if char in "dwsDWS":
            return Chars(kinds=char)
        char = self._char(char)
        return Chars(((char, char),))

    def _char(self, escaped: str) -> str:
        """Returns the meaning of a character after a backslash."""
        if escaped in _SPACES:
            return _SPACES[escaped]
        if escaped.isascii() and escaped.isalnum():
            raise self._refused(f"\\{escaped}")
        return escaped

    def _class(self) -> Chars:
        others = self._seen("^")
        ranges: list[tuple[str, str]] = []
        kinds = ""
        first = True
        while first or not self._seen("]"):
            first = False
            low, kind = self._member()
            kinds += kind
            if low and self._opens_range():
                high, kind = self._member()
                if kind or high < low:
                    raise self._refused("a range without its two ends in order")
                ranges.append((low, high))
            elif low:
                ranges.append((low, low))
        return Chars(tuple(ranges), kinds, others)

    def _opens_range(self) -> bool:
        closes = self._pattern.startswith("-]", self._at)
        return not closes and self._seen("-")

    def _member(self) -> tuple[str, str]:
        """Reads one character of a class, or the letter of a kind of them."""
        char = self._taken("a [")
        if char != "\\":
            return char, ""
        char = self._taken("a [")
        if char in "dwsDWS":
            return "", char
        return ("\b" if char == "b" else self._char(char)), ""

    def _refused(self, found: str) -> LoraFileError:
        shown = shortened(self._pattern, 80)
        return LoraFileError(
            f"names layers by a pattern with {found}, which is not read: {shown}. "
            "Write the names out.",
            key="pattern",
            expected="names, ., classes, groups, alternatives, repetitions",
            found=found,
        )
