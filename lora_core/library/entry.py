"""All that is known of a file without its numbers, from one look at it."""

from __future__ import annotations

from dataclasses import dataclass

from ..algebra import FileId
from ..errors import LoraFileError
from ..reading import Head
from .facts import Facts, facts_by, shown_head
from .glance import Glance, glance_by
from .sidecars import read_sidecars


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list of files can say of one of them.

    Attributes:
        facts: What ``facts_of`` returns.
        glance: What ``glance_of`` returns.
        head: Its header; None if that is damaged.
    """

    facts: Facts
    glance: Glance
    head: Head | None


def entry_of(file: FileId) -> Entry:
    """Reads the header of ``file``, and the notes next to it, once."""
    head, sidecars = shown_head(file), read_sidecars(file.path)
    return Entry(
        facts_by(file, head, sidecars),
        glance_by(file, head, sidecars),
        None if isinstance(head, LoraFileError) else head,
    )
