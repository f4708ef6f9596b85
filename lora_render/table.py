"""Reads a table of what is to be rendered: CSV, JSON lines, Parquet, a JSON list of rows, or a JSON grid.

A row maps columns to values. A cell that is empty, or null, keeps what the workflow has. A grid maps columns to values, and
means every combination of them, the last column changing fastest::

    {"KSampler.seed": "1..4", "LoRA File.strength": "0..1 x 5", "Positive.text": ["a cat", "a dog"]}
"""

from __future__ import annotations

import csv
import importlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, cast

from lora_core.algebra import parse_list
from lora_core.errors import LoraError, LoraInputError
from lora_core.lists import parse_seeds

from .item import Scalar

MOST_ROWS: Final = 1_000_000
_AT_MOST: Final = re.compile(r"at most \d+")

Row = dict[str, Scalar]


def read_table(path: Path) -> list[Row]:
    """Returns the rows of a table.

    In a grid, a text in place of a list is numbers: ``1..4``, ``0..1 x 5``, ``0, 0.5, 1``. Texts for a text input are a list.

    Raises:
        LoraInputError: The file is no such table; it says the line or row, and the column.
    """
    readers = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet, ".json": _json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise _bad(path, "", "it is no table", " or ".join(readers), path.suffix or "no ending")
    try:
        rows = list(itertools.islice(reader(path), MOST_ROWS + 1))
    except FileNotFoundError:
        raise _bad(path, "", "there is no such file", "a table", "nothing") from None
    except OSError as error:
        raise _bad(path, "", "it cannot be read", "a file", error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise _bad(path, "", "it cannot be read", "text in UTF-8", "something else") from None
    if not rows:
        raise _bad(path, "", "it has no rows", "at least one row", "none")
    if len(rows) > MOST_ROWS:
        raise _bad(path, "", "it is too long", f"at most {MOST_ROWS} rows", "more")
    return rows


def _csv(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, list[str]())
            _check_header(path, header)
            for cells in reader:
                if cells:
                    yield _csv_row(path, reader.line_num, header, cells)
        except csv.Error as error:
            raise _bad(
                path, f"line {reader.line_num}", "it is no CSV", "cells", str(error)
            ) from None


def _check_header(path: Path, header: Sequence[str]) -> None:
    for separator, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            raise _bad(path, "line 1", "it has one column", "commas between the columns", word)
    for place, column in enumerate(header):
        if not column:
            raise _bad(path, "line 1", f"column {place + 1} has no name", "a name", "none")
        if column in header[:place]:
            raise _bad(
                path, "line 1", f'column "{column}" is there twice', "each name once", column
            )


def _csv_row(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(header):
        many = f"{len(header)} cells" if len(header) > 1 else "1 cell"
        raise _bad(path, f"line {line}", "cells are missing or too many", many, f"{len(cells)}")
    return {column: cell for column, cell in zip(header, cells, strict=True) if cell}


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _row(path, f"line {number}", _parsed(path, line, f"line {number}"))


def _parquet(path: Path) -> Iterator[Row]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise LoraInputError(
            'to read Parquet, install pyarrow: pip install "lora-algebra[render]".',
            file=path.name,
            expected="pyarrow",
            found="none",
        ) from None
    try:
        rows: list[Any] = parquet.read_table(path).to_pylist()
    except ValueError as error:
        raise _bad(path, "", "it is no Parquet", "a Parquet file", str(error)) from None
    for number, row in enumerate(rows, 1):
        yield _row(path, f"row {number}", row)


def _json(path: Path) -> Iterator[Row]:
    document = _parsed(path, path.read_text(encoding="utf-8-sig"), "")
    if isinstance(document, list):
        for number, row in enumerate(cast("list[Any]", document), 1):
            yield _row(path, f"row {number}", row)
    elif isinstance(document, dict) and document:
        yield from _grid(path, cast("dict[str, Any]", document))
    else:
        raise _bad(
            path,
            "",
            "it has no rows",
            "a list of rows, or a grid",
            str(cast(object, document))[:40],
        )


def _grid(path: Path, axes: Mapping[str, Any]) -> Iterator[Row]:
    values = [_axis(path, column, given) for column, given in axes.items()]
    for combination in itertools.product(*values):
        yield dict(zip(axes, combination, strict=True))


def _axis(path: Path, column: str, given: Any) -> list[Scalar]:
    if isinstance(given, str):
        try:
            return _numbers(given)
        except LoraError as error:
            expected = f"a list of values, or {_numbers_of(error)}"
            raise _bad(path, f'column "{column}"', "it is no range", expected, given[:40]) from None
    listed = cast("list[Any]", given) if isinstance(given, list) else [given]
    if not listed:
        raise _bad(path, f'column "{column}"', "it has no values", "at least one", "none")
    for value in listed:
        _check_scalar(path, f'column "{column}"', value)
    return listed


def _numbers(text: str) -> list[Scalar]:
    """Returns the numbers of a text: whole ones by the rules of seeds, otherwise by those of spreads."""
    try:
        seeds = parse_seeds(text)
    except LoraError as error:
        if _AT_MOST.fullmatch(error.expected or ""):  # there are too many, whatever they are
            raise
        seeds = ()
    return [*seeds] or [_plain(value) for value in parse_list(text)]


def _numbers_of(error: LoraError) -> str:
    """Returns which numbers are taken, for people who think of neither seeds nor spreads."""
    expected = error.expected or ""
    if _AT_MOST.fullmatch(expected):
        return f"{expected} values"
    if expected.startswith("values of"):
        return f"{expected}, or more if all are whole numbers"
    return expected


def _plain(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)


def _row(path: Path, place: str, row: Any) -> Row:
    if not isinstance(row, Mapping):
        raise _bad(path, place, "it is no row", "an object", str(row)[:40])
    fields = cast("Mapping[str, Any]", row)
    kept = {column: value for column, value in fields.items() if value is not None}
    for column, value in kept.items():
        _check_scalar(path, f'{place}, column "{column}"', value)
    return kept


def _check_scalar(path: Path, place: str, value: Any) -> None:
    is_endless = isinstance(value, float) and not math.isfinite(value)
    if is_endless or not isinstance(value, str | int | float | bool):
        raise _bad(
            path, place, "it is no value", "a text, a number, true or false", str(value)[:40]
        )


def _parsed(path: Path, text: str, place: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise _bad(path, place, "it cannot be read", "JSON", str(error)) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"the number {name}")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A column that is there twice would silently be the last one."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f'"{twice}" twice')
    return dict(pairs)


def _bad(path: Path, place: str, problem: str, expected: str, found: str) -> LoraInputError:
    where = f"{place}: " if place else ""
    return LoraInputError(
        f"{where}{problem}: expected {expected}, found {found}",
        file=path.name,
        key=place or "table",
        expected=expected,
        found=found,
    )
