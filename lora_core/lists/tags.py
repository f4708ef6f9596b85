"""LoRAs as tags in a prompt, <lora:name:0.8>, in the grammars of A1111, SwarmUI and ComfyUI's packs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from ..algebra import NUMBER, FileId, Term, typed_strength
from ..errors import LoraError, LoraInputError
from ..library import folded
from ..short_names import base_name, without_suffix
from ..strict_json import MOST_CHARS
from ..text import printable
from .block_presets import block_lines, elements

Order: TypeAlias = Literal["model first", "text encoder first"]

ORDERS: Final[tuple[Order, ...]] = ("model first", "text encoder first")
"""The order of two numbers: in SwarmUI and ComfyUI's packs the model is first, in A1111 the text
encoder."""

MOST_TAGS: Final = 500
OPENING: Final = re.compile(r"<\s*(?:lora|lyco)\s*:", re.IGNORECASE)
TAG: Final = re.compile(OPENING.pattern + r"([^<>]*)>", re.IGNORECASE)
QUOTED: Final = re.compile(r'\s*"([^"]*)"\s*(?::(.*))?', re.DOTALL)
UNSAYABLE: Final = re.compile(r'[<>"\n]')
NO_ALIAS: Final = re.compile(r'[:,"]')
NAMED: Final = ("unet", "te")
BLOCKS: Final = ("in", "mid", "out")
"""SD.Next's names for the blocks of a UNet."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of a text.

    Attributes:
        name: The file as the tag calls it.
        model: The strength for the denoiser.
        clip: The strength for the text encoders.
        ignored: What else is in the tag and is not understood.
        blocks: Its block weights, as lines; empty if it has none.
    """

    name: str
    model: Fraction
    clip: Fraction
    ignored: tuple[str, ...] = ()
    blocks: str = ""


def read_tags(text: str, order: Order = "model first") -> tuple[tuple[Tag, ...], str]:
    """Returns the tags in ``text``, and the text without them; ``order`` is the order of two
    numbers.

    Raises:
        LoraInputError: A tag has no name, no end, or an invalid strength.
    """
    if len(text) > MOST_CHARS:
        raise _refused("the text", f"at most {MOST_CHARS} characters", f"{len(text)} characters")
    bodies: list[str] = TAG.findall(text)
    rest = TAG.sub("", text)
    unclosed = OPENING.search(rest)
    if unclosed:
        raise _refused("a tag", "> at its end", rest[unclosed.start() :][:40])
    if len(bodies) > MOST_TAGS:
        raise _refused("the text", f"at most {MOST_TAGS} tags", f"{len(bodies)} tags")
    return tuple(_tag(body, order) for body in bodies), rest


def written_tags(terms: Iterable[Term], listed: Iterable[str], order: Order = "model first") -> str:
    """Writes the tags of terms that do not vary, in their order; each means one of the ``listed``
    files."""
    terms = tuple(terms)
    called = tag_names((term.file.name for term in terms), listed)
    return " ".join(_written(called[term.file.name], term, order) for term in terms)


def tag_names(files: Iterable[str], listed: Iterable[str]) -> dict[str, str]:
    """Returns what each of ``files`` is called in tags, so that it is found among the ``listed``
    ones.

    The suffix is left out, and so is the folder if the name is clear without it.
    """
    files = set(files)
    uses = Counter(way for name in files.union(listed) for way in set(map(folded, _ways(name))))
    return {name: _sayable(_shortest(name, uses)) for name in files}


def check_readable(term: Term) -> None:
    """Refuses strengths beyond those that tags can be read with."""
    try:
        typed_strength(float(term.strength_model))
        typed_strength(float(term.strength_clip))
    except LoraInputError as error:
        raise error.in_file(term.file.name) from None


def hashes_line(
    terms: Iterable[Term], listed: Iterable[str], hash_of: Callable[[FileId], str]
) -> str:
    """Writes the line that A1111 adds below a prompt, and Civitai reads: the beginning of each
    content hash."""
    terms = tuple(terms)
    called = tag_names((term.file.name for term in terms), listed)
    entries = [
        f"{NO_ALIAS.sub('', called[term.file.name])}: {hash_of(term.file)[:12]}" for term in terms
    ]
    return f'Lora hashes: "{", ".join(entries)}"' if entries else ""


def _tag(body: str, order: Order) -> Tag:
    name, arguments = _divided(body)
    try:
        model, clip, ignored = _strengths(arguments, order)
    except LoraError as error:
        raise LoraInputError(
            f"<lora:{body[:80]}>: {error.message}",
            key=error.key,
            expected=error.expected,
            found=error.found,
        ) from error
    blocks, unread = _blocks(ignored)
    return Tag(name, model, clip, unread, blocks)


def _divided(body: str) -> tuple[str, list[str]]:
    """Splits a tag into its name and the arguments after it, between colons."""
    if body.lstrip().startswith('"'):
        quoted = QUOTED.fullmatch(body)
        if quoted is None:
            raise _refused(f"<lora:{body[:80]}>", "a name in double quotes", body[:40])
        name, rest = quoted[1], quoted[2]
    else:
        name, _, rest = body.partition(":")
        name = name.strip()
    if not name:
        raise _refused(f"<lora:{body[:80]}>", "the name of a LoRA", "none")
    return name, [argument.strip() for argument in (rest or "").split(":")]


def _strengths(arguments: Iterable[str], order: Order) -> tuple[Fraction, Fraction, list[str]]:
    """Returns the strengths for model and text encoders, and what is not understood."""
    placed, named, ignored = _understood(arguments)
    if named:
        order = "text encoder first"  # named strengths are A1111's form, and so is the rest
    first, second = NAMED if order == "model first" else NAMED[::-1]
    one = typed_strength(named.get(first) or placed[0] or 1)
    two = typed_strength(text) if (text := named.get(second) or placed[1]) else one
    return (one, two, ignored) if order == "model first" else (two, one, ignored)


def _understood(arguments: Iterable[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Returns two strengths by place and some by name, empty if missing; and everything else."""
    placed: list[str] = []
    named: dict[str, str] = {}
    ignored: list[str] = []
    for argument in arguments:
        key, equals, value = (part.strip() for part in argument.partition("="))
        if equals and key.lower() in NAMED:
            named[key.lower()] = value
        elif equals or len(placed) > 1:
            ignored += [argument] if argument else []
        elif placed and argument and not NUMBER.fullmatch(argument):
            ignored.append(argument)  # for example the name of block weights
            placed.append("")
        else:
            placed.append(argument)
    return [*placed, "", ""][:2], named, ignored


def _blocks(arguments: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Returns the block weights among arguments, as lines, and what is something else.

    ``lbwe=`` counts after ``lbw=``, as in hako-mikan's LoRA Block Weight. Names that nobody knows
    are not understood, since everybody can make their own there.
    """
    lines: list[str] = []
    later: list[str] = []
    unread: list[str] = []
    for argument in arguments:
        key, equals, value = (part.strip() for part in argument.partition("="))
        try:
            if key.lower() == "lbwe":
                later.append(elements(value))
            elif equals and key.lower() in BLOCKS and NUMBER.fullmatch(value):
                lines.append(f"{key.lower()}: {value}")
            elif key.lower() == "lbw" or not equals:
                lines.append(block_lines(value if equals else key))
            else:
                unread.append(argument)
        except LoraError:
            unread.append(argument)
    return "\n".join(filter(None, (*lines, *later))), tuple(unread)


def _written(name: str, term: Term, order: Order) -> str:
    numbers = [_decimal(term.strength_model), _decimal(term.strength_clip)]
    if term.strength_model == term.strength_clip:
        numbers = numbers[:1]
    elif order != "model first":
        numbers = numbers[::-1]
    return f"<lora:{':'.join([name, *numbers])}>"


def _decimal(strength: Fraction) -> str:
    """Writes a number without an exponent, which not every reader of tags knows."""
    text = format(Decimal(repr(float(strength))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _ways(name: str) -> tuple[str, str]:
    """Returns the ways to find a file without its suffix: by its base name, and by its path."""
    return without_suffix(base_name(name)), without_suffix(name)


def _shortest(name: str, uses: Counter[str]) -> str:
    """Returns the shortest way that finds only this file and has no second suffix that would be
    dropped."""
    sure = (way for way in _ways(name) if uses[folded(way)] == 1 and without_suffix(way) == way)
    return next(sure, name)


def _sayable(name: str) -> str:
    """Returns ``name`` without what would end a tag; such characters are replaced."""
    shown = UNSAYABLE.sub("\N{REPLACEMENT CHARACTER}", printable(name.replace("\\", "/")))
    return f'"{shown}"' if ":" in shown or shown != shown.strip() else shown


def _refused(what: str, expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f"{what} needs {expected}; found {found}.", key="text", expected=expected, found=found
    )
