"""What is known at a glance of all files: told at once as far as it is known, and found out meanwhile."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from threading import Lock, Thread
from typing import Final

from ..errors import LoraFileError
from ..reading import identify
from .glance import Glance, glance_of
from .surroundings import Listed

THREADS: Final = 2
"""How many files are looked at together."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look has shown, and which look of all that was."""

    number: int
    glance: Glance


@dataclass(frozen=True, slots=True)
class News:
    """What has become known after a moment.

    Attributes:
        seen: The files, and what is known of each.
        cursor: The moment of this answer.
        complete: Whether nothing is left to look at.
    """

    seen: Sequence[tuple[Listed, Glance]]
    cursor: str
    complete: bool


class Overview:
    """The glances of the files that were asked for last; safe from several threads.

    A file is looked at once in each of its states, and again if the notes next to it change. The
    threads end when there is nothing left to look at. A cursor is a moment in the life of an
    overview, and means nothing to another one.
    """

    def __init__(self, look: Callable[[Listed], Glance] | None = None) -> None:
        """Prepares it; ``look`` is how a file is looked at, if not by its header."""
        self._look = look or _look
        self._seen: dict[Listed, _Seen] = {}  # in the order of their numbers
        self._looks = 0
        self._own = secrets.token_hex(4)
        self._waiting: deque[Listed] = deque()
        self._working = 0
        self._lock = Lock()

    @property
    def cursor(self) -> str:
        """The moment that is now."""
        return f"{self._own}-{self._looks}"

    def known(self, files: Sequence[Listed]) -> list[Glance | None]:
        """Returns the glance of each file, None where it is not known yet, and looks at those."""
        there = {*files}
        with self._lock:
            # what is no longer there is forgotten
            self._seen = {file: seen for file, seen in self._seen.items() if file in there}
            self._waiting = deque(file for file in files if file not in self._seen)
            found = [seen and seen.glance for seen in map(self._seen.get, files)]
        self._start()
        return found

    def since(self, cursor: str) -> News | None:
        """Returns what has become known after ``cursor``, at a cost of no more than that; None if
        the cursor is not one of ours."""
        own, _, looks = cursor.partition("-")
        if own != self._own:
            return None
        self._start()
        with self._lock:
            newest = reversed(self._seen.items())
            new = [*takewhile(lambda entry: entry[1].number > int(looks), newest)]
            seen = [(file, seen.glance) for file, seen in reversed(new)]
            return News(seen, self.cursor, not self._waiting and not self._working)

    def _start(self) -> None:
        """Starts the threads that are missing."""
        with self._lock:
            more = max(0, min(THREADS - self._working, len(self._waiting)))
            self._working += more
        for started in range(more):
            try:
                Thread(target=self._work, name="lora-algebra-overview", daemon=True).start()
            except RuntimeError:  # the system gives no more threads; the next question tries again
                with self._lock:
                    self._working -= more - started
                break

    def _work(self) -> None:
        while (file := self._next()) is not None:
            try:
                known = self._look(file)
            except Exception:  # noqa: BLE001 (one bad file must not stop the list)
                known = Glance()
            with self._lock:
                if file not in self._seen:  # another thread may have had it, too
                    self._looks += 1
                    self._seen[file] = _Seen(self._looks, known)

    def _next(self) -> Listed | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._working -= 1
        return None


def _look(file: Listed) -> Glance:
    try:
        return glance_of(identify(file.path, file.name))
    except LoraFileError:  # of another kind, or gone
        return Glance()
