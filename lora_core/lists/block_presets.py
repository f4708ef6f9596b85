"""Block weights by the names that people know them by.

Those of hako-mikan and Inspire are vectors there, those of Realtime-Lora sets of blocks: the blocks
outside of a set are off, and so are the text encoders of SDXL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from ..errors import LoraInputError
from .block_vectors import flux_from_base_and_blocks, from_vector


def _vector(*runs: tuple[int, str]) -> str:
    """Returns a vector of runs of equal numbers.

    >>> _vector((1, "1"), (2, "0"))
    '1,0,0'
    """
    return ",".join(number for count, number in runs for _ in range(count))


_SD: Final[Mapping[str, str]] = {
    "INS": _vector((4, "1"), (13, "0")),
    "IND": _vector((1, "1"), (3, "0"), (3, "1"), (10, "0")),
    "INALL": _vector((7, "1"), (10, "0")),
    "MIDD": _vector((1, "1"), (3, "0"), (8, "1"), (5, "0")),
    "MIDD0.2": "1,0,0,0,0,0,0.2,0.4,0.4,0.2,0,0,0,0,0,0,0",
    "MIDD0.8": "1,0,0,0,0,0.5,0.8,0.8,0.4,0,0,0,0,0,0,0,0",
    "MOUT": _vector((1, "1"), (5, "0"), (8, "1"), (1, "0.5"), (2, "0")),
    "OUTD": _vector((1, "1"), (7, "0"), (4, "1"), (5, "0")),
    "OUTS": _vector((1, "1"), (11, "0"), (5, "1")),
    "OUTALL": _vector((1, "1"), (7, "0"), (9, "1")),
    "ROUT": _vector((8, "1"), (9, "R")),
}
"""For SD 1.5, and by the numbers of the blocks also for SDXL."""

_SDXL: Final[Mapping[str, str]] = {
    "SDXL-INALL": _vector((5, "1"), (7, "0")),
    "SDXL-MIDALL": _vector((1, "1"), (4, "0"), (1, "1"), (6, "0")),
    "SDXL-OUTALL": _vector((1, "1"), (5, "0"), (6, "1")),
}

_WITH_CONVOLUTIONS: Final[Mapping[str, str]] = {
    "LYC-INALL": _vector((12, "1"), (15, "0")),
    "LYC-MIDALL": _vector((1, "1"), (11, "0"), (3, "1"), (12, "0")),
    "LYC-OUTALL": _vector((1, "1"), (14, "0"), (12, "1")),
    "SDXL-LYC-INALL": _vector((9, "1"), (12, "0")),
    "SDXL-LYC-MIDALL": _vector((1, "1"), (8, "0"), (3, "1"), (9, "0")),
    "SDXL-LYC-OUTALL": _vector((1, "1"), (11, "0"), (9, "1")),
}
"""Inspire's for files that also change the blocks without attention, SD 1.5 first."""

_FLUX: Final[Mapping[str, str]] = {
    "FLUX-DBL-ALL": _vector((20, "1")),
    "FLUX-DBL-FRONT7": _vector((8, "1"), (12, "0")),
    "FLUX-DBL-MID6": _vector((1, "1"), (7, "0"), (6, "1"), (6, "0")),
    "FLUX-DBL-TAIL6": _vector((1, "1"), (13, "0"), (6, "1")),
    "FLUX-SINGLE-ALL": _vector((1, "1"), (19, "0"), (38, "1")),
    "FLUX-SINGLE-1TO10": _vector((1, "1"), (19, "0"), (10, "1"), (28, "0")),
    "FLUX-SINGLE-11TO20": _vector((1, "1"), (29, "0"), (10, "1"), (18, "0")),
    "FLUX-SINGLE-21TO30": _vector((1, "1"), (39, "0"), (10, "1"), (8, "0")),
    "FLUX-SINGLE-31TO37": _vector((1, "1"), (49, "0"), (8, "1")),
    "FLUX-ALL": _vector((58, "1")),
}

_ANY: Final[Mapping[str, str]] = {
    "NONE": "other: 0\ntext: 0",
    "ALL": "other: 1",
    "ALL0.5": "other: 0.5\ntext: 0.5",
    "EARLY": "middle: 0\nlate: 0",
    "MIDDLE": "early: 0\nlate: 0",
    "LATE": "early: 0\nmiddle: 0",
    "EVENS": "odds: 0",
    "ODDS": "evens: 0",
}
"""For every model; ``early`` and the like are found in the model."""

_UNET_OFF: Final = "in: 0\nmid: 0\nout: 0\ntext: 0"
_FLUX_OFF: Final = "double: 0\nsingle: 0"
_FLUX_FACE: Final = ("double 7,12,16", "single 7,12,16,20")


def _only(off: str, on: Iterable[str]) -> str:
    """Returns the text in which all blocks are off but some."""
    return "\n".join((off, *(f"{name}: 1" for name in on)))


_SETS: Final[Mapping[str, str]] = {
    "SDXL-FACE": _only(_UNET_OFF, ("in 7-8", "mid", "out 0-3")),
    "SDXL-STYLE": _only(_UNET_OFF, ("out 1-2",)),
    "SDXL-COMPOSITION": _only(_UNET_OFF, ("in 8", "mid", "out 0")),
    "SDXL-HIGH-IMPACT": _only(_UNET_OFF, ("in 7-8", "mid", "out 0-2")),
    "FLUX-FACE": _only(_FLUX_OFF, _FLUX_FACE),
    "FLUX-FACE-AGGRESSIVE": _only(
        _FLUX_OFF, ("double 4,7,8,12,15,16", "single 4,7,8,12,15,16,19,20")
    ),
    "FLUX-STYLE": "\n".join(f"{name}: 0" for name in _FLUX_FACE),
    "Z-IMAGE-FACE": _only("layer: 0", ("layer 16-24",)),
    "Z-IMAGE-FACE-AGGRESSIVE": _only("layer: 0", ("layer 14-25",)),
    "Z-IMAGE-PEAK": _only("layer: 0", ("layer 18-25",)),
}
"""Realtime-Lora's."""

PRESETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **_ANY,
        **{name: from_vector(vector) for name, vector in _SD.items() if "R" not in vector},
        **{name: from_vector(vector) for name, vector in {**_SDXL, **_WITH_CONVOLUTIONS}.items()},
        "FLUX-NONE": "other: 0\ntext: 0",
        **{name: flux_from_base_and_blocks(vector) for name, vector in _FLUX.items()},
        **_SETS,
    }
)
"""The text of each preset, by name. ``ROUT`` is not among them: it is random."""

_ALSO: Final[Mapping[str, str]] = {
    "FLUXALL": "FLUX-ALL",
    **{f"{of}{name}": name for of in ("SDXL-", "LYC-", "SDXL-LYC-") for name in ("NONE", "ALL")},
}
"""Other names of the same presets: hako-mikan's, and Inspire's for each kind of model."""


def preset(name: str, seed: int | None = None) -> str:
    """Returns the text of a preset; upper and lower case are the same, and so is Inspire's SD- in
    front.

    Args:
        name: The name of the preset.
        seed: Makes the random numbers of ``ROUT``.

    Raises:
        LoraInputError: There is no preset of that name, or it is random and there is no seed.
    """
    known = name.strip().upper().replace(" ", "-").replace("_", "-").removeprefix("SD-")
    known = _ALSO.get(known, known)
    if known in PRESETS:
        return PRESETS[known]
    if known in _SD:
        return from_vector(_SD[known], seed)
    expected = ", ".join((*PRESETS, "ROUT"))
    raise LoraInputError(
        f"there are no block weights called {name[:40]!r}. There are {expected}.",
        key="preset",
        expected=expected,
        found=name,
    )


def block_lines(text: str) -> str:
    """Returns the lines that ``text`` means: in place of a line there can be a list of numbers of
    another tool, or the name of a preset.

    Raises:
        LoraInputError: A line is no preset, and no list of a known length.
    """
    return "\n".join(map(_meant, text.splitlines()))


def _meant(line: str) -> str:
    own = line.partition("#")[0].strip()
    if not own or ":" in own:
        return line
    return from_vector(own) if "," in own else preset(own)


# --- hako-mikan's elements ------------------------------------------------------------------------

ELEMENTS: Final[Mapping[str, str]] = {
    "ATTNON": ":attn:1",
    "ATTNDEEPON": "IN05-OUT05:attn:1",
    "ATTNDEEPOFF": "IN05-OUT05:attn:0",
    "PROJDEEPOFF": "IN05-OUT05:proj:0",
    "ALL0": "::0",
}
"""Blocks, words in the names of layers, and a factor, as ``lbwe=`` calls them."""

_ELEMENT: Final = re.compile(r"([^:]*):([^:]*):\s*([+-]?[0-9.]{1,20})\s*")
_BLOCKS: Final = re.compile(r"(IN|M|MID|OUT)(\d*)(?:-(IN|M|MID|OUT)(\d*))?")
_LISTS: Final = ("in", "mid", "out")


def elements(text: str) -> str:
    """Returns the lines of ``lbwe=``: a name of ``ELEMENTS``, or blocks:words:factor. What names
    neither blocks nor words is for the text encoders, too.

    >>> print(elements("IN05-OUT04:attn1:0.8"))
    in 5- *attn1*: 0.8
    mid *attn1*: 0.8
    out 0-4 *attn1*: 0.8

    Raises:
        LoraInputError: It cannot be read.
    """
    spec = ELEMENTS.get(text.strip().upper(), text)
    found = _ELEMENT.fullmatch(spec)
    if found is None:
        raise _refused(text)
    blocks = [own for part in found[1].upper().split() for own in _blocks(part, text)]
    words = [_word(word) for word in found[2].split()]
    names = [
        " ".join(filter(None, (block, word))) for block in blocks or [""] for word in words or [""]
    ]
    return "\n".join(f"{name}: {found[3]}" for name in (names if any(names) else ("*", "text")))


def _word(word: str) -> str:
    """Returns a pattern for a word; names have underscores there where ours have dots.

    >>> _word("ff_net")
    '*ff?net*'
    """
    return f"*{word.replace('_', '?')}*"


def _blocks(part: str, text: str) -> Iterator[str]:
    """Yields our names of blocks such as IN05-OUT04, in the order in which a UNet runs them."""
    found = _BLOCKS.fullmatch(part)
    if found is None:
        raise _refused(text)
    first, last = _LISTS.index(_list(found[1])), _LISTS.index(_list(found[3] or found[1]))
    start, end = found[2], found[4] if found[3] else found[2]
    if last < first:
        raise _refused(text)
    for at in range(first, last + 1):
        low = int(start) if at == first and start else 0
        high = f"{int(end)}" if at == last and end else ""
        if _LISTS[at] == "mid":
            yield "mid"
        else:
            yield f"in {low}-{high}" if at == 0 else f"out {low}-{high}"


def _list(name: str) -> str:
    return {"IN": "in", "OUT": "out"}.get(name, "mid")


def _refused(text: str) -> LoraInputError:
    expected = f"one of {', '.join(ELEMENTS)}, or blocks:words:factor like IN05-OUT05:attn:0.5"
    return LoraInputError(
        f"lbwe={text[:60]}: expected {expected}.", key="lbwe", expected=expected, found=text
    )
