"""Which block of an architecture a name in a LoRA file means, without a model."""

from __future__ import annotations

import re
from typing import Final

from .architecture import BlockList
from .architectures import architecture_named, blocks_named
from .blocks import kinds_of_words
from .prefixes import PREFIXES
from .targets import part_of

LARGEST_NUMBER: Final = 199
"""The largest number of a block that is believed; a file can write any."""

_PREFIXES: Final = tuple(
    prefix.text for prefix in PREFIXES if prefix.role in ("denoiser", "whichever")
)


class BlockNames:
    """The blocks of one architecture, by the names of layers in files.

    Attributes:
        lists: Its lists of blocks; none if it is not known.
    """

    def __init__(self, base: str | None) -> None:
        self.lists = blocks_named(base)
        self._starts = [
            (re.compile(_underscored(start) + end), own, number)
            for own in self.lists
            for start, number, end in _starts(own)
        ]
        self._traits = [
            (re.compile(trait.pattern.pattern.replace(r"\.", "_")), trait.names)
            for trait in architecture_named(base).traits
        ]

    def find(self, name: str) -> tuple[str, int] | None:
        """Returns the list and the number of the block that a file's module name means, or None if
        it means none."""
        return found[:2] if (found := self._place(name)) else None

    def kinds(self, name: str) -> frozenset[str]:
        """Returns the kinds of the layer that a file's module name means, as far as the words in it
        tell; none outside of blocks."""
        place = self._place(name)
        return kinds_of_words(place[2], self._said(place[3])) if place else frozenset()

    def spelled(self, name: str) -> tuple[str, str] | None:
        """Returns the list that a file's module name means, and the first word of its path: "in" and
        "down_blocks"; None if it means none."""
        place = self._place(name)
        if place is None:
            return None
        word = re.match(r"[^\d]*", place[3])
        first = (word[0] if word else "").strip("_")
        return place[0], first.removesuffix("_attentions").removesuffix("_resnets")

    def _said(self, path: str) -> tuple[str, ...]:
        return next((names for pattern, names in self._traits if pattern.search(path)), ())

    def _place(self, name: str) -> tuple[str, int, str, str] | None:
        """Returns list, number, the path inside of the block, and the whole path."""
        if part_of(name) != "model":
            return None
        paths = (name[len(prefix) :] for prefix in _PREFIXES if name.startswith(prefix))
        places = (self._in_block(_underscored(path)) for path in paths)
        return next((place for place in places if place), None)

    def _in_block(self, path: str) -> tuple[str, int, str, str] | None:
        for pattern, own, fixed in self._starts:
            found = pattern.match(f"{path}_")
            if found:
                number = int(found[1]) if fixed is None else fixed
                inner = path[found.end() :].lstrip("_")
                return (own.name, number, inner, path) if number <= LARGEST_NUMBER else None
        return None


def _underscored(path: str) -> str:
    """Writes a path as kohya does, who has no other sign between words: all spellings are compared
    like that."""
    return path.replace(".", "_")


def _starts(own: BlockList) -> list[tuple[str, int | None, str]]:
    """Returns how names in a list's blocks begin, the number if it is not in the name, and the
    pattern of what follows."""
    fixed = [(start, number, "") for start, number in own.places.items()]
    return [*fixed, *((start, None, r"(\d{1,3})_") for start in own.paths)]
