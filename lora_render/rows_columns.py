"""Columns that mean one LoRA of a LoRA Rows node: ``NAME.strength``, ``NAME.on`` and others.

The value of the node stays as it is in everything else: its form, its other rows, and keys that nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lora_core.algebra import LARGEST_TYPED
from lora_core.errors import LoraInputError
from lora_core.library import folded
from lora_core.short_names import base_name, without_suffix

from .item import Scalar
from .typed import Limits

FIELDS: Final[Mapping[str, str]] = {
    "strength": "FLOAT",
    "strength_clip": "FLOAT",
    "on": "BOOLEAN",
    "solo": "BOOLEAN",
    "blocks": "STRING",
    "low.strength": "FLOAT",
}
"""What a column may set of a row -> its type."""

LIMITS: Final[Limits] = (-LARGEST_TYPED, LARGEST_TYPED)
ARRAY: Final = "__value__"


@dataclass(frozen=True, slots=True)
class RowPlace:
    """A field of a row, and which row it is, from 0."""

    row: int
    field: str

    @property
    def kind(self) -> str:
        """The type of the field."""
        return FIELDS[self.field]

    @property
    def limits(self) -> Limits:
        """From where to where the field may be."""
        return LIMITS if self.kind == "FLOAT" else (None, None)


def find_row(inputs: Mapping[str, Any], rest: str) -> RowPlace | None:
    """Returns what a column means whose part behind the node is ``rest``; None if it is no row's.

    Args:
        inputs: Those of the node, ``rows`` among them.
        rest: ``NAME.FIELD``, where NAME is the row's name with or without its folder and ending.

    Raises:
        LoraInputError: Several rows are called so, or the strength comes by a link.
    """
    rows = _rows(_opened(inputs["rows"]))
    refused: LoraInputError | None = None
    # a file may be called "wan.low", so "wan.low.strength" can mean two things
    for field in sorted(FIELDS, key=len, reverse=True):
        number = _number_of(rows, rest, field)
        try:
            if number is not None:
                _check(inputs, rows[number], field)
                return RowPlace(number, field)
        except LoraInputError as error:
            refused = refused or error
    if refused:
        raise refused
    return None


def _number_of(rows: Sequence[Mapping[str, Any]], rest: str, field: str) -> int | None:
    """Returns which row is meant, if ``field`` is what of it is meant."""
    name = folded(rest.removesuffix(f".{field}"))
    for spelling in (_whole, _bare) if rest.endswith(f".{field}") else ():
        places = [number for number, row in enumerate(rows) if name in spelling(row)]
        if len(places) > 1:
            raise _several(rest, [str(rows[number]["name"]) for number in places])
        if places:
            return places[0]
    return None


def row_columns(value: Any) -> list[str]:
    """Returns the columns that the rows of a node may have, for a list of close names."""
    return [
        f"{row['name']}.{field}" for row in _rows(_opened(value)) for field in ("strength", "on")
    ]


def with_row(value: Any, place: RowPlace, given: Scalar) -> Any:
    """Returns the value of the node with another value for one field of a row."""
    if isinstance(value, str):
        return json.dumps(with_row(json.loads(value), place, given), ensure_ascii=False)
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        key = ARRAY if ARRAY in fields else "rows"
        return {**fields, key: with_row(fields[key], place, given)}
    rows = [*cast("list[Mapping[str, Any]]", value)]
    row = rows[place.row]
    outer, _, inner = place.field.rpartition(".")
    rows[place.row] = (
        {**row, outer: {**row[outer], inner: given}} if outer else {**row, inner: given}
    )
    return rows


def _opened(value: Any) -> Any:
    """Returns rows that are written as JSON text; tags have no rows to set."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _rows(document: Any) -> Sequence[Mapping[str, Any]]:
    while isinstance(document, Mapping):
        fields = cast("Mapping[str, Any]", document)
        document = fields[ARRAY] if ARRAY in fields else fields.get("rows")
    rows = cast("Sequence[Any]", document) if isinstance(document, list) else ()
    named = all(
        isinstance(row, Mapping) and isinstance(cast("Any", row).get("name"), str) for row in rows
    )
    return cast("Sequence[Mapping[str, Any]]", rows) if named else ()


def _whole(row: Mapping[str, Any]) -> set[str]:
    name = folded(row["name"])
    return {name, without_suffix(name)} - {""}


def _bare(row: Mapping[str, Any]) -> set[str]:
    name = base_name(folded(row["name"]))
    return {name, without_suffix(name)} - {""}


def _check(inputs: Mapping[str, Any], row: Mapping[str, Any], field: str) -> None:
    link = row.get("link")
    if field == "strength" and isinstance(link, str) and link in inputs:
        raise LoraInputError(
            f'the strength of "{row["name"]}" comes by the input {link}.',
            key=link,
            expected="a strength of its own",
            found=str(inputs[link])[:60],
        )
    if field == "low.strength" and not isinstance(row.get("low"), Mapping):
        raise LoraInputError(
            f'"{row["name"]}" has no file for low noise.',
            key="low",
            expected="a pair",
            found="one file",
        )


def _several(rest: str, names: Sequence[str]) -> LoraInputError:
    return LoraInputError(
        f'"{rest}" means several rows: {", ".join(names[:5])}.',
        key=rest,
        expected="the name of one row",
        found=f"{len(names)} rows",
    )
