"""The picture: our time over the host's, by the number of LoRAs, with the least possible time.

It is drawn with Pillow, which the host has, at several times its size, and made smaller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .patching import USUAL, Row

WIDTH, HEIGHT, FINER = 900, 480, 3
LEFT, TOP, RIGHT, BOTTOM = 70, 58, 250, 52
"""Margins, in pixels of the finished picture."""

COLOURS = ("#1f77b4", "#17a2a2", "#d9622b", "#c79a00", "#7a4fbf", "#3d8b37", "#b03060")
INK, PALE, GRID = "#222222", "#666666", "#dddddd"
TITLE = f"Patching: time over ComfyUI's own, LoRAs of rank {USUAL}"

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """(number of LoRAs, ratio to the host's time) for ours, and for what no patch can avoid."""

    label: str
    ours: Sequence[Point]
    limit: Sequence[Point]


def lines(rows: Sequence[Row], whole: Sequence[Row]) -> list[Line]:
    """Returns the lines for the usual rank, one for each weight and each model."""
    usual = [row for row in (*rows, *whole) if row.rank == USUAL]
    found: list[Line] = []
    for (model, dtype), group in groupby(usual, lambda row: (row.model, row.dtype)):
        own = list(group)
        ours, limit = (
            [(float(row.count), row.times.ratio(name, "host")) for row in own]
            for name in ("ours", "limit")
        )
        found.append(Line(f"{model} {dtype}".replace("×", " x "), ours, limit))
    return found


def draw(found: Sequence[Line], path: Path) -> None:
    """Writes the picture of ``found``."""
    canvas = Canvas(found)
    canvas.axes()
    for index, line in enumerate(found):
        colour = COLOURS[index % len(COLOURS)]
        canvas.curve(line.limit, colour, dashed=True)
        canvas.curve(line.ours, colour, dashed=False)
        canvas.legend(index, line.label, colour)
    canvas.legend(len(found) + 1, "ours", INK)
    canvas.legend(len(found) + 2, "limit: nothing added", INK, dashed=True)
    canvas.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(path, optimize=True)


class Canvas:
    """Two logarithmic axes on white."""

    def __init__(self, found: Sequence[Line]) -> None:
        points = [point for line in found for point in (*line.ours, *line.limit)]
        self.most = max((count for count, _ in points), default=1.0)
        self.least = 2.0 ** math.floor(math.log2(min((r for _, r in points), default=0.5)))
        self.top = max(1.0, *(2.0 ** math.ceil(math.log2(r)) for _, r in points))
        self.image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), "white")
        self._pen = ImageDraw.Draw(self.image)

    def axes(self) -> None:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        self._text(LEFT, 22, TITLE, INK, 17, "lm")
        ratio = self.top
        while ratio >= self.least:
            y = self._y(ratio)
            same = ratio == 1.0
            self._segment((LEFT, y), (right, y), INK if same else GRID, 1.5 if same else 1.0)
            label = f"{ratio:g}" if ratio >= 1 else f"1/{1 / ratio:g}"
            self._text(LEFT - 10, y, label, PALE, 13, "rm")
            ratio /= 2
        count = 1.0
        while count <= self.most:
            self._segment((self._x(count), TOP), (self._x(count), bottom), GRID, 1.0)
            self._text(self._x(count), bottom + 14, f"{count:g}", PALE, 13, "mm")
            count *= 2
        self._text((LEFT + right) / 2, HEIGHT - 16, "number of LoRAs", PALE, 13, "mm")
        self._text(right - 6, self._y(1.0) - 9, "the host", INK, 12, "rm")

    def curve(self, points: Sequence[Point], colour: str, *, dashed: bool) -> None:
        places = [(self._x(count), self._y(ratio)) for count, ratio in points]
        for start, end in pairwise(places):
            if dashed:
                self._dashes(start, end, colour)
            else:
                self._segment(start, end, colour, 2.5)
        for x, y in () if dashed else places:
            box = [(v + d) * FINER for d in (-4, 4) for v in (x, y)]
            self._pen.ellipse(box, fill=colour)

    def legend(self, index: int, text: str, colour: str, *, dashed: bool = False) -> None:
        x, y = WIDTH - RIGHT + 20, TOP + 12 + 24 * index
        if dashed:
            self._dashes((x, y), (x + 30, y), colour)
        else:
            self._segment((x, y), (x + 30, y), colour, 2.5)
        self._text(x + 40, y, text, INK, 13, "lm")

    def _x(self, count: float) -> float:
        span = WIDTH - RIGHT - LEFT
        return LEFT + 14 + (span - 28) * math.log2(count) / max(1.0, math.log2(self.most))

    def _y(self, ratio: float) -> float:
        share = math.log2(self.top / ratio) / math.log2(self.top / self.least)
        return TOP + (HEIGHT - BOTTOM - TOP) * share

    def _dashes(self, start: Point, end: Point, colour: str) -> None:
        length = math.dist(start, end)
        for at in range(0, int(length), 8):
            ends = [
                tuple(a + (b - a) * min(1.0, way / length) for a, b in zip(start, end, strict=True))
                for way in (at, at + 4)
            ]
            self._segment(ends[0], ends[1], colour, 1.5)

    def _segment(self, start: Point, end: Point, colour: str, width: float) -> None:
        ends = [value * FINER for value in (*start, *end)]
        self._pen.line(ends, fill=colour, width=round(width * FINER))

    def _text(self, x: float, y: float, text: str, colour: str, size: int, anchor: str) -> None:
        font = ImageFont.load_default(size * FINER)
        self._pen.text((x * FINER, y * FINER), text, fill=colour, font=font, anchor=anchor)
