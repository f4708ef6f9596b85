"""Block weights to try one after the other: each line of a text is one of them.

only double 0-18          one for each of these blocks, with nothing but this block
without single 7          everything but this block
MIDD                      a preset, or a list of numbers
late: 0; cross attn: 0.5  lines of block weights
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..algebra import read_blocks
from ..errors import LoraInputError
from ..text import shortened
from .block_presets import block_lines

_EACH: Final = re.compile(r"(only|without)\s+([^:;]+?)(?:\s+(\d{1,4})-(\d{1,4}))?", re.IGNORECASE)

LONGEST_LABEL: Final = 40
"""How many characters of a line its label shows."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Block weights to try.

    Attributes:
        label: What they are called.
        lines: The lines of block weights.
    """

    label: str
    lines: str


def parse_blocks(text: str) -> tuple[Blocks, ...]:
    """Reads block weights to try; none from a text without lines.

    >>> [own.label for own in parse_blocks("only in 4-5\\nMIDD")]
    ['only in 4', 'only in 5', 'MIDD']

    Raises:
        LoraInputError: A line cannot be read.
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(own for line in lines if line for own in _each(line))


def _each(line: str) -> Iterator[Blocks]:
    found = _EACH.fullmatch(line)
    if found is None:
        yield _checked(Blocks(_label(line), block_lines(line)))
        return
    word, name, first, last = found[1].lower(), found[2], found[3], found[4]
    if first and int(last) < int(first):
        raise LoraInputError(
            f"blocks: {line[:60]!r} needs numbers from the lower to the higher.",
            key="blocks",
            expected="numbers from the lower to the higher",
            found=f"{first}-{last}",
        )
    for number in range(int(first), int(last) + 1) if first else (None,):
        block = name if number is None else f"{name} {number}"
        text = f"{block}: 0" if word == "without" else f"other: 0\n{block}: 1"
        yield _checked(Blocks(_label(f"{word} {block}"), text))


def _checked(own: Blocks) -> Blocks:
    read_blocks(own.lines)
    return own


def _label(text: str) -> str:
    return shortened(re.sub(r",\s+", ",", text), LONGEST_LABEL)
