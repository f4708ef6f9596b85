"""What is known at a glance of all files: told at once as far as it is known, and found out meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Final

from ..errors import LoraFileError
from ..reading import identify
from .glance import Glance, glance_of
from .surroundings import Listed

THREADS: Final = 2
"""How many files are looked at together."""


class Overview:
    """The glances of the files that were asked for last; safe from several threads.

    A file is looked at once in each of its states, and again if the notes next to it change. The
    threads end when there is nothing left to look at.
    """

    def __init__(self, look: Callable[[Listed], Glance] | None = None) -> None:
        """Prepares it; ``look`` is how a file is looked at, if not by its header."""
        self._look = look or _look
        self._known: dict[Listed, Glance] = {}
        self._waiting: deque[Listed] = deque()
        self._working = 0
        self._lock = Lock()

    def known(self, files: Sequence[Listed]) -> list[Glance | None]:
        """Returns the glance of each file, None where it is not known yet, and looks at those."""
        with self._lock:
            found = [self._known.get(file) for file in files]
            # what is no longer there is forgotten
            self._known = {f: known for f, known in zip(files, found, strict=True) if known}
            self._waiting = deque(f for f, known in zip(files, found, strict=True) if not known)
            more = min(THREADS - self._working, len(self._waiting))
            self._working += more
        for started in range(more):
            try:
                Thread(target=self._work, name="lora-algebra-overview", daemon=True).start()
            except RuntimeError:  # the system gives no more threads; the next question tries again
                with self._lock:
                    self._working -= more - started
                break
        return found

    def _work(self) -> None:
        while (file := self._next()) is not None:
            try:
                known = self._look(file)
            except Exception:  # noqa: BLE001 (one bad file must not stop the list)
                known = Glance()
            with self._lock:
                self._known[file] = known

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
