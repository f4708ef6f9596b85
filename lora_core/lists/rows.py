"""Rows of LoRAs with switches and strengths, as the page saves them or a script writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal, TypeAlias, TypeVar, cast

from ..algebra import check_version, read_blocks, typed_strength
from ..errors import LoraError, LoraInputError
from ..library import Asked, folded
from ..strict_json import MOST_CHARS, Json, read_json, refused
from .block_presets import block_lines
from .tags import OPENING, read_tags

VERSION: Final = 1
MOST_ROWS: Final = 500
WHAT: Final = "the list of rows"
LINK: Final = re.compile(r"strength_[1-9][0-9]{0,2}")
"""The name of an input that gives a row its strength; other names are somebody else's."""

HASH: Final = re.compile(r"[0-9a-f]{64}")
ARRAY: Final = "__value__"
"""The key in which the host's page wraps a list, which would otherwise be taken for a link."""

Side: TypeAlias = Literal["high", "low"]
SIDES: Final[tuple[Side, ...]] = ("high", "low")
"""Two models that take turns in one picture, as Wan 2.2 has them: for high noise, and for low noise."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Low:
    """The file of a pair that is for the low-noise model.

    Attributes:
        asked: The file that is meant.
        strength: Its strength; None for that of the row.
    """

    asked: Asked
    strength: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        asked: The file that is meant.
        on: Whether it is switched on.
        solo: Whether only rows with this switch on count.
        model: The strength for the denoiser.
        clip: The strength for the text encoders.
        triggers: The trigger words chosen for it; None to use those that the file states.
        blocks: Its block weights, as lines; empty if it has none.
        low: The file that the low-noise model gets instead; None for the same one.
        only: The only model that gets it; None for both.
        apart: Whether the strength for the text encoders is one of its own.
        link: The input that its strength comes by, if there is one.
    """

    asked: Asked
    on: bool
    solo: bool
    model: Fraction
    clip: Fraction
    triggers: tuple[str, ...] | None = None
    blocks: str = ""
    low: Low | None = None
    only: Side | None = None
    apart: bool = False
    link: str | None = None


def read_rows(value: object) -> tuple[Row, ...]:
    """Reads the rows of an object, JSON text, a list, <lora:…> tags as text, or None.

    Raises:
        LoraInputError: Something is wrong; it says the row, the key, what was expected, and what
            was found.
    """
    if not isinstance(value, str):
        _check_size(value)
    return _read(_Written(repr(value), value))


def active_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Returns the rows that count: switched on, with a file, and solo if any row is."""
    rows = tuple(rows)
    solo = any(row.solo for row in rows)
    return tuple(row for row in rows if row.on and row.asked.name and row.solo >= solo)


def rows_for(side: Side, rows: Iterable[Row]) -> tuple[Row, ...]:
    """Returns the rows that one of the two models gets, with the file and the strength that they
    have for it."""
    return tuple(_seen_from(side, row) for row in rows if row.only in (None, side))


def with_links(rows: Iterable[Row], given: Mapping[str, object]) -> tuple[Row, ...]:
    """Returns the rows with the strengths that come by inputs in place of their own.

    A row keeps its own where nothing comes.

    Raises:
        LoraInputError: What comes is no strength; it says the row and its file.
    """
    return tuple(_linked(row, given) for row in rows)


def _linked(row: Row, given: Mapping[str, object]) -> Row:
    if row.link is None or row.link not in given:
        return row
    try:
        strength = typed_strength(given[row.link], row.link)
    except LoraError as error:
        raise error.in_file(row.asked.name).in_row(row.asked.row) from None
    return replace(row, model=strength, clip=row.clip if row.apart else strength)


def check_links(rows: Iterable[Row], given: Iterable[str]) -> None:
    """Refuses inputs for strengths that no row asks for: a strength would be lost silently."""
    known = {row.link for row in rows}
    for name in given:
        if LINK.fullmatch(name) and name not in known:
            raise LoraInputError(
                f"no row takes its strength from {name}.",
                key=name,
                expected='a row with "link"',
                found="none",
            )


def _seen_from(side: Side, row: Row) -> Row:
    if side == "high" or row.low is None:
        return replace(row, low=None)
    own = row.low.strength
    strengths = (row.model, row.clip) if own is None else (own, own)
    return replace(row, asked=row.low.asked, model=strengths[0], clip=strengths[1], low=None)


@dataclass(frozen=True, slots=True)
class _Written:
    """A value with its written form; two with the same form mean the same rows."""

    written: str
    value: object = field(compare=False)


@lru_cache(maxsize=32)
def _read(written: _Written) -> tuple[Row, ...]:
    """Reads rows.

    The result is cached, since the host asks a node three times per prompt: to check, to compare,
    to run.
    """
    rows = _listed(written.value)
    if len(rows) > MOST_ROWS:
        raise refused(WHAT, "too long", f"at most {MOST_ROWS} rows", f"{len(rows)}")
    return tuple(_row(number, row) for number, row in enumerate(rows, 1))


def _listed(value: object) -> list[Json]:
    """Returns the bare list, whatever it is wrapped in."""
    if value is None:
        return []
    document = cast(Json, value)
    while True:
        if isinstance(document, str):
            is_tags = OPENING.match(document.lstrip())
            document = _of_tags(document) if is_tags else read_json(document, WHAT)
        elif isinstance(document, dict) and document.keys() == {ARRAY}:
            document = document[ARRAY]
        else:
            break
    if isinstance(document, dict):
        check_version(document.get("version", VERSION), VERSION, WHAT)
        document = document.get("rows")
    if not isinstance(document, list):
        found = "nothing" if document is None else type(document).__name__
        raise refused(WHAT, "not in the right format", 'an object with "rows"', found)
    return document


def _of_tags(text: str) -> list[Json]:
    """Returns the rows that tags mean; what else is in the text would be lost, so it is refused."""
    tags, rest = read_tags(text)
    unread = [rest.strip(), *(part for tag in tags for part in tag.ignored)]
    if any(unread):
        found = next(filter(None, unread))
        raise refused(WHAT, "not only tags", "<lora:name:strength> tags", found[:60])
    return [
        {
            "name": tag.name,
            "strength": float(tag.model),
            "strength_clip": float(tag.clip),
            "blocks": tag.blocks,
        }
        for tag in tags
    ]


def _check_size(value: object) -> None:
    try:
        size = len(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise refused(WHAT, "unreadable", "JSON", str(error)) from error
    if size > MOST_CHARS:
        raise refused(WHAT, "too long", f"at most {MOST_CHARS} characters", f"{size}")


def _row(number: int, row: Json) -> Row:
    try:
        if not isinstance(row, dict):
            raise _wrong(None, "an object", row)
        model = typed_strength(row.get("strength", 1))
        clip = row.get("strength_clip")
        return Row(
            _asked(number, row),
            _switch("on", row.get("on", True)),
            _switch("solo", row.get("solo", False)),
            model,
            model if clip is None else typed_strength(clip, "strength_clip"),
            _words(row.get("triggers")),
            _blocks(row.get("blocks")),
            _low(number, row.get("low")),
            _only(row.get("only")),
            clip is not None,
            _link(row.get("link")),
        )
    except LoraError as error:
        raise error.in_row(number) from None


def _asked(number: int, row: dict[str, Json], key: str = "") -> Asked:
    """Returns the file that a row asks for, or a part of a row whose keys begin with ``key``.

    Hash and size only count for the name that they were noted for; older rows don't say which.
    """
    name, hash_, size = (
        _text(f"{key}name", row.get("name")),
        _hash(f"{key}hash", row.get("hash")),
        _size(f"{key}size", row.get("size")),
    )
    noted = row.get("noted")
    if noted is not None and folded(_text(f"{key}noted", noted)) != folded(name):
        return Asked(name, row=number)
    return Asked(name, hash_, size, number)


def _low(number: int, low: Json) -> Low | None:
    if low is None:
        return None
    if not isinstance(low, dict):
        raise _wrong("low", "an object with a name", low)
    asked, strength = _asked(number, low, "low."), low.get("strength")
    if not asked.name:
        raise _wrong("low.name", "the name of a file", asked.name)
    return Low(asked, None if strength is None else typed_strength(strength, "low.strength"))


def _only(value: Json) -> Side | None:
    side: Side | None = next((side for side in SIDES if side == value), None)
    if side is None and value is not None:
        raise _wrong("only", " or ".join(f'"{side}"' for side in SIDES), value)
    return side


def _link(value: Json) -> str | None:
    if value is not None and not (isinstance(value, str) and LINK.fullmatch(value)):
        raise _wrong("link", "the name of an input, strength_1 to strength_999", value)
    return value


def _text(key: str, value: Json) -> str:
    if not isinstance(value, str):
        raise _wrong(key, "text", value)
    return value


def _switch(key: str, value: Json) -> bool:
    words = {"true": True, "false": False}
    if isinstance(value, str):
        value = words.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise _wrong(key, "true or false", value)
    return value


def _hash(key: str, value: Json) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not HASH.fullmatch(value.lower()):
        raise _wrong(key, "64 hex digits", value)
    return value.lower()


def _size(key: str, value: Json) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong(key, "a number of bytes", value)
    return value


def _words(value: Json) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise _wrong("triggers", "a list of words", value)
    for word in value:
        if not isinstance(word, str):
            raise _wrong("triggers", "a list of words", word)
    return tuple(cast("list[str]", value))


def _blocks(value: Json) -> str:
    """Returns the lines of block weights, of which only a model can say whether it has the names."""
    if value is None:
        return ""
    lines = block_lines(_text("blocks", value))
    read_blocks(lines)  # refuses what cannot be read
    return lines


def _wrong(key: str | None, expected: str, value: Json) -> LoraInputError:
    found = "nothing" if value is None else f"{type(value).__name__} {value!r}"[:60]
    return LoraInputError(
        f"{key or 'a row'} must be {expected}, not {found}.",
        key=key,
        expected=expected,
        found=found,
    )
