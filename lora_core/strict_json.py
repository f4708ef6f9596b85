"""Reading JSON text that may come from anywhere: bounded, strict, and refused with words."""

from __future__ import annotations

import json
from typing import Final, NoReturn, TypeAlias, cast

from .errors import LoraInputError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

LARGEST: Final = 1_000_000
"""Characters; a thousand files in one recipe are about a quarter of it."""


def read_json(text: str, what: str) -> Json:
    """What stands in ``text``, called ``what`` in messages.

    Raises:
        LoraInputError: Too long or too deep, no JSON, a number that is none, or a name twice in
            one object.
    """
    if len(text) > LARGEST:
        raise refused(what, "too long", f"at most {LARGEST} characters", f"{len(text)}")
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
    """The error for a document that is none: ``what`` is ``problem``."""
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
