"""Finds layers by pattern, as peft's configs give numbers to some of them.

Anybody can write a pattern into a file, and some would keep a backtracking matcher busy forever. So
they are matched without backtracking, with one limit on the work for all patterns and names of a
file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from .automaton import Automaton, Work
from .pattern_syntax import ANYTHING, DOT, Node, Repeat, Row, literal, parse

T = TypeVar("T")

BEHIND_A_DOT: Final = Repeat(Row((Repeat(DOT, 0, None), literal("."))), 0, 1)
"""What peft allows before a pattern."""

AT_THE_END: Final = Repeat(ANYTHING, 0, None)


class Patterns:
    """Numbers by pattern.

    The first pattern counts that matches a path, or the rest of it after a dot.

    That is what peft's ``get_pattern_key`` does: ``re.match(rf"(.*\\.)?({pattern})$", path)``.

    Raises:
        LoraFileError: A pattern is not supported, or there are too many.
    """

    def __init__(self, numbers: Mapping[str, float], work: Work) -> None:
        self._numbers = tuple(numbers.values())
        self._automaton = Automaton(BEHIND_A_DOT, parsed(numbers, work), work)

    def number(self, path: str) -> float | None:
        """Returns the number of a path; None if nothing matches it."""
        place = self._automaton.first(path)
        return None if place is None else self._numbers[place]


class Wanted:
    """Layers that are meant by one pattern for their whole path, or by the end of their path.

    Raises:
        LoraFileError: As for ``Patterns``.
    """

    def __init__(self, meant: str | Sequence[str], work: Work) -> None:
        if isinstance(meant, str):
            self._automaton = Automaton(Row(()), parsed([meant], work), work)
        else:
            self._automaton = Automaton(AT_THE_END, spelled(meant, work), work)

    def holds(self, path: str) -> bool:
        """Tells whether a path is meant."""
        return self._automaton.first(path, whole=True) is not None


class Lookups:
    """The patterns of one config, each made when it is first needed.

    Args:
        work: What may be spent on all of them; that of the whole file.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._patterns: dict[str, Patterns] = {}
        self._wanted: dict[str, Wanted] = {}

    def number(
        self, option: str, numbers: Callable[[], Mapping[str, float]], path: str
    ) -> float | None:
        """Returns what the ``numbers`` of an option say about a path."""
        return _once(self._patterns, option, lambda: Patterns(numbers(), self._work)).number(path)

    def means(self, option: str, meant: str | Sequence[str], path: str) -> bool:
        """Tells whether an option means a path."""
        return _once(self._wanted, option, lambda: Wanted(meant, self._work)).holds(path)


def parsed(patterns: Iterable[str], work: Work) -> Iterable[Node]:
    """Parses patterns one after the other; the length of each counts as work."""
    for pattern in patterns:
        work.spend(len(pattern))
        yield parse(pattern)


def spelled(names: Iterable[str], work: Work) -> Iterable[Node]:
    """Makes patterns for names that mean only themselves."""
    for name in names:
        work.spend(len(name))
        yield literal(name)


def _once(known: dict[str, T], option: str, make: Callable[[], T]) -> T:
    if option not in known:
        known[option] = make()
    return known[option]
