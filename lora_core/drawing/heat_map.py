"""Draws what LoRAs change, by block and kind, and how alike they are. It needs Pillow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..naming import KINDS
from ..text import shortened
from ..workbench import OTHER, Analysis, Cell
from .lettering import Lettering, fitted

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw as Draw

WIDTH: Final = 640
"""Pixels: what a node shows of it at its default size can still be read."""

TEXT: Final = 20
ROW: Final = 26
MARGIN: Final = 16
LABELS: Final = 120
"""Pixels for the names of kinds."""

LONGEST_NAME: Final = 48
MOST_COMPARED: Final = 10

PAPER, INK = (255, 255, 255), (20, 20, 20)
GRID, NOTHING = (208, 208, 208), (240, 240, 240)

RAMP: Final = np.array(
    [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64
)
"""Colours from little to much, of even lightness (viridis, van der Walt and Smith 2015): they can be
told apart without seeing all colours."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One LoRA, or all of them: a title, and a value for each kind and block."""

    title: str
    values: np.ndarray


def draw_analysis(analysis: Analysis) -> np.ndarray:
    """Returns the picture of an analysis, (height, width, 3) from 0 to 255."""
    from PIL import Image, ImageDraw

    kinds, places, panels = _panels(analysis)
    compared = min(len(analysis.names), MOST_COMPARED)
    height = MARGIN + len(panels) * (TEXT + (len(kinds) + 4) * ROW) + 2 * ROW
    height += (compared + 4) * ROW if compared > 1 else 0
    image = Image.new("RGB", (WIDTH, height), PAPER)
    pen = _Pen(ImageDraw.Draw(image), _lettering(analysis, kinds, places, panels))
    most = max((float(np.nanmax(panel.values)) for panel in panels), default=0.0)
    top = MARGIN
    for panel in panels:
        top = pen.panel(panel, kinds, places, most, top)
    top = pen.scale(most, analysis.cells[0].weight is not None if analysis.cells else False, top)
    if compared > 1:
        top = pen.pairs(analysis, compared, top)
    return np.array(image)[:top]


def _panels(analysis: Analysis) -> tuple[list[str], list[tuple[str, int]], list[Panel]]:
    found = {cell.kind for cell in analysis.cells}
    kinds = [kind for kind in (*KINDS, OTHER) if kind in found]
    places = sorted(
        {cell.place for cell in analysis.cells}, key=lambda place: (not place[0], place)
    )
    row = {kind: number for number, kind in enumerate(kinds)}
    column = {place: number for number, place in enumerate(places)}
    titles = [*analysis.names]
    if len(titles) > 1:
        titles = [f"{number}: {name}" for number, name in enumerate(titles, 1)] + ["all together"]
    values = np.full((len(titles), len(kinds), len(places)), np.nan)
    for cell in analysis.cells:
        at = slice(None), row[cell.kind], column[cell.place]
        values[at] = _values(cell)[: len(titles)]
    return kinds, places, [Panel(t, v) for t, v in zip(titles, values, strict=True)]


def _values(cell: Cell) -> list[float]:
    """Returns ‖ΔW‖ / ‖W‖ of each LoRA and of all of them, or ‖ΔW‖ where W is not known."""
    below = cell.weight or 1.0
    return [size / below for size in (*cell.sizes, cell.total)]


def _lettering(
    analysis: Analysis,
    kinds: Sequence[str],
    places: Sequence[tuple[str, int]],
    panels: Sequence[Panel],
) -> Lettering:
    numbers = [str(number) for number in range(10)]
    texts = [shortened(panel.title, LONGEST_NAME) for panel in panels]
    words = [*kinds, *(name for name, _ in places), *texts, *analysis.names, *numbers]
    return fitted(words, WIDTH, TEXT)


class _Pen:
    """Draws the parts of the picture from the top down."""

    def __init__(self, draw: Draw, lettering: Lettering) -> None:
        self._draw = draw
        self._font = lettering.font

    def panel(
        self,
        panel: Panel,
        kinds: Sequence[str],
        places: Sequence[tuple[str, int]],
        most: float,
        top: int,
    ) -> int:
        """Draws the kinds of one LoRA as rows and its blocks as columns; returns what is below."""
        self._write(MARGIN, top, shortened(panel.title, LONGEST_NAME))
        top += TEXT + ROW // 2
        width = (WIDTH - LABELS - 2 * MARGIN) / max(1, len(places))
        left = MARGIN + LABELS
        for row, kind in enumerate(kinds):
            self._write(MARGIN, top + row * ROW, kind)
            for column in range(len(places)):
                x = left + column * width
                box = (x, top + row * ROW, x + max(1, width - 1), top + (row + 1) * ROW - 2)
                self._draw.rectangle(box, fill=colour(panel.values[row, column], most))
        below = top + len(kinds) * ROW
        self._lists(places, left, width, below)
        return below + 3 * ROW

    def _lists(self, places: Sequence[tuple[str, int]], left: int, width: float, top: int) -> None:
        """Writes the names of the lists of blocks; one that has no room beside the last, below it."""
        ends = [0.0, 0.0]
        for name, first, last in _runs(places):
            x = left + first * width
            self._draw.line(
                (x, top + 2, left + (last + 1) * width - 2, top + 2), fill=GRID, width=3
            )
            length = self._font.getlength(name)
            x = min(x, WIDTH - MARGIN / 2 - length)
            line = 0 if ends[0] < x else 1
            self._write(x, top + 6 + line * ROW, name)
            ends[line] = x + length + 4

    def scale(self, most: float, relative: bool, top: int) -> int:
        """Draws what the colours mean; returns what is below."""
        left, right = MARGIN + LABELS, WIDTH // 2
        for x in range(left, right):
            fill = colour((x - left) / (right - left), 1.0)
            self._draw.line((x, top, x, top + ROW - 8), fill=fill)
        what = "of the weights" if relative else "in size"
        self._write(MARGIN, top, "0")
        self._write(right + 10, top, f"{most:.1%} {what}" if relative else f"{most:.3g} {what}")
        return top + 2 * ROW

    def pairs(self, analysis: Analysis, count: int, top: int) -> int:
        """Draws the cosines of all pairs, and how much of their outputs they share; returns what is
        below."""
        half = (WIDTH - 2 * MARGIN) // 2
        tables = (("cosine", analysis.cosines), ("outputs shared", analysis.outputs))
        for number, (title, values) in enumerate(tables):
            left = MARGIN + number * half
            self._write(left, top, title)
            self._table(values, count, left, top + ROW, half - 2 * MARGIN)
        return top + (count + 3) * ROW

    def _table(
        self, values: Sequence[Sequence[float]], count: int, left: int, top: int, width: int
    ) -> None:
        size = min(3 * ROW, (width - ROW) // count)
        for row in range(count):
            self._write(left, top + (row + 1) * ROW + 2, str(row + 1))
            self._write(left + ROW + row * size + 6, top, str(row + 1))
            for column in range(count):
                x, y = left + ROW + column * size, top + (row + 1) * ROW
                value = round(values[row][column], 2) + 0.0  # no -0.00
                fill = colour(abs(value), 1.0)
                self._draw.rectangle((x, y, x + size - 2, y + ROW - 2), fill=fill)
                if size >= 2 * ROW:
                    light = sum(fill) < 380
                    self._write(x + 6, y + 2, f"{value:.2f}", PAPER if light else INK)

    def _write(self, x: float, y: float, text: str, fill: tuple[int, int, int] = INK) -> None:
        self._draw.text((x, y), text, fill=fill, font=self._font)


def colour(value: float, most: float) -> tuple[int, int, int]:
    """Returns the colour of a value from 0 to ``most``; that of nothing where there is no layer."""
    if math.isnan(value):
        return NOTHING
    at = min(max(value / most if most else 0.0, 0.0), 1.0) * (len(RAMP) - 1)
    low = min(int(at), len(RAMP) - 2)
    red, green, blue = RAMP[low] + (at - low) * (RAMP[low + 1] - RAMP[low])
    return round(red), round(green), round(blue)


def _runs(places: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int, int]]:
    """Yields the lists of blocks: what is written under them, and their first and last column."""
    start = 0
    for index, (name, _) in enumerate(places):
        if index + 1 == len(places) or places[index + 1][0] != name:
            first, last = places[start][1], places[index][1]
            span = f" {first}" if first == last else f" {first}-{last}"
            yield (name + span if name else "other"), start, index
            start = index + 1
