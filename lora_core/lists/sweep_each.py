"""What a sweep goes through besides strengths: files, single LoRAs of a stack, and seeds.

epochs/ink-*.safetensors         all files of this pattern; ink-2 comes before ink-10
styles/                          all files in a folder, and in the folders in it
ink, night/ink.safetensors       a file, called as in any workflow
1..4, 10, 100..200 x 3           the seeds 1, 2, 3, 4, 10, 100, 150, 200
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

from ..algebra import Recipe
from ..errors import LoraError, LoraInputError
from ..library import Asked, Found, folded
from ..short_names import SUFFIX
from ..text import shortened

Pick: TypeAlias = Literal["all", "in turn", "random"]

PICKS: Final[tuple[Pick, ...]] = ("all", "in turn", "random")
"""Which combinations one run makes: every one, or one that a number says."""

LARGEST_SEED: Final = 2**64 - 1
MOST_SEEDS: Final = 4096
LONGEST_SHOWN: Final = 80

_WILD: Final = re.compile(r"[*?]")
_DIGITS: Final = re.compile(r"(\d+)", re.ASCII)
_SEEDS: Final = re.compile(
    r"(\d{1,20})(?:\s*\.\.\s*(\d{1,20})(?:\s*[x×*]\s*(\d{1,4}))?)?", re.ASCII
)


def named_files(
    text: str, names: Sequence[str], resolve: Callable[[Asked], Found]
) -> tuple[Asked, ...]:
    """Returns the files that the lines of ``text`` mean, each once.

    They are in the order of the lines; those of a folder or a pattern as people count.

    Args:
        text: A file, a folder that ends with ``/``, or a pattern with ``*`` or ``?`` on each line.
        names: The listed names.
        resolve: Finds the listed name of a single file.

    Raises:
        LoraInputError: A line means no file; it says which.
    """
    found: dict[str, Asked] = {}
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line:
            found |= _of_line(number, line, names, resolve)
    return tuple(found.values())


def each_alone(lora: Recipe) -> tuple[Recipe, ...]:
    """Returns every LoRA of a stack by itself, by its name."""
    terms = sorted(lora.terms, key=lambda term: natural(term.file.name))
    return tuple(Recipe((term,)) for term in terms)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Reads seeds written as ``text``; none from a text without any.

    >>> parse_seeds("1..3, 7; 0..100 x 3")
    (1, 2, 3, 7, 0, 50, 100)

    Raises:
        LoraInputError: Something is no seed, or there are too many.
    """
    seeds: list[int] = []
    for part in filter(None, map(str.strip, re.split(r"[,;\n]", text))):
        seeds += _seeds_of(part)
        if len(seeds) > MOST_SEEDS:
            raise _no_seeds(f"more than {MOST_SEEDS} seeds", f"at most {MOST_SEEDS}")
    return tuple(seeds)


def check_pick(pick: str) -> None:
    """Refuses a ``pick`` that is none (LoraInputError)."""
    if pick not in PICKS:
        expected = ", ".join(PICKS)
        raise LoraInputError(
            f"pick: found {pick[:30]!r}; expected one of {expected}.",
            key="pick",
            expected=expected,
            found=pick,
        )


def picked(pick: Pick, number: int, values: int, loras: int) -> tuple[int, int]:
    """Returns which of so many LoRAs a number means, and which combination of that one.

    In turn, it is counted from 0, through all values, then through all LoRAs, then through the
    rest. At random, the same number is the same item, today and on another computer.
    """
    if pick == "random":
        number = int.from_bytes(hashlib.sha256(str(number).encode()).digest(), "big")
    above, value = divmod(number, values)
    rest, lora = divmod(above, loras)
    return lora, value + values * rest


def natural(name: str) -> list[tuple[int, str]]:
    """Returns a key that sorts names as people count: epoch 2 before epoch 10.

    >>> sorted(["b", "a10", "a2"], key=natural)
    ['a2', 'a10', 'b']
    """
    parts = _DIGITS.split(folded(name).removesuffix(SUFFIX))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _of_line(
    number: int, line: str, names: Sequence[str], resolve: Callable[[Asked], Found]
) -> dict[str, Asked]:
    """Returns what a line asks for, by the listed names."""
    asked = folded(line)
    if asked.endswith("/"):
        inside = [name for name in names if folded(name).startswith(asked)]
        return _some(number, line, inside, "no file in the folder")
    if _WILD.search(asked) and line not in names:
        return _some(number, line, _alike(asked, names), "no file like")
    try:
        return {resolve(Asked(line)).name: Asked(line)}
    except LoraError as error:
        raise _no_files(number, error.message, error.expected, error.found) from error


def _alike(pattern: str, names: Sequence[str]) -> list[str]:
    """Returns the names that a pattern means; one without a folder means files in any, as a bare name
    does."""
    parts = pattern.replace("[", "[[]").split("/")
    ends = parts[-1], parts[-1] + SUFFIX

    def is_meant(name: str) -> bool:
        own = folded(name).split("/")
        folders = own[:-1] if len(parts) > 1 else []
        return (
            len(folders) == len(parts) - 1
            and all(map(fnmatchcase, folders, parts))
            and any(fnmatchcase(own[-1], end) for end in ends)
        )

    return [name for name in names if is_meant(name)]


def _some(number: int, line: str, found: Sequence[str], nothing: str) -> dict[str, Asked]:
    if not found:
        shown = shortened(line, LONGEST_SHOWN)
        reason = f'there is {nothing} "{shown}" in the loras folder.'
        raise _no_files(number, reason, "a file, folder or pattern", line)
    return {name: Asked(name) for name in sorted(found, key=natural)}


def _no_files(number: int, reason: str, expected: str | None, found: str | None) -> LoraInputError:
    return LoraInputError(
        f"files, line {number}: {reason}", key="files", expected=expected, found=found
    )


def _seeds_of(part: str) -> Sequence[int]:
    read = _SEEDS.fullmatch(part)
    if read is None:
        raise _no_seeds(repr(part[:30]), 'whole numbers, or ranges like "1..4"')
    first, last = int(read[1]), int(read[2] or read[1])
    if max(first, last) > LARGEST_SEED:
        raise _no_seeds(part[:60], f"seeds of at most {LARGEST_SEED}")
    distance = abs(last - first)
    count = int(read[3]) if read[3] else distance + 1
    if count > MOST_SEEDS:
        raise _no_seeds(f"{count} seeds", f"at most {MOST_SEEDS}")
    if read[3] and (count < 2 or distance % (count - 1)):
        raise _no_seeds(repr(part[:60]), "a range that divides into whole numbers")
    step = distance // (count - 1) if count > 1 else 0
    return [first + (step if last > first else -step) * place for place in range(count)]


def _no_seeds(found: str, expected: str) -> LoraInputError:
    return LoraInputError(
        f"seeds: found {found}; expected {expected}.", key="seeds", expected=expected, found=found
    )
