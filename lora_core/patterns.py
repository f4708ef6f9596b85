"""Names of layers by pattern, as peft's configs give numbers to some of them.

Anybody can write a pattern into a file, and some keep a matcher busy for ever. So plain names, which
nearly all of them are, are looked up; what is left is only tried where that cannot take long.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .errors import LoraFileError

MOST_EFFORT: Final = 1_000_000
"""Steps that one pattern may take on one path, if all goes wrong."""

MOST_PATTERNS: Final = 16
"""That are no plain names."""

_PLAIN: Final = re.compile(r"(\^?)([\w.-]+)\$?")
_REPEATED_GROUP: Final = re.compile(r"\)[*+{]")
_NUMBER: Final = re.compile(r"\\d[+*]")
_LONGEST_NUMBER: Final = 4


@dataclass(frozen=True, slots=True)
class Patterns:
    """Numbers by pattern; the first one counts that matches the end of a path.

    Attributes:
        ends: (place, number) by plain names, which the path may only end with.
        whole: The same by names that are all of the path: "^name", as diffusers writes them.
        others: The same by what is no plain name.
    """

    ends: Mapping[str, tuple[int, float]]
    whole: Mapping[str, tuple[int, float]]
    others: Mapping[str, tuple[int, float]]

    @classmethod
    def of(cls, numbers: Mapping[str, float]) -> Patterns:
        """LoraFileError if too many of them are no plain names."""
        ends: dict[str, tuple[int, float]] = {}
        whole: dict[str, tuple[int, float]] = {}
        others: dict[str, tuple[int, float]] = {}
        for place, (pattern, number) in enumerate(numbers.items()):
            plain = _PLAIN.fullmatch(pattern)
            if plain is None:
                others[pattern] = place, number
            else:
                (whole if plain[1] else ends).setdefault(plain[2], (place, number))
        if len(others) > MOST_PATTERNS:
            raise _too_much(f"{len(others)} patterns", f"at most {MOST_PATTERNS}")
        return cls(ends, whole, others)

    def number(self, path: str) -> float | None:
        """The number of a path, None if nothing matches it."""
        found = [self.whole[path]] if path in self.whole else []
        if self.ends:
            found += [self.ends[end] for end in _ends(path) if end in self.ends]
        found += [entry for pattern, entry in self.others.items() if matches_end(pattern, path)]
        return min(found)[1] if found else None


def matches_end(pattern: str, path: str) -> bool:
    """Whether a pattern matches a path, or what is left of it behind one of its dots."""
    return _matches(pattern, rf"(.*\.)?({pattern})", path, path.count(".") + 1)


def matches_whole(pattern: str, path: str) -> bool:
    """Whether a pattern matches all of a path."""
    return _matches(pattern, pattern, path, 1)


def _matches(told: str, pattern: str, path: str, starts: int) -> bool:
    """LoraFileError if finding out could take long."""
    if _effort(told, len(path)) * starts > MOST_EFFORT:
        raise _too_much(told[:80], "a plain name, or a pattern with few repetitions")
    try:
        return re.fullmatch(pattern, path) is not None
    except (re.error, OverflowError, RecursionError):
        return False


def _ends(path: str) -> Iterator[str]:
    """The path, and what is left of it behind each dot."""
    while path:
        yield path
        _, _, path = path.partition(".")


def _effort(pattern: str, length: int) -> float:
    """How many steps a pattern takes at most: every repetition multiplies them by the length, or by
    that of a number, every choice by its alternatives. A group that is repeated may hold another
    repetition."""
    if _REPEATED_GROUP.search(pattern):
        return math.inf
    rest, numbers = _NUMBER.subn("", pattern)
    repetitions = sum(map(rest.count, "*+{"))
    optional = rest.count("?") - rest.count("(?")
    choices = math.prod(float(part.count("|") + 1) for part in re.split(r"[()]", rest))
    return choices * math.prod(
        float(base) ** min(times, 50)
        for base, times in (
            (max(length, 2), repetitions),
            (_LONGEST_NUMBER, numbers),
            (2, optional),
        )
    )


def _too_much(found: str, expected: str) -> LoraFileError:
    return LoraFileError(
        f"names layers by what could keep a matcher busy for ever: {found}. Write their names out.",
        key="pattern",
        expected=expected,
        found=found,
    )
