"""Draws images side by side, with captions or with headers of columns and rows, without the host.

Images are (height, width, channels), with values from 0 to 1, or bytes from 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
import torch
from torch import Tensor

from .lettering import Lettering, fitted

MOST_IN_ONE_ROW: Final = 6
"""How many images are put into one row by default."""

TEXT_SHARE: Final = 18
"""The default height of text is this share of a cell's shorter side: one 18th, but at least:"""
LEAST_TEXT_PIXELS: Final = 12

WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class Look:
    """How a grid looks.

    Attributes:
        text_size: Height of the text in pixels; 0 to choose it by the images.
        gap: Pixels around each image.
        dark: Whether the text is light on black.
    """

    text_size: int = 0
    gap: int = 8
    dark: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """What is written: above each image, or above each column and next to each row."""

    captions: Sequence[str] = ()
    top: Sequence[str] = ()
    left: Sequence[str] = ()

    def all(self) -> Iterable[str]:
        return (*self.captions, *self.top, *self.left)


@dataclass(frozen=True, slots=True)
class Table:
    """The positions of everything, in pixels.

    Attributes:
        width, height: The size of a cell.
        left: Width of the headers of rows; ``top`` is the height of those of columns, ``caption``
            of one above an image.
    """

    count: int
    columns: int
    width: int
    height: int
    gap: int
    left: int
    top: int
    caption: int

    @property
    def rows(self) -> int:
        return math.ceil(self.count / self.columns)

    @property
    def size(self) -> tuple[int, int]:
        x, y = self.corner(self.columns * self.rows - 1)
        return x + self.width + self.gap, y + self.height + self.gap

    def corner(self, index: int) -> tuple[int, int]:
        """Returns where the cell of an image begins."""
        row, column = divmod(index, self.columns)
        x = self.left + self.gap + column * (self.width + self.gap)
        return x, self.top + self.gap + self.caption + row * (self.caption + self.height + self.gap)


def frames_of(items: Sequence[Tensor]) -> list[list[Tensor]]:
    """Returns the images of each grid to draw, from batches of images.

    Batches of one length are several images at each place of a grid, as the frames of videos are: a
    grid of the first ones, one of the second ones, and so on. All others are placed side by side.
    """
    lengths = {len(item) for item in items}
    if len(items) > 1 and len(lengths) == 1:
        return [[item[index] for item in items] for index in range(lengths.pop())]
    return [[image for item in items for image in item]]


def labels_of(labels: Sequence[str], items: Sequence[Tensor], count: int) -> list[str]:
    """Returns one label for each of ``count`` images of a grid; missing ones are empty."""
    if len(labels) == len(items) < count:
        labels = [label for label, item in zip(labels, items, strict=True) for _ in item]
    return [*labels, *[""] * count][:count]


def near_square(count: int) -> int:
    """Returns how many columns to use by default."""
    return count if count <= MOST_IN_ONE_ROW else math.ceil(math.sqrt(count))


def draw_grid(frames: Sequence[Sequence[Tensor]], columns: int, words: Words, look: Look) -> Tensor:
    """Draws a grid for each of ``frames``, all of one size: (grids, height, width, channels).

    Every image is copied unchanged, into the middle of its cell if others are larger.
    """
    images = [image for frame in frames for image in frame]
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    size = look.text_size or max(LEAST_TEXT_PIXELS, min(width, height) // TEXT_SHARE)
    lettering = fitted(words.all(), max(1, width - size // 3), size)
    table = _table(len(frames[0]), columns, (width, height), words, lettering, look.gap)
    channels = max(3, *(image.shape[-1] for image in images))
    dtype = reduce(torch.promote_types, (image.dtype for image in images))
    sheet = torch.as_tensor(_sheet(table, words, lettering, look.dark))
    sheet = sheet / WHITE if dtype.is_floating_point else sheet
    empty = _in_channels(sheet.to(images[0].device, dtype).unsqueeze(-1), channels)
    grids = empty.repeat(len(frames), 1, 1, 1)
    for grid, frame in zip(grids, frames, strict=True):
        for index, image in enumerate(frame):
            _put(grid, _in_channels(image, channels), table, index)
    return grids


def _table(
    count: int,
    columns: int,
    cell: tuple[int, int],
    words: Words,
    lettering: Lettering,
    gap: int,
) -> Table:
    """Computes the positions, with as much room for words as the largest of them needs."""
    margin = lettering.line_height // 2

    def high(texts: Sequence[str]) -> int:
        return max(map(lettering.height, texts)) + margin if any(texts) else 0

    left = max(map(lettering.width, words.left)) + 2 * margin if any(words.left) else 0
    top, caption = high(words.top), high(words.captions)
    return Table(count, min(columns, count), *cell, gap, left, top, caption)


def _sheet(table: Table, words: Words, lettering: Lettering, dark: bool) -> np.ndarray:
    """Draws the words and the background, as (height, width) of bytes."""
    from PIL import Image, ImageDraw

    image = Image.new("L", table.size, 0 if dark else WHITE)
    draw = ImageDraw.Draw(image)
    ink = WHITE if dark else 0
    margin = lettering.line_height // 4

    def write(text: str, centre: float, top: float) -> None:
        for number, line in enumerate(lettering.lines[text]):
            at = (centre, top + number * lettering.line_height)
            draw.text(at, line, fill=ink, font=lettering.font, anchor="ma")

    for index, text in enumerate([*words.captions, *words.top]):
        x, y = table.corner(index)
        write(text, x + table.width / 2, y - margin - lettering.height(text))
    for row, text in enumerate(words.left):
        _, y = table.corner(row * table.columns)
        write(text, table.left / 2, y + (table.height - lettering.height(text)) / 2)
    return np.array(image)


def _put(grid: Tensor, image: Tensor, table: Table, index: int) -> None:
    x, y = table.corner(index)
    height, width = image.shape[:2]
    x, y = x + (table.width - width) // 2, y + (table.height - height) // 2
    grid[y : y + height, x : x + width] = image


def _in_channels(image: Tensor, channels: int) -> Tensor:
    """Returns ``image`` as grey in all colours if it has only one channel, opaque if it has no
    alpha."""
    if image.shape[-1] == 1:
        image = image.expand(*image.shape[:-1], 3)
    if image.shape[-1] < channels:
        opaque = 1 if image.is_floating_point() else WHITE
        image = torch.cat([image, torch.full_like(image[..., :1], opaque)], dim=-1)
    return image
