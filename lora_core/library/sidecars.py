"""Reads notes that other programs keep next to a LoRA, and never writes them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..lenient_json import fields, items, lenient_json, number_of, text_of

LARGEST_SIDECAR_BYTES: Final = 2**20
LARGEST_STRENGTH: Final = 100.0

RANGE: Final = re.compile(
    r"\s*(-?\d{1,3}(?:\.\d{1,9})?)\s*(?:-|–|~|to)\s*(-?\d{1,3}(?:\.\d{1,9})?)\s*"
)
"""LoRA Manager's strength_range, such as "0.6-0.9"."""


LARGEST_ID: Final = 2**53 - 1
"""The largest number that the page can read."""

LONGEST_LINK_CHARS: Final = 200
LINK: Final = re.compile(
    r"https://(?:www\.)?civitai\.com/models/(\d{1,15})(?:/[\w-]*)?(?:\?modelVersionId=(\d{1,15}))?$",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Recommended:
    """The strengths that a file is meant to be used with; None if nothing says so."""

    strength: float | None = None
    least: float | None = None
    most: float | None = None

    def __bool__(self) -> bool:
        return (self.strength, self.least, self.most) != (None, None, None)


@dataclass(frozen=True, slots=True)
class Civitai:
    """Where a file is at Civitai, by the numbers of the model and of its version."""

    model: int
    version: int | None = None

    def __str__(self) -> str:
        """Returns its address, which nobody but the user opens."""
        own = "" if self.version is None else f"?modelVersionId={self.version}"
        return f"https://civitai.com/models/{self.model}{own}"


@dataclass(frozen=True, slots=True)
class Sidecars:
    """What the notes next to a file say.

    Attributes:
        words: Trigger words as written: one entry can have several, separated by commas.
        notes: The user's own notes.
        description: The description of the file.
        base: The base model, in the notes' own words.
        recommended: The strength to use it with.
        civitai: Its page at Civitai.
        tags: What the file is about, in a few words each.
    """

    words: tuple[str, ...] = ()
    notes: str = ""
    description: str = ""
    base: str = ""
    recommended: Recommended = Recommended()
    civitai: Civitai | None = None
    tags: tuple[str, ...] = ()


def read_sidecars(path: str | os.PathLike[str]) -> Sidecars:
    """Reads the notes next to the LoRA at ``path``; what cannot be read is left out.

    Words and tags are collected from all notes; for everything else the first note counts.
    """
    found = [read(_text(where)) for where, read in _readers(Path(path))]
    return Sidecars(
        words=tuple(word for one in found for word in one.words),
        notes=_first(one.notes for one in found),
        description=_first(one.description for one in found),
        base=_first(one.base for one in found),
        recommended=next((one.recommended for one in found if one.recommended), Recommended()),
        civitai=next((one.civitai for one in found if one.civitai), None),
        tags=tuple(tag for one in found for tag in one.tags),
    )


def sidecar_names(name: str) -> tuple[str, ...]:
    """Returns how the notes next to a LoRA of that name are called.

    >>> sidecar_names("ink.safetensors")[1:3]
    ('ink.metadata.json', 'ink.safetensors.rgthree-info.json')
    """
    stem = name.rpartition(".")[0] or name
    return (
        f"{stem}.json",
        f"{stem}.metadata.json",
        f"{name}.rgthree-info.json",
        f"{stem}.civitai.info",
        f"{stem}.txt",
    )


def _readers(path: Path) -> Iterable[tuple[Path, Callable[[str], Sidecars]]]:
    readers = (_a1111, _lora_manager, _rgthree, _civitai_helper, _custom_scripts)
    names = sidecar_names(path.name)
    return zip(map(path.with_name, names), readers, strict=True)


def _is_file(path: Path) -> bool:
    try:
        # links are not followed: in a downloaded archive they could lead to any file
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _text(path: Path) -> str:
    if not _is_file(path):
        return ""
    try:
        with path.open("rb") as source:
            data = source.read(LARGEST_SIDECAR_BYTES + 1)
    except OSError:
        return ""
    return "" if len(data) > LARGEST_SIDECAR_BYTES else data.decode("utf-8-sig", errors="replace")


def _a1111(text: str) -> Sidecars:
    noted = fields(lenient_json(text))
    weight = _strength(noted.get("preferred weight"))
    return Sidecars(
        words=_words([noted.get("activation text")]),
        notes=text_of(noted.get("notes")),
        description=text_of(noted.get("description")),
        base=text_of(noted.get("sd version")).replace("Unknown", ""),
        recommended=Recommended(weight or None),  # its slider is at 0 if nothing is set
    )


def _lora_manager(text: str) -> Sidecars:
    noted = fields(lenient_json(text))
    page = fields(noted.get("civitai"))
    return Sidecars(
        civitai=_page(page),
        words=_words(items(page.get("trainedWords"))),
        notes=text_of(noted.get("notes")),
        base=text_of(noted.get("base_model")).replace("Unknown", ""),
        recommended=_tips(fields(lenient_json(text_of(noted.get("usage_tips"))))),
        tags=(*_tags(noted), *_tags(fields(page.get("model")))),
    )


def _tips(tips: Mapping[str, object]) -> Recommended:
    between = RANGE.fullmatch(text_of(tips.get("strength_range"))[:40])
    least, most = between.groups() if between else (None, None)
    return _recommended(
        tips.get("strength"), tips.get("strength_min", least), tips.get("strength_max", most)
    )


def _rgthree(text: str) -> Sidecars:
    noted = fields(lenient_json(text))
    trained = (fields(entry).get("word") for entry in items(noted.get("trainedWords")))
    return Sidecars(
        words=_words(trained),
        notes=text_of(noted.get("userNote")),
        base=text_of(noted.get("baseModel")),
        recommended=_recommended(None, noted.get("strengthMin"), noted.get("strengthMax")),
        civitai=next(filter(None, map(_linked_page, items(noted.get("links")))), None),
        tags=_tags(noted),
    )


def _civitai_helper(text: str) -> Sidecars:
    noted = fields(lenient_json(text))
    return Sidecars(
        words=_words(items(noted.get("trainedWords"))),
        base=text_of(noted.get("baseModel")),
        civitai=_page(noted),
        tags=(*_tags(noted), *_tags(fields(noted.get("model")))),
    )


def _page(noted: Mapping[str, object]) -> Civitai | None:
    """Reads what Civitai itself says of a version of a model."""
    model, version = _number(noted.get("modelId")), _number(noted.get("id"))
    return None if model is None else Civitai(model, version)


def _linked_page(link: object) -> Civitai | None:
    found = LINK.match(text_of(link)[:LONGEST_LINK_CHARS])
    return found and Civitai(int(found[1]), int(found[2]) if found[2] else None)


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= LARGEST_ID else None


def _custom_scripts(text: str) -> Sidecars:
    return Sidecars(notes=text.strip())


def _recommended(strength: object, least: object, most: object) -> Recommended:
    low, high = _strength(least), _strength(most)
    if low is not None and high is not None and low > high:
        low = high = None
    return Recommended(_strength(strength), low, high)


def _strength(value: object) -> float | None:
    """Reads a number, which some programs write as text."""
    number = number_of(lenient_json(value[:40]) if isinstance(value, str) else value)
    return number if number is not None and abs(number) <= LARGEST_STRENGTH else None


def _tags(noted: Mapping[str, object]) -> tuple[str, ...]:
    """Reads tags, which some programs write as texts and some as objects with a name."""
    values = items(noted.get("tags"))
    return _words(fields(each).get("name", each) for each in values)


def _words(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(text_of(value) for value in values if text_of(value).strip())


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")
