"""Choosing a LoRA by the name a workflow asks for: exactly, and never a guess."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

from .errors import LoraInputError

LONGEST_NAME: Final = 4096
CLOSE_NAMES: Final = 3


def choose_name(asked: object, names: Sequence[str]) -> str:
    """The one of ``names`` that is meant by ``asked``.

    That is the same name, or else the only one that differs by nothing but separators, upper and
    lower case, or the way accents are encoded: workflows travel between systems.

    Raises:
        LoraInputError: No name, or more than one, or a path out of the folder.
    """
    if asked in names and isinstance(asked, str):
        return asked
    if not isinstance(asked, str):
        raise _refused(asked, f"a LoRA's name is text, not {type(asked).__name__}.")
    if _leaves_folder(asked):
        raise _refused(asked, "this is no name in the loras folder.")
    same = [name for name in names if _folded(name) == _folded(asked)]
    if len(same) > 1:
        raise _refused(asked, f"there are several such files: {', '.join(same)}.")
    if not same:
        raise _refused(asked, "there is no such file in the loras folder." + _hint(asked, names))
    return same[0]


def _leaves_folder(name: str) -> bool:
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    return (
        len(name) > LONGEST_NAME
        or "\0" in name
        or ".." in windows.parts
        or bool(windows.anchor)
        or posix.is_absolute()
    )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/")).casefold()


def _hint(asked: str, names: Sequence[str]) -> str:
    """The closest names, compared without their folders."""
    by_base = {name: PureWindowsPath(name).name.casefold() for name in names}
    base = PureWindowsPath(asked).name.casefold()
    close = get_close_matches(base, by_base.values(), CLOSE_NAMES)
    found = sorted(
        (n for n in by_base if by_base[n] in close), key=lambda n: close.index(by_base[n])
    )
    return f" Close names: {', '.join(found[:CLOSE_NAMES])}." if found else ""


def _refused(asked: object, reason: str) -> LoraInputError:
    shown = asked if isinstance(asked, str) else repr(asked)
    return LoraInputError(
        f'LoRA "{shown[:200]}": {reason}', key="lora_name", expected="a listed name", found=shown
    )
