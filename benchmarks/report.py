"""Tables, and the document that they make."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BEGINNING = time.monotonic()


@dataclass(frozen=True)
class Settings:
    """What is measured where.

    Attributes:
        device: "cpu" or "cuda".
        rounds: How often everything is run.
        quick: Whether to check only that everything works.
        folder: A folder for files that are deleted afterwards.
    """

    device: str
    rounds: int
    quick: bool
    folder: Path


@dataclass(frozen=True)
class Table:
    """One table, with what a reader needs to know."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: bool = False

    def __str__(self) -> str:
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        if self.folded:
            table = f"<details><summary>Show the table</summary>\n\n{table}\n\n</details>"
        return "\n\n".join(part for part in (f"### {self.title}", self.note, table) if part)


@dataclass(frozen=True)
class Section:
    """One question, and the tables that answer it."""

    title: str
    note: str
    tables: Sequence[Table]

    def __str__(self) -> str:
        return "\n\n".join([f"## {self.title}", self.note, *map(str, self.tables)])


def document(machine: Mapping[str, str], sections: Sequence[Section], command: str) -> str:
    """Returns the whole page."""
    facts = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine.items())]
    head = (
        "# Benchmarks\n\n"
        f"`{command}` measures LoRA Algebra (*ours*) and ComfyUI's own code (*host*) in turn, in one "
        "process, and writes this page. Times are medians. A ratio is computed in each round, and "
        "the median is shown. Below 1, ours is faster."
    )
    return "\n\n".join([head, "\n".join(facts), *map(str, sections)]) + "\n"


def progress(text: str) -> None:
    """Prints a line with the seconds since the beginning."""
    print(f"{time.monotonic() - BEGINNING:4.0f} s  {text}", file=sys.stderr, flush=True)


def ms(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:.2f}" if milliseconds < 10 else f"{milliseconds:.0f}"


def mb(size: float) -> str:
    return f"{size / 2**20:.0f}"


def times(ratio: float) -> str:
    if ratio < 0.1:
        return f"{ratio:.2g}"
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
