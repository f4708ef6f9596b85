"""Reading a versioned JSON document that may come from anywhere: bounded, and refused with words."""

from __future__ import annotations

import json
from typing import NoReturn, TypeAlias, cast

from .errors import LoraInputError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

LARGEST = 1_000_000
"""Characters; a thousand files in one recipe are about a quarter of it."""


def read_document(text: str, form: str, version: int, entries: str) -> list[Json]:
    """The list called ``entries`` of a document of this ``form``, at most as new as ``version``."""
    if len(text) > LARGEST:
        raise _refused("too long", f"at most {LARGEST} characters", f"{len(text)}")
    document = _parsed(text)
    if not isinstance(document, dict) or document.get("format") != form:
        raise _refused("not of this form", f'an object with "format": "{form}"', text[:60])
    _check_version(document.get("version"), version)
    found = document.get(entries)
    if not isinstance(found, list):
        raise _refused(f"without {entries}", "a list", text[:60])
    return found


def _parsed(text: str) -> Json:
    try:
        return cast(
            Json,
            json.loads(text, parse_constant=_no_constant, object_pairs_hook=_without_duplicates),
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, LoraInputError):
            raise
        raise _refused("unreadable", "JSON", str(error)) from error


def _check_version(found: Json, known: int) -> None:
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise _refused("without a version", "a whole number from 1", repr(found))
    if found > known:
        raise LoraInputError(
            f"the recipe is version {found}; this LoRA Algebra reads up to version {known}. "
            "Update LoRA Algebra to open it.",
            key="version",
            expected=f"at most {known}",
            found=str(found),
        )


def _no_constant(name: str) -> NoReturn:
    raise _refused("with a number that is none", "finite numbers", name)


def _without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise _refused("ambiguous", "each name once", "a name twice in one object")
    return result


def _refused(problem: str, expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f"the recipe is {problem}: expected {expected}, found {found}",
        expected=expected,
        found=found,
    )
