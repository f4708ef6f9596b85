"""What is known of a file at a glance: what a list of thousands of files can be filtered by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ..algebra import FileId
from ..errors import LoraFileError
from ..naming import Shape, denoiser_architecture
from ..reading import Head, MadeFor, made_for, read_head
from ..text import printable, shortened
from .facts import LARGEST_SHOWN_HEADER_BYTES, LONGEST_NAME_CHARS, MOST_WORDS, shown_head
from .sidecars import Sidecars, read_sidecars

MOST_TAGS: Final = 20
LONGEST_TAG_CHARS: Final = 40
"""The longest tag; a longer one is a sentence."""

COVER: Final = "ssmd_cover_images"
"""Where some programs keep pictures in a file's own metadata."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a file's header and the notes next to it say in a word.

    Attributes:
        architectures: The architectures that it can be for, by its header; none if that shows
            nothing.
        base: The base model, in the words of the notes next to it, or else of the file.
        tags: What it is about, according to the notes next to it and its own.
        has_cover: Whether it holds a picture of its own.
    """

    architectures: tuple[str, ...] = ()
    base: str | None = None
    tags: tuple[str, ...] = ()
    has_cover: bool = False


def glance_of(file: FileId) -> Glance:
    """Returns what is known of ``file`` at a glance; of a damaged one, what is noted next to it."""
    return glance_by(file, shown_head(file), read_sidecars(file.path))


def glance_by(file: FileId, head: Head | LoraFileError, sidecars: Sidecars) -> Glance:
    """Returns what a header that was read, or why it could not be, and the notes next to it show."""
    if isinstance(head, Head):
        with suppress(LoraFileError):
            return _glance(made_for(file, head), head.metadata, sidecars)
    return _glance(MadeFor(None, ()), {}, sidecars)


def model_architecture(file: FileId) -> str | None:
    """Returns the name of the architecture of the model in ``file``, or None if it is not known.

    Raises:
        LoraFileError: The file's header cannot be read.
    """
    tensors = _head(file).tensors
    shapes: dict[str, Shape] = {key: tuple(entry["shape"]) for key, entry in tensors.items()}
    return denoiser_architecture(shapes)


def _head(file: FileId) -> Head:
    return read_head(file, LARGEST_SHOWN_HEADER_BYTES, MOST_WORDS)


def _glance(made: MadeFor, metadata: Mapping[str, str], sidecars: Sidecars) -> Glance:
    base = sidecars.base or made.base
    own = metadata.get("modelspec.tags", "")[: MOST_TAGS * LONGEST_TAG_CHARS].split(",")
    return Glance(
        architectures=made.architectures,
        base=shortened(base, LONGEST_NAME_CHARS) if base else None,
        tags=_tags((*sidecars.tags, *own)),
        has_cover=metadata.get(COVER, "").startswith('["'),
    )


def _tags(texts: Iterable[str]) -> tuple[str, ...]:
    tags: dict[str, str] = {}
    for text in texts:
        tag = printable(" ".join(text[: 2 * LONGEST_TAG_CHARS].split()))
        if 0 < len(tag) <= LONGEST_TAG_CHARS:
            tags.setdefault(tag.casefold(), tag)
    return tuple(tags.values())[:MOST_TAGS]
