"""What a LoRA's header and the notes next to it say, without reading its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Final

from ..algebra import FileId
from ..errors import LoraFileError
from ..families import KEYS
from ..formats import FileConfig, FileKey
from ..naming import part_of
from ..reading import (
    Head,
    LoraFile,
    base_by_names,
    base_of_file,
    check_beginning,
    check_size,
    dialects_of,
    outline_of,
    read_head,
    trainer_of,
)
from ..text import shortened
from .sidecars import Civitai, Recommended, Sidecars, read_sidecars
from .triggers import Trigger, stated_words, triggers_of

LARGEST_SHOWN_HEADER_BYTES: Final = 64 * 2**20
"""The largest header that is shown: four times that of a LoRA which can be applied."""

MOST_WORDS: Final = 4_000_000
"""How many quotes, commas or brackets of a kind a header may have: this limits the memory for
reading it."""

MOST_TENSORS: Final = 100_000

MOST_NOTES: Final = 60
LONGEST_NOTE_CHARS: Final = 200
LONGEST_KEY_CHARS: Final = 100
LONGEST_NAME_CHARS: Final = 60
LONGEST_TEXT_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a file; all texts are printable and limited in length.

    Attributes:
        size: Its size in bytes.
        modified: Time of its last change, in milliseconds since 1970.
        hash: The hash of its content, if it was asked for.
        base: The base model it was made for.
        families: The families of its adapters.
        ranks: Lowest and highest rank; None without low-rank pairs.
        trainer: The program that trained it, if its metadata says so.
        dialects: Whose names it uses for layers.
        model_layers: How many layers it has for the denoiser.
        clip_layers: How many layers it has for the text encoders.
        triggers: Words that may make the model draw what was trained.
        stated_triggers: The words that a prompt should have if nobody has chosen any.
        title: The title in its metadata.
        author: The author in its metadata.
        description: The description in its metadata, or else in the notes next to it.
        notes: The user's own notes next to it.
        recommended: The strength to use it with, according to the notes next to it.
        civitai: Its page at Civitai, according to the notes next to it.
        metadata: Its metadata, at most 60 entries.
        error: Why it cannot be applied, or None.
    """

    size: int
    modified: int
    hash: str | None = None
    base: str | None = None
    families: tuple[str, ...] = ()
    ranks: tuple[int, int] | None = None
    trainer: str | None = None
    dialects: tuple[str, ...] = ()
    model_layers: int = 0
    clip_layers: int = 0
    triggers: tuple[Trigger, ...] = ()
    stated_triggers: tuple[str, ...] = ()
    title: str | None = None
    author: str | None = None
    description: str | None = None
    notes: str | None = None
    recommended: Recommended | None = None
    civitai: Civitai | None = None
    metadata: Mapping[str, str] | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Returns the same as plain values, ready for JSON; the caller adds ``error``."""
        return {
            "size": self.size,
            "modified": self.modified,
            "hash": self.hash,
            "base": self.base,
            "families": self.families,
            "ranks": self.ranks,
            "trainer": self.trainer,
            "dialects": self.dialects,
            "model_layers": self.model_layers,
            "clip_layers": self.clip_layers,
            "triggers": tuple(map(_plain_trigger, self.triggers)),
            "stated_triggers": self.stated_triggers,
            "title": self.title,
            "author": self.author,
            "description": self.description,
            "notes": self.notes,
            "recommended": self.recommended and _plain_recommended(self.recommended),
            "civitai": self.civitai and str(self.civitai),
            "metadata": None if self.metadata is None else dict(self.metadata),
        }


def _plain_trigger(trigger: Trigger) -> dict[str, object]:
    return {"word": trigger.word, "count": trigger.count, "source": trigger.source}


def _plain_recommended(recommended: Recommended) -> dict[str, object]:
    return {
        "strength": recommended.strength,
        "least": recommended.least,
        "most": recommended.most,
    }


def facts_of(file: FileId) -> Facts:
    """Returns what the header of ``file`` and the notes next to it say; for a damaged file, also
    what is wrong."""
    return facts_by(file, shown_head(file), read_sidecars(file.path))


def facts_by(file: FileId, head: Head | LoraFileError, sidecars: Sidecars) -> Facts:
    """Returns what a header that was read, or why it could not be, and the notes next to it say."""
    if isinstance(head, LoraFileError):
        return _noted(file, {}, sidecars, _refusal(file, head))
    facts = _noted(file, head.metadata, sidecars, _too_large(file, head))
    try:
        return _by_layers(facts, _outline(file, head))
    except LoraFileError as error:
        facts = replace(facts, error=facts.error or _refusal(file, error))
        return _by_names(facts, head)


def stated_triggers(file: FileId) -> tuple[str, ...]:
    """Returns the trigger words that ``file`` or the notes next to it state; () for a damaged file."""
    sidecars = read_sidecars(file.path)
    try:
        return stated_words(read_head(file).metadata, sidecars.words)
    except LoraFileError:
        return stated_words({}, sidecars.words)


def shown_head(file: FileId) -> Head | LoraFileError:
    """Reads a header that is small enough to be shown; returns what is wrong with any other."""
    try:
        return read_head(file, LARGEST_SHOWN_HEADER_BYTES, MOST_WORDS)
    except LoraFileError as error:
        return error


def _outline(file: FileId, head: Head) -> LoraFile:
    if len(head.tensors) > MOST_TENSORS:
        raise LoraFileError(
            f"has {len(head.tensors)} tensors, too many to look at.",
            expected=f"at most {MOST_TENSORS} tensors",
            found=str(len(head.tensors)),
        )
    return outline_of(file, head)


def _too_large(file: FileId, head: Head) -> str | None:
    """Says why a file that can be shown cannot be applied; None if it can."""
    try:
        check_beginning(head.beginning, file.size)
        check_size(file.size)
    except LoraFileError as error:
        return _refusal(file, error)
    return None


def _refusal(file: FileId, error: LoraFileError) -> str:
    return shortened(str(error.in_file(file.name)), LONGEST_TEXT_CHARS)


def _noted(
    file: FileId, metadata: Mapping[str, str], sidecars: Sidecars, error: str | None
) -> Facts:
    """Returns what the notes in the file and next to it say."""
    description = metadata.get("modelspec.description") or sidecars.description
    return Facts(
        size=file.size,
        modified=file.mtime_ns // 1_000_000,
        base=_text(sidecars.base, LONGEST_NAME_CHARS),
        triggers=triggers_of(metadata, sidecars.words),
        stated_triggers=stated_words(metadata, sidecars.words),
        title=_text(metadata.get("modelspec.title"), LONGEST_NOTE_CHARS),
        author=_text(metadata.get("modelspec.author"), LONGEST_NOTE_CHARS),
        description=_text(description, LONGEST_TEXT_CHARS),
        notes=_text(sidecars.notes, LONGEST_TEXT_CHARS),
        recommended=sidecars.recommended or None,
        civitai=sidecars.civitai,
        metadata=_most_telling(metadata),
        error=error,
    )


def _text(text: str | None, most: int) -> str | None:
    return shortened(text, most) if text else None


def _most_telling(metadata: Mapping[str, str]) -> dict[str, str]:
    """Picks few enough entries to be shown: what people write comes before a trainer's settings."""
    kinds = ("modelspec.", "", "ss_")
    keys = nsmallest(
        MOST_NOTES,
        metadata,
        key=lambda key: (max(n for n, kind in enumerate(kinds) if key.startswith(kind)), key),
    )
    return {
        shortened(key, LONGEST_KEY_CHARS): shortened(metadata[key], LONGEST_NOTE_CHARS)
        for key in keys
    }


def _by_layers(facts: Facts, lora: LoraFile) -> Facts:
    """Adds what the outlines of a valid file show."""
    modules = lora.modules.values()
    ranks = [d.rank for module in modules for d in module.deltas if d.rank is not None]
    return replace(
        _counted(facts, lora.modules),
        base=base_of_file(lora) or facts.base,
        families=tuple(sorted({family for module in modules for family in module.families})),
        ranks=(min(ranks), max(ranks)) if ranks else None,
        trainer=_text(trainer_of(lora.metadata, lora.notes), LONGEST_NAME_CHARS),
    )


def _by_names(facts: Facts, head: Head) -> Facts:
    """Adds what names alone show, for a file whose layers cannot be read."""
    names, _ = KEYS.group(map(FileKey, head.tensors))
    return replace(
        _counted(facts, names),
        base=base_by_names(head.metadata, names) or facts.base,
        trainer=_text(trainer_of(head.metadata, FileConfig()), LONGEST_NAME_CHARS),
    )


def _counted(facts: Facts, names: Iterable[str]) -> Facts:
    names = list(names)
    parts = Counter(map(part_of, names))
    return replace(
        facts,
        dialects=dialects_of(names),
        model_layers=parts["model"],
        clip_layers=parts["clip"],
    )
