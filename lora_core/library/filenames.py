"""Chooses a LoRA by the name a workflow asks for: exactly, and never by guessing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from heapq import nlargest
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

from ..errors import LoraInputError
from ..short_names import base_name, without_suffix

LONGEST_NAME_CHARS: Final = 4096
CLOSE_NAMES: Final = 3
SHORTLIST: Final = 50
SHOWN_NAMES: Final = 5

_SEPARATOR_LAST: Final = re.compile(r"[/\\]\.?$")
"""An ending that systems ignore when they open a folder."""


def choose_name(asked: object, names: Sequence[str]) -> str:
    """Returns the one of ``names`` that ``asked`` means.

    This is the same name, or else the only one that differs only in separators, in upper and lower
    case, or in the way accents are encoded: workflows travel between systems.

    Raises:
        LoraInputError: No name or more than one matches, or it is a path out of the folder.
    """
    same = same_names(asked, names)
    if not same:
        raise no_such_file(str(asked), names)
    return only_one(str(asked), same)


def same_names(asked: object, names: Sequence[str]) -> list[str]:
    """Returns the same name, or else all names that differ from ``asked`` only in spelling.

    Raises:
        LoraInputError: ``asked`` is not text, leads out of the folder, or is the name of a folder.
    """
    if not isinstance(asked, str):
        raise _refused(asked, f"a LoRA's name must be text, not {type(asked).__name__}.")
    if asked in names:
        return [asked]
    if _leaves_folder(asked):
        raise _refused(asked, "this is not a name in the loras folder.")
    if _SEPARATOR_LAST.search(asked):
        raise _refused(asked, "this is the name of a folder, not of a file.")
    wanted = folded(asked)
    return [name for name in names if folded(name) == wanted]


def only_one(asked: str, same: Sequence[str]) -> str:
    """Returns the one name in ``same``; LoraInputError if there are several."""
    if len(same) > 1:
        more = ", …" if len(same) > SHOWN_NAMES else "."
        first = ", ".join(same[:SHOWN_NAMES])
        raise _refused(asked, f"there are several such files: {first}{more}")
    return same[0]


def no_such_file(asked: str, names: Sequence[str]) -> LoraInputError:
    """Returns the error for a name that means none of ``names``, with similar names."""
    close = close_names(asked, names)
    hint = f" Close names: {', '.join(close)}." if close else ""
    return _refused(asked, "there is no such file in the loras folder." + hint)


def close_names(asked: str, names: Sequence[str]) -> list[str]:
    """Returns up to three of ``names`` that look like ``asked``, compared without folders and
    suffix."""
    by_word = {name: without_suffix(base_name(name)).casefold() for name in names}
    word, stem = without_suffix(base_name(asked)).casefold(), PureWindowsPath(asked).stem.casefold()
    known = set(by_word.values())
    close = _close(word, known) + (_close(stem, known) if stem != word else [])
    found = (name for name in by_word if by_word[name] in close)
    return sorted(found, key=lambda name: close.index(by_word[name]))[:CLOSE_NAMES]


def _close(word: str, known: Iterable[str]) -> list[str]:
    """Returns the closest names by a slow measure, among those that a fast and generous one finds."""
    matcher = SequenceMatcher(b=word)

    def flattered(other: str) -> float:
        matcher.set_seq1(other)
        return matcher.quick_ratio()

    return get_close_matches(word, nlargest(SHORTLIST, sorted(known), key=flattered), CLOSE_NAMES)


def folded(name: str) -> str:
    """Returns ``name`` without what may differ between two spellings of it."""
    return unicodedata.normalize("NFC", name.replace("\\", "/")).casefold()


def _leaves_folder(name: str) -> bool:
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    return (
        len(name) > LONGEST_NAME_CHARS
        or "\0" in name
        or ".." in windows.parts
        or bool(windows.anchor)
        or posix.is_absolute()
    )


def _refused(asked: object, reason: str) -> LoraInputError:
    shown = asked if isinstance(asked, str) else repr(asked)
    return LoraInputError(
        f'LoRA "{shown[:200]}": {reason}', key="lora_name", expected="a listed name", found=shown
    )
