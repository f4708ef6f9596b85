"""The contact sheet: the pictures of all items, as LoRA Grid draws them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from lora_core.drawing import Look, Words, draw_grid, fitted, near_square
from lora_core.text import shortened

from .item import Scalar
from .new_file import new_file

if TYPE_CHECKING:
    from .journal import Entry

MOST_PIXELS: Final = 60_000_000
"""How many pixels all cells have at most; words and gaps come on top."""

LEAST_SIDE: Final = 16
NOTHING_SIZE: Final = (256, 256)
"""The size of a cell if there is no picture at all."""

PAPER, INK = 224, 96
LONGEST_LABEL_CHARS: Final = 120
PICTURES: Final = {
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".gif",
    ".apng",
    ".avif",
    ".tif",
    ".tiff",
    ".bmp",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the sheet: a picture, or a word that stands for it, and what it is of."""

    values: Mapping[str, Scalar]
    file: Path | None
    word: str = ""


def draw_sheet(entries: Sequence[Entry], folder: Path, path: Path) -> None:
    """Draws the first picture of every item, in the order of the table, into a PNG.

    If two parameters vary, most pairs are there, and none is there twice, they are columns and rows;
    otherwise each picture has a caption of what varies. Of an animation it is the first frame. An item that failed,
    or whose file is no picture, has a crossed cell with a word in it. Pictures are made smaller if the
    sheet would be too large.

    Args:
        entries: What was made; their files lie in ``folder``.
        folder: The folder of the files.
        path: The PNG.
    """
    from PIL import Image

    ordered = sorted(entries, key=lambda entry: entry.index)
    if not ordered:
        return
    cells = [_cell(entry, folder) for entry in ordered]
    cells, columns, words = _arranged(cells, _varying(cells))
    width, height = _size(cells)
    with ThreadPoolExecutor() as pool:
        images = [*pool.map(partial(_picture, width, height), cells)]
    sheet = draw_grid([images], columns, words, Look())[0]
    with new_file(path) as new:
        Image.fromarray(sheet.numpy()).save(new, "PNG")


def _cell(entry: Entry, folder: Path) -> Cell:
    if entry.status != "ok":
        return Cell(entry.parameters, None, entry.status)
    paths = [folder / file.path for file in entry.files]
    picture = next((path for path in paths if _opens(path)), None)
    word = "" if picture else next((path.suffix.lstrip(".") for path in paths), "no file")
    return Cell(entry.parameters, picture, word)


def _opens(path: Path) -> bool:
    """Says whether Pillow can read the first frame of a file."""
    return path.suffix.lower() in PICTURES and _dimensions(path) is not None


def _dimensions(path: Path) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with _opened(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _varying(cells: Sequence[Cell]) -> dict[str, str]:
    """Returns the parameters that vary, and for each the shortest end of its name that tells it apart."""
    known = dict.fromkeys(name for cell in cells for name in cell.values)
    names = [name for name in known if len({repr(cell.values.get(name)) for cell in cells}) > 1]
    return {name: _end(name, names) for name in names}


def _end(name: str, names: Sequence[str]) -> str:
    parts = name.split(".")
    ends = (".".join(parts[-count:]) for count in range(1, len(parts)))
    return next((end for end in ends if sum(each.endswith(f".{end}") for each in names) == 1), name)


def _arranged(cells: list[Cell], varying: Mapping[str, str]) -> tuple[list[Cell], int, Words]:
    """Returns the cells row by row, the number of columns, and the words."""
    if len(varying) == 2:
        pairs = [tuple(_said(cell, *each) for each in varying.items()) for cell in cells]
        left, top = ([*dict.fromkeys(pair[axis] for pair in pairs)] for axis in (0, 1))
        at = dict(zip(pairs, cells, strict=True))
        if len(at) == len(cells) and 2 * len(cells) > len(left) * len(top):
            nothing = Cell({}, None)
            return (
                [at.get((row, column), nothing) for row in left for column in top],
                len(top),
                Words((), top, left),
            )
    captions = [", ".join(_said(cell, *each) for each in varying.items()) for cell in cells]
    return cells, near_square(len(cells)), Words([_short(caption) for caption in captions])


def _said(cell: Cell, name: str, shown: str) -> str:
    value = cell.values.get(name)
    return _short(f"{shown} {'–' if value is None else value}")


def _short(text: str) -> str:
    return shortened(text, LONGEST_LABEL_CHARS)


def _size(cells: Sequence[Cell]) -> tuple[int, int]:
    """Returns the size of a cell: that of the largest picture, or smaller if they are many."""
    sizes = [_dimensions(cell.file) for cell in cells if cell.file]
    known = [size for size in sizes if size] or [NOTHING_SIZE]
    width, height = (max(size[axis] for size in known) for axis in (0, 1))
    scale = min(1.0, math.sqrt(MOST_PIXELS / (width * height * len(cells))))
    return max(LEAST_SIDE, int(width * scale)), max(LEAST_SIDE, int(height * scale))


def _picture(width: int, height: int, cell: Cell) -> Tensor:
    """Returns what is drawn for a cell, of its size or smaller."""
    if not cell.file:
        return _tensor(_crossed(cell.word, width, height))
    try:
        with _opened(cell.file) as image:
            picture = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError):  # what Pillow says of a damaged file
        return _tensor(_crossed("damaged", width, height))
    picture.thumbnail((width, height))
    return _tensor(picture)


def _opened(path: Path) -> Any:
    """Opens a picture."""
    from PIL import Image

    return Image.open(path)


def _crossed(word: str, width: int, height: int) -> Any:
    """Returns an empty cell with a cross, and a word in its middle."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), (PAPER,) * 3)
    draw = ImageDraw.Draw(image)
    for ends in ((0, 0, width, height), (0, height, width, 0)):
        draw.line(ends, fill=(255, 255, 255), width=max(1, min(width, height) // 40))
    lettering = fitted([word], max(1, width - 8), max(8, min(width, height) // 6))
    top = (height - lettering.height(word)) / 2
    for number, line in enumerate(lettering.lines[word]):
        at = (width / 2, top + number * lettering.line_height)
        draw.text(at, line, fill=(INK,) * 3, font=lettering.font, anchor="ma")
    return image


def _tensor(picture: Any) -> Tensor:
    pixels: np.ndarray = np.array(picture)
    return torch.as_tensor(pixels)
