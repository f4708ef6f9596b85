"""``combine FILE=STRENGTH … -o OUT``: one LoRA of several."""

from __future__ import annotations

import argparse

from ..algebra import Making, Recipe
from ..combining import METHODS
from ..reading import shared_cache
from ..workbench import save
from .arguments import (
    LORA,
    LORA_HELP,
    Command,
    Commands,
    add_model,
    add_out,
    form,
    lora,
    progress,
    recipes,
    source,
    told,
)


def add_to(commands: Commands) -> Command:
    """Adds the command."""
    command = commands.add_parser("combine", help="write one LoRA of several")
    command.add_argument("loras", metavar=LORA, type=lora, nargs="+", help=LORA_HELP)
    names = [name for name in METHODS if name != "resize"]
    command.add_argument("--method", choices=names, default="sum")
    command.add_argument(
        "--density", help="the share of the entries that ties, dare and knots keep"
    )
    command.add_argument("--seed", help="what the random choices of dare begin with")
    command.add_argument("--rank", default="exact", help="exact, a rank, or an error such as 1%%")
    add_model(command)
    add_out(command)
    return command


def run(options: argparse.Namespace) -> int:
    """Writes the LoRA."""
    parts = recipes(options.loras)
    recipe = _combined(options, parts)
    how = form(options, options.rank)
    saved = save(
        recipe, [source(options, recipe)], options.out, shared_cache, how, progress(options)
    )
    if not options.json:
        print(saved.report)
    return told(options, saved.path, saved.layers, saved.errors)


def _combined(options: argparse.Namespace, parts: list[Recipe]) -> Recipe:
    if options.method == "sum":
        return Recipe.sum(parts)
    given = {"density": options.density, "seed": options.seed}
    own = tuple((name, text) for name, text in given.items() if text is not None)
    return Recipe.made(Making(options.method, tuple(part.terms for part in parts), own))
