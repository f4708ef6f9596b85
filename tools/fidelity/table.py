"""Writes tables in Markdown, and puts them into a page between marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Section(NamedTuple):
    """A part of the output.

    Attributes:
        name: Its mark in a page.
        text: The text that goes into a page.
        more: Text that is only printed.
        gaps: What is missing, one line each.
    """

    name: str
    text: str
    more: str = ""
    gaps: tuple[str, ...] = ()


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes a table; empty columns are left out."""
    body = [list(row) for row in rows]
    kept = [i for i in range(len(headers)) if i == 0 or any(row[i] for row in body)]
    lines = [[headers[i] for i in kept], ["---"] * len(kept)]
    lines += [[row[i].replace("|", "\\|") for i in kept] for row in body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(page: Path, sections: Iterable[Section]) -> list[str]:
    """Replaces the text between the marks of each section; returns the names without marks.

    The marks are ``<!-- fidelity: NAME -->`` and ``<!-- fidelity: end -->``.
    """
    text = page.read_text(encoding="utf-8")
    unmarked = []
    for section in sections:
        mark = f"<!-- fidelity: {section.name} -->"
        between = re.compile(f"({re.escape(mark)}\n).*?(<!-- fidelity: end -->)", re.DOTALL)
        if between.search(text):
            replacement = section.text
            text = between.sub(lambda found, new=replacement: f"{found[1]}{new}\n{found[2]}", text)
        else:
            unmarked.append(section.name)
    page.write_text(text, encoding="utf-8")
    return unmarked


def number(value: float | None) -> str:
    """Writes an error in short form."""
    return "" if value is None else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e+")
