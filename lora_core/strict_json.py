"""Reads JSON text from any source: its size is limited, and what is wrong is refused with a
message."""

from __future__ import annotations

import json
from typing import Final, NoReturn, TypeAlias, cast

from .errors import LoraInputError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MOST_CHARS: Final = 1_000_000
"""How many characters are read; a thousand files in one recipe take about a quarter of it."""


def read_json(text: str, what: str) -> Json:
    """Returns what ``text`` says. Messages call it ``what``.

    Raises:
        LoraInputError: The text is too long, too deep, or not JSON, has an invalid number, or has a
            name twice in one object.
    """
    if len(text) > MOST_CHARS:
        raise refused(what, "too long", f"at most {MOST_CHARS} characters", f"{len(text)}")
    try:
        return cast(
            Json,
            json.loads(text, parse_constant=_no_constant, object_pairs_hook=_without_duplicates),
        )
    except LoraInputError as error:
        raise refused(what, error.message, error.expected, error.found) from None
    except (ValueError, RecursionError) as error:
        raise refused(what, "unreadable", "JSON", str(error)) from error


def refused(what: str, problem: str, expected: str | None, found: str | None) -> LoraInputError:
    """Returns the error for an invalid document: ``what`` is ``problem``."""
    return LoraInputError(
        f"{what} is {problem}: expected {expected}, found {found}",
        expected=expected,
        found=found,
    )


def _no_constant(name: str) -> NoReturn:
    raise LoraInputError("not valid", expected="finite numbers", found=name)


def _without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise LoraInputError(
            "ambiguous", expected="each name once", found="a name twice in one object"
        )
    return result
