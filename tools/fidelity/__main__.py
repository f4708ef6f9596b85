"""``python -m tools.fidelity``: what is read, how exactly, and what ComfyUI makes of the same
files.

Every table is measured when it is printed. The exit status is 1 if anything is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .table import Section, write


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, 1 with gaps, 2 for wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if strange := set(options.tables) - _TABLES.keys():
        parser.error(f"there is no table {min(strange)!r}, but {', '.join(_TABLES)}")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it would speak between the tables
    found: list[Section] = []
    for name in options.tables or _TABLES:
        started = time.perf_counter()
        for section in _TABLES[name]():
            found.append(section)
            print(f"\n## {section.name}\n\n{section.more or section.text}", flush=True)
        print(f"\n({time.perf_counter() - started:.0f} s)", flush=True)
    if options.markdown:
        text = "\n\n".join(f"## {section.name}\n\n{section.text}" for section in found)
        options.markdown.write_text(text + "\n", encoding="utf-8")
    unmarked = [{*write(page, found)} for page in options.write]
    if unmarked and (nowhere := set.intersection(*unmarked)):
        print(f"no marks for: {', '.join(sorted(nowhere))}", file=sys.stderr)
        return 2
    return _judged([gap for section in found for gap in section.gaps])


def _judged(gaps: list[str]) -> int:
    if not gaps:
        print("\nno gaps")
        return 0
    print(f"\n{len(gaps)} gaps:", *gaps, sep="\n- ")
    return 1


def _families() -> list[Section]:
    from .families import sections

    return sections()


def _dialects() -> list[Section]:
    from .coverage import sections

    return sections()


def _pipelines() -> list[Section]:
    from .oracles import sections

    return sections()


_TABLES: dict[str, Callable[[], list[Section]]] = {
    "families": _families,
    "dialects": _dialects,
    "pipelines": _pipelines,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.fidelity", description=__doc__)
    names = ", ".join(_TABLES)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"only these, of: {names}")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    parser.add_argument(
        "--write",
        type=Path,
        nargs="+",
        metavar="PAGE",
        default=[],
        help="replace what stands between the marks of these pages",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
