"""Tables of files as CSV, JSONL or Parquet: written whole or not at all, and read back."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import LoraInputError
from .columns import COLUMNS, Kind, Row, Value, row_of
from .parquet import check_parquet, read_parquet, write_parquet

NEEDED: Final = frozenset(("path", "state"))
"""The columns without which a table is of something else."""

ESCAPED: Final = ("=", "+", "-", "@", "\t", "\r", "'")
"""How a text begins that a spreadsheet would take for a formula; words in a file are anybody's."""


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How tables are written in one kind of file.

    Attributes:
        write: Writes rows into a new file.
        read: Reads rows; ValueError for what is no table of files.
        check: Refuses if what it needs is not installed.
    """

    write: Callable[[Sequence[Row], Path], None]
    read: Callable[[Path], Iterable[Mapping[str, Any]]]
    check: Callable[[], None] = lambda: None


def check_table(path: Path) -> None:
    """Refuses a place where no table can be (LoraInputError)."""
    _format_of(path).check()
    if not path.absolute().parent.is_dir():
        problem = f"There is no folder {path.absolute().parent}."
        raise LoraInputError(problem, key="out", expected="a folder", found=str(path.parent))
    if path.exists() and not path.is_file():
        raise _other(path)


def read_table(path: Path) -> list[Row]:
    """Returns the rows of a table that was written before; none if there is no file.

    Raises:
        LoraInputError: The file is something else, which is not to be written over.
    """
    if not path.exists():
        return []
    try:
        return [row_of(row) for row in _format_of(path).read(path)]
    except (ValueError, TypeError, csv.Error, RecursionError) as error:
        raise _other(path) from error


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Writes a table in the place of the one that is there; OSError if it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _format_of(path).write(rows, part)
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _format_of(path: Path) -> TableFormat:
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise LoraInputError(
            f"A table is written as {', '.join(FORMATS)}, not as {path.name}.",
            key="out",
            expected=", ".join(FORMATS),
            found=path.suffix or "no suffix",
        )
    return found


def _other(path: Path) -> LoraInputError:
    return LoraInputError(
        f"There is a {path} already, and it is no table of LoRAs. Choose another name.",
        key="out",
        expected="a new file, or a table that was made before",
        found=str(path),
    )


def _write_jsonl(rows: Sequence[Row], path: Path) -> None:
    with path.open("x", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _read_jsonl(path: Path) -> list[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        found: list[Any] = [json.loads(line) for line in lines]
    if not all(isinstance(row, dict) and row.keys() >= NEEDED for row in found):
        raise ValueError("not a table of files")
    return found


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([_cell(row[name], kind) for name, kind in COLUMNS.items()] for row in rows)


def _cell(value: Value, kind: Kind) -> str:
    if value is None:
        return ""
    if kind == "text":
        text = str(value)
        return f"'{text}" if text.startswith(ESCAPED) else text
    return json.dumps(value, ensure_ascii=False)


def _read_csv(path: Path) -> list[Mapping[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not {*(rows.fieldnames or ())} >= NEEDED:
            raise ValueError("not a table of files")
        return [
            {name: _from_cell(row.get(name), kind) for name, kind in COLUMNS.items()}
            for row in rows
        ]


def _from_cell(text: str | None, kind: Kind) -> Any:
    if not text:
        return None
    return text.removeprefix("'") if kind == "text" else json.loads(text)


FORMATS: Final = {
    ".parquet": TableFormat(write_parquet, read_parquet, check_parquet),
    ".csv": TableFormat(_write_csv, _read_csv),
    ".jsonl": TableFormat(_write_jsonl, _read_jsonl),
}
