"""What can be told of a LoRA without reading its numbers: from its header and the notes beside it."""

from __future__ import annotations

from typing import Final

from .errors import LoraFileError
from .header import read_head
from .recipe import FileId
from .sidecars import read_sidecars
from .triggers import stated_words

LARGEST_SHOWN_HEADER: Final = 100_000_000


def stated_triggers(file: FileId) -> tuple[str, ...]:
    """The trigger words that ``file`` or the notes beside it state; () of a damaged file."""
    beside = read_sidecars(file.path)
    try:
        return stated_words(read_head(file, LARGEST_SHOWN_HEADER).metadata, beside.words)
    except LoraFileError:
        return stated_words({}, beside.words)
