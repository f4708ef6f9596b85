"""Reads a versioned JSON document of a recipe."""

from __future__ import annotations

from ..errors import LoraInputError
from ..strict_json import Json, read_json, refused

WHAT = "the recipe"


def read_document(text: str, form: str, version: int, entries: str) -> list[Json]:
    """Returns the list ``entries`` of a document of this ``form``, of at most version ``version``."""
    document = read_json(text, WHAT)
    if not isinstance(document, dict) or document.get("format") != form:
        raise refused(
            WHAT, "not in the right format", f'an object with "format": "{form}"', text[:60]
        )
    check_version(document.get("version"), version, WHAT)
    found = document.get(entries)
    if not isinstance(found, list):
        raise refused(WHAT, f"missing {entries}", "a list", text[:60])
    return found


def check_version(found: Json, known: int, what: str) -> None:
    """Refuses an invalid version, and one that is newer than ``known``."""
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise refused(what, "without a valid version", "a whole number from 1", repr(found))
    if found > known:
        raise LoraInputError(
            f"{what} is version {found}; this LoRA Algebra reads up to version {known}. "
            "Update LoRA Algebra to open it.",
            key="version",
            expected=f"at most {known}",
            found=str(found),
        )
