"""Finds the words that make a model draw what a LoRA was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..lenient_json import fields, lenient_json, number_of
from ..text import printable

Origin = Literal["modelspec", "sidecar", "tags"]

MOST_TRIGGERS: Final = 60
LONGEST_WORD_CHARS: Final = 200
"""The longest word. A longer one is a caption, and half of one would not be a word of the file."""

LONGEST_TEXT_CHARS: Final = 10_000
"""How many characters of a text are split into words."""

EVERYWHERE: Final = 0.95
"""The share of the training images that a tag must be in to count as a trigger word."""

MOST_STATED_TAGS: Final = 5

Tags = Mapping[str, int]
"""How often each tag occurs."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A word that may make the model draw what was trained.

    Attributes:
        word: The word to put in a prompt.
        count: How many captions it was in, if that is known.
        source: Where it comes from: the file itself, a note next to it, or the captions it was
            trained on.
    """

    word: str
    count: int | None
    source: Origin


def triggers_of(metadata: Mapping[str, str], sidecar_words: Iterable[str]) -> tuple[Trigger, ...]:
    """Returns at most 60 words: the stated ones, then the tags of the captions, most frequent
    first.

    Args:
        metadata: The metadata of the file.
        sidecar_words: Trigger words in the notes next to it.
    """
    counts = _summed(_tags(metadata).values())
    found: dict[str, Trigger] = {}
    for word in _phrase(metadata):
        found.setdefault(word.casefold(), Trigger(word, counts.get(word), "modelspec"))
    for word in _words(sidecar_words):
        found.setdefault(word.casefold(), Trigger(word, counts.get(word), "sidecar"))
    for word, count in counts.most_common(MOST_TRIGGERS):
        found.setdefault(word.casefold(), Trigger(word, count, "tags"))
    return tuple(found.values())[:MOST_TRIGGERS]


def stated_words(metadata: Mapping[str, str], sidecar_words: Iterable[str]) -> tuple[str, ...]:
    """Returns the words that a prompt should have if nobody has chosen any.

    These are the words that the file's ``modelspec.trigger_phrase`` and the notes next to it name;
    else the tags that are in nearly every caption, if the number of images is known; else none.
    """
    words: dict[str, str] = {}
    for word in (*_phrase(metadata), *_words(sidecar_words)):
        words.setdefault(word.casefold(), word)
    return tuple(words.values())[:MOST_TRIGGERS] or _everywhere(metadata)


def _phrase(metadata: Mapping[str, str]) -> list[str]:
    return _words([metadata.get("modelspec.trigger_phrase", "")])


def _words(texts: Iterable[str]) -> list[str]:
    """Returns the words of texts that separate them by commas."""
    parts = (part for text in texts for part in _parts(text))
    return [word for word in map(_word, parts) if word]


def _parts(text: str) -> list[str]:
    parts = text[:LONGEST_TEXT_CHARS].split(",")
    return parts if len(text) <= LONGEST_TEXT_CHARS else parts[:-1]  # the last may be half a word


def _word(text: str) -> str:
    """Returns one word without unprintable characters; "" if it is too long to be one."""
    if len(text) > LONGEST_TEXT_CHARS:
        return ""
    word = printable(" ".join(text.split())).replace("\N{REPLACEMENT CHARACTER}", "").strip()
    return word if len(word) <= LONGEST_WORD_CHARS else ""


def _tags(metadata: Mapping[str, str]) -> dict[str, Tags]:
    """Reads kohya's table: how often each tag is in the captions of each folder of images."""
    folders = fields(lenient_json(metadata.get("ss_tag_frequency", "")))
    return {name: _counts(fields(tags)) for name, tags in folders.items()}


def _counts(tags: Mapping[str, object]) -> Tags:
    counts: Counter[str] = Counter()
    for tag, count in tags.items():
        word, number = _word(tag), number_of(count)
        if word and number is not None and 0 < number < 2**31:
            counts[word] += int(number)
    return counts


def _summed(tables: Iterable[Tags]) -> Counter[str]:
    total: Counter[str] = Counter()
    for table in tables:
        total.update(table)
    return total


def _everywhere(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the most frequent tags, in the order of the captions if they are equally frequent."""
    tables = _tags(metadata)
    images = _images_by_folder(metadata)
    if images:  # a table can also hold folders of images that only show what was not trained
        tables = {name: tags for name, tags in tables.items() if name in images}
    count = sum(images.values()) or _images(metadata)
    if count < 2:  # every tag of a single image is in every image
        return ()
    common = _summed(tables.values()).most_common(MOST_STATED_TAGS)
    return tuple(word for word, number in common if number >= EVERYWHERE * count)


def _images_by_folder(metadata: Mapping[str, str]) -> dict[str, float]:
    folders = fields(lenient_json(metadata.get("ss_dataset_dirs", "")))
    counts = {name: number_of(fields(f).get("img_count")) or 0 for name, f in folders.items()}
    return {name: count for name, count in counts.items() if count > 0}


def _images(metadata: Mapping[str, str]) -> float:
    """Counts all images, each as often as it is repeated: a tag that reaches even that is
    everywhere."""
    return number_of(lenient_json(metadata.get("ss_num_train_images", "")[:20])) or 0
