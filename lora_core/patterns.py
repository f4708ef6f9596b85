"""Names of layers by pattern, as peft's configs give numbers to some of them.

Anybody can write a pattern into a file, and some keep a matcher busy for ever. So plain names, which
nearly all of them are, are looked up; what is left is only tried where that cannot take long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .errors import LoraFileError

MOST_EFFORT: Final = 500_000
"""Steps that one pattern may take on one path, if all goes wrong."""

MOST_PATTERNS: Final = 16
"""That are no plain names."""

_PLAIN: Final = re.compile(r"[\w.-]+")
_REPEATED_GROUP: Final = re.compile(r"\)[*+{]")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Numbers by pattern; the first one counts that matches the end of a path.

    Attributes:
        plain: (place, number) of plain names.
        others: (place, number) of what is none.
    """

    plain: Mapping[str, tuple[int, float]]
    others: Mapping[str, tuple[int, float]]

    @classmethod
    def of(cls, numbers: Mapping[str, float]) -> Patterns:
        """LoraFileError if too many of them are no plain names."""
        placed = {name: (place, number) for place, (name, number) in enumerate(numbers.items())}
        plain = {name: entry for name, entry in placed.items() if _PLAIN.fullmatch(name)}
        others = {name: entry for name, entry in placed.items() if name not in plain}
        if len(others) > MOST_PATTERNS:
            raise _too_much(f"{len(others)} patterns", f"at most {MOST_PATTERNS}")
        return cls(plain, others)

    def number(self, path: str) -> float | None:
        """The number of a path, None if nothing matches it."""
        ends = list(_ends(path)) if self.plain or self.others else []
        found = [self.plain[end] for end in ends if end in self.plain]
        found += [e for p, e in self.others.items() if any(matches(p, end) for end in ends)]
        return min(found)[1] if found else None


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern matches all of a path; LoraFileError if finding out could take long."""
    if _effort(pattern, len(path)) > MOST_EFFORT:
        raise _too_much(pattern[:80], "a plain name, or a pattern with few repetitions")
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
    """How many steps it takes at most: every repetition multiplies them by the length, every choice
    by two. A group that is repeated may hold another repetition."""
    if _REPEATED_GROUP.search(pattern):
        return float("inf")
    repetitions = sum(map(pattern.count, "*+{"))
    bars, groups = pattern.count("|"), pattern.count("(")
    choices = min(bars, groups + 1) + pattern.count("?") - pattern.count("(?")
    return max(length, 2) ** min(repetitions, 20) * 2.0 ** min(choices, 99) * (bars + 1)


def _too_much(found: str, expected: str) -> LoraFileError:
    return LoraFileError(
        f"names layers by what could keep a matcher busy for ever: {found}. Write their names out.",
        key="pattern",
        expected=expected,
        found=found,
    )
