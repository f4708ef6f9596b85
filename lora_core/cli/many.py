"""What commands on many files share: their arguments, the line that moves, and what is said at the end."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

from ..algebra import FileId
from ..bulk import Maker, Order, Taken, Tally, Watch, cores, make_all
from ..errors import LoraInputError
from ..reading import identify
from ..text import printable
from .arguments import Asked, Command

FAILED, STOPPED = 3, 130
"""Exit statuses: some files failed; it was stopped by Ctrl-C."""

BETWEEN_LINES_S = 0.2


def add_workers(command: Command) -> None:
    """Adds how many processes work."""
    command.add_argument(
        "--workers",
        metavar="N",
        type=_count,
        default=cores(),
        help="how many files are worked on at a time; all cores if not given",
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes")
    return min(int(text), 61)


def only(named: list[Asked], instead: str) -> Asked:
    """Returns the one file that was named; LoraInputError for several, or for a folder."""
    if len(named) == 1 and not named[0][0].is_dir():
        return named[0]
    found = f"{len(named)} files" if len(named) > 1 else "a folder"
    raise LoraInputError(
        f"For several files, or a folder, say {instead}.",
        key="file",
        expected="a file",
        found=found,
    )


def make_many(options: argparse.Namespace, maker: Callable[[Taken], Maker]) -> int:
    """Makes a new file of each that was named, and returns the exit status."""
    model: FileId | None = identify(options.model) if options.model else None
    orders = [
        Order(path, maker(Taken(strength, blocks, model)))
        for path, strength, blocks in options.files
    ]
    folder: Path = options.out_dir

    def work(watch: Watch) -> Tally:
        return make_all(orders, folder, options.workers, watch)

    return told_of_many(options, folder, work)


def told_of_many(options: argparse.Namespace, out: Path, work: Callable[[Watch], Tally]) -> int:
    """Does the work, prints what became of it, and returns the exit status."""
    line = _Line(shown=not options.json and sys.stderr.isatty())
    try:
        tally = work(line)
    except KeyboardInterrupt:
        line.end()
        past = line.tally
        print(
            f"stopped: {past.past} of {past.total} files. Run the same command again to go on.",
            file=sys.stderr,
        )
        return STOPPED
    line.end()
    if options.json:
        print(json.dumps(_plain(tally, out)))
    else:
        print(_words(tally, out))
    return FAILED if tally.failures else 0


def _plain(tally: Tally, out: Path) -> dict[str, object]:
    failed = [{"path": each.path, "error": each.error} for each in tally.failures]
    counts = {"files": tally.total, "done": tally.done, "kept": tally.kept}
    return {"out": str(out), **counts, "failed": failed}


def _words(tally: Tally, out: Path) -> str:
    lines = [
        f"failed: {each.path}: {each.error}"
        for each in sorted(tally.failures, key=attrgetter("path"))
    ]
    counts = f"{tally.done} done, {tally.kept} as before, {len(tally.failures)} failed"
    return printable("\n".join([*lines, f"written: {out} ({tally.total} files: {counts})"]))


class _Line:
    """A line that says how far it is."""

    def __init__(self, shown: bool) -> None:
        self.tally = Tally(0)
        self._shown = shown
        self._began = self._last = time.monotonic()

    def __call__(self, tally: Tally) -> None:
        self.tally = tally
        now = time.monotonic()
        if self._shown and now - self._last >= BETWEEN_LINES_S:
            self._last = now
            self._show(self._words(now))

    def end(self) -> None:
        """Clears the line."""
        if self._shown:
            self._show("")

    def _words(self, now: float) -> str:
        tally = self.tally
        rate = (tally.past - tally.kept) / (now - self._began)
        left = f", {(tally.total - tally.past) / rate:.0f} s left" if rate else ""
        failed = f", {len(tally.failures)} failed" if tally.failures else ""
        return f"{tally.past}/{tally.total} files{failed}, {rate:.1f} a second{left}"

    def _show(self, words: str) -> None:
        print(f"\r{words:78}\r", end="", file=sys.stderr, flush=True)
