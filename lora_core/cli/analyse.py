"""``analyse FILE…``: what LoRAs change where, and what they do to each other; or each of many alone."""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

from ..algebra import Recipe
from ..bulk import Analyse
from ..drawing import draw_analysis
from ..errors import LoraInputError
from ..workbench import Analysis, analyse_loras, plain, words
from .arguments import (
    Command,
    Commands,
    add_many_loras,
    add_model,
    add_out_dir,
    progress,
    recipes,
)
from .many import add_workers, make_many


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("analyse", help="show what LoRAs change, and how alike they are")
    add_many_loras(command)
    group = command.add_mutually_exclusive_group()
    group.add_argument("--png", metavar="PNG", type=Path, help="draw it, too; this needs Pillow")
    add_out_dir(group)
    add_model(command)
    add_workers(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Prints the analysis, and draws it if a picture was asked for; or writes one for each of many."""
    if options.out_dir is not None:
        return make_many(options, Analyse)
    if options.png is not None:
        _check(options.png)
    recipe = Recipe.sum(recipes(options.files))
    found = analyse_loras(recipe, model=options.model, progress=progress(options))
    if options.png is not None:
        _draw(found, options.png)
    print(json.dumps(plain(found)) if options.json else words(found))
    return 0


def _check(out: Path) -> None:
    """Refuses a place where no new picture can be, before the work is done."""
    if importlib.util.find_spec("PIL") is None:
        problem, expected = "--png needs Pillow. Install it with: pip install pillow", "Pillow"
    elif out.suffix.lower() != ".png":
        problem, expected = f"A picture is written as .png, not as {out.name}.", "a .png file"
    elif out.exists():
        problem, expected = f"There is a file {out} already. Choose another name.", "a new file"
    else:
        return
    raise LoraInputError(problem, key="png", expected=expected, found=str(out))


def _draw(found: Analysis, out: Path) -> None:
    from PIL import Image

    with out.open("xb") as new:
        Image.fromarray(draw_analysis(found)).save(new, "PNG")
