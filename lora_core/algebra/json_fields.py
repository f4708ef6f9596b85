"""Reads fields of a recipe's JSON form, which may come from any source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from ..errors import LoraInputError
from ..strict_json import Json

T = TypeVar("T", str, int)


def objects_of(entry: dict[str, Json], key: str) -> Iterator[dict[str, Json]]:
    """Yields the objects of the list ``key``, none if the list is missing; LoraInputError if it is
    anything else."""
    for item in list_of(entry, key):
        if not isinstance(item, dict):
            raise _misplaced(key, "a list of objects", type(item).__name__)
        yield item


def list_of(entry: dict[str, Json], key: str) -> list[Json]:
    """Returns the list ``key``, empty if it is missing; LoraInputError if it is anything else."""
    value = entry.get(key, [])
    if not isinstance(value, list):
        raise _misplaced(key, "a list", type(value).__name__)
    return value


def texts_of(entry: dict[str, Json], key: str) -> Iterator[str]:
    """Yields the texts of the list ``key``, none if the list is missing; LoraInputError if it is
    anything else."""
    for item in list_of(entry, key):
        if not isinstance(item, str):
            raise _misplaced(key, "a list of texts", type(item).__name__)
        yield item


def field_of(entry: dict[str, Json], key: str, kind: type[T]) -> T:
    """Returns the value of ``key``; LoraInputError if it is not of this ``kind``."""
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _misplaced(key, kind.__name__, type(value).__name__)
    return value


def _misplaced(key: str, expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f"a term of a recipe needs {key} as {expected}, found {found}",
        key=key,
        expected=expected,
        found=found,
    )
