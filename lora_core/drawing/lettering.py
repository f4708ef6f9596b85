"""Fits text into a width: wrapped, made smaller, and finally cut. It needs Pillow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.ImageFont import FreeTypeFont

SMALLEST_PIXELS: Final = 8
MOST_LINES: Final = 3
ELLIPSIS: Final = "…"

PROBED_PIXELS: Final = 32
"""Size in pixels at which a font is asked which letters it has: enough to tell a letter from a box."""

NO_LETTER: Final = "\uffff"
"""A character that is never a letter; it shows what a font draws for those that it does not have."""

OTHER_FONTS: Final = (
    "NotoSansCJK-Regular.ttc",
    "msyh.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "Arial Unicode.ttf",
    "wqy-microhei.ttc",
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "segoeui.ttf",
    "arial.ttf",
)
"""Fonts to look for where systems keep them, if Pillow's own, which has little more than ASCII, is
not enough."""


@dataclass(frozen=True, slots=True)
class Lettering:
    """Texts in one font, each as its lines."""

    font: FreeTypeFont
    lines: dict[str, list[str]]

    @property
    def line_height(self) -> int:
        return sum(self.font.getmetrics())

    def height(self, text: str) -> int:
        return len(self.lines[text]) * self.line_height

    def width(self, text: str) -> int:
        return max((round(self.font.getlength(line)) for line in self.lines[text]), default=0)


def fitted(texts: Iterable[str], width: int, size: int) -> Lettering:
    """Fits ``texts`` into at most ``MOST_LINES`` lines of ``width`` pixels, at ``size`` or as large
    as possible."""
    texts = list(dict.fromkeys(texts))
    font_of = _font_for("".join(texts))
    *larger, least = _sizes(size)
    for each in larger:
        font = font_of(each)
        lines = {text: _wrapped(text, font, width) for text in texts}
        if all(map(partial(_fits, font, width), lines.values())):
            return Lettering(font, lines)
    font = font_of(least)
    return Lettering(font, {text: _cut(_wrapped(text, font, width), font, width) for text in texts})


def _sizes(size: int) -> list[int]:
    """Returns sizes from ``size`` down to half of it: below that, a cut text is easier to read."""
    least = max(SMALLEST_PIXELS, size // 2)
    sizes = [size]
    while sizes[-1] > least:
        sizes.append(max(least, sizes[-1] * 9 // 10))
    return sizes


def _fits(font: FreeTypeFont, width: int, lines: list[str]) -> bool:
    return len(lines) <= MOST_LINES and all(font.getlength(line) <= width for line in lines)


def _wrapped(text: str, font: FreeTypeFont, width: int) -> list[str]:
    """Splits a text into lines of whole words; a line with one long word may be too wide."""
    lines: list[str] = []
    for line in text.splitlines():
        room = ""
        for word in line.split():
            longer = f"{room} {word}" if room else word
            if room and font.getlength(longer) > width:
                lines.append(room)
                longer = word
            room = longer
        lines.append(room)
    return lines


def _cut(lines: list[str], font: FreeTypeFont, width: int) -> list[str]:
    """Returns the first lines, with long words broken; a mark at the end says that there was more."""
    broken = [part for line in lines for part in _broken(line, font, width)]
    if len(broken) <= MOST_LINES:
        return broken
    last = broken[MOST_LINES - 1]
    while last and font.getlength(last + ELLIPSIS) > width:
        last = last[:-1]
    return [*broken[: MOST_LINES - 1], last + ELLIPSIS]


def _broken(line: str, font: FreeTypeFont, width: int) -> Iterator[str]:
    part = ""
    for letter in line:
        if part and font.getlength(part + letter) > width:
            yield part
            part = ""
        part += letter
    yield part


def _font_for(text: str) -> Callable[[int], FreeTypeFont]:
    """Returns Pillow's own font, or the system's font that has most of the letters in ``text``."""
    from PIL.ImageFont import load_default, truetype

    best: Callable[[int], FreeTypeFont] = load_default  # type: ignore[assignment]
    fewest = _lacking(best(PROBED_PIXELS), text)
    for name in OTHER_FONTS if fewest else ():
        try:
            lacking = _lacking(truetype(name, PROBED_PIXELS), text)
        except OSError:
            continue  # not on this system
        if lacking < fewest:
            best, fewest = partial(truetype, name), lacking
    return best


def _lacking(font: FreeTypeFont, text: str) -> int:
    """Counts the letters in ``text`` that the font draws as a missing one."""
    none = _drawn(font, NO_LETTER)
    return sum(_drawn(font, letter) == none for letter in set(text) if not letter.isspace())


def _drawn(font: FreeTypeFont, letter: str) -> bytes:
    from PIL import Image, ImageDraw

    image = Image.new("L", (2 * PROBED_PIXELS, 2 * PROBED_PIXELS))
    ImageDraw.Draw(image).text((0, 0), letter, fill=255, font=font)
    return image.tobytes()
