"""Block weights as other tools write them, turned into ours.

A vector is a list of numbers, one for each block that LoRAs have in an architecture. Its length
says which: for UNets hako-mikan's and Inspire's of 12 and 17, hako-mikan's of 20 and 26 and
Inspire's of 21 and 27, for Flux Inspire's of 58, hako-mikan's of 61 and Realtime-Lora's of 57. The
other blocks of a UNet get 0, as in hako-mikan.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Final

from ..algebra import exact_strength
from ..errors import LoraInputError

_NUMBER: Final = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})", re.ASCII)
_LETTER: Final = re.compile(r"\s*([ABX])\s*=\s*(.+?)\s*", re.IGNORECASE)

_SD_IN, _SD_OUT = (1, 2, 4, 5, 7, 8), tuple(range(3, 12))

UNETS: Final[Mapping[int, tuple[int, tuple[int, ...], tuple[int, ...]]]] = {
    12: (9, (4, 5, 7, 8), tuple(range(6))),
    17: (12, _SD_IN, _SD_OUT),
    20: (9, tuple(range(9)), tuple(range(9))),
    21: (9, tuple(range(1, 9)), tuple(range(9))),
    26: (12, tuple(range(12)), tuple(range(12))),
    27: (12, tuple(range(1, 12)), tuple(range(12))),
}
"""For each length: the number of in and out blocks, and those that the vector has, after its number
for all that is in no block. Between them is one number for the block in the middle, or one for each
of the three modules in it."""

DOUBLE, SINGLE = 19, 38
"""The blocks of Flux."""

FLUX: Final = (DOUBLE, DOUBLE + SINGLE, 1 + DOUBLE + SINGLE, 4 + DOUBLE + SINGLE)

LENGTHS: Final = (*UNETS, *FLUX)


def from_vector(text: str, seed: int | None = None) -> str:
    """Returns the lines that a vector means.

    Args:
        text: Numbers with commas between them, perhaps in brackets. ``A``, ``B`` and ``X`` stand
            for the numbers given after it (``;A=2;B=3``), lower case for half of them.
        seed: Makes the random numbers: ``R`` from 0 to 1, ``U`` from -1.5 to 1.5.

    Raises:
        LoraInputError: It has another length, or an entry that is no number.
    """
    values = _values(text, seed)
    if len(values) in UNETS:
        return _unet(values)
    if len(values) in FLUX:
        return _flux(values)
    raise _refused(f"{', '.join(map(str, LENGTHS))} numbers", f"{len(values)} numbers")


def flux_from_base_and_blocks(text: str) -> str:
    """Returns the lines of Inspire's vectors for Flux, in which the last number counts for all
    blocks after it."""
    base, *values = _values(text, None)
    blocks = [*values, *[values[-1]] * (DOUBLE + SINGLE - len(values))]
    return _flux([base, *blocks])


def from_block_select(selected: Mapping[str, object]) -> str:
    """Returns the lines of KJNodes' and WanVideoWrapper's block selects: names of blocks such as
    "double_blocks.0." with a number, or True. Everything else is off there.

    Raises:
        LoraInputError: A value is not a finite number.
    """
    lines = [
        f"{_select_pattern(name)}: {_decimal(_selected(value))}" for name, value in selected.items()
    ]
    return "\n".join([*lines, "other: 0"])


def _select_pattern(name: str) -> str:
    return f"*{name.strip('.')}.*"


def _selected(value: object) -> Fraction:
    return Fraction(value) if isinstance(value, bool) else exact_strength(value, "block")


def _values(text: str, seed: int | None) -> list[Fraction]:
    vector, *more = text.strip().strip("[]").split(";")
    letters = {
        found[1].upper(): _number(found[2]) for each in more if (found := _LETTER.fullmatch(each))
    }
    dice = None if seed is None else random.Random(seed)  # noqa: S311 (no secret)
    return [_value(token.strip(), letters, dice) for token in vector.split(",")]


def _value(token: str, letters: Mapping[str, Fraction], dice: random.Random | None) -> Fraction:
    upper = token.upper()
    if upper in letters:
        return letters[upper] / (1 if token == upper else 2)
    if upper in ("R", "U"):
        if dice is None:
            raise _refused("numbers", f"{token}, which is random")
        low, high = (0.0, 1.0) if upper == "R" else (-1.5, 1.5)
        return exact_strength(round(dice.uniform(low, high), 3))
    return _number(token)


def _number(token: str) -> Fraction:
    if not _NUMBER.fullmatch(token):
        raise _refused("numbers", repr(token[:20]))
    return exact_strength(float(token))


def _unet(values: Sequence[Fraction]) -> str:
    count, into, out = UNETS[len(values)]
    base, first = values[0], values[1 : 1 + len(into)]
    middle, second = values[1 + len(into) : -len(out)], values[-len(out) :]
    lines = [
        *_runs("in", dict(zip(into, first, strict=True)), count),
        *_middle(middle),
        *_runs("out", dict(zip(out, second, strict=True)), count),
        *_rest(base, base),
    ]
    return "\n".join(lines)


def _middle(values: Sequence[Fraction]) -> Iterator[str]:
    """Yields a line for the block in the middle, or one for each module in it, by its name in the
    original layout."""
    if len({*values}) == 1:
        yield f"mid: {_decimal(values[0])}"
    else:
        for at, value in enumerate(values):
            yield f"*middle_block.{at}.*: {_decimal(value)}"


def _flux(values: Sequence[Fraction]) -> str:
    text, outer, after = Fraction(1), Fraction(1), Fraction(1)
    blocks = list(values)
    if len(values) == 1 + DOUBLE + SINGLE:
        text = outer = after = blocks.pop(0)
    elif len(values) == 4 + DOUBLE + SINGLE:
        text, second, outer, *blocks, after = values
        if text != second:
            raise _refused("one number for all text encoders", "two (CLIP and T5)")
    double, single = blocks[:DOUBLE], blocks[DOUBLE:]
    lines = [
        *_runs("double", dict(enumerate(double)), DOUBLE),
        *(_runs("single", dict(enumerate(single)), SINGLE) if single else ()),
        *([] if after == outer else [f"final_layer.*: {_decimal(after)}"]),
        *_rest(outer, text),
    ]
    return "\n".join(lines)


def _runs(name: str, values: Mapping[int, Fraction], count: int) -> Iterator[str]:
    """Yields a line for all blocks of a list, and one for each run of them with another factor.

    Runs up to the last block have no end, so that they also fit a model with fewer blocks.
    """
    factors = [values.get(index, Fraction(0)) for index in range(count)]
    counts = Counter(factors)
    usual = max(counts, key=lambda factor: (counts[factor], factor == 0))
    yield f"{name}: {_decimal(usual)}"
    start = 0
    for factor, run in groupby(factors):
        end = start + len([*run]) - 1
        if factor != usual:
            last = "" if end == count - 1 else f"{end}"
            numbers = f"{start}" if start == end else f"{start}-{last}"
            yield f"{name} {numbers}: {_decimal(factor)}"
        start = end + 1


def _rest(other: Fraction, text: Fraction) -> Iterator[str]:
    for name, factor in (("other", other), ("text", text)):
        if factor != 1:
            yield f"{name}: {_decimal(factor)}"


def _decimal(value: Fraction) -> str:
    return repr(float(value)).removesuffix(".0")


def _refused(expected: str, found: str) -> LoraInputError:
    return LoraInputError(
        f"a vector of block weights needs {expected}; found {found}.",
        key="weights",
        expected=expected,
        found=found,
    )
