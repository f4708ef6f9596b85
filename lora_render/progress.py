"""How far a rendering is: a bar on a terminal, and a line now and then everywhere else."""

from __future__ import annotations

import shutil
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, TextIO

from lora_core.text import printable

from .farm import Watch
from .journal import Entry

BAR_CHARS: Final = 24
RECENT: Final = 50
"""The rate is that of so many last results: the first ones wait for models to be loaded."""

SECONDS_BETWEEN_LINES: Final = 10.0


class Progress:
    """Says how many of ``total`` items are done, at which rate, and how long the rest will take.

    ``now`` is a clock in seconds. With ``by_worker`` it also says how many each worker has done.
    """

    def __init__(
        self, total: int, stream: TextIO, now: Callable[[], float], *, by_worker: bool = False
    ) -> None:
        self._total = total
        self._stream = stream
        self._now = now
        self._workers: Counter[str] | None = Counter() if by_worker else None
        self._done = self._failed = 0
        self._recent = deque([(now(), 0)], maxlen=RECENT)
        self._bar = stream.isatty()
        self._said_at = now()
        self._said: str = ""

    def add(self, worker: str, *, ok: bool, items: int = 1) -> None:
        """Counts items that have ended, and shows it."""
        self._done += items
        self._failed += 0 if ok else items
        if self._workers is not None:
            self._workers[worker] += items
        self._recent.append((self._now(), self._done))
        if self._bar:
            self._draw()
        elif self._now() - self._said_at >= SECONDS_BETWEEN_LINES:
            self._say()

    def note(self, text: str) -> None:
        """Says something in a line of its own."""
        self._stream.write(f"\r\x1b[K{text}\n" if self._bar else f"{text}\n")
        if self._bar and self._done:
            self._draw()

    def close(self) -> None:
        """Ends the bar's line, or says the last state."""
        if not self._bar:
            self._say()
        elif self._done:
            self._stream.write("\n")

    def _draw(self) -> None:
        filled = BAR_CHARS * self._done // max(1, self._total)
        line = f"[{'#' * filled:{BAR_CHARS}}] {self.words()}"
        self._stream.write(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")
        self._stream.flush()

    def _say(self) -> None:
        words = self.words()
        if self._done and words != self._said:
            self._stream.write(f"{words}\n")
            self._stream.flush()
        self._said_at = self._now()
        self._said = words

    def words(self) -> str:
        """Returns the state in one line."""
        parts = [f"{self._done} of {self._total}"]
        (first, before), (last, done) = self._recent[0], self._recent[-1]
        if done > before and last > first:
            rate = (done - before) / (last - first)
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each")
            if left := self._total - self._done:
                parts.append(f"{_clock(left / rate)} left")
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._workers:
            parts.append("; ".join(f"{name}: {n}" for name, n in sorted(self._workers.items())))
        return ", ".join(parts)


class ProgressWatch(Watch):
    """Shows what happens to a run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def ended(self, worker: str, entry: Entry) -> None:
        """Counts an item."""
        self._progress.add(worker, ok=entry.status == "ok")

    def lost(self, worker: str, reason: str, for_good: bool) -> None:
        """Says who was lost, and what follows."""
        what = "It is given up." if for_good else "It starts again."
        self._progress.note(printable(f"{worker} was lost. {what} {reason}"))


def _clock(seconds: float) -> str:
    """Writes a length of time: 0:07, 12:30, 3:00:00."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
