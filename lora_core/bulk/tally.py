"""How far a work on many files has come, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be done: its path, and why."""

    path: str
    error: str


@dataclass(slots=True)
class Tally:
    """What became of many files.

    Attributes:
        total: How many there are.
        kept: How many are as they were, so that nothing had to be done.
        done: How many were done now.
        failures: Those that failed.
    """

    total: int
    kept: int = 0
    done: int = 0
    failures: list[Failure] = field(default_factory=list[Failure])

    @property
    def past(self) -> int:
        """How many files nothing is left to do for."""
        return self.kept + self.done + len(self.failures)


Watch: TypeAlias = Callable[[Tally], None]
"""Is called after each file; what it raises ends the work."""
