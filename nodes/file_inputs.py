"""Checks and fingerprints for nodes that name several files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import islice
from typing import TypeAlias

from ..lora_core.algebra import FileId, Term
from ..lora_core.errors import LoraError
from ..lora_core.library import Asked
from ..lora_core.reading import shared_cache
from ..lora_core.text import shortened
from .host import Library
from .plain_errors import validation_error

SHOWN_ERRORS = 5
"""How many missing files a message names."""

LONGEST_LINE_CHARS = 300
"""How many characters of a notice about a tag are shown; a tag can contain anything."""

log = logging.getLogger("lora-algebra")

Read = Callable[[], Iterable[Asked]]
"""Returns the files that an input asks for; LoraError if the input itself is wrong."""

Entry: TypeAlias = "tuple[Asked, Fraction, Fraction]"
"""A file that is asked for, with its strengths for the denoiser and the text encoders."""

More = Callable[[FileId], object] | None
"""Returns what else matters about a file."""


async def validation_errors(read: Read) -> bool | str:
    """Returns True, or what is wrong with the first few files that are asked for.

    It runs outside the event loop, where the host asks: a file that has moved is found by its
    content.
    """
    errors = await asyncio.to_thread(_validation_errors, read)
    return validation_error(errors) if errors else True


def fingerprints(read: Callable[[], Iterable[tuple[Asked, More]]]) -> object:
    """Returns the current state of the files, so that one retrained under its old name is read
    again."""
    try:
        library = Library()
        return [_fingerprint(library, asked, more) for asked, more in read()]
    except LoraError as error:
        return str(error)


def terms_of(entries: Iterable[Entry]) -> list[Term]:
    """Returns the terms of the files, with their strengths; LoraError if one is missing or its
    header is damaged."""
    library = Library()
    return [_term(library, entry) for entry in entries]


def notice(ignored: Iterable[tuple[str, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    """Returns the notice on the node, also logged, about what is not understood after each name."""
    notices = (f"{name}: ignored {', '.join(words)}" for name, words in ignored if words)
    lines = tuple(shortened(line, LONGEST_LINE_CHARS) for line in notices)
    for line in lines:
        log.warning("%s", line)
    return {"text": lines} if lines else {}


def _validation_errors(read: Read) -> str:
    try:
        library = Library()
        wrong = (error for asked in read() if (error := _wrong(library, asked)))
        first = list(islice(wrong, SHOWN_ERRORS + 1))
    except LoraError as error:
        return str(error)
    more = ["…"] if len(first) > SHOWN_ERRORS else []
    return "\n".join([*first[:SHOWN_ERRORS], *more])


def _wrong(library: Library, asked: Asked) -> str | None:
    try:
        library.find(asked)
    except LoraError as error:
        return str(error)
    return None


def _fingerprint(library: Library, asked: Asked, more: More) -> object:
    try:
        file = library.find(asked)
    except LoraError as error:
        return str(error)
    state = [file.path, file.mtime_ns, file.size, file.inode, file.config_mtime_ns]
    return [*state, more(file)] if more else state


def _term(library: Library, entry: Entry) -> Term:
    asked, model, clip = entry
    file, warnings = library.find_with_warnings(asked)
    try:
        shared_cache.check(file)
    except LoraError as error:
        raise error.in_row(asked.row) from error
    return Term.given(file, model, clip, warnings)
