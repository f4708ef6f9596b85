"""Finds the file that a name from another machine means: for certain, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ..short_names import SUFFIX, base_name, without_suffix
from ..text import shortened
from ..warning import LONGEST_NAME_CHARS, LoraWarning
from .filenames import folded, no_such_file, only_one, same_names

GENERIC: Final = frozenset(("adapter_model", "pytorch_lora_weights"))
"""The names that peft and diffusers give to every file, so that only its folder says which it is."""

How: TypeAlias = Literal["path", "spelling", "content", "basename"]

ELSEWHERE: Final[dict[How, str]] = {"content": "found_by_content", "basename": "found_by_basename"}
"""The ways in which a file under another name is found, and the warning for each."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a file that is asked for.

    Attributes:
        name: Its name in the loras folder, perhaps without folder or suffix.
        hash: The SHA-256 of its bytes after the header, in hex digits.
        size: Its size in bytes.
        row: The entry of a list that asks for it, counted from 1.
    """

    name: str
    hash: str | None = None
    size: int | None = None
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The listed name that is meant, and what shows it."""

    name: str
    how: How


def resolve(
    asked: Asked,
    names: Sequence[str],
    size_of: Callable[[str], int | None],
    hash_of: Callable[[str], str | None],
) -> Found:
    """Returns the one of ``names`` that ``asked`` means: by its path, its spelling, or its content.

    If its content is not known, the only file with the same base name counts as well, unless
    trainers give that name to every file.

    Args:
        asked: The file that is meant.
        names: The listed names.
        size_of: Gives the size of a listed file in bytes, None if it cannot be read.
        hash_of: Gives the hash of its content; only called for files of the right size.

    Raises:
        LoraInputError: No file is meant for certain; the message lists similar names.
    """
    same = same_names(asked.name, names) or _without_suffix(asked.name, names)
    if len(same) == 1:
        return Found(same[0], "path" if same[0] == asked.name else "spelling")
    if asked.hash is not None:
        alike = _of_content(asked, names, size_of, hash_of)
        if alike is not None:
            return Found(alike, "content")
    if same:
        return Found(only_one(asked.name, same), "spelling")
    if asked.hash is None and not _is_told_by_folder(asked.name):
        bases = [name for name in names if _base(name) == _base(asked.name)]
        if bases:
            return Found(only_one(asked.name, bases), "basename")
    raise no_such_file(asked.name, names)


def warnings_of(asked: Asked, found: Found) -> tuple[LoraWarning, ...]:
    """Returns the warning for a file that was found under another name.

    There is none if a bare word finds a file, as in tags: that asks for a base name.
    """
    if found.how not in ELSEWHERE or _is_word(asked.name, found):
        return ()
    name = shortened(asked.name, LONGEST_NAME_CHARS)
    return (LoraWarning.of(ELSEWHERE[found.how], asked=name, name=found.name),)


def _is_word(asked: str, found: Found) -> bool:
    return found.how == "basename" and asked == without_suffix(base_name(asked))


def _without_suffix(asked: str, names: Sequence[str]) -> list[str]:
    """Returns the names that a path without suffix means; a bare word can mean a file in any
    folder."""
    if base_name(asked) == asked or asked.lower().endswith(SUFFIX):
        return []
    return same_names(asked + SUFFIX, names)


def _of_content(
    asked: Asked,
    names: Sequence[str],
    size_of: Callable[[str], int | None],
    hash_of: Callable[[str], str | None],
) -> str | None:
    """Returns a file with the same content; of several, one with the same base name."""
    sizes = [name for name in names if asked.size is not None and size_of(name) == asked.size]
    sizes.sort(key=lambda name: (_base(name) != _base(asked.name), name))
    return next((name for name in sizes if hash_of(name) == asked.hash), None)


def _is_told_by_folder(asked: str) -> bool:
    return _base(asked) in GENERIC and base_name(asked) != asked


def _base(name: str) -> str:
    return folded(without_suffix(base_name(name)))
