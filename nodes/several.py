"""What nodes that name several files say of them: what is wrong before a run, what has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from ..lora_core.errors import LoraError
from ..lora_core.files import shared_cache
from ..lora_core.recipe import FileId
from ..lora_core.resolve import Asked
from .host import find_asked

SHOWN = 5
"""Of many missing files, those that are named."""

log = logging.getLogger("lora-algebra")

Read = Callable[[], Iterable[Asked]]
"""Gives the files that an input asks for; LoraError if the input itself is wrong."""


async def objections(read: Read) -> bool | str:
    """True, or what is wrong with each of the first few that are asked for.

    Not on the event loop, where the host asks: a file that has moved is found by its content.
    """
    return await asyncio.to_thread(_objections, read)


def states(read: Read, more: Callable[[FileId], object] | None = None) -> object:
    """The files as they are now, so that one trained anew under its old name is read anew.

    ``more`` gives what else of a file matters.
    """
    try:
        return [_state(asked, more) for asked in read()]
    except LoraError as error:
        return str(error)


def checked(asked: Asked) -> FileId:
    """The file that is meant, whose header is sound; LoraError otherwise."""
    file = find_asked(asked)
    try:
        shared_cache.check(file)
    except LoraError as error:
        raise error.in_row(asked.row) from error
    return file


def notice(ignored: Iterable[tuple[str, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    """What the node shows, and the log, of what is not understood beside each name."""
    lines = tuple(f"{name}: ignored {', '.join(words)}" for name, words in ignored if words)
    for line in lines:
        log.warning("%s", line)
    return {"text": lines} if lines else {}


def _objections(read: Read) -> bool | str:
    try:
        wrong = [said for asked in read() if (said := _wrong(asked))]
    except LoraError as error:
        return str(error)
    more = [f"… and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
    return "\n".join([*wrong[:SHOWN], *more]) or True


def _wrong(asked: Asked) -> str | None:
    try:
        find_asked(asked)
    except LoraError as error:
        return str(error)
    return None


def _state(asked: Asked, more: Callable[[FileId], object] | None) -> object:
    try:
        file = find_asked(asked)
    except LoraError as error:
        return str(error)
    state = [file.path, file.mtime_ns, file.size, file.inode, file.beside]
    return [*state, more(file)] if more else state
