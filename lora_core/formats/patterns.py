"""Names of layers by pattern, as peft's configs give numbers to some of them.

Anybody can write a pattern into a file, and some would keep a matcher that goes back busy for ever. So
they are matched without going back, with one bound on the work for all patterns and names of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from .automaton import Automaton, Work
from .pattern_syntax import ANYTHING, DOT, Node, Repeat, Row, literal, parse

T = TypeVar("T")

BEHIND_A_DOT: Final = Repeat(Row((Repeat(DOT, 0, None), literal("."))), 0, 1)
"""What peft lets stand in front of a pattern."""

AT_THE_END: Final = Repeat(ANYTHING, 0, None)


class Patterns:
    """Numbers by pattern; the first one counts that matches a path, or what is left of it behind a dot.

    That is what peft's ``get_pattern_key`` does: ``re.match(rf"(.*\\.)?({pattern})$", path)``.

    Raises:
        LoraFileError: A pattern is none that is read, or there is too much of them.
    """

    def __init__(self, numbers: Mapping[str, float], work: Work) -> None:
        self._numbers = tuple(numbers.values())
        self._automaton = Automaton(BEHIND_A_DOT, parsed(numbers, work), work)

    def number(self, path: str) -> float | None:
        """The number of a path, None if nothing matches it."""
        place = self._automaton.first(path)
        return None if place is None else self._numbers[place]


class Wanted:
    """Layers that are meant by one pattern for all of their path, or by what their path ends with.

    Raises:
        LoraFileError: As ``Patterns``.
    """

    def __init__(self, meant: str | Sequence[str], work: Work) -> None:
        if isinstance(meant, str):
            self._automaton = Automaton(Row(()), parsed([meant], work), work)
        else:
            self._automaton = Automaton(AT_THE_END, spelled(meant, work), work)

    def holds(self, path: str) -> bool:
        """Whether a path is meant."""
        return self._automaton.first(path, whole=True) is not None


class Lookups:
    """The patterns of one config, each made when it is first asked for.

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
        """What the ``numbers`` of an option say of a path."""
        return _once(self._patterns, option, lambda: Patterns(numbers(), self._work)).number(path)

    def means(self, option: str, meant: str | Sequence[str], path: str) -> bool:
        """Whether an option means a path."""
        return _once(self._wanted, option, lambda: Wanted(meant, self._work)).holds(path)


def parsed(patterns: Iterable[str], work: Work) -> Iterable[Node]:
    """Patterns one after the other, each counted as long as it is."""
    for pattern in patterns:
        work.spend(len(pattern))
        yield parse(pattern)


def spelled(names: Iterable[str], work: Work) -> Iterable[Node]:
    """The same of names that mean nothing but themselves."""
    for name in names:
        work.spend(len(name))
        yield literal(name)


def _once(known: dict[str, T], option: str, make: Callable[[], T]) -> T:
    if option not in known:
        known[option] = make()
    return known[option]
