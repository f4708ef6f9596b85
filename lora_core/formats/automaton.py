"""Looks for names among many patterns at once, in one pass over each name.

The patterns are one automaton (Thompson 1968, doi:10.1145/363347.363387), whose sets of states are
cached. So the work does not depend on how a pattern is written, and it is counted as it is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ..errors import LoraFileError
from .pattern_syntax import Anchor, Chars, Choice, Node, Repeat, Row

MOST_STEPS: Final = 4_000_000
"""How many steps all patterns of a file may take on all of its names; real ones take far less."""

STATE_STEPS: Final = 8
"""How many steps a state counts as, for the memory that it takes."""

States: TypeAlias = "frozenset[int]"


class Work:
    """Counts the steps that are left for a file.

    Attributes:
        steps: Steps that were taken.
    """

    def __init__(self, most: int = MOST_STEPS) -> None:
        self.steps = 0
        self._most = most

    def spend(self, steps: int) -> None:
        """Takes some steps; LoraFileError once all are spent."""
        self.steps += steps
        if self.steps > self._most:
            raise LoraFileError(
                f"names layers by patterns that take more than {self._most:,} steps to look up. "
                "Write the names out.",
                key="pattern",
                expected=f"at most {self._most:,} steps",
                found="more",
            )


@dataclass(slots=True)
class _State:
    """One place in the patterns.

    Attributes:
        exact: The next state for a certain character.
        classes: The next state for one of some characters.
        free: The next states without any character.
        anchored: The next state at the beginning of a name ("^"), or at its end ("$").
        place: The place of the first pattern that is complete here.
    """

    exact: dict[str, int] = field(default_factory=dict[str, int])
    classes: dict[Chars, int] = field(default_factory=dict[Chars, int])
    free: list[int] = field(default_factory=list[int])
    anchored: dict[Anchor, int] = field(default_factory=dict[Anchor, int])
    place: int | None = None


class Automaton:
    """Patterns after a common beginning.

    Edges only lead to states that were made for them, except those that close a loop, and patterns
    that begin alike share states. So many names take little more memory than their letters.
    """

    def __init__(self, beginning: Node, patterns: Iterable[Node], work: Work) -> None:
        self._work = work
        self._states = [_State()]
        self._moves: dict[tuple[States, str, bool], States] = {}
        self._sets: dict[States, States] = {}
        self._starts: dict[bool, States] = {}
        root = self._built(beginning, 0)
        for place, pattern in enumerate(patterns):
            end = self._states[self._built(pattern, root)]
            end.place = place if end.place is None else end.place

    def first(self, name: str, *, whole: bool = False) -> int | None:
        """Gives the place of the first pattern that matches all of ``name``; None if none does.

        Args:
            name: Any text.
            whole: Whether a line break at its end counts; "$" ignores it.
        """
        last = len(name) - 1 if name.endswith("\n") else len(name)
        now = self._started(last <= 0)
        found = [] if whole and name else [self._place(now)] if last <= 0 else []
        for position, char in enumerate(name, 1):
            self._work.spend(1)
            now = self._moved(now, char, position >= last)
            if position >= (len(name) if whole else last):
                found.append(self._place(now))
        return min((place for place in found if place is not None), default=None)

    def _place(self, states: States) -> int | None:
        self._work.spend(len(states))
        places = (self._states[state].place for state in states)
        return min((place for place in places if place is not None), default=None)

    def _started(self, end: bool) -> States:
        if end not in self._starts:
            self._starts[end] = self._closed([0], start=True, end=end)
        return self._starts[end]

    def _moved(self, now: States, char: str, end: bool) -> States:
        """Returns the states after ``char``."""
        known = self._moves.get((now, char, end))
        if known is None:
            known = self._closed(self._reached(now, char), start=False, end=end)
            self._moves[now, char, end] = known
        return known

    def _reached(self, now: States, char: str) -> list[int]:
        reached: list[int] = []
        for number in now:
            state = self._states[number]
            self._work.spend(1 + len(state.classes))
            if char in state.exact:
                reached.append(state.exact[char])
            reached += [target for chars, target in state.classes.items() if chars.hold(char)]
        return reached

    def _closed(self, reached: list[int], *, start: bool, end: bool) -> States:
        """Adds all states that follow without a character."""
        seen: set[int] = set()
        while reached:
            number = reached.pop()
            if number in seen:
                continue
            seen.add(number)
            state = self._states[number]
            self._work.spend(1 + len(state.free) + len(state.anchored))
            reached += state.free
            reached += [
                to for anchor, to in state.anchored.items() if (start if anchor == "^" else end)
            ]
        states = frozenset(seen)
        return self._sets.setdefault(states, states)

    # building: every part starts at a state, and returns the one where it ends

    def _new(self) -> int:
        self._work.spend(STATE_STEPS)
        self._states.append(_State())
        return len(self._states) - 1

    def _built(self, node: Node, start: int) -> int:
        self._work.spend(1)
        match node:
            case Chars():
                return self._step(node, start)
            case Row(parts):
                for part in parts:
                    start = self._built(part, start)
                return start
            case Choice(options):
                return self._joined([self._built(option, start) for option in options])
            case Repeat(part, least, most):
                return self._repeated(part, least, most, start)
            case _:
                anchored = self._states[start].anchored
                if node not in anchored:
                    anchored[node] = self._new()
                return anchored[node]

    def _step(self, chars: Chars, start: int) -> int:
        state, only = self._states[start], chars.only
        known = state.classes.get(chars) if only is None else state.exact.get(only)
        if known is not None:
            return known
        end = self._new()
        if only is None:
            state.classes[chars] = end
        else:
            state.exact[only] = end
        return end

    def _joined(self, ends: Iterable[int]) -> int:
        end = self._new()
        for each in ends:
            self._states[each].free.append(end)
        return end

    def _repeated(self, part: Node, least: int, most: int | None, start: int) -> int:
        for _ in range(least):
            start = self._built(part, start)
        if most is None:
            return self._looped(part, start)
        ends = [start]
        for _ in range(most - least):
            ends.append(self._built(part, ends[-1]))
        return self._joined(ends)

    def _looped(self, part: Node, start: int) -> int:
        """Builds any number of repetitions."""
        head = self._joined([start])
        self._states[self._built(part, head)].free.append(head)
        return head
